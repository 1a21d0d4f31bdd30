//! Errors together with their causes. An error's own text says only what it knows itself, and its
//! causes tell the rest.

use std::error::Error;
use std::fmt::Write;
use std::iter::successors;

/// Iterates over the error, its cause, the cause of that, and so on.
pub(crate) fn causes<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    successors(Some(error), |error| (**error).source())
}

/// The error and its causes in one line, in the format in which `{:#}` writes an [`anyhow::Error`].
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
