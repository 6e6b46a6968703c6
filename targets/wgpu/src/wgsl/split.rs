//! The same kernel with some buffers bound in several parts, for tensors larger than the adapter's largest binding.
//!
//! A rewrite of the printer's text rather than a second way to print: only launches that need it pay for it, whatever made the
//! kernel. Every element of a split buffer is reached through a function that selects the binding by index:
//!
//! ```text
//! fn girih_load_x(i: u32) -> f32 {
//!     if (i < sizes.girih_cut1_x) {
//!         return x[i];
//!     }
//!     return girih_part1_x[i - sizes.girih_cut1_x];
//! }
//! ```
//!
//! The text is of the printer's shape: one statement a line, declarations first, then functions, `main` last. naga validates the
//! result as it does every other kernel.

use std::collections::BTreeSet;
use std::fmt::Write;

/// A kernel with some buffers in parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// The WGSL text. The first parts keep their bindings; the others follow behind the last argument, in order. Behind the
    /// uniforms follow the cuts: for each split buffer the first element of its second part, of its third and so on.
    pub text: String,
    /// Bytes of an element of each split buffer; 0 for the others.
    pub elements: Vec<u64>,
}

/// A storage buffer to be split.
struct Target<'t> {
    name: &'t str,
    access: &'t str,
    /// Element type; of an atomic, what it holds.
    elem: &'t str,
    atomic: bool,
    parts: u32,
}

/// How the text reaches an element.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Access {
    Load,
    Store,
    Atomic(String),
}

/// Rewrites a kernel so that buffer `i` has `parts[i]` bindings.
///
/// # Errors
/// A sentence when the text is not of the printer's shape.
pub fn split(text: &str, parts: &[u32]) -> Result<Split, String> {
    let mut targets = Vec::new();
    let mut elements = vec![0; parts.len()];
    for (i, n) in parts.iter().enumerate().filter(|(_, n)| **n > 1) {
        let target =
            declaration(text, i, *n).ok_or_else(|| format!("binding {i} is not declared as the printer does"))?;
        elements[i] = bytes(target.elem).ok_or_else(|| format!("elements of type `{}`", target.elem))?;
        targets.push(target);
    }
    // Helper functions reach no buffer: only the entry point is rewritten.
    let (head, main) = text.split_at(text.find("\n@compute").ok_or("there is no entry point")?);
    let mut used = BTreeSet::new();
    let mut body = String::with_capacity(main.len() + 256);
    for line in main.lines() {
        let code = line.trim_start();
        body.push_str(&line[..line.len() - code.len()]);
        match code.starts_with("//") {
            true => body.push_str(code),
            false => body.push_str(&statement(code, &targets, &mut used)?),
        }
        body.push('\n');
    }
    let mut out = declare(head, &targets, parts.len())?;
    for (target, access) in used {
        function(&mut out, &targets[target], &access);
    }
    Ok(Split { text: out + &body, elements })
}

fn declaration(text: &str, binding: usize, parts: u32) -> Option<Target<'_>> {
    let head = format!("@group(0) @binding({binding}) var<storage, ");
    let rest = text.lines().find_map(|l| l.strip_prefix(head.as_str()))?;
    let (access, rest) = rest.split_once("> ")?;
    let (name, rest) = rest.split_once(": array<")?;
    let elem = rest.strip_suffix(">;")?;
    let held = elem.strip_prefix("atomic<").and_then(|e| e.strip_suffix('>'));
    Some(Target { name, access, elem: held.unwrap_or(elem), atomic: held.is_some(), parts })
}

