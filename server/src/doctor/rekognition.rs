//! Checks whether Rekognition answers both calls that screening makes. They cost money, so they are
//! made only on request, and reserved in the budget like all others.

use aws_config::SdkConfig;

use super::report::Check;
use crate::config::Config;
use crate::costs::budget::{Budget, BudgetError, Paid, Reserved};
use crate::runtime::causes::chain;
use crate::runtime::clock::Clock;
use crate::screening::{RekognitionClient, RekognitionError, RekognitionOptions};
use crate::site;
use imaging::{self, Raster, ScreeningImage};

const NAME: &str = "Rekognition";
/// One call of each kind.
const CALLS: u32 = 2;
/// The side of the picture that is sent, in pixels.
const SIDE: u32 = 128;

/// Makes each of the two calls once.
pub(super) async fn call(sdk: &SdkConfig, config: &Config, clock: &Clock) -> Vec<Check> {
    match prepare(sdk, config, clock).await {
        Ok(prepared) => prepared.call().await,
        Err(check) => vec![check],
    }
}

/// Everything that the calls need. They are reserved by now.
struct Prepared {
    client: RekognitionClient,
    image: ScreeningImage,
    budget: Budget,
    reserved: Reserved,
}

async fn prepare(sdk: &SdkConfig, config: &Config, clock: &Clock) -> Result<Prepared, Check> {
    let image = imaging::screening_image(&gradient()).map_err(|error| {
        Check::failed(
            NAME,
            format!("no picture can be made to send: {error}"),
            "This is a fault of CattoCDN; please report it",
        )
    })?;
    let uncounted = |error: anyhow::Error, remedy: &str| {
        Check::failed(
            NAME,
            format!("not asked, because calls cannot be counted: {error:#}"),
            remedy,
        )
    };
    let budget = site::open_budget(config, clock).await.map_err(|error| {
        uncounted(
            error,
            "Start the server first: it makes the index. If it does not start, mend what fails above",
        )
    })?;
    let reserved = budget.reserve(Paid::RekognitionCalls, CALLS, 0).await;
    let reserved = reserved.map_err(|error| match error {
        BudgetError::Spent => Check::failed(
            NAME,
            "not asked, because this month's calls are spent",
            "Wait for the next month (UTC), or allow more (CATTO_REKOGNITION_MONTHLY_CALLS)",
        ),
        BudgetError::Unavailable(error) => uncounted(error, "Mend what fails above, and try again"),
    })?;
    Ok(Prepared {
        client: RekognitionClient::new(sdk, RekognitionOptions::of(&config.screening)),
        image,
        budget,
        reserved,
    })
}

impl Prepared {
    async fn call(self) -> Vec<Check> {
        let moderation = self.client.detect_moderation(&self.image).await.map(drop);
        let labels = self.client.detect_labels(&self.image).await.map(drop);
        let free = [&moderation, &labels]
            .into_iter()
            .filter(|result| result.as_ref().is_err_and(|error| !error.may_be_billed()));
        let free = u32::try_from(free.count()).unwrap_or(0);
        let mut checks = vec![
            judge(
                "Rekognition moderation",
                "rekognition:DetectModerationLabels",
                moderation,
            ),
            judge("Rekognition labels", "rekognition:DetectLabels", labels),
        ];
        if let Err(error) = self.budget.give_back(&self.reserved, free).await {
            checks.push(Check::warning(
                "budget",
                format!("{free} unused calls stay counted: {error:#}"),
                "`cattocdn budget set` tells what was used",
            ));
        }
        checks
    }
}

fn judge(name: &'static str, permission: &str, answer: Result<(), RekognitionError>) -> Check {
    let Err(error) = answer else {
        return Check::ok(name, "answers");
    };
    let remedy = match &error {
        RekognitionError::Refused(_) => format!(
            "Allow these credentials {permission} on \"*\", and look whether they are right and AWS_REGION has Rekognition"
        ),
        RekognitionError::Throttled(_) => {
            "Try again later; if it stays, ask Amazon for more calls per second".into()
        }
        RekognitionError::Unreachable(_) | RekognitionError::Unavailable(_) => {
            "Try again; look whether this machine reaches Amazon (AWS_REGION)".into()
        }
        RekognitionError::InvalidImage(_) => "This is a fault of CattoCDN; please report it".into(),
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
