//! Kernels that are wrong, each with what the user is told: a code, the place with the calls that led there, why, and what to do.
#![allow(clippy::unwrap_used, clippy::panic)]

use girih_base::{DType, Result};
use girih_triton::{Arg, Module, Signature};

const HEAD: &str = "import math\nimport triton\nimport triton.language as tl\n\n\n";

/// The kernels of `malformed.py`: title and source.
fn cases() -> Vec<(&'static str, String)> {
    let cases = include_str!("malformed.py").split("#: ").skip(1);
    cases.map(|case| case.split_once('\n').unwrap()).map(|(title, body)| (title, format!("{HEAD}{body}"))).collect()
}

/// An argument for a parameter, by its name.
fn argument(s: Signature, name: &str) -> Signature {
    match name {
        "x_ptr" | "y_ptr" => s.arg(name, Arg::pointer(DType::F32)),
        "i_ptr" => s.arg(name, Arg::pointer(DType::I32)),
        "f" => s.arg(name, Arg::Float(DType::F32)),
        "n" => s.arg(name, Arg::size()),
        _ => s.constant(name, 64),
    }
}

/// Compiles the kernel of a source for arguments by their names.
fn compile(source: &str) -> Result<girih_triton::Kernel> {
    let m = Module::parse(source, "kernel.py")?;
    let s = m.parameters("kernel")?.iter().fold(Signature::new(), |s, p| argument(s, &p.name));
    m.compile("kernel", &s)
}

#[test]
fn what_is_cut_short_or_lacks_a_piece_is_compiled_or_refused() {
    let mut refused = 0;
    for (_, source) in cases() {
        for at in HEAD.len()..source.len() {
            let lacking = format!("{}{}", &source[..at], &source[at + 1..]);
            refused += compile(&source[..at]).is_err() as usize + compile(&lacking).is_err() as usize;
        }
    }
    assert!(refused > 20_000, "{refused}");
}

#[test]
fn every_mistake_is_told_with_its_place() {
    let mut out = String::new();
    let all = cases();
    assert!(all.len() >= 80, "{} cases", all.len());
    let mut accepted = Vec::new();
    for (title, source) in all {
        let Err(error) = compile(&source) else {
            accepted.push(title);
            continue;
        };
        let text = error.to_string();
        // Where: a position in the file and an excerpt with a caret.
        if title != "no such kernel" {
            assert!(text.contains("--> kernel.py:") && text.contains('^'), "{title}: {text}");
        }
        out.push_str(&format!("# {title}\n{text}\n\n"));
    }
    assert!(accepted.is_empty(), "accepted: {accepted:?}");
    insta::assert_snapshot!(out);
}
