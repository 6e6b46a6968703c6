//! The same kernel with several buffers in one binding, for arguments that lie in one buffer of the device: WebGPU refuses to bind
//! a range twice where it is written, and one buffer for reading and for writing at once.
//!
//! Every element of such a buffer is reached through a function that knows where the argument begins:
//!
//! ```text
//! fn girih_load_y(i: u32) -> f32 {
//!     return x[i + sizes.girih_start_y];
//! }
//! ```
//!
//! Arguments of different element types share words: each function reads and writes the words of its element.

use super::access::{self, Access, Target, bytes, declaration};
use std::fmt::Write;

/// A kernel whose arguments share bindings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// The WGSL text, with a binding for each slot. Behind the uniforms follow, for each argument that shares its slot, its first
    /// element in the binding.
    pub text: String,
    /// In how many bytes each argument's start is counted; 0 for arguments with a slot of their own.
    pub units: Vec<u64>,
}

/// What a slot holds.
#[derive(Clone, Copy)]
struct Slot<'t> {
    /// Name of the array: that of the slot's first argument.
    name: &'t str,
    /// Type of its elements; of an atomic, what it holds.
    elem: &'t str,
    atomic: bool,
    /// All arguments have this element type.
    same: bool,
}

/// Rewrites a kernel so that argument `i` lies in binding `slots[i]`. Slots are numbered in the order of their first arguments.
///
/// # Errors
/// A sentence when the text is not of the printer's shape, or the arguments' types cannot share memory.
pub fn merge(text: &str, slots: &[u32]) -> Result<Merged, String> {
    let all = (0..slots.len())
        .map(|i| declaration(text, i).ok_or_else(|| format!("binding {i} is not declared as the printer does")))
        .collect::<Result<Vec<_>, _>>()?;
    let members = |slot: u32| (0..slots.len()).filter(move |i| slots[*i] == slot).collect::<Vec<_>>();
    let count = slots.iter().max().map_or(0, |s| s + 1);
    let (mut units, mut targets, mut shared, mut starts) =
        (vec![0; slots.len()], Vec::new(), Vec::new(), String::new());
    let mut lines = String::new();
    for slot in 0..count {
        let args = members(slot);
        let list: Vec<&Target<'_>> = args.iter().map(|i| &all[*i]).collect();
        let Some(first) = list.first() else { return Err(format!("slot {slot} is empty")) };
        let made = together(&list)?;
        let access = if list.iter().all(|t| t.access == "read") { "read" } else { "read_write" };
        let elem = if made.atomic { format!("atomic<{}>", made.elem) } else { made.elem.to_string() };
        let _ = writeln!(lines, "@group(0) @binding({slot}) var<storage, {access}> {}: array<{elem}>;", first.name);
        if args.len() == 1 {
            continue;
        }
        for i in args {
            units[i] = if made.same { bytes(made.elem).unwrap_or(4) } else { 4 };
            targets.push(declaration(text, i).ok_or("a declaration is gone")?);
            shared.push(made);
        }
    }
    // In the order of arguments, as the starts are given.
    for (i, t) in all.iter().enumerate().filter(|(i, _)| units[*i] > 0) {
        debug_assert!(slots[i] < count);
        let _ = writeln!(starts, "    girih_start_{}: u32,", t.name);
    }
    let (head, body, used) = access::rewrite(text, &targets)?;
    // The old declarations go, the new ones stand in their place.
    let old = |l: &&str| l.starts_with("@group(0) @binding(");
    let (before, rest) = head.split_at(head.find("@group(0) @binding(").ok_or("there are no buffers")?);
    let after: String = rest.lines().skip_while(old).map(|l| format!("{l}\n")).collect();
    let mut out = access::declare(&format!("{before}{lines}{after}"), "", &starts)?;
    for (target, access) in used {
        function(&mut out, &targets[target], &shared[target], &access)?;
    }
    Ok(Merged { text: out + &body, units })
}

