//! The generated page `docs/ops.md`: every table of this crate as markdown.

use crate::dtype::Class;
use crate::scalar::{Accuracy, Output, Row, Wgsl};
use crate::{DType, QuantFormat, ScalarOp};

/// The whole page. A test keeps `docs/ops.md` equal to it; `UPDATE=1` rewrites the file.
pub fn page() -> String {
    format!(
        "# Scalar operations and element types\n\n\
         Generated from the tables in `compiler/base`; edit those, then run its tests with `UPDATE=1`.\n\n\
         ## Scalar operations\n\n\
         Operands are `x`, `y`, `z`, the result is `r`. Operands have one dtype unless the row says otherwise, and the \
         result has the same. Floats are computed exactly and rounded once, integers wrap. An operation with an \
         expansion is that expression on targets that lack it. *Error* is how far a target's f32 result may lie from \
         the exact one: in units in the last place (ulp), or absolutely.\n\n\
         {}\n\
         ## Element types\n\n\
         A type below 8 bits is packed, the first element in the low bits. Sums and dot products accumulate in the \
         type of the last column unless the operation says otherwise.\n\n\
         {}\n\
         ## Block-quantised weight formats\n\n\
         A row of weights is whole blocks. `dequant.<name>` turns rows into f32.\n\n\
         {}",
        scalar_ops(),
        dtypes(),
        quant_formats()
    )
}

/// The scalar-operation table.
pub fn scalar_ops() -> String {
    let rows = ScalarOp::ALL.iter().map(|op| op.row()).map(|row| {
        [
            code(row.name),
            escape(row.doc),
            types(row),
            derivative(row),
            match row.expand {
                Some(text) => code(text),
                None => "core".to_string(),
            },
            wgsl(row.wgsl),
            accuracy(row.accuracy),
        ]
    });
    table(["name", "meaning", "takes", "derivative by each operand", "expansion", "WGSL", "error"], rows)
}

/// The element types.
pub fn dtypes() -> String {
    let rows = DType::ALL.iter().map(|d| {
        let class = match d.class() {
            Class::Bool => "bool",
            Class::Signed => "signed integer",
            Class::Unsigned => "unsigned integer",
            Class::Float => "float",
        };
        [code(d.name()), class.to_string(), d.bits().to_string(), code(d.accumulator().name())]
    });
    table(["name", "class", "bits", "accumulates in"], rows)
}

/// The block-quantised weight formats.
pub fn quant_formats() -> String {
    let rows = QuantFormat::ALL.iter().map(|f| {
        let (elements, bytes) = (f.block_elements(), f.block_bytes());
        [
            code(f.name()),
            f.ggml_type().to_string(),
            elements.to_string(),
            bytes.to_string(),
            format!("{}", bytes as f64 * 8.0 / elements as f64),
        ]
    });
    table(["name", "ggml type", "elements in a block", "bytes of a block", "bits per element"], rows)
}

fn types(row: &Row) -> String {
    let takes = match row.name {
        "select" => "bool, then any dtype twice",
        _ => row.operands.describe(),
    };
    match (row.arity, row.output) {
        (1, Output::Same) => takes.to_string(),
        (1, Output::Bool) => format!("{takes}; gives bool"),
        (_, Output::Bool) => format!("{takes}, {} times; gives bool", row.arity),
        _ if row.name == "select" => takes.to_string(),
        (n, Output::Same) => format!("{takes}, {n} times"),
    }
}

/// Nothing where the derivative is zero everywhere.
fn derivative(row: &Row) -> String {
    if row.partials.iter().all(|p| *p == "0") {
        return String::new();
    }
    row.partials.iter().map(|p| code(p)).collect::<Vec<_>>().join(", ")
}

fn wgsl(spelling: Wgsl) -> String {
    match spelling {
        Wgsl::Infix(op) => code(&format!("x {op} y")),
        Wgsl::Prefix(op) => code(&format!("{op}x")),
        Wgsl::Call(name) => code(&format!("{name}()")),
        Wgsl::Special => "written out".to_string(),
        Wgsl::Expand => "expansion".to_string(),
    }
}

fn accuracy(bound: Accuracy) -> String {
    match bound {
        Accuracy::Exact => "exact".to_string(),
        Accuracy::Ulp(n) => format!("{n} ulp"),
        Accuracy::UlpGrowing(a, b) => format!("{a} + {b} \\|x\\| ulp"),
        Accuracy::AbsOrUlp(abs, n) => format!("{abs:e} or {n} ulp"),
    }
}

fn code(text: &str) -> String {
    format!("`{}`", escape(text))
}

/// A bar would end the cell, even inside code.
fn escape(text: &str) -> String {
    text.replace('|', "\\|")
}

fn table<const N: usize>(head: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let mut out = line(head.map(String::from).to_vec());
    out += &line(vec!["---".to_string(); N]);
    for row in rows {
        out += &line(row.to_vec());
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    #[test]
    fn the_page_in_docs_is_this_one() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/ops.md");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, page()).unwrap();
        }
        let stored = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(stored.replace("\r\n", "\n") == page(), "docs/ops.md is out of date; run this test with UPDATE=1");
    }

    #[test]
    fn every_row_has_a_line_of_all_cells() {
        for (text, cells, rows) in [
            (scalar_ops(), 7, ScalarOp::ALL.len()),
            (dtypes(), 4, DType::ALL.len()),
            (quant_formats(), 5, QuantFormat::ALL.len()),
        ] {
            assert_eq!(text.lines().count(), rows + 2);
            for line in text.lines() {
                assert_eq!(line.replace("\\|", "").matches('|').count(), cells + 1, "{line}");
            }
        }
    }
}
