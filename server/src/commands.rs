//! The commands that work on a site and end. Each does one thing and prints the result.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use cattocdn::config::Config;
use cattocdn::costs::budget::Paid;
use cattocdn::domain::picture::PictureId;
use cattocdn::pictures::DeleteError;
use cattocdn::runtime::clock::Clock;
use cattocdn::screening::LocalScreener;
use cattocdn::site::claim::Claim;
use cattocdn::site::{open_pictures, put_aside_if_damaged};

use crate::BudgetCommand;

/// How long `takedown` waits for the caches.
const TAKEDOWN_PATIENCE: Duration = Duration::from_secs(180);

/// Deletes every picture that has expired.
#[expect(clippy::print_stdout, reason = "the command's answer")]
pub(crate) async fn expire(config: &Config, screener: Arc<LocalScreener>) -> anyhow::Result<()> {
    let pictures = open_pictures(config, screener, Clock::default()).await?;
    println!("{} pictures deleted", pictures.expire().await?);
    Ok(())
}

/// Rebuilds the index from the stored objects.
#[expect(clippy::print_stdout, reason = "the command's answer")]
pub(crate) async fn reindex(config: &Config, screener: Arc<LocalScreener>) -> anyhow::Result<()> {
    let _claim = Claim::take(config)?;
    if let Some(aside) = put_aside_if_damaged(config).await? {
        println!("the index was damaged; it is now {}", aside.display());
    }
    let pictures = open_pictures(config, screener, Clock::default()).await?;
    let rebuilt = pictures.rebuild().await?;
    pictures.close().await;
    println!(
        "{} pictures restored, {} known already, {} bans",
        rebuilt.restored, rebuilt.known, rebuilt.bans
    );
    println!(
        "{} pictures without objects forgotten, {} ended ones and {} files without a picture deleted",
        rebuilt.lost, rebuilt.ended, rebuilt.orphans
    );
    for problem in &rebuilt.unreadable {
        println!("left as it is: {problem}");
    }
    anyhow::ensure!(
        rebuilt.unreadable.is_empty(),
        "{} pictures could not be read",
        rebuilt.unreadable.len()
    );
    Ok(())
}

/// Deletes one picture, has the CDNs purge it, and prints what the look at its address showed.
#[expect(clippy::print_stdout, reason = "the command's answer")]
pub(crate) async fn takedown(
    config: &Config,
    screener: Arc<LocalScreener>,
    id: &str,
) -> anyhow::Result<()> {
    let id = PictureId::parse(id)
        .with_context(|| format!("`{id}` is no picture's id: 16 characters, as in its link"))?;
    let pictures = open_pictures(config, screener, Clock::default()).await?;
    match pictures.take_down(&id).await {
        Ok(()) => println!("{id} is deleted"),
        // When the command is repeated, it reports how far the purge is.
        Err(DeleteError::Gone) => println!("{id} was gone already"),
        Err(error) => return Err(error.into()),
    }
    if pictures.purge_targets().is_empty() {
        println!("no CDN is configured, so none was told");
    } else {
        // The folder is not locked meanwhile, so a server that starts now can share the work.
        let is_served = Claim::is_taken(config)?;
        let progress = pictures
            .finish_purge(&id, !is_served, TAKEDOWN_PATIENCE)
            .await?;
        println!("{progress}");
    }
    pictures.close().await;
    Ok(())
}

/// Prints what was used this month, after setting it where that was asked for.
#[expect(clippy::print_stdout, reason = "the command's answer")]
pub(crate) async fn budget(
    config: &Config,
    screener: Arc<LocalScreener>,
    command: Option<BudgetCommand>,
) -> anyhow::Result<()> {
    let pictures = open_pictures(config, screener, Clock::default()).await?;
    let budget = pictures.budget();
    budget.restore_if_lost().await?;
    if let Some(BudgetCommand::Set(set)) = command {
        for (what, used) in [
            (Paid::RekognitionCalls, set.rekognition_calls),
            (Paid::CloudFrontPaths, set.cloudfront_paths),
        ] {
            if let Some(used) = used {
                budget.set_used(what, used).await?;
            }
        }
    }
    println!("{} (UTC)", budget.month());
    for what in Paid::ALL {
        let usage = budget.usage(what).await?;
        let unknown = if budget.is_unknown(what).await? {
            " (unknown, so all of it; `cattocdn budget set` tells)"
        } else {
            ""
        };
        println!(
            "{:<18} {} of {}{unknown}",
            what.as_str(),
            usage.used,
            usage.limit
        );
    }
    pictures.close().await;
    Ok(())
}
