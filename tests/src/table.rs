//! The scalar table on a device, many operations to a kernel: drivers that compile at the first launch take a tenth of a second for
//! each kernel, and there are a thousand pairs of operation and dtype.

use crate::Rig;
use crate::numbers::{self, Subnormals, array, values};
use girih_base::codec::{Scalar, cast};
use girih_base::{Bindings, DType, Dim, Result, ScalarOp};
use girih_exec::{Command, Device, MemRef};
use girih_graph::eval::Array;
use girih_tile::{Access, Builder, Kernel, Literal, ValueId, View};
use std::collections::{BTreeMap, BTreeSet};

/// Operations of one kernel.
const BATCH: usize = 12;

/// Elements of a tile.
const TILE: u32 = 256;

/// What a run of the table found.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Pairs of operation and dtype, or of dtypes, that were compared.
    pub compared: usize,
    /// What the target refuses, by code, operation and dtype.
    pub refused: BTreeSet<(&'static str, String, DType)>,
    /// Wrong results: the first of each pair and how many there are.
    pub wrong: BTreeMap<String, (usize, String)>,
}

impl Outcome {
    fn note(&mut self, pair: String, why: String) {
        self.wrong.entry(pair).or_insert((0, why)).0 += 1;
    }

    /// The wrong results in words.
    pub fn text(&self) -> String {
        self.wrong.iter().map(|(pair, (n, why))| format!("{pair}: {n} wrong, first: {why}\n")).collect()
    }
}

/// The dtypes an operation takes.
fn takes(op: ScalarOp, dtype: DType) -> Vec<DType> {
    let mut takes = vec![dtype; op.arity()];
    if op == ScalarOp::Select {
        takes[0] = DType::Bool;
    }
    takes
}

fn zero(dtype: DType) -> Literal {
    if dtype.is_float() { Literal::float(0.0) } else { Literal::Int(0) }
}

/// A tile kernel over arrays of `n` elements: its inputs are loaded, then `body` stores to the outputs.
fn kernel(
    name: &str,
    n: usize,
    inputs: &[(&str, DType)],
    outputs: &[(&str, DType, usize)],
    body: impl FnOnce(&mut Builder, &[ValueId], &mut dyn FnMut(&mut Builder, usize, usize, ValueId)),
) -> Kernel {
    let mut b = Builder::new();
    let size = |k: usize| Dim::from((n * k) as i64);
    let read: Vec<usize> = inputs.iter().map(|(name, d)| b.param(name, *d, size(1), Access::Read, true)).collect();
    let written: Vec<usize> =
        outputs.iter().map(|(name, d, k)| b.param(name, *d, size(*k), Access::Write, false)).collect();
    let (group, tile) = (b.program_id(0), b.int(TILE as i64));
    let start = b.map(ScalarOp::Mul, &[group, tile]);
    let view = View::contiguous(&[size(1)]);
    let loaded: Vec<ValueId> =
        read.iter().zip(inputs).map(|(p, (_, d))| b.load(*p, view.clone(), &[start], &[TILE], zero(*d))).collect();
    // Output `at` of `which` starts where the one before ends.
    body(&mut b, &loaded, &mut |b, which, at, value| {
        let view = View { offset: size(at), ..view.clone() };
        b.store(written[which], view, &[start], value);
    });
    b.finish(name, vec![(n as i64).div_euclid(TILE as i64).saturating_add(1).into()])
}

/// Runs a kernel on arrays; gives the outputs.
fn launch(rig: &Rig, device: &mut dyn Device, kernel: &Kernel, inputs: &[&Array]) -> Result<Vec<Array>> {
    let code = rig.target.compile(kernel)?;
    let loaded = device.load(&code)?;
    let (mut args, mut results) = (Vec::new(), Vec::new());
    for (i, p) in kernel.params.iter().enumerate() {
        let len = p.len.as_const().unwrap_or(0) as u64;
        let bytes = p.dtype.bytes_for(len);
        let buffer = device.allocate(bytes)?;
        match inputs.get(i) {
            Some(x) => device.write(buffer, 0, &x.encode())?,
            None => results.push((buffer, p.dtype, len as usize, bytes)),
        }
        args.push(MemRef { buffer, offset: 0, bytes });
    }
    device.submit(&[Command::Launch { kernel: loaded, args: &args, bindings: &Bindings::new() }])?;
    let mut out = Vec::new();
    for (buffer, dtype, len, bytes) in results {
        let mut data = vec![0; bytes as usize];
        device.read(buffer, 0, &mut data)?;
        out.push(Array::decode(dtype, &[len], &data)?);
    }
    args.iter().for_each(|a| device.free(a.buffer));
    Ok(out)
}

/// Three columns of operands: every pair of special values in the first two, then random ones.
fn columns(dtype: DType, n: usize) -> [Vec<Scalar>; 3] {
    let special = numbers::special(dtype);
    let k = special.len();
    let mut columns = [0, 1, 2].map(|i| values(dtype, n, 17 * i as u64 + 5, i * 3));
    for i in 0..n.min(k * k) {
        columns[0][i] = special[i % k];
        columns[1][i] = special[i / k];
        columns[2][i] = special[(i * 7 + i / k * 5) % k];
    }
    columns
}

