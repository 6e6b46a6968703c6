//! SIMT kernels as WGSL text that reads as if written by hand.
//!
//! [`print()`] is a function of the kernel alone: the same kernel gives the same bytes on every host. Values used once are
//! written where they are used; names come from the source; remarks are kept.

mod access;
mod body;
mod expr;
mod helpers;
mod literal;
mod merge;
mod names;
mod spell;
mod split;
mod uses;
mod wide;

use body::Body;
use girih_base::{DType, Dim, Loc, Result};
use girih_simt::{Buffer, Kernel, Ty};
pub use merge::{Merged, merge};
use spell::type_name;
pub use split::{Split, split};
use std::fmt::Write;
use std::sync::Arc;

/// Most workgroups along one axis of a dispatch; more are spread over two axes.
pub const MAX_GROUPS: u32 = 65535;

/// The uniform that carries the number of workgroups, for kernels that may need two axes and whose number is not constant.
pub const GROUPS: &str = "#groups";

/// A printed kernel.
#[derive(Clone, Debug)]
pub struct Shader {
    /// The WGSL text.
    pub text: String,
    /// The uniforms, in order: symbols, and [`GROUPS`].
    pub uniforms: Vec<Arc<str>>,
    /// Where the lines come from: line (from 1) and location, ascending.
    pub lines: Vec<(u32, Loc)>,
}

/// Prints a kernel.
///
/// # Errors
/// `W001` an operation or type that WGSL cannot express, and what [`girih_simt::verify::verify`] refuses: a malformed kernel, or a
/// barrier that not every thread may reach (`S003`), which naga accepts, other validators do not, and hardware hangs at.
pub fn print(kernel: &Kernel) -> Result<Shader> {
    girih_simt::verify::verify(kernel)?;
    let spread = kernel.groups.bounds().1 > MAX_GROUPS as i64;
    let mut uniforms = kernel.uniforms.clone();
    if spread && kernel.groups.as_const().is_none() {
        uniforms.push(GROUPS.into());
    }
    let body = Body::print(kernel, spread, &uniforms)?;
    let mut text = String::new();
    header(&mut text, kernel);
    if uses_type(kernel, DType::F16) {
        text.push_str("enable f16;\n\n");
    }
    for (i, (buffer, name)) in kernel.buffers.iter().zip(&body.buffers).enumerate() {
        let access = if buffer.read_only { "read" } else { "read_write" };
        let elem = element(buffer.elem, body.uses.atomic.contains(&(0, i as u32)));
        let _ = writeln!(text, "@group(0) @binding({i}) var<storage, {access}> {name}: array<{elem}>;");
    }
    if !uniforms.is_empty() {
        let fields: Vec<String> = body.fields.iter().map(|f| format!("    {f}: u32,\n")).collect();
        let _ = write!(
            text,
            "\nstruct Sizes {{\n{}}}\n@group(1) @binding(0) var<uniform> sizes: Sizes;\n",
            fields.concat()
        );
    }
    if !kernel.shared.is_empty() {
        text.push('\n');
    }
    for (i, (shared, name)) in kernel.shared.iter().zip(&body.shared).enumerate() {
        let elem = element(shared.elem, body.uses.atomic.contains(&(1, i as u32)));
        let _ = writeln!(text, "var<workgroup> {name}: array<{elem}, {}>;", shared.len);
    }
    for function in body.spell.functions.values() {
        let _ = write!(text, "\n{function}\n");
    }
    let [x, y, z] = kernel.workgroup;
    let size = if (y, z) == (1, 1) { format!("{x}") } else { format!("{x}, {y}, {z}") };
    let _ = write!(text, "\n@compute @workgroup_size({size})\nfn main({}) {{\n", body.params.join(", "));
    let first = text.lines().count() as u32 + 1;
    text.push_str(&body.text);
    text.push_str("}\n");
    let lines = body.lines.iter().map(|(line, loc)| (line + first, loc.clone())).collect();
    Ok(Shader { text, uniforms, lines })
}

/// The same text for Tint and browsers, which demand the line that naga refuses.
pub fn for_browsers(text: &str) -> String {
    let used = text.contains("subgroup_size)")
        || text.contains("subgroup_invocation_id)")
        || SUBGROUP_CALLS.iter().any(|c| text.contains(c));
    if used { format!("enable subgroups;\n{text}") } else { text.to_string() }
}

const SUBGROUP_CALLS: &[&str] = &[
    "subgroupAdd(",
    "subgroupMin(",
    "subgroupMax(",
    "subgroupAnd(",
    "subgroupOr(",
    "subgroupXor(",
    "subgroupInclusiveAdd(",
    "subgroupExclusiveAdd(",
    "subgroupShuffle(",
    "subgroupShuffleXor(",
    "subgroupBroadcast(",
    "subgroupBroadcastFirst(",
    "subgroupAny(",
    "subgroupAll(",
    "subgroupBallot(",
];

/// How a uniform is called in the text.
fn field_name(symbol: &str) -> &str {
    if symbol == GROUPS { "groups" } else { symbol }
}

fn header(text: &mut String, kernel: &Kernel) {
    let threads = kernel.workgroup.iter().product::<u32>();
    let plural = |n: u32, what: &str| if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") };
    let groups = match kernel.groups.as_const() {
        Some(1) => "1 workgroup".to_string(),
        Some(n) => format!("{n} workgroups"),
        None => format!("{} workgroups", one_line(&kernel.groups)),
    };
    let _ = writeln!(text, "// {}: {groups} of {}.", kernel.name, plural(threads, "thread"));
    let list = |written: bool| {
        let one = |b: &&Buffer| b.written == written;
        kernel.buffers.iter().filter(one).map(|b| b.name.to_string()).collect::<Vec<_>>().join(", ")
    };
    let _ = writeln!(text, "// Reads {}; writes {}.\n", or_nothing(list(false)), or_nothing(list(true)));
}

fn or_nothing(list: String) -> String {
    if list.is_empty() { "nothing".into() } else { body::remark(&list) }
}

fn one_line(dim: &Dim) -> String {
    body::remark(&dim.to_string())
}

fn element(ty: Ty, atomic: bool) -> String {
    if atomic { format!("atomic<{}>", type_name(ty)) } else { type_name(ty) }
}

fn uses_type(kernel: &Kernel, dtype: DType) -> bool {
    let values = kernel.values.iter().map(|v| v.ty);
    let arrays = kernel.buffers.iter().map(|b| b.elem).chain(kernel.shared.iter().map(|s| s.elem));
    values.chain(arrays).chain(kernel.locals.iter().map(|l| l.elem)).any(|t| t.dtype == dtype)
}
