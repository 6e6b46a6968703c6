#![allow(clippy::unwrap_used, clippy::panic)]

use super::{parse, print, print_without_locs};
use crate::verify::verify;
use crate::*;
use girih_base::{DType, Dim, Loc, ScalarOp};
use proptest::prelude::*;

const U32: Ty = Ty::scalar(DType::U32);
const F32: Ty = Ty::scalar(DType::F32);

/// One of every operation, names that need quotes, and locations.
fn everything() -> Kernel {
    let mut b = Builder::new();
    let (v4, n) = (Ty::vec(DType::F32, 4), Dim::symbol("n", 1, 4096));
    for (name, elem, written, read_only) in
        [("x y", v4, false, true), ("out", F32, true, false), ("count", U32, true, true), ("in", F32, false, false)]
    {
        b.buffers.push(Buffer { name: name.into(), elem, written, read_only });
    }
    b.shared.push(Shared { name: "s".into(), elem: v4, len: 64 });
    let (acc, list) = (b.local("acc", F32, None), b.local("list", U32, Some(3)));
    b.set_loc(Loc::new("a \"b\".rs", 3, 4).inlined_at(&Loc::new("c.rs", 5, 6)));
    let builtins = [Builtin::WorkgroupIndex, Builtin::LocalIndex, Builtin::SubgroupSize, Builtin::SubgroupLane]
        .map(|x| b.builtin(x));
    let lane = builtins[1];
    b.name(lane, Some("lane".into()));
    let size = b.uniform(&"n".into());
    b.uniform(&"x.hi".into());
    for bits in [1.5f64, -0.0, f64::INFINITY, f64::from_bits(0x7ff8_0000_0000_0001), 1e-300, f64::MAX] {
        b.constant(Literal::float(bits), F32);
    }
    b.constant(Literal::Int(i64::MIN), Ty::scalar(DType::I64));
    let x = b.load(Space::Buffer(0), lane);
    b.name(x, Some("the \\ \"x\"\n".into()));
    let (first, second, at) = (b.component(x, 0), b.component(x, 3), b.push(Op::ComponentAt(x, lane), F32));
    b.store(Space::Shared(0), lane, x);
    b.effect(Op::Barrier);
    let pair = b.push(Op::MakeVec(vec![first, second]), Ty::vec(DType::F32, 2));
    let packed = b.push(Op::PackHalf(pair), U32);
    b.push(Op::UnpackHalf(packed), Ty::vec(DType::F32, 2));
    let wide = b.splat(at, 4);
    b.map(ScalarOp::Fma, &[wide, wide, x]);
    let bits = b.bitcast(at, DType::U32);
    let number = b.cast(bits, DType::F32);
    b.set(acc, number);
    b.store(Space::Local(list), lane, bits);
    let whole = b.bitcast(at, DType::I32);
    let yes = b.map(ScalarOp::Lt, &[lane, bits]);
    for op in SubgroupOp::all(5) {
        let (x, ty) = match op {
            SubgroupOp::Any | SubgroupOp::All => (yes, Ty::scalar(DType::Bool)),
            SubgroupOp::Ballot => (yes, Ty::vec(DType::U32, 4)),
            _ => (whole, Ty::scalar(DType::I32)),
        };
        b.push(Op::Subgroup(op, x), ty);
    }
    for kind in Shuffle::ALL {
        b.push(Op::Shuffle(kind, x, lane), v4);
    }
    b.effect(Op::Assert(yes, "the \"lane\"\nis small".into()));
    b.effect(Op::Print("here".into(), Vec::new()));
    b.effect(Op::Print("lane {} has {}".into(), vec![lane, x]));
    b.effect(Op::Comment("a \\ remark\nof \"two\" lines ".into()));
    b.set_loc(Loc::unknown());
    b.effect(Op::Comment("  a \\ remark\nof \"two\" lines ".into()));
    for op in AtomicOp::ALL {
        b.push(Op::Atomic(*op, Space::Buffer(2), lane, bits), U32);
    }
    b.effect(Op::Atomic(AtomicOp::Add, Space::Buffer(2), lane, bits));
    b.push(Op::CompareExchange(Space::Buffer(2), lane, bits, packed), U32);
    let (zero, cond) = (b.uint(0), b.map(ScalarOp::Lt, &[lane, size]));
    b.set_loc(Loc::new("loop.rs", 7, 8));
    b.for_loop(zero, size, 4, true, |b, i| {
        b.name(i, Some("i".into()));
        b.if_then(cond, |b| b.effect(Op::Continue));
        b.begin();
        b.begin();
        b.effect(Op::Break);
        let then = b.end();
        b.begin();
        let v = b.get(acc);
        b.store(Space::Buffer(1), i, v);
        let otherwise = b.end();
        b.effect(Op::If(cond, then, otherwise));
        let body = b.end();
        b.effect(Op::Loop(body));
    });
    b.if_then(cond, |b| b.effect(Op::Return));
    b.fresh(Ty::vec(DType::F16, 3));
    b.finish("every thing", [8, 4, 2], n.ceil_div(&Dim::from(4)))
}