/// Distance between neighbours in memory.
fn bytes(elem: &str) -> Option<u64> {
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

/// The declarations with those of the further parts and of the cuts.
fn declare(head: &str, targets: &[Target<'_>], args: usize) -> Result<String, String> {
    let (mut arrays, mut cuts, mut binding) = (String::new(), String::new(), args);
    for t in targets {
        let (access, name) = (t.access, t.name);
        let elem = if t.atomic { format!("atomic<{}>", t.elem) } else { t.elem.to_string() };
        for j in 1..t.parts {
            let var = format!("var<storage, {access}> girih_part{j}_{name}: array<{elem}>");
            let _ = writeln!(arrays, "@group(0) @binding({binding}) {var};");
            let _ = writeln!(cuts, "    girih_cut{j}_{name}: u32,");
            binding += 1;
        }
    }
    let last = head.rfind("\n@group(0)").map_or(0, |at| at + 1);
    let end = head[last..].find('\n').map_or(head.len(), |n| last + n + 1);
    let (before, after) = head.split_at(end);
    let sizes = "@group(1) @binding(0) var<uniform> sizes: Sizes;";
    Ok(match after.split_once("\nstruct Sizes {\n") {
        Some((middle, rest)) => {
            let odd = "the uniforms are not declared as the printer does";
            let (own, rest) = rest.split_once(&format!("}}\n{sizes}\n")).ok_or(odd)?;
            format!("{before}{arrays}{middle}\nstruct Sizes {{\n{own}{cuts}}}\n{sizes}\n{rest}")
        }
        None => format!("{before}{arrays}\nstruct Sizes {{\n{cuts}}}\n{sizes}\n{after}"),
    })
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

/// The function for one kind of access, which finds the part that holds element `i`.
fn function(out: &mut String, target: &Target<'_>, access: &Access) {
    let (name, elem) = (target.name, target.elem);
    let (head, call): (String, &dyn Fn(&str) -> String) = match access {
        Access::Load => (format!("load_{name}(i: u32) -> {elem}"), &|at| format!("return {at};")),
        Access::Store => (format!("store_{name}(i: u32, value: {elem})"), &|at| format!("{at} = value;")),
        Access::Atomic(op) => match op.as_str() {
            "atomicLoad" => (format!("{op}_{name}(i: u32) -> {elem}"), &|at| format!("return atomicLoad(&{at});")),
            "atomicStore" => {
                (format!("{op}_{name}(i: u32, value: {elem})"), &|at| format!("atomicStore(&{at}, value);"))
            }
            "atomicCompareExchangeWeak" => {
                let _ = write!(
                    out,
                    "\nstruct girih_exchanged_{name} {{\n    old_value: {elem},\n    exchanged: bool,\n}}\n"
                );
                let head = format!("{op}_{name}(i: u32, expected: {elem}, value: {elem}) -> girih_exchanged_{name}");
                let take = |at: &str| {
                    format!(
                        "let done = atomicCompareExchangeWeak(&{at}, expected, value);\n        \
                         return girih_exchanged_{name}(done.old_value, done.exchanged);"
                    )
                };
                return write_function(out, target, &head, &take);
            }
            op => {
                let head = format!("{op}_{name}(i: u32, value: {elem}) -> {elem}");
                return write_function(out, target, &head, &|at| format!("return {op}(&{at}, value);"));
            }
        },
    };
    write_function(out, target, &head, call);
}

fn write_function(out: &mut String, target: &Target<'_>, head: &str, call: &dyn Fn(&str) -> String) {
    let _ = write!(out, "\nfn girih_{head} {{\n");
    let array = |j: u32| match j {
        0 => format!("{}[i]", target.name),
        j => format!("girih_part{j}_{0}[i - sizes.girih_cut{j}_{0}]", target.name),
    };
    let _ = writeln!(out, "    if (i < sizes.girih_cut1_{}) {{\n        {}", target.name, call(&array(0)));
    for j in 1..target.parts {
        match j + 1 == target.parts {
            true => out.push_str("    } else {\n"),
            false => {
                let _ = writeln!(out, "    }} else if (i < sizes.girih_cut{}_{}) {{", j + 1, target.name);
            }
        }
        let _ = writeln!(out, "        {}", call(&array(j)));
    }
    out.push_str("    }\n}\n");
}
