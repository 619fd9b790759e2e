//! Errors that end in advice: a message, its causes, and a `hint:` on what to do about it.

use std::fmt;

use anyhow::Error;

/// An error that carries a piece of advice.
#[derive(Debug)]
struct Hinted {
    source: Error,
    hint: String,
}

impl fmt::Display for Hinted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}

impl std::error::Error for Hinted {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.source()
    }
}

/// Attaches advice to a failure.
pub trait Hint<T> {
    /// Adds `hint`, which [`report`] prints on a line of its own after the causes.
    ///
    /// # Errors
    /// Those of `self`.
    fn hint(self, hint: impl Into<String>) -> Result<T, Error>;
}

impl<T, E: Into<Error>> Hint<T> for Result<T, E> {
    fn hint(self, hint: impl Into<String>) -> Result<T, Error> {
        self.map_err(|error| Error::new(Hinted { source: error.into(), hint: hint.into() }))
    }
}

/// The message, the chain of causes, and the hints, one per line.
pub fn report(error: &Error) -> String {
    let mut lines = vec![format!("error: {error}")];
    let mut hints = Vec::new();
    for (depth, cause) in error.chain().enumerate() {
        if depth > 0 {
            lines.push(format!("  caused by: {cause}"));
        }
        hints.extend(cause.downcast_ref::<Hinted>().map(|hinted| format!("hint: {}", hinted.hint)));
    }
    lines.extend(hints);
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use anyhow::{Context, anyhow};

    use super::*;

    #[test]
    fn hints_follow_the_causes() {
        let error = Err::<(), _>(anyhow!("no such file"))
            .hint("check the path")
            .context("failed to read labels.npy")
            .unwrap_err();
        let text = report(&error);
        let expected =
            "error: failed to read labels.npy\n  caused by: no such file\nhint: check the path";
        assert_eq!(text, expected);
    }
}