/// What arguments in one place are declared as: their type, or words where they differ.
fn together<'t>(list: &[&Target<'t>]) -> Result<Slot<'t>, String> {
    let first = list[0];
    let same = list.iter().all(|t| t.elem == first.elem);
    let atomic = list.iter().find(|t| t.atomic);
    if same {
        return Ok(Slot { name: first.name, elem: first.elem, atomic: atomic.is_some(), same });
    }
    let elem = atomic.map_or("u32", |t| t.elem);
    if let Some(odd) = list.iter().find(|t| words(t.elem).is_none() || t.atomic && t.elem != elem) {
        return Err(format!(
            "`{}` has elements of type `{}`, `{}` of type `{}`",
            first.name, first.elem, odd.name, odd.elem
        ));
    }
    Ok(Slot { name: first.name, elem, atomic: atomic.is_some(), same })
}

/// Number of words of an element, and the type of one; of types whose elements are words without gaps.
fn words(elem: &str) -> Option<(u32, &str)> {
    let (n, scalar) = match elem.strip_prefix("vec").and_then(|v| v.strip_suffix('>')).and_then(|v| v.split_once('<')) {
        Some(("2", scalar)) => (2, scalar),
        Some(("4", scalar)) => (4, scalar),
        Some(_) => return None,
        None => (1, elem),
    };
    matches!(scalar, "f32" | "i32" | "u32").then_some((n, scalar))
}

