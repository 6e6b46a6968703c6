//! Where in the user's source a value came from.

use std::fmt;
use std::sync::Arc;

/// A source location: file, line and column (both from 1), and the call chain it was inlined through.
///
/// Cheap to clone; `Loc::unknown()` allocates nothing. Every operation of every IR carries one, and every pass
/// keeps it, so that an error or a comment in generated code can name the user's line.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Loc(Option<Arc<Site>>);

#[derive(PartialEq, Eq, Hash)]
struct Site {
    file: Arc<str>,
    line: u32,
    column: u32,
    inlined_at: Loc,
}

impl Loc {
    /// No location: the value was made by the compiler itself.
    pub const fn unknown() -> Loc {
        Loc(None)
    }

    /// A position in a source file; `line` and `column` count from 1.
    pub fn new(file: impl Into<Arc<str>>, line: u32, column: u32) -> Loc {
        Loc(Some(Arc::new(Site { file: file.into(), line, column, inlined_at: Loc(None) })))
    }

    /// The Rust source line that called the function this is used in (which must be `#[track_caller]`).
    #[track_caller]
    pub fn caller() -> Loc {
        let at = std::panic::Location::caller();
        Loc::new(at.file(), at.line(), at.column())
    }

    /// The same position, reached through a call at `site`.
    pub fn inlined_at(&self, site: &Loc) -> Loc {
        match &self.0 {
            None => site.clone(),
            Some(s) => Loc(Some(Arc::new(Site {
                file: s.file.clone(),
                line: s.line,
                column: s.column,
                inlined_at: if s.inlined_at.is_known() { s.inlined_at.inlined_at(site) } else { site.clone() },
            }))),
        }
    }

    /// Whether a position is recorded.
    pub fn is_known(&self) -> bool {
        self.0.is_some()
    }

    /// File, line and column, if known.
    pub fn position(&self) -> Option<(&str, u32, u32)> {
        self.0.as_deref().map(|s| (&*s.file, s.line, s.column))
    }

    /// The call site this position was inlined at, if any.
    pub fn call_site(&self) -> Option<&Loc> {
        self.0.as_deref().map(|s| &s.inlined_at).filter(|l| l.is_known())
    }
}

impl fmt::Display for Loc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.position() {
            None => f.write_str("<generated>"),
            Some((file, line, column)) => {
                write!(f, "{file}:{line}:{column}")?;
                // Calls of one place inside of each other are told once.
                let (mut site, mut times) = (self.call_site(), 1);
                while let Some(next) = site.filter(|next| next.position() == self.position()) {
                    (site, times) = (next.call_site(), times + 1);
                }
                if times > 1 {
                    write!(f, " ({times} times)")?;
                }
                match site {
                    Some(site) => write!(f, " at {site}"),
                    None => Ok(()),
                }
            }
        }
    }
}

impl fmt::Debug for Loc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn call_chains_read_from_the_inside_out() {
        let (inner, middle, outer) = (Loc::new("nn.rs", 3, 1), Loc::new("block.rs", 7, 2), Loc::new("main.rs", 9, 4));
        let chain = inner.inlined_at(&middle).inlined_at(&outer);
        assert_eq!(chain.to_string(), "nn.rs:3:1 at block.rs:7:2 at main.rs:9:4");
        assert_eq!(chain.position(), Some(("nn.rs", 3, 1)));
        assert_eq!(chain.call_site(), Some(&middle.inlined_at(&outer)));
        let twice = inner.inlined_at(&middle).inlined_at(&middle).inlined_at(&outer);
        assert_eq!(twice.to_string(), "nn.rs:3:1 at block.rs:7:2 (2 times) at main.rs:9:4");
        assert_eq!(Loc::unknown().inlined_at(&outer), outer);
        assert_eq!(Loc::unknown().to_string(), "<generated>");
    }

    #[test]
    fn the_caller_is_this_line() {
        assert_eq!(Loc::caller().position().map(|(file, line, _)| (file, line)), Some((file!(), line!())));
    }
}
