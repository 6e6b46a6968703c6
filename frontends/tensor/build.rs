//! Writes one `Tensor` method per row of the scalar-op table, so that a new row needs no edit here.

use girih_base::ScalarOp;
use std::fmt::Write;
use std::{env, fs, path::Path};

/// Rows whose method has another name: those Rust or a reduction needs for itself.
const RENAMED: &[(&str, &str)] = &[("min", "minimum"), ("max", "maximum")];
/// Rows that have an operator of Rust or a method of their own instead.
const ELSEWHERE: &[&str] =
    &["add", "sub", "mul", "div", "rem", "neg", "not", "and", "or", "xor", "shl", "shr", "select", "eq", "ne"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let mut out = String::from("impl Tensor {\n");
    for op in ScalarOp::ALL.iter().filter(|op| !ELSEWHERE.contains(&op.name())) {
        let name = RENAMED.iter().find(|(n, _)| *n == op.name()).map_or(op.name(), |(_, renamed)| renamed);
        let extra: Vec<&str> = ["y", "z"].into_iter().take(op.arity() - 1).collect();
        let params: String = extra.iter().map(|p| format!(", {p}: impl Operand")).collect();
        let operands: String = extra.iter().map(|p| format!(", &{p}.operand(self)")).collect();
        let doc = op.row().doc.replace('|', "\\|").replace('[', "\\[");
        let call = format!("self.map(ScalarOp::{op:?}, &[{}])", operands.trim_start_matches(", "));
        let _ = write!(
            out,
            "    /// Each element: `{doc}`, x being the tensor. Operands broadcast.\n    #[track_caller]\n    pub fn {name}(&self{params}) -> Tensor {{\n        {call}\n    }}\n"
        );
    }
    out.push_str("}\n");
    let dir = env::var("OUT_DIR").unwrap_or_default();
    if let Err(why) = fs::write(Path::new(&dir).join("scalar_methods.rs"), out) {
        println!("cargo::error=cannot write scalar_methods.rs: {why}");
    }
}
