#![allow(clippy::unwrap_used, clippy::panic)]

use super::{parse, print};
use crate::*;
use girih_base::{DType, Dim, Loc, ScalarOp};
use proptest::prelude::*;

/// One of every operation.
fn everything() -> Kernel {
    let mut b = Builder::new();
    let n = Dim::symbol("n", 1, 4096);
    let f = b.param("x", DType::F32, n.clone() * 64, Access::Read, true);
    let out = b.param("out put", DType::F32, (n.clone() + 3).floor_div(&Dim::from(4)), Access::ReadWrite, false);
    let q = b.param("q", DType::U8, Dim::from(4096), Access::Read, true);
    let count = b.param("count", DType::I32, Dim::from(64), Access::ReadWrite, false);
    b.set_loc(Loc::new("a \"b\".rs", 3, 4).inlined_at(&Loc::new("c.rs", 5, 6)));
    let pid = b.program_id(0);
    let zero = b.int(0);
    let size = b.size(&(n.clone() * 2 - 1));
    let mut view = View::contiguous(&[n.clone(), Dim::from(64)]);
    view.axes[1].inside = true;
    view.guards.push(Guard { base: -n.clone(), coeffs: vec![1, -2], extent: n.min_of(&Dim::from(7)) });
    let x = b.load(f, view.clone(), &[pid, zero], &[4, 64], Literal::float(f64::NEG_INFINITY));
    b.name(x, Some("the \\ \"x\"\n".into()));
    let iota = b.arange(&[4, 64], 1);
    let limit = b.splat(size, &[4, 64]);
    let mask = b.map(ScalarOp::Lt, &[iota, limit]);
    let y = b.push(
        Op::Load { param: f, view: view.clone(), at: vec![pid, zero], mask: Some(mask), other: Literal::float(-0.0) },
        vec![TileTy::new(DType::F32, [4, 64])],
    )[0];
    let wq = b.push(
        Op::LoadQuant { param: q, format: "q8_0".into(), rows: n.clone(), columns: Dim::from(64), at: [pid, zero] },
        vec![TileTy::new(DType::F32, [8, 64])],
    )[0];
    let wt = b.permute(wq, &[1, 0]);
    let d = b.dot(x, wt, None, DType::F32);
    let d = b.dot(y, wt, Some(d), DType::F32);
    let row = b.reduce(d, 1, ScalarOp::Max);
    let wide = b.broadcast(row, &[4, 8], &[0]);
    let flat = b.reshape(wide, &[32]);
    let (l, r) = (b.fresh(TileTy::scalar(DType::F32)), b.fresh(TileTy::scalar(DType::F32)));
    b.begin(vec![l, r]);
    let sum = b.map(ScalarOp::Add, &[l, r]);
    let body = b.end(vec![sum]);
    let scanned = b.push(
        Op::Scan { args: vec![flat], axis: 0, combine: Combine::Body(body), reverse: true },
        vec![TileTy::new(DType::F32, [32])],
    )[0];
    let sorted = b.push(
        Op::Sort { args: vec![scanned, flat], axis: 0, keys: 1, descending: true },
        vec![TileTy::new(DType::F32, [32]); 2],
    );
    let bits = b.bitcast(sorted[1], DType::I32);
    let back = b.cast(bits, DType::F32);
    let looped = b.for_loop(zero, size, 2, &[back], |b, i, c| {
        let i = b.cast(i, DType::F32);
        let i = b.splat(i, &[32]);
        vec![b.map(ScalarOp::Add, &[c[0], i])]
    });
    let yes = b.constant(Literal::Int(1), TileTy::scalar(DType::Bool));
    b.begin(Vec::new());
    let then = b.end(vec![looped[0]]);
    b.begin(Vec::new());
    let otherwise = b.end(vec![back]);
    let chosen = b.push(Op::If { cond: yes, then, otherwise }, vec![TileTy::new(DType::F32, [32])])[0];
    let index = b.arange(&[32], 0);
    b.push(Op::StoreAt { param: out, index, value: chosen, mask: None }, vec![]);
    let got = b.push(
        Op::LoadAt { param: out, index, mask: None, other: Literal::Float(0x7ff8_0000_0000_0001) },
        vec![TileTy::new(DType::F32, [32])],
    )[0];
    b.store(out, View::contiguous(&[Dim::from(32)]), &[zero], got);
    for op in AtomicOp::ALL {
        b.push(
            Op::Atomic { op: *op, param: count, index, value: index, mask: None },
            vec![TileTy::new(DType::I32, [32])],
        );
    }
    let (five, old) = (b.scalar("five", DType::I64), b.scalar("five", DType::I64));
    b.map(ScalarOp::Add, &[five, old]);
    let carried = TileTy::scalar(DType::I32);
    let (seen, inner) = (b.fresh(carried.clone()), b.fresh(carried.clone()));
    b.begin(vec![seen]);
    let more = b.map(ScalarOp::Lt, &[seen, zero]);
    let test = b.end(vec![more]);
    b.begin(vec![inner]);
    let swap = Op::CompareExchange { param: count, index: zero, expected: inner, value: zero };
    let next = b.push(swap, vec![carried.clone()]);
    let body = b.end(next);
    b.push(Op::While { init: vec![zero], test, body }, vec![carried]);
    b.push(Op::Print("here".into(), vec![]), vec![]);
    b.push(Op::Print("{} is \"{%5d}\" at {%2d}: {%f}".into(), vec![pid, zero, got]), vec![]);
    b.push(Op::Assert(mask, "the \"mask\"\nholds".into()), vec![]);
    b.fresh(TileTy::new(DType::Bf16, [2, 3]));
    b.finish("every thing", vec![n.ceil_div(&Dim::from(4)), Dim::from(2)])
}

