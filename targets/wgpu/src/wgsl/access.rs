//! Rewrites of the printer's text: accesses of chosen buffers become calls of functions.
//!
//! A rewrite rather than a second way to print: only launches that need it pay for it, whatever made the kernel. The text is of
//! the printer's shape: one statement a line, declarations first, then functions, `main` last. naga validates the result as it does
//! every other kernel.

use std::collections::BTreeSet;
use std::fmt::Write;

/// A storage buffer whose accesses become calls.
pub struct Target<'t> {
    pub name: &'t str,
    pub access: &'t str,
    /// Element type; of an atomic, what it holds.
    pub elem: &'t str,
    pub atomic: bool,
}

/// How the text reaches an element.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    Load,
    Store,
    Atomic(String),
}

/// Which accesses of which targets occur.
pub type Used = BTreeSet<(usize, Access)>;

/// The declarations and helper functions of a text, its entry point with every access of a target replaced by a call
/// (`girih_load_x(i)`, `girih_store_x(i, value)`, `girih_atomicAdd_x(i, value)`), and which accesses occur.
///
/// # Errors
/// A sentence when the text is not of the printer's shape.
pub fn rewrite<'t>(text: &'t str, targets: &[Target<'_>]) -> Result<(&'t str, String, Used), String> {
    // Helper functions reach no buffer: only the entry point is rewritten.
    let (head, main) = text.split_at(text.find("\n@compute").ok_or("there is no entry point")?);
    let mut used = BTreeSet::new();
    let mut body = String::with_capacity(main.len() + 256);
    for line in main.lines() {
        let code = line.trim_start();
        body.push_str(&line[..line.len() - code.len()]);
        match code.starts_with("//") {
            true => body.push_str(code),
            false => body.push_str(&statement(code, targets, &mut used)?),
        }
        body.push('\n');
    }
    Ok((head, body, used))
}

/// The text before the entry point with further buffers behind the last one, and further sizes behind the last one.
pub fn declare(head: &str, arrays: &str, fields: &str) -> Result<String, String> {
    let last = head.rfind("\n@group(0)").map_or(0, |at| at + 1);
    let end = head[last..].find('\n').map_or(head.len(), |n| last + n + 1);
    let (before, after) = head.split_at(end);
    let sizes = "@group(1) @binding(0) var<uniform> sizes: Sizes;";
    Ok(match after.split_once("\nstruct Sizes {\n") {
        Some((middle, rest)) => {
            let odd = "the uniforms are not declared as the printer does";
            let (own, rest) = rest.split_once(&format!("}}\n{sizes}\n")).ok_or(odd)?;
            format!("{before}{arrays}{middle}\nstruct Sizes {{\n{own}{fields}}}\n{sizes}\n{rest}")
        }
        None => format!("{before}{arrays}\nstruct Sizes {{\n{fields}}}\n{sizes}\n{after}"),
    })
}

/// The buffer of a binding, as the printer declares it.
pub fn declaration(text: &str, binding: usize) -> Option<Target<'_>> {
    let head = format!("@group(0) @binding({binding}) var<storage, ");
    let rest = text.lines().find_map(|l| l.strip_prefix(head.as_str()))?;
    let (access, rest) = rest.split_once("> ")?;
    let (name, rest) = rest.split_once(": array<")?;
    let elem = rest.strip_suffix(">;")?;
    let held = elem.strip_prefix("atomic<").and_then(|e| e.strip_suffix('>'));
    Some(Target { name, access, elem: held.unwrap_or(elem), atomic: held.is_some() })
}

/// Distance between neighbours in memory.
pub fn bytes(elem: &str) -> Option<u64> {
    let of = |scalar: &str| match scalar {
        "f16" => Some(2),
        "f32" | "i32" | "u32" => Some(4),
        "i64" | "u64" | "f64" => Some(8),
        _ => None,
    };
    match elem.strip_prefix("vec").and_then(|v| v.strip_suffix('>')).and_then(|v| v.split_once('<')) {
        Some(("2", scalar)) => Some(2 * of(scalar)?),
        Some(("3" | "4", scalar)) => Some(4 * of(scalar)?),
        Some(_) => None,
        None => of(elem),
    }
}

/// A line of a function with every access of a split buffer replaced by a call.
fn statement(line: &str, targets: &[Target<'_>], used: &mut BTreeSet<(usize, Access)>) -> Result<String, String> {
    for (t, target) in targets.iter().enumerate() {
        let Some(rest) = line.strip_prefix(target.name).and_then(|r| r.strip_prefix('[')) else { continue };
        let (index, rest) = bracket(rest)?;
        let Some((op, value)) =
            rest.strip_suffix(';').and_then(|r| r.strip_prefix(' ')).and_then(|r| r.split_once("= "))
        else {
            return Err(format!("cannot read `{line}`"));
        };
        used.insert((t, Access::Store));
        let (index, value) = (expression(index, targets, used)?, expression(value, targets, used)?);
        let name = target.name;
        return Ok(match op {
            "" => format!("girih_store_{name}({index}, {value});"),
            op => {
                used.insert((t, Access::Load));
                format!("girih_store_{name}({index}, girih_load_{name}({index}) {op} ({value}));")
            }
        });
    }
    expression(line, targets, used)
}

fn expression(text: &str, targets: &[Target<'_>], used: &mut BTreeSet<(usize, Access)>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if !(c.is_ascii_alphanumeric() || c == '_') {
            out.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        }
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let element = |after: &'_ str| {
            let named = |t: &Target<'_>| after.strip_prefix(t.name).is_some_and(|r| r.starts_with('['));
            targets.iter().position(named)
        };
        let member = out.ends_with('.');
        if let Some(t) = element(rest).filter(|_| !member) {
            let (index, later) = bracket(&after[1..])?;
            used.insert((t, Access::Load));
            let _ = write!(out, "girih_load_{}({})", targets[t].name, expression(index, targets, used)?);
            rest = later;
        } else if let (true, Some(inner)) = (word.starts_with("atomic"), after.strip_prefix("(&"))
            && let Some(t) = element(inner)
        {
            let (index, later) = bracket(&inner[targets[t].name.len() + 1..])?;
            used.insert((t, Access::Atomic(word.into())));
            let _ = write!(out, "girih_{word}_{}({}", targets[t].name, expression(index, targets, used)?);
            rest = later;
        } else {
            out.push_str(word);
            rest = after;
        }
    }
    Ok(out)
}

/// What stands before the bracket that closes, and what follows it.
fn bracket(text: &str) -> Result<(&str, &str), String> {
    let mut depth = 0;
    for (i, c) in text.char_indices() {
        match c {
            '[' => depth += 1,
            ']' if depth == 0 => return Ok((&text[..i], &text[i + 1..])),
            ']' => depth -= 1,
            _ => {}
        }
    }
    Err(format!("an index without end: `{text}`"))
}