/// The kernel of some operations on `dtype`, and for each whether it gives bools and which place its results have.
fn of_ops(ops: &[ScalarOp], dtype: DType, n: usize) -> (Kernel, Vec<(bool, usize)>) {
    let is_bool = |op: &ScalarOp| op.infer(&takes(*op, dtype)) == Ok(DType::Bool) && dtype != DType::Bool;
    let mut counts = [0; 2];
    let places: Vec<(bool, usize)> = ops
        .iter()
        .map(|op| {
            let slot = &mut counts[is_bool(op) as usize];
            *slot += 1;
            (is_bool(op), *slot - 1)
        })
        .collect();
    let inputs = [("x", dtype), ("y", dtype), ("z", dtype), ("c", DType::Bool)];
    let outputs = [("same", dtype, counts[0].max(1)), ("flags", DType::Bool, counts[1].max(1))];
    let kernel = kernel(&format!("{}_{dtype}", ops[0].name()), n, &inputs, &outputs, |b, loaded, store| {
        for (op, (flag, at)) in ops.iter().zip(&places) {
            let args = match op {
                ScalarOp::Select => vec![loaded[3], loaded[0], loaded[1]],
                op => loaded[..op.arity()].to_vec(),
            };
            let y = b.map(*op, &args);
            store(b, *flag as usize, *at, y);
        }
    });
    (kernel, places)
}

/// Operations on dtypes over `n` elements, special values included.
///
/// # Errors
/// What the device answers to a kernel that its target compiles.
pub fn scalar_ops(
    rig: &Rig,
    device: &mut dyn Device,
    subnormals: Subnormals,
    ops: &[ScalarOp],
    dtypes: &[DType],
    n: usize,
) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let flags: Vec<Scalar> = (0..n).map(|i| Scalar::Int((i % 3 == 0) as i128)).collect();
    for dtype in dtypes {
        let mut ops: Vec<ScalarOp> = ops.iter().copied().filter(|op| op.infer(&takes(*op, *dtype)).is_ok()).collect();
        if ops.is_empty() {
            continue;
        }
        if ops.chunks(BATCH).any(|batch| rig.target.compile(&of_ops(batch, *dtype, n).0).is_err()) {
            ops.retain(|op| match rig.target.compile(&of_ops(&[*op], *dtype, n).0) {
                Ok(_) => true,
                Err(d) => {
                    outcome.refused.insert((d.code, op.name().to_string(), *dtype));
                    false
                }
            });
        }
        outcome.compared += ops.len();
        let data = columns(*dtype, n);
        let arrays: Vec<Array> = data.iter().map(|c| array(*dtype, &[n], c)).collect();
        let conditions = array(DType::Bool, &[n], &flags);
        for batch in ops.chunks(BATCH) {
            let (kernel, places) = of_ops(batch, *dtype, n);
            let inputs = [&arrays[0], &arrays[1], &arrays[2], &conditions];
            let results = launch(rig, device, &kernel, &inputs).map_err(|d| d.note(girih_tile::print(&kernel)))?;
            for (op, (flag, at)) in batch.iter().zip(places) {
                for i in 0..n {
                    let args: Vec<Scalar> = match op {
                        ScalarOp::Select => vec![flags[i], data[0][i], data[1][i]],
                        op => data[..op.arity()].iter().map(|c| c[i]).collect(),
                    };
                    let got = results[flag as usize].elem(at * n + i);
                    if let Err(why) = numbers::acceptable_on(subnormals, *op, *dtype, &args, got) {
                        outcome.note(format!("{} {dtype}", op.name()), why);
                    }
                }
            }
        }
    }
    Ok(outcome)
}

/// Conversions between all pairs of dtypes over `n` elements, exact.
///
/// # Errors
/// What the device answers to a kernel that its target compiles.
pub fn casts(rig: &Rig, device: &mut dyn Device, dtypes: &[DType], n: usize) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let names = ["a", "b", "c", "d", "e", "f"];
    for from in dtypes {
        let of = |list: &[DType]| {
            let outputs: Vec<(&str, DType, usize)> = names.iter().zip(list).map(|(name, d)| (*name, *d, 1)).collect();
            kernel(&format!("cast_{from}"), n, &[("x", *from)], &outputs, |b, loaded, store| {
                for (i, to) in list.iter().enumerate() {
                    let y = b.cast(loaded[0], *to);
                    store(b, i, 0, y);
                }
            })
        };
        let mut targets = dtypes.to_vec();
        if dtypes.chunks(names.len()).any(|batch| rig.target.compile(&of(batch)).is_err()) {
            targets.retain(|to| match rig.target.compile(&of(&[*to])) {
                Ok(_) => true,
                Err(d) => {
                    outcome.refused.insert((d.code, format!("cast to {to}"), *from));
                    false
                }
            });
        }
        outcome.compared += targets.len();
        let [data, ..] = columns(*from, n);
        let x = array(*from, &[n], &data);
        for batch in targets.chunks(names.len()) {
            let results = launch(rig, device, &of(batch), &[&x])?;
            for (to, result) in batch.iter().zip(results) {
                for (i, x) in data.iter().enumerate() {
                    let (want, got) = (cast(*x, *to), result.elem(i));
                    if want != got && !(want.as_f64().is_nan() && got.as_f64().is_nan()) {
                        outcome.note(format!("{from} to {to}"), format!("{x:?} gives {got:?}, not {want:?}"));
                    }
                }
            }
        }
    }
    Ok(outcome)
}
