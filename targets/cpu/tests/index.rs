//! Loads, stores and updates at computed offsets: rows, gathers, masks, refusals, and instances on several threads.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::*;
use girih_base::codec::decode_slice;
use girih_base::{Bindings, DType, Dim, Literal, ScalarOp};
use girih_tile::*;

const N: u32 = 300;

/// `y[j] = x[i]` for the offsets `i` and `j` of N elements where the mask holds.
fn moves(dtype: DType, masked: bool) -> Kernel {
    let mut b = Builder::new();
    let x = b.param("x", dtype, Dim::from(N), Access::Read, false);
    let [i, j] = ["i", "j"].map(|name| b.param(name, DType::I32, Dim::from(N), Access::Read, false));
    let m = b.param("m", DType::Bool, Dim::from(N), Access::Read, false);
    let y = b.param("y", dtype, Dim::from(N), Access::ReadWrite, false);
    let zero = b.int(0);
    let [i, j, m] = [i, j, m].map(|p| b.load(p, whole(&[N]), &[zero], &[N], Literal::Int(0)));
    let mask = masked.then_some(m);
    let other = if dtype.is_float() { Literal::float(3.0) } else { Literal::Int(1) };
    let v = b.push(Op::LoadAt { param: x, index: i, mask, other }, vec![TileTy::new(dtype, [N])])[0];
    b.push(Op::StoreAt { param: y, index: j, value: v, mask }, vec![]);
    b.finish("moves", vec![Dim::ONE])
}

fn ints(values: &[i32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// Offsets in a row, backwards, in pieces, the same everywhere, anywhere.
fn patterns() -> Vec<Vec<i32>> {
    let n = N as i32;
    let mut r = Random(7);
    let random = (0..n).map(|_| (r.bits() % N as u64) as i32).collect();
    let pieces = (0..n).map(|t| (t / 20 * 40 + t % 20) % n).collect();
    vec![(0..n).collect(), (0..n).rev().collect(), pieces, vec![17; N as usize], random]
}

fn masks() -> Vec<Vec<u8>> {
    let mut r = Random(8);
    let n = N as usize;
    let random = (0..n).map(|_| (r.bits() >> 40 & 1) as u8).collect();
    vec![vec![1; n], vec![0; n], (0..n).map(|t| (t < 131) as u8).collect(), random]
}

#[test]
fn elements_move_where_the_mask_holds() {
    at_every_level(|| {
        for dtype in [DType::F32, DType::F64, DType::F16, DType::I8, DType::Bool, DType::U32, DType::F4E2M1] {
            let x = numbers(dtype, N as usize, 1);
            for (from, to) in patterns().iter().zip(patterns().iter().rev()) {
                for (mask, masked) in masks().into_iter().flat_map(|m| [(m.clone(), true), (m, false)]) {
                    let before = numbers(dtype, N as usize, 2);
                    let data = [encode(dtype, &x), ints(from), ints(to), mask.clone(), encode(dtype, &before)];
                    let out = run_bytes(&moves(dtype, masked), &data, &Bindings::new(), 1).unwrap();
                    let mut want = before;
                    for t in (0..N as usize).filter(|t| !masked || mask[*t] == 1) {
                        want[to[t] as usize] = x[from[t] as usize];
                    }
                    assert_eq!(decode_slice(dtype, &out[4], N as usize).unwrap(), want, "{dtype}");
                }
            }
        }
    });
}

#[test]
fn offsets_outside_are_refused_unless_masked() {
    at_every_level(|| {
        for bad in [-1, N as i32, i32::MIN, i32::MAX] {
            for at in [0usize, 150, 299] {
                let mut index: Vec<i32> = (0..N as i32).collect();
                index[at] = bad;
                let mut mask = vec![1; N as usize];
                let row = ints(&(0..N as i32).collect::<Vec<_>>());
                let run = |mask: &[u8], i: &[u8], j: &[u8]| {
                    let x = vec![0; 4 * N as usize];
                    let data = [x.clone(), i.to_vec(), j.to_vec(), mask.to_vec(), x];
                    run_bytes(&moves(DType::F32, true), &data, &Bindings::new(), 1)
                };
                for (i, j) in [(ints(&index), row.clone()), (row.clone(), ints(&index))] {
                    let refused = run(&mask, &i, &j).unwrap_err();
                    assert!(
                        refused.code == "X103" && refused.message.contains(&format!("element {bad} ")),
                        "{refused}"
                    );
                    mask[at] = 0;
                    run(&mask, &i, &j).unwrap();
                    mask[at] = 1;
                }
            }
        }
    });
}

/// Each of `groups` instances counts 64 numbers into 16 bins, and finds the extremes.
fn histogram(groups: u32) -> Kernel {
    let mut b = Builder::new();
    let x = b.param("x", DType::U32, Dim::from(groups * 64), Access::Read, false);
    let bins = b.param("bins", DType::I64, Dim::from(16), Access::ReadWrite, false);
    let ends = b.param("ends", DType::U32, Dim::from(2), Access::ReadWrite, false);
    let (pid, zero) = (b.program_id(0), b.int(0));
    let v = b.load(x, whole(&[groups, 64]), &[pid, zero], &[1, 64], Literal::Int(0));
    let v = b.reshape(v, &[64]);
    let ty = |dtype| TileTy::new(dtype, [64]);
    let fifteen = b.constant(Literal::Int(15), ty(DType::U32));
    let bin = b.map(ScalarOp::And, &[v, fifteen]);
    let bin = b.cast(bin, DType::I32);
    let one = b.constant(Literal::Int(1), ty(DType::I64));
    let first = b.constant(Literal::Int(0), ty(DType::I32));
    let second = b.constant(Literal::Int(1), ty(DType::I32));
    let mut update = |op, param, index, value, dtype| {
        b.push(Op::Atomic { op, param, index, value, mask: None }, vec![ty(dtype)]);
    };
    update(AtomicOp::Add, bins, bin, one, DType::I64);
    update(AtomicOp::Min, ends, first, v, DType::U32);
    update(AtomicOp::Max, ends, second, v, DType::U32);
    b.finish("histogram", vec![Dim::from(groups)])
}

#[test]
fn updates_of_integers_from_several_threads() {
    let groups = 2000;
    let mut r = Random(4);
    let x: Vec<u32> = (0..groups * 64).map(|_| r.bits() as u32 | 1 << 20).collect();
    let bytes: Vec<u8> = x.iter().flat_map(|v| v.to_le_bytes()).collect();
    let ends: Vec<u8> = [u32::MAX, 0].iter().flat_map(|v| v.to_le_bytes()).collect();
    let out = run_bytes(&histogram(groups), &[bytes, vec![0; 128], ends], &Bindings::new(), 4).unwrap();
    for (bin, got) in out[1].chunks_exact(8).enumerate() {
        let want = x.iter().filter(|v| **v & 15 == bin as u32).count() as i64;
        assert_eq!(got, want.to_le_bytes());
    }
    assert_eq!(out[2][..4], x.iter().min().unwrap().to_le_bytes());
    assert_eq!(out[2][4..], x.iter().max().unwrap().to_le_bytes());
}
