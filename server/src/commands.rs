//! The commands that do one thing to a site, print what came of it, and end.

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

/// How long `takedown` waits for the caches before it leaves the rest to the server.
const TAKEDOWN_PATIENCE: Duration = Duration::from_secs(180);

/// Deletes everything whose time is up.
#[expect(clippy::print_stdout, reason = "the command's answer")]
pub(crate) async fn expire(config: &Config, screener: Arc<LocalScreener>) -> anyhow::Result<()> {
    let Core { pictures, .. } = open_core(config, screener, Clock::default()).await?;
    println!("Pictures deleted: {}", pictures.endings.expire().await?);
    Ok(())
}

/// Rebuilds the index from the stored objects.
#[expect(clippy::print_stdout, reason = "the command's answer")]
pub(crate) async fn reindex(config: &Config, screener: Arc<LocalScreener>) -> anyhow::Result<()> {
    let _claim = Claim::take(config)?;
    if let Some(aside) = put_aside_if_damaged(config).await? {
        println!(
            "The index was damaged. It was renamed to {} and a new one was made.",
            aside.display()
        );
    }
    let Core {
        index, pictures, ..
    } = open_core(config, screener, Clock::default()).await?;
    let rebuilt = pictures.recovery.rebuild().await?;
    index.close().await;
    println!(
        "Pictures restored: {}; in the index already: {}; bans restored: {}",
        rebuilt.restored, rebuilt.known, rebuilt.bans
    );
    println!(
        "Pictures without objects forgotten: {}; ended pictures deleted: {}; files without a picture deleted: {}",
        rebuilt.lost, rebuilt.ended, rebuilt.orphans
    );
    for problem in &rebuilt.unreadable {
        println!("Left as it is: {problem}");
    }
    anyhow::ensure!(
        rebuilt.unreadable.is_empty(),
        "stored pictures that could not be read: {}",
        rebuilt.unreadable.len()
    );
    Ok(())
}

/// Deletes one picture, has the CDNs forget it, and tells what their caches show then.
#[expect(clippy::print_stdout, reason = "the command's answer")]
pub(crate) async fn takedown(
    config: &Config,
    screener: Arc<LocalScreener>,
    id: &str,
) -> anyhow::Result<()> {
    let id = PictureId::parse(id)
        .with_context(|| format!("`{id}` is not the id of a picture; please give the 16 characters that its link has behind /c/"))?;
    let Core {
        index, pictures, ..
    } = open_core(config, screener, Clock::default()).await?;
    match pictures.endings.take_down(&id).await {
        Ok(()) => println!("{id} is deleted."),
        // When the command is repeated, it tells how far the caches are.
        Err(DeleteError::Gone) => println!("{id} was gone already."),
        Err(error) => return Err(error.into()),
    }
    if pictures.purging.purge_targets().is_empty() {
        println!("No CDN is configured, so none had to be told.");
    } else {
        // This is only a look at the lock: a server that starts meanwhile shares the work.
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

/// Sets what was used this month, if that was asked for, and shows it.
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
            " (the count was lost, so all of them count as used; correct it with `cattocdn budget set`)"
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