/// The function for one kind of access.
fn function(out: &mut String, target: &Target<'_>, slot: &Slot<'_>, access: &Access) -> Result<(), String> {
    let (name, elem, array) = (target.name, target.elem, slot.name);
    let (n, scalar) = if slot.same { (1, elem) } else { words(elem).ok_or("an element without words")? };
    let start = format!("sizes.girih_start_{name}");
    let at = |c: u32| match (n, c) {
        (1, _) => format!("{array}[i + {start}]"),
        (n, 0) => format!("{array}[i * {n}u + {start}]"),
        (n, c) => format!("{array}[i * {n}u + {start} + {c}u]"),
    };
    let read = |c: u32| {
        let raw = if slot.atomic { format!("atomicLoad(&{})", at(c)) } else { at(c) };
        if scalar == slot.elem { raw } else { format!("bitcast<{scalar}>({raw})") }
    };
    let write = |c: u32, value: String| {
        let raw = if scalar == slot.elem { value } else { format!("bitcast<{}>({value})", slot.elem) };
        if slot.atomic { format!("    atomicStore(&{}, {raw});\n", at(c)) } else { format!("    {} = {raw};\n", at(c)) }
    };
    let (head, body) = match access {
        Access::Load if n == 1 => (format!("load_{name}(i: u32) -> {elem}"), format!("    return {};\n", read(0))),
        Access::Load => {
            let parts: Vec<String> = (0..n).map(read).collect();
            (format!("load_{name}(i: u32) -> {elem}"), format!("    return {elem}({});\n", parts.join(", ")))
        }
        Access::Store => {
            let part = |c: u32| write(c, if n == 1 { "value".into() } else { format!("value[{c}]") });
            (format!("store_{name}(i: u32, value: {elem})"), (0..n).map(part).collect())
        }
        Access::Atomic(op) => match op.as_str() {
            "atomicLoad" => (format!("{op}_{name}(i: u32) -> {elem}"), format!("    return {op}(&{});\n", at(0))),
            "atomicStore" => (format!("{op}_{name}(i: u32, value: {elem})"), format!("    {op}(&{}, value);\n", at(0))),
            "atomicCompareExchangeWeak" => {
                let fields = format!("    old_value: {elem},\n    exchanged: bool,\n");
                let _ = write!(out, "\nstruct girih_exchanged_{name} {{\n{fields}}}\n");
                let head = format!("{op}_{name}(i: u32, expected: {elem}, value: {elem}) -> girih_exchanged_{name}");
                let done = format!("    let done = {op}(&{}, expected, value);\n", at(0));
                (head, format!("{done}    return girih_exchanged_{name}(done.old_value, done.exchanged);\n"))
            }
            op => {
                let head = format!("{op}_{name}(i: u32, value: {elem}) -> {elem}");
                (head, format!("    return {op}(&{}, value);\n", at(0)))
            }
        },
    };
    let _ = write!(out, "\nfn girih_{head} {{\n{body}}}\n");
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    const TEXT: &str = "// k: 1 workgroup of 1 thread.\n\n@group(0) @binding(0) var<storage, read> a: array<f32>;\n@group(0) @binding(1) \
                        var<storage, read_write> b: array<vec4<f32>>;\n@group(0) @binding(2) var<storage, read_write> c: \
                        array<atomic<u32>>;\n@group(0) @binding(3) var<storage, read> d: array<f16>;\n\n@compute \
                        @workgroup_size(1)\nfn main() {\n    // a[0] stays.\n    b[1u] = vec4<f32>(a[2u]);\n    b[0u] += b[1u];\n    \
                        atomicAdd(&c[3u], 1u);\n}\n";

    #[test]
    fn arguments_share_words() {
        let merged = merge(TEXT, &[0, 0, 0, 1]).unwrap();
        assert_eq!(merged.units, [4, 4, 4, 0]);
        let want = "// k: 1 workgroup of 1 thread.

@group(0) @binding(0) var<storage, read_write> a: array<atomic<u32>>;
@group(0) @binding(1) var<storage, read> d: array<f16>;

struct Sizes {
    girih_start_a: u32,
    girih_start_b: u32,
    girih_start_c: u32,
}
@group(1) @binding(0) var<uniform> sizes: Sizes;

fn girih_load_a(i: u32) -> f32 {
    return bitcast<f32>(atomicLoad(&a[i + sizes.girih_start_a]));
}

fn girih_load_b(i: u32) -> vec4<f32> {
    return vec4<f32>(bitcast<f32>(atomicLoad(&a[i * 4u + sizes.girih_start_b])), bitcast<f32>(atomicLoad(&a[i * 4u + sizes.girih_start_b + \
                    1u])), bitcast<f32>(atomicLoad(&a[i * 4u + sizes.girih_start_b + 2u])), bitcast<f32>(atomicLoad(&a[i * 4u + \
                    sizes.girih_start_b + 3u])));
}

fn girih_store_b(i: u32, value: vec4<f32>) {
    atomicStore(&a[i * 4u + sizes.girih_start_b], bitcast<u32>(value[0]));
    atomicStore(&a[i * 4u + sizes.girih_start_b + 1u], bitcast<u32>(value[1]));
    atomicStore(&a[i * 4u + sizes.girih_start_b + 2u], bitcast<u32>(value[2]));
    atomicStore(&a[i * 4u + sizes.girih_start_b + 3u], bitcast<u32>(value[3]));
}

fn girih_atomicAdd_c(i: u32, value: u32) -> u32 {
    return atomicAdd(&a[i + sizes.girih_start_c], value);
}

@compute @workgroup_size(1)
fn main() {
    // a[0] stays.
    girih_store_b(1u, vec4<f32>(girih_load_a(2u)));
    girih_store_b(0u, girih_load_b(0u) + (girih_load_b(1u)));
    girih_atomicAdd_c(3u, 1u);
}
";
        assert_eq!(merged.text, want);
    }

    #[test]
    fn types_without_words_stay_apart() {
        assert!(merge(TEXT, &[0, 1, 2, 0]).unwrap_err().contains("f16"));
        assert!(merge("fn main() {}", &[0, 0]).is_err());
        // Nothing is shared: only the text stays.
        assert_eq!(merge(TEXT, &[0, 1, 2, 3]).unwrap().units, [0; 4]);
    }

    #[test]
    fn equal_types_keep_theirs() {
        let text = TEXT.replace("vec4<f32>", "f32");
        let merged = merge(&text, &[0, 0, 1, 2]).unwrap();
        assert!(
            merged
                .text
                .contains("var<storage, read_write> a: array<f32>;\n@group(0) @binding(1) var<storage, read_write> c")
        );
        assert!(merged.text.contains("fn girih_load_b(i: u32) -> f32 {\n    return a[i + sizes.girih_start_b];\n}"));
    }
}