#[test]
fn round_trip() {
    let kernel = everything();
    verify(&kernel).unwrap();
    let text = print(&kernel);
    let again = parse(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    assert_eq!(again, kernel, "{text}");
    assert_eq!(print(&again), text);
}

#[test]
fn structural_words_are_not_scalar_operations() {
    for op in ScalarOp::ALL {
        assert!(!["yield", "dead", "body", "store", "reduce", "for", "if", "dot", "size"].contains(&op.name()));
    }
}

#[test]
fn errors_have_a_place() {
    let text = "kernel k\nparam x f32[4] read\n{\n  %0: i32 = const 0\n  %1: f32 = nonsense %0\n}\n";
    let error = parse(text).unwrap_err();
    assert!(error.to_string().contains("5:13") && error.message.contains("nonsense"), "{error}");
    assert!(parse("kernel k { %3: i32 = const 0 }").is_err());
    assert!(parse("kernel k { %0: i32 = const 0 %0: i32 = const 0 }").is_err());
    assert!(parse("kernel k { %0: i32 = size n }").unwrap_err().help.is_some());
}

#[test]
fn verifier_refuses() {
    let refused = |body: &str, why: &str| {
        let kernel = parse(&format!("kernel k\nparam x f32[64] read\ngrid 1\n{{\n{body}\n}}\n")).unwrap();
        let error = verify(&kernel).unwrap_err();
        assert!(error.message.contains(why), "{error}");
    };
    refused("%0: i32 = neg %1 %1: i32 = const 0", "before it is defined");
    refused("%0: i32 = program_id 1", "grid has 1 axes");
    refused("%0: f32 = const 1.0 %1: i32 = neg %0", "expected f32");
    refused("%0: f32[4] = const 1.0 %1: f32[5] = const 1.0 %2: f32[4] = add %0, %1", "different shapes");
    refused("%0: i32 = const 0 %1: f32[4] = load x view(0; 4:1, 4:1) at(%0) other 0", "view with 2");
    refused("%0: i32 = const 0 %1: f32 = const 0 store x view(0) at() %1", "not declared for this access");
    refused("%0: f32[2,3] = const 0 %1: f32[2,3] = const 0 %2: f32[2,3] = dot %0, %1", "does not give");
    refused(
        "%0: bool = const 1 %2: i32 = if %0 { %1: i32 = const 0 yield %1 } else { yield %1 }",
        "region that has ended",
    );
    refused("%0: f32[4] = const 0 %1: f32 = reduce sub axis 0 (%0)", "cannot fold");
    refused("%0: f32[0] = const 0", "outside the limits");
}

proptest! {
    #[test]
    fn any_text_is_parsed_or_refused(text in "\\PC{0,200}") {
        if let Ok(k) = parse(&text) {
            let _ = verify(&k);
        }
    }

    #[test]
    fn damaged_kernels_are_parsed_or_refused(at in any::<prop::sample::Index>(), with in "[ -~]{0,3}", len in 0usize..4) {
        let mut text = print(&everything());
        let at = at.index(text.len());
        let end = (at + len).min(text.len());
        if text.is_char_boundary(at) && text.is_char_boundary(end) {
            text.replace_range(at..end, &with);
            if let Ok(k) = parse(&text)
                && verify(&k).is_ok()
            {
                prop_assert_eq!(parse(&print(&k)).unwrap(), k);
            }
        }
    }
}
