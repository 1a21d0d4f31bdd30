//! An error with what caused it. Errors say in their own words only what they know themselves; their
//! causes know the rest.

use std::error::Error;
use std::fmt::Write;
use std::iter::successors;

/// The error, what caused it, what caused that, and so on.
pub(crate) fn causes<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    successors(Some(error), |error| (**error).source())
}

/// The error and its causes on one line, as `{:#}` writes an [`anyhow::Error`].
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut line = error.to_string();
    for cause in causes(error).skip(1) {
        write!(line, ": {cause}").expect("a string takes whatever is written");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_reads_as_anyhow_writes_it() {
        let error = anyhow::anyhow!("no space")
            .context("cannot write")
            .context("cannot save");
        assert_eq!(chain(error.as_ref()), "cannot save: cannot write: no space");
        assert_eq!(chain(error.as_ref()), format!("{error:#}"));
    }
}
