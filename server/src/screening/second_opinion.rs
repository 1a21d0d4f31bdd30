//! Somebody outside who is paid for a verdict on a picture: what the house asks of such a vendor,
//! and what it must know of one. Each vendor has a folder of its own beside this file.

use async_trait::async_trait;
use imaging::ScreeningImage;

use crate::domain::paid::Paid;
use crate::domain::verdict::Review;

/// What is known of a vendor without asking it anything.
#[derive(Debug, PartialEq)]
pub struct Vendor {
    /// Its name in `CATTO_SCREENING`. It is part of what a verdict is remembered under.
    pub id: &'static str,
    /// Its name in the log and in the doctor's report.
    pub name: &'static str,
    /// Its name on the pages, where visitors read who sees their pictures.
    pub full_name: &'static str,
    /// As what each of its calls is counted and billed.
    pub call: Paid,
    /// What its calls cost: a table like `costs/prices.json`, with a price for `call`.
    pub prices: &'static str,
    /// What a trial of it takes, in words: `two paid calls, about $0.002`.
    pub cost_of_trial: &'static str,
    /// Whether it is reached with Amazon's region and credentials.
    pub is_at_amazon: bool,
}

/// A vendor that can be asked, one paid call after the other.
///
/// Nothing here tries again, and nothing reserves: a call that failed may be billed all the same,
/// so whoever pays must reserve before each attempt, and therefore must be the one to loop.
#[async_trait]
pub trait SecondOpinion: Send + Sync + 'static {
    /// Who this is.
    fn vendor(&self) -> &'static Vendor;

    /// Everything that decides what its answers mean, as it is set up now. A verdict is remembered
    /// under it, so it must change with the rules, and with nothing else.
    fn rules(&self) -> String;

    /// How many calls a review takes at most that has come this far; none once it is judged.
    fn calls_left(&self, from: &Review) -> u32;

    /// Makes the next call of a review that has come this far, exactly once, and says how far the
    /// review is then. Waits where the vendor takes only so many calls within a second.
    ///
    /// # Errors
    /// When the call has no answer that says anything.
    async fn ask(
        &self,
        image: &ScreeningImage,
        from: &Review,
    ) -> Result<Review, SecondOpinionError>;

    /// Makes each kind of call exactly once, whatever the answers mean: for the doctor.
    async fn try_out(&self, image: &ScreeningImage) -> Vec<Trial>;
}

/// What came of a call that was only made to see whether it is answered.
#[derive(Debug)]
pub struct Trial {
    /// What was tried, as the doctor reports it.
    pub name: &'static str,
    pub answer: Result<(), SecondOpinionError>,
    /// What the operator can do where the vendor refuses this server's configuration.
    pub remedy: String,
}

/// Why a call has no answer, as far as its caller acts differently. The vendor's own error says the
/// rest.
#[derive(Debug, thiserror::Error)]
pub enum SecondOpinionError {
    /// More calls than the account may make just now. Trying again later helps, and nothing was
    /// billed.
    #[error(transparent)]
    Throttled(anyhow::Error),
    /// Nothing was sent, because no connection came about or nothing could be signed. Trying again
    /// helps, and nothing was billed.
    #[error(transparent)]
    Unreachable(anyhow::Error),
    /// The vendor failed, answered nonsense, or did not answer in time. Trying again helps; this
    /// attempt may be billed.
    #[error(transparent)]
    Unavailable(anyhow::Error),
    /// It will not serve us as we are set up. Somebody must mend that; trying again does not help.
    #[error(transparent)]
    Refused(anyhow::Error),
    /// It cannot read the picture. Trying again does not help, and this attempt may be billed.
    #[error(transparent)]
    InvalidImage(anyhow::Error),
}

impl SecondOpinionError {
    /// True when the same call may succeed a little later.
    #[must_use]
    pub const fn retry_helps(&self) -> bool {
        matches!(
            self,
            Self::Throttled(_) | Self::Unreachable(_) | Self::Unavailable(_)
        )
    }

    /// True unless it is certain that this attempt was not billed.
    #[must_use]
    pub const fn may_be_billed(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::InvalidImage(_))
    }
}
