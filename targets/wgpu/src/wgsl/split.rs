//! The same kernel with some buffers bound in several parts, for tensors larger than the adapter's largest binding.
//!
//! Every element of a split buffer is reached through a function that selects the binding by index:
//!
//! ```text
//! fn girih_load_x(i: u32) -> f32 {
//!     if (i < sizes.girih_cut1_x) {
//!         return x[i];
//!     }
//!     return girih_part1_x[i - sizes.girih_cut1_x];
//! }
//! ```

use super::access::{self, Access, Target, bytes, declaration};
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

/// Rewrites a kernel so that buffer `i` has `parts[i]` bindings.
///
/// # Errors
/// A sentence when the text is not of the printer's shape.
pub fn split(text: &str, parts: &[u32]) -> Result<Split, String> {
    let (mut targets, mut counts) = (Vec::new(), Vec::new());
    let mut elements = vec![0; parts.len()];
    for (i, n) in parts.iter().enumerate().filter(|(_, n)| **n > 1) {
        let target = declaration(text, i).ok_or_else(|| format!("binding {i} is not declared as the printer does"))?;
        elements[i] = bytes(target.elem).ok_or_else(|| format!("elements of type `{}`", target.elem))?;
        targets.push(target);
        counts.push(*n);
    }
    let (head, body, used) = access::rewrite(text, &targets)?;
    let (mut arrays, mut cuts, mut binding) = (String::new(), String::new(), parts.len());
    for (t, n) in targets.iter().zip(&counts) {
        let (access, name) = (t.access, t.name);
        let elem = if t.atomic { format!("atomic<{}>", t.elem) } else { t.elem.to_string() };
        for j in 1..*n {
            let var = format!("var<storage, {access}> girih_part{j}_{name}: array<{elem}>");
            let _ = writeln!(arrays, "@group(0) @binding({binding}) {var};");
            let _ = writeln!(cuts, "    girih_cut{j}_{name}: u32,");
            binding += 1;
        }
    }
    let mut out = access::declare(head, &arrays, &cuts)?;
    for (target, access) in used {
        function(&mut out, &targets[target], counts[target], &access);
    }
    Ok(Split { text: out + &body, elements })
}

/// The function for one kind of access, which finds the part that holds element `i`.
fn function(out: &mut String, target: &Target<'_>, parts: u32, access: &Access) {
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
                return write_function(out, target, parts, &head, &take);
            }
            op => {
                let head = format!("{op}_{name}(i: u32, value: {elem}) -> {elem}");
                return write_function(out, target, parts, &head, &|at| format!("return {op}(&{at}, value);"));
            }
        },
    };
    write_function(out, target, parts, &head, call);
}

fn write_function(out: &mut String, target: &Target<'_>, parts: u32, head: &str, call: &dyn Fn(&str) -> String) {
    let _ = write!(out, "\nfn girih_{head} {{\n");
    let array = |j: u32| match j {
        0 => format!("{}[i]", target.name),
        j => format!("girih_part{j}_{0}[i - sizes.girih_cut{j}_{0}]", target.name),
    };
    let _ = writeln!(out, "    if (i < sizes.girih_cut1_{}) {{\n        {}", target.name, call(&array(0)));
    for j in 1..parts {
        match j + 1 == parts {
            true => out.push_str("    } else {\n"),
            false => {
                let _ = writeln!(out, "    }} else if (i < sizes.girih_cut{}_{}) {{", j + 1, target.name);
            }
        }
        let _ = writeln!(out, "        {}", call(&array(j)));
    }
    out.push_str("    }\n}\n");
}
