//! Where tokens come from: files, lines, columns, and the macros they were expanded through.

use girih_base::{Diag, Loc};
use std::sync::Arc;

/// A position, as an index into [`Sources`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct At(pub u32);

/// What the preprocessor gives and the parser takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A name or keyword.
    Name,
    /// A number.
    Number,
    /// A string with its quotes.
    Text,
    /// A character with its quotes.
    Char,
    /// An operator or bracket.
    Punct,
    /// `#pragma` with the rest of its line.
    Pragma,
}

/// A token.
#[derive(Clone, Debug)]
pub struct Token {
    /// Its kind.
    pub kind: Kind,
    /// Its spelling.
    pub text: Arc<str>,
    /// Where it is.
    pub at: At,
    /// First on its line.
    pub first: bool,
    /// White space before it.
    pub space: bool,
    /// A macro's name met inside its own expansion stays as it is.
    pub painted: bool,
}

impl Token {
    /// Whether this is the operator or bracket `text`.
    pub fn is(&self, text: &str) -> bool {
        matches!(self.kind, Kind::Punct | Kind::Name) && &*self.text == text
    }
}

#[derive(Clone, Copy)]
struct Spot {
    file: u32,
    line: u32,
    column: u32,
    /// Where the macro was used that this came from.
    used: Option<At>,
}

/// A file and its lines.
pub struct File {
    /// Name as included.
    pub name: Arc<str>,
    /// The text.
    pub text: Arc<str>,
    /// Remarks that have lines of their own: line (from 1) and text.
    pub remarks: Vec<(u32, Arc<str>)>,
}

/// Every file read, and every position given out.
#[derive(Default)]
pub struct Sources {
    /// The files; the first is the main one.
    pub files: Vec<File>,
    spots: Vec<Spot>,
}

impl Sources {
    /// A new position.
    pub fn spot(&mut self, file: u32, line: u32, column: u32) -> At {
        self.spots.push(Spot { file, line, column, used: None });
        At(self.spots.len() as u32 - 1)
    }

    /// The position of a macro's token, used at `used`.
    pub fn expanded(&mut self, at: At, used: At) -> At {
        let Some(spot) = self.spots.get(at.0 as usize).copied() else { return at };
        // The outermost use is what the user wrote; the chain of definitions would grow with every rescan.
        let outer = self.spots.get(used.0 as usize).and_then(|s| s.used).unwrap_or(used);
        self.spots.push(Spot { used: Some(outer), ..spot });
        At(self.spots.len() as u32 - 1)
    }

    /// The position for users.
    pub fn loc(&self, at: At) -> Loc {
        let Some(spot) = self.spots.get(at.0 as usize) else { return Loc::unknown() };
        let Some(file) = self.files.get(spot.file as usize) else { return Loc::unknown() };
        let here = Loc::new(file.name.clone(), spot.line, spot.column);
        match spot.used {
            Some(used) => here.inlined_at(&self.loc(used)),
            None => here,
        }
    }

    /// The text between the parentheses that open at a position, on one line, where it is not too long.
    pub fn inside(&self, at: At) -> Option<String> {
        let spot = self.spots.get(at.0 as usize)?;
        let outer = self.spots.get(spot.used.unwrap_or(at).0 as usize)?;
        let text = &self.files.get(outer.file as usize)?.text;
        let line = text.lines().nth(outer.line as usize - 1)?;
        let start = line.as_ptr() as usize - text.as_ptr() as usize;
        let column = line.char_indices().nth(outer.column as usize - 1)?.0;
        let rest = text.get(start + column..)?.strip_prefix('(')?;
        let mut depth = 1;
        let (end, _) = rest.char_indices().take(400).find(|(_, c)| {
            depth += (*c == '(') as i32 - (*c == ')') as i32;
            depth == 0
        })?;
        Some(rest[..end].split_whitespace().collect::<Vec<_>>().join(" "))
    }

    /// File and line, of the use where a macro made the token.
    pub fn line(&self, at: At) -> (u32, u32) {
        let Some(spot) = self.spots.get(at.0 as usize) else { return (0, 0) };
        match spot.used {
            Some(used) => self.spots.get(used.0 as usize).map_or((0, 0), |s| (s.file, s.line)),
            None => (spot.file, spot.line),
        }
    }

    /// An error at a position, with the line and a caret.
    pub fn error(&self, code: &'static str, at: At, message: impl Into<String>, label: &str) -> Box<Diag> {
        let diag = Diag::error(code, message).at(&self.loc(at), label);
        let outer = self.spots.get(at.0 as usize).and_then(|s| s.used).unwrap_or(at);
        let Some(spot) = self.spots.get(outer.0 as usize) else { return diag };
        let line = self.files.get(spot.file as usize).and_then(|f| f.text.lines().nth(spot.line as usize - 1));
        match line.filter(|l| l.len() < 200) {
            Some(line) => {
                let pad: String =
                    line.chars().take(spot.column as usize - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
                diag.note(format!("{}\n          {pad}^", line))
            }
            None => diag,
        }
    }
}
