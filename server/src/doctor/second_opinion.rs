//! Checks whether whoever is asked for second opinions answers every kind of call that screening
//! makes. The calls cost money, so they are made only on request, and reserved in the budget like
//! all others.

use std::sync::Arc;

use aws_config::SdkConfig;
use imaging::{Raster, ScreeningImage};

use super::WITHOUT_CREDENTIALS;
use super::report::Check;
use crate::config::Config;
use crate::costs::budget::{Budget, BudgetError, Reserved};
use crate::domain::verdict::Review;
use crate::runtime::causes::chain;
use crate::runtime::clock::Clock;
use crate::screening::{SecondOpinion, SecondOpinionError, Trial, Vendor};
use crate::site;

/// The side of the picture that is sent, in pixels.
const SIDE: u32 = 128;

/// Makes every kind of call once. `amazon` is what reaches the vendors that are there.
pub(super) async fn try_out(
    amazon: Option<&SdkConfig>,
    config: &Config,
    clock: &Clock,
) -> Vec<Check> {
    let Some(opinion) = site::second_opinion(config, amazon) else {
        let name = config.screening.asked.vendor().name;
        return vec![Check::skipped(name, WITHOUT_CREDENTIALS)];
    };
    match prepare(opinion, config, clock).await {
        Ok(prepared) => prepared.call().await,
        Err(check) => vec![check],
    }
}

/// Everything that the calls need. They are reserved by now.
struct Prepared {
    opinion: Arc<dyn SecondOpinion>,
    image: ScreeningImage,
    budget: Budget,
    reserved: Reserved,
}

async fn prepare(
    opinion: Arc<dyn SecondOpinion>,
    config: &Config,
    clock: &Clock,
) -> Result<Prepared, Check> {
    let Vendor { name, call, .. } = *opinion.vendor();
    let image = imaging::screening_image(&gradient()).map_err(|error| {
        Check::failed(
            name,
            format!("the picture to send cannot be made: {error}"),
            "This is a bug in CattoCDN; please report it",
        )
    })?;
    let uncounted = |error: anyhow::Error, remedy: &str| {
        Check::failed(
            name,
            format!("not called, because calls cannot be counted: {error:#}"),
            remedy,
        )
    };
    let budget = site::open_budget(config, clock).await.map_err(|error| {
        uncounted(
            error,
            "Start the server first, because it makes the index; if it does not start, mend what failed above",
        )
    })?;
    // As many as a whole review takes: one of each kind.
    let calls = opinion.calls_left(&Review::Asked);
    let reserved = budget.reserve(call, calls, 0).await;
    let reserved = reserved.map_err(|error| match error {
        BudgetError::Spent => Check::failed(
            name,
            "not called, because this month's calls are spent",
            format!(
                "Wait for the next month (UTC), or allow more calls ({})",
                call.variable
            ),
        ),
        BudgetError::Unavailable(error) => {
            uncounted(error, "Mend what failed above, and try again")
        }
    })?;
    Ok(Prepared {
        opinion,
        image,
        budget,
        reserved,
    })
}

impl Prepared {
    async fn call(self) -> Vec<Check> {
        let trials = self.opinion.try_out(&self.image).await;
        let is_free = |trial: &&Trial| {
            let error = trial.answer.as_ref().err();
            error.is_some_and(|error| !error.may_be_billed())
        };
        let free = u32::try_from(trials.iter().filter(is_free).count()).unwrap_or(0);
        let mut checks: Vec<Check> = trials.into_iter().map(judge).collect();
        if let Err(error) = self.budget.give_back(&self.reserved, free).await {
            checks.push(Check::warning(
                "budget",
                format!("{free} calls that were not billed still count as used: {error:#}"),
                "Correct the number with `cattocdn budget set`",
            ));
        }
        checks
    }
}

fn judge(trial: Trial) -> Check {
    let Trial {
        name,
        answer,
        remedy,
    } = trial;
    let Err(error) = answer else {
        return Check::ok(name, "it answers");
    };
    let remedy = match &error {
        SecondOpinionError::Refused(_) => remedy,
        SecondOpinionError::Throttled(_) => {
            "Try again later; if that does not help, ask for more calls per second".into()
        }
        SecondOpinionError::Unreachable(_) | SecondOpinionError::Unavailable(_) => {
            "Try again, and check that this machine can reach the vendor".into()
        }
        SecondOpinionError::InvalidImage(_) => "This is a bug in CattoCDN; please report it".into(),
    };
    Check::failed(name, chain(&error), remedy)
}

/// A picture without content: grey that brightens from left to right.
fn gradient() -> Raster {
    let row = (0..SIDE).flat_map(|x| [(x * 255 / SIDE) as u8; 3]);
    Raster {
        width: SIDE,
        height: SIDE,
        rgb: row.cycle().take((SIDE * SIDE * 3) as usize).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_is_one_that_the_service_takes() {
        let raster = gradient();
        assert_eq!(raster.rgb.len(), (SIDE * SIDE * 3) as usize);
        assert!(imaging::screening_image(&raster).is_ok());
    }
}
