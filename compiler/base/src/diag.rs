//! Diagnostics: the one error type users see, and the one function that renders it.

use crate::Loc;
use std::fmt;

/// How serious a diagnostic is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Nothing was produced.
    Error,
    /// Something was produced, and the user should look.
    Warning,
}

/// A source position with a few words about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The position the text speaks of.
    pub loc: Loc,
    /// What is to be seen there.
    pub text: String,
}

/// What went wrong, where, why, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diag {
    /// Error or warning.
    pub severity: Severity,
    /// Stable code, documented in `docs/errors.md`.
    pub code: &'static str,
    /// One sentence: what is wrong.
    pub message: String,
    /// Source positions; the first is the primary one.
    pub labels: Vec<Label>,
    /// Why: facts the reader needs.
    pub notes: Vec<String>,
    /// How to mend it, where that is known.
    pub help: Option<String>,
}

/// The result of everything that can refuse its input.
pub type Result<T, E = Box<Diag>> = std::result::Result<T, E>;

impl Diag {
    /// An error with its code and sentence; boxed, since results carry it.
    pub fn error(code: &'static str, message: impl Into<String>) -> Box<Diag> {
        Box::new(Diag {
            severity: Severity::Error,
            code,
            message: message.into(),
            labels: Vec::new(),
            notes: Vec::new(),
            help: None,
        })
    }

    /// Adds a source position (ignored when the position is unknown).
    pub fn at(mut self: Box<Self>, loc: &Loc, text: impl Into<String>) -> Box<Self> {
        if loc.is_known() {
            self.labels.push(Label { loc: loc.clone(), text: text.into() });
        }
        self
    }

    /// Adds a fact.
    pub fn note(mut self: Box<Self>, text: impl Into<String>) -> Box<Self> {
        self.notes.push(text.into());
        self
    }

    /// Says how to mend it.
    pub fn help(mut self: Box<Self>, text: impl Into<String>) -> Box<Self> {
        self.help = Some(text.into());
        self
    }
}

impl fmt::Display for Diag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{kind}[{}]: {}", self.code, self.message)?;
        for label in &self.labels {
            write!(f, "\n  --> {}: {}", label.loc, label.text)?;
        }
        for note in &self.notes {
            write!(f, "\n  = note: {note}")?;
        }
        match &self.help {
            Some(help) => write!(f, "\n  = help: {help}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Diag {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diagnostic_says_what_where_why_and_how() {
        let diag = Diag::error("G004", "add: shapes do not broadcast")
            .at(&Loc::new("model.rs", 12, 5), "this operation")
            .at(&Loc::unknown(), "left out, since nobody knows where")
            .note("2 against 3")
            .help("reshape one of them");
        let text = "error[G004]: add: shapes do not broadcast\n  --> model.rs:12:5: this operation\n  = note: 2 against 3\n  \
                    = help: reshape one of them";
        assert_eq!(diag.to_string(), text);
    }
}
