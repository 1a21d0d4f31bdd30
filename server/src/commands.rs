//! The commands that work on a site and end: each does one thing and prints what came of it.

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
use cattocdn::site::{Core, open_core, put_aside_if_damaged};

use crate::BudgetCommand;

/// How long `takedown` waits for the caches.
const TAKEDOWN_PATIENCE: Duration = Duration::from_secs(180);

/// Deletes everything that is past its time.
#[expect(clippy::print_stdout, reason = "the command's answer")]
pub(crate) async fn expire(config: &Config, screener: Arc<LocalScreener>) -> anyhow::Result<()> {
    let Core { pictures, .. } = open_core(config, screener, Clock::default()).await?;
    println!("{} pictures deleted", pictures.endings.expire().await?);
    Ok(())
}

/// Makes the index anew from the objects.
#[expect(clippy::print_stdout, reason = "the command's answer")]
pub(crate) async fn reindex(config: &Config, screener: Arc<LocalScreener>) -> anyhow::Result<()> {
    let _claim = Claim::take(config)?;
    if let Some(aside) = put_aside_if_damaged(config).await? {
        println!("the index was damaged; it is now {}", aside.display());
    }
    let Core {
        index, pictures, ..
    } = open_core(config, screener, Clock::default()).await?;
    let rebuilt = pictures.recovery.rebuild().await?;
    index.close().await;
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

/// Deletes one picture, has the CDNs forget it, and tells what their caches show.
#[expect(clippy::print_stdout, reason = "the command's answer")]
pub(crate) async fn takedown(
    config: &Config,
    screener: Arc<LocalScreener>,
    id: &str,
) -> anyhow::Result<()> {
    let id = PictureId::parse(id)
        .with_context(|| format!("`{id}` is no picture's id: 16 characters, as in its link"))?;
    let Core {
        index, pictures, ..
    } = open_core(config, screener, Clock::default()).await?;
    match pictures.endings.take_down(&id).await {
        Ok(()) => println!("{id} is deleted"),
        // Asked again, it tells how far the caches are.
        Err(DeleteError::Gone) => println!("{id} was gone already"),
        Err(error) => return Err(error.into()),
    }
    if pictures.purging.purge_targets().is_empty() {
        println!("no CDN is configured, so none was told");
    } else {
        // Only looked at: a server that starts meanwhile shares the work.
        let is_served = Claim::is_taken(config)?;
        let progress = pictures
            .purging
            .finish_purge(&id, !is_served, TAKEDOWN_PATIENCE)
            .await?;
        println!("{progress}");
    }
    index.close().await;
    Ok(())
}

/// Shows what was used this month, once it is set where that was asked for.
#[expect(clippy::print_stdout, reason = "the command's answer")]
pub(crate) async fn budget(
    config: &Config,
    screener: Arc<LocalScreener>,
    command: Option<BudgetCommand>,
) -> anyhow::Result<()> {
    let Core { index, budget, .. } = open_core(config, screener, Clock::default()).await?;
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
    index.close().await;
    Ok(())
}
