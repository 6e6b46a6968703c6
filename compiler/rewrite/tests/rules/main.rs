//! Every rule by itself: random instances of its left side, per dtype, against the evaluator.

#![allow(clippy::unwrap_used, clippy::panic)]

mod samples;

use girih_base::{Bindings, DType, Result, ScalarOp};
use girih_graph::eval::compare::{Random, allclose};
use girih_graph::eval::{Array, Data, Value};
use girih_graph::{Graph, NodeId};
use girih_rewrite::{Class, Rule, apply_one, rules};
use samples::{Sample, samples};

const DTYPES: &[DType] =
    &[DType::F64, DType::F32, DType::F16, DType::Bf16, DType::I32, DType::I8, DType::U16, DType::Bool];

/// Left sides of a rule in one dtype; those that the dtype does not fit are left out.
fn instances(rule: &Rule, dtype: DType) -> Vec<Graph> {
    let finished = |s: Sample, root: Result<NodeId>| {
        let mut g = s.g;
        g.set_outputs(vec![root.ok()?]);
        Some(g)
    };
    let build = |build: fn(&mut Sample) -> Result<NodeId>| {
        let mut s = Sample::new(dtype);
        let root = build(&mut s);
        finished(s, root)
    };
    let written: Vec<_> = samples(rule.name);
    if written.is_empty() && rule.rhs_text().is_some() {
        let mut s = Sample::new(dtype);
        let root = from_pattern(&mut s, rule.lhs);
        return finished(s, root).into_iter().collect();
    }
    written.into_iter().filter_map(build).collect()
}