#[test]
fn round_trip() {
    let kernel = everything();
    verify(&kernel).unwrap();
    let text = print(&kernel);
    let again = parse(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    assert_eq!(again, kernel, "{text}");
    assert_eq!(print(&again), text);
    let bare = print_without_locs(&kernel);
    assert_eq!(bare, kernel.to_string());
    assert_eq!(print(&parse(&bare).unwrap()), bare);
}

#[test]
fn structural_words_are_not_scalar_operations() {
    const WORDS: &[&str] = &[
        "if",
        "for",
        "loop",
        "cast",
        "bitcast",
        "vec",
        "load",
        "store",
        "get",
        "set",
        "uniform",
        "barrier",
        "subgroup_barrier",
        "break",
        "continue",
        "return",
        "remark",
        "dead",
        "pack_half",
        "unpack_half",
        "compare_exchange",
    ];
    for op in ScalarOp::ALL {
        let name = op.name();
        assert!(
            !WORDS.contains(&name)
                && !name.starts_with("atomic_")
                && !name.starts_with("subgroup_")
                && !name.starts_with("shuffle"),
            "{name}"
        );
    }
}

#[test]
fn errors_have_a_place() {
    let refused = |body: &str, place: &str, why: &str| {
        let text =
            format!("kernel @k workgroup [4, 1, 1] groups 1 {{\n  buffer x: u32 written\n  local a: u32\n{body}\n}}\n");
        let error = parse(&text).unwrap_err();
        assert_eq!(error.code, "S005", "{error}");
        assert!(error.to_string().contains(place) && error.message.contains(why), "{error}");
    };
    refused("%0 = 0 : u32\n%1 = nonsense %0 : u32", "5:6", "nonsense");
    refused("%0 = 0 : vec5<u32>", "4:10", "no dtype");
    refused("%0 = load y[%0] : u32", "4:11", "no array `y`");
    refused("%0 = get x : u32", "4:10", "no variable `x`");
    refused("%0 = uniform n : u32", "4:14", "no uniform");
    refused("%0.a = 0 : u32\n%1 = neg %0.b : u32", "5:10", "not called");
    refused("%0 = 0 : u32\n%0 = 0 : f32", "5:1", "twice");
    refused("%1 = 0 : u32", "5:1", "%0 is not defined");
    refused("%0 = %0.999 : u32", "4:9", "component");
    refused("if %0 {", "5:1", "expected");
    refused(&"loop {".repeat(100), "4:", "too deeply");
    assert!(parse("kernel @k workgroup [4, 1] groups 1 { }").unwrap_err().message.contains("three extents"));
    assert!(parse("kernel @k workgroup [1, 1, 1] groups n { }").unwrap_err().help.is_some());
    assert!(parse("sym n 4..1 kernel @k workgroup [1, 1, 1] groups n { }").is_err());
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
