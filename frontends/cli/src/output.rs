//! Where text goes, and what can go wrong with it.

use girih_base::{Diag, Label, Loc};
use serde_json::{Value, json};
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::ExitCode;

/// Standard output.
pub type Out<'a> = &'a mut dyn Write;

/// What a command gives.
pub type Done<T = ()> = Result<T, Failure>;

/// Why a command ended early.
#[derive(Debug)]
pub enum Failure {
    /// Something was refused.
    Diag(Box<Diag>),
    /// Something was found; the output says it already.
    Found(Box<Diag>),
    /// Nobody reads the output any more; not an error.
    Closed,
}

impl From<Box<Diag>> for Failure {
    fn from(diag: Box<Diag>) -> Failure {
        Failure::Diag(diag)
    }
}

impl From<std::io::Error> for Failure {
    fn from(e: std::io::Error) -> Failure {
        match e.kind() {
            ErrorKind::BrokenPipe => Failure::Closed,
            _ => Failure::Diag(
                Diag::error("C002", format!("the output cannot be written: {e}")).help("is the disk full?"),
            ),
        }
    }
}

impl From<serde_json::Error> for Failure {
    fn from(e: serde_json::Error) -> Failure {
        Failure::from(std::io::Error::from(e))
    }
}

/// Prints a diagnostic; gives the exit code of an error.
pub fn report(diag: &Diag) -> ExitCode {
    note(&diag.to_string());
    ExitCode::FAILURE
}

/// A diagnostic as JSON. Its positions have the calls that led there, from the inside out; `text` is what people see.
pub fn json(diag: &Diag) -> Value {
    let place =
        |loc: &Loc| loc.position().map(|(file, line, column)| json!({ "file": file, "line": line, "column": column }));
    let label = |label: &Label| {
        let mut row = place(&label.loc).unwrap_or_else(|| json!({}));
        let calls = std::iter::successors(label.loc.call_site(), |site| site.call_site());
        row["text"] = json!(label.text);
        row["calls"] = calls.filter_map(place).collect();
        row
    };
    json!({
        "code": diag.code,
        "message": diag.message,
        "labels": diag.labels.iter().map(label).collect::<Vec<_>>(),
        "notes": diag.notes,
        "help": diag.help,
        "text": diag.to_string(),
    })
}

/// Prints one JSON value.
pub fn write_json(out: Out, value: &Value) -> Done {
    serde_json::to_writer_pretty(&mut *out, value)?;
    Ok(writeln!(out)?)
}

/// One line for people, beside the output.
pub fn note(text: &str) {
    // There is nowhere left to complain when the error output is closed.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Reads a text file.
pub fn read_text(path: &Path) -> Result<String, Box<Diag>> {
    std::fs::read_to_string(path).map_err(|e| {
        Diag::error("C003", format!("`{}` cannot be read: {e}", path.display()))
            .help("check the path; the file must be UTF-8 text")
    })
}

/// A number of bytes for people.
pub fn bytes(n: u64) -> String {
    match n {
        0..1_000 => format!("{n} B"),
        1_000..1_000_000 => format!("{:.1} kB", n as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", n as f64 / 1e6),
        _ => format!("{:.2} GB", n as f64 / 1e9),
    }
}

/// A duration for people.
pub fn time(d: std::time::Duration) -> String {
    let s = d.as_secs_f64();
    match s {
        _ if s >= 1.0 => format!("{s:.2} s"),
        _ if s >= 1e-3 => format!("{:.1} ms", s * 1e3),
        _ => format!("{:.1} us", s * 1e6),
    }
}