/// The graph a scalar pattern is the text of: variables are parameters.
fn from_pattern(s: &mut Sample, text: &str) -> Result<NodeId> {
    let spaced = text.replace('(', " ( ").replace(')', " ) ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let mut vars: Vec<(String, NodeId)> = Vec::new();
    // Parameters first, so that constants know their type.
    let like = s.p(&[2, 3]);
    term(s, &tokens, &mut 0, false, &mut vars, like)
}

fn term(
    s: &mut Sample,
    t: &[&str],
    at: &mut usize,
    condition: bool,
    vars: &mut Vec<(String, NodeId)>,
    like: NodeId,
) -> Result<NodeId> {
    let token = t[*at];
    *at += 1;
    if let Some(name) = token.strip_prefix('?') {
        if let Some((_, id)) = vars.iter().find(|(n, _)| n == name) {
            return Ok(*id);
        }
        let ty = s.g.tensor(like)?.with_dtype(if condition { DType::Bool } else { s.dtype });
        let id = s.of(ty);
        vars.push((name.into(), id));
        return Ok(id);
    }
    if token != "(" {
        let ty = s.g.tensor(like)?.with_dtype(if condition { DType::Bool } else { s.dtype });
        let value: f64 = token.parse().unwrap();
        return if ty.dtype.is_float() { s.g.splat(value, ty) } else { s.g.splat(value as i64, ty) };
    }
    let op = ScalarOp::from_name(t[*at]).unwrap();
    *at += 1;
    let mut args = Vec::new();
    while t[*at] != ")" {
        let condition = (op == ScalarOp::Select && args.is_empty()) || (condition && op == ScalarOp::Not);
        args.push(term(s, t, at, condition, vars, like)?);
    }
    *at += 1;
    // `add` and `mul` of more than two stand for a chain.
    let mut value = args[0];
    if args.len() == op.arity() {
        value = s.g.map(op, &args)?;
    } else {
        for a in &args[1..] {
            value = s.g.map(op, &[value, *a])?;
        }
    }
    Ok(value)
}

/// Values for the parameters. Wide ones have exponents far apart, so that another order of sums shows in every digit.
fn inputs(g: &Graph, seed: u64, wide: bool) -> Vec<Value> {
    let mut r = Random(seed);
    let mut value = |p: &NodeId| {
        let t = g.tensor(*p).unwrap();
        let shape = t.const_shape().unwrap();
        if t.dtype == DType::U8 {
            return finite_blocks(&shape, &mut r);
        }
        if !t.dtype.is_float() {
            return Array::random(t.dtype, &shape, r.bits()).into();
        }
        let n: usize = shape.iter().product();
        let scale = |r: &mut Random| if wide { (r.below(13) as f64 - 6.0).exp2() } else { 2.0 };
        Array::from_f64(t.dtype, &shape, (0..n).map(|_| r.unit() * scale(&mut r)).collect::<Vec<_>>()).rounded().into()
    };
    g.params().iter().map(&mut value).collect()
}

/// Rows of quantised blocks whose scales are ordinary numbers.
fn finite_blocks(shape: &[usize], r: &mut Random) -> Value {
    let n: usize = shape.iter().product();
    let block = girih_base::QuantFormat::Q8_0.block_bytes();
    // The scale is a little-endian f16: 0x2c.. is about 0.06.
    let byte = |i: usize, r: &mut Random| if i % block == 1 { 0x2c } else { r.below(256) as i128 };
    Array::from_ints(DType::U8, shape, (0..n).map(|i| byte(i, r)).collect::<Vec<_>>()).into()
}

/// Half the distance between 1 and the next number: what one rounding of a constant may cost.
fn roundoff(dtype: DType) -> f64 {
    match dtype {
        DType::F16 => 2f64.powi(-11),
        DType::Bf16 => 2f64.powi(-8),
        _ => 2f64.powi(-24),
    }
}

/// Equal as a class promises: bit for bit, or within a few roundings of the dtype relative to the largest element.
fn equal(class: Class, got: &Value, want: &Value) -> Result<(), String> {
    if class != Class::Exact {
        let size =
            want.array().unwrap().to_f64().into_iter().filter(|v| v.is_finite()).fold(0.0f64, |a, b| a.max(b.abs()));
        let tolerance = 8.0 * roundoff(want.array().unwrap().dtype);
        return allclose(got, want, tolerance, tolerance * size);
    }
    let (got, want) = (got.array().unwrap(), want.array().unwrap());
    let same = match (&got.data, &want.data) {
        (Data::Floats(x), Data::Floats(y)) => {
            x.len() == y.len() && x.iter().zip(y).all(|(a, b)| a == b || (a.is_nan() && b.is_nan()))
        }
        (Data::Ints(x), Data::Ints(y)) => x == y,
        _ => false,
    };
    if same && got.shape == want.shape { Ok(()) } else { Err(format!("not equal: {got:?} and {want:?}")) }
}

/// Checks a rule against a class; gives how many rewritten graphs were compared.
fn check(rule: &Rule, class: Class) -> Result<usize, String> {
    let mut compared = 0;
    for dtype in DTYPES {
        for g in instances(rule, *dtype) {
            let rewritten = apply_one(rule, &g).map_err(|e| e.to_string())?.graphs;
            let rounds =
                if g.params().iter().any(|p| g.tensor(*p).unwrap().elements().bounds().1 > 1000) { 1 } else { 8 };
            for seed in 0..rounds {
                let inputs = inputs(&g, seed, class == Class::Exact);
                let want = g.eval(&inputs, &Bindings::new()).map_err(|e| e.to_string())?;
                for out in &rewritten {
                    let got = out.eval(&inputs, &Bindings::new()).map_err(|e| e.to_string())?;
                    equal(class, &got[0], &want[0]).map_err(|e| format!("{} in {dtype}: {e}", rule.name))?;
                    compared += 1;
                }
            }
        }
    }
    Ok(compared)
}

#[test]
fn every_rule_keeps_its_promise() {
    let mut wrong = Vec::new();
    for rule in rules::all() {
        match check(rule, rule.class) {
            Ok(0) => wrong.push(format!("{}: no sample makes it fire", rule.name)),
            Ok(_) => {}
            Err(e) => wrong.push(e),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The checker must see what it is there for: rules that reorder float arithmetic are not exact.
#[test]
fn a_wrong_class_is_caught() {
    for name in [
        "reduce-reduce-float",
        "reduce-split-float",
        "dot-assoc-right",
        "dot-row-scale-left",
        "mul-constants",
        "div-constant",
        "sum-scale",
    ] {
        let rule = rules::all().iter().find(|r| r.name == name).unwrap();
        assert_eq!(rule.class, Class::Reassoc);
        assert!(check(rule, Class::Exact).is_err(), "{name} passes as exact");
    }
}

#[test]
fn names_are_unique_and_every_pattern_parses() {
    let mut names: Vec<&str> = rules::all().iter().map(|r| r.name).collect();
    names.sort();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
    assert_eq!(rules::parsed(), count);
}
