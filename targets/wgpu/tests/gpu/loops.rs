//! Loops of many rounds.

use crate::harness::*;
use crate::kernels::U32;
use girih_base::{Bindings, Dim, ScalarOp};
use girih_exec::{Command, Device, MemRef};
use girih_simt::*;

/// llvmpipe leaves loops after 65535 rounds without a word; kernels that may need more are refused on it, and run elsewhere.
#[test]
fn long_loops_run_or_are_refused() {
    let Some(mut device) = device() else { return };
    let make = |rounds: u32| {
        let mut b = Builder::new();
        b.buffers.push(output("total", U32));
        let total = b.local("total_so_far", U32, None);
        let (zero, n, three) = (b.uint(0), b.uint(rounds), b.uint(3));
        b.for_loop(zero, n, 1, true, |b, i| {
            let (old, product) = (b.get(total), b.mul(i, three));
            let sum = b.add(old, product);
            let mixed = b.map(ScalarOp::Xor, &[sum, i]);
            b.set(total, mixed);
        });
        let t = b.get(total);
        b.store(Space::Buffer(0), zero, t);
        b.finish("long", [1, 1, 1], Dim::ONE)
    };
    for rounds in [65_000u32, 100_000] {
        let kernel = make(rounds);
        match device.compiler().code(&kernel) {
            Ok(_) => {
                let mut buffers = [vec![0; 16]];
                run(&mut device, &kernel, &mut buffers, &Bindings::new());
                let want = (0..rounds).fold(0u32, |t, i| t.wrapping_add(i * 3) ^ i);
                assert_eq!(to_words(&buffers[0])[0], want, "{rounds} rounds");
            }
            Err(d) => assert_eq!((d.code, rounds), ("W007", 100_000), "{d}"),
        }
    }
}

/// Where nobody knows how many rounds there will be, a loop that was left early is an error, never a smaller number.
#[test]
fn loops_of_unknown_length_are_whole_or_an_error() {
    let Some(mut device) = device() else { return };
    let make = |counted: bool| {
        let mut b = Builder::new();
        b.buffers.push(input("rounds", U32));
        b.buffers.push(output("total", U32));
        let total = b.local("total_so_far", U32, None);
        let at = b.local("at", U32, None);
        let (zero, one) = (b.uint(0), b.uint(1));
        let n = b.load(Space::Buffer(0), zero);
        let add = |b: &mut Builder, i: ValueId| {
            let old = b.get(total);
            let sum = b.add(old, i);
            b.set(total, sum);
        };
        if counted {
            b.for_loop(zero, n, 1, false, |b, i| add(b, i));
        } else {
            b.begin();
            let i = b.get(at);
            let done = b.map(ScalarOp::Ge, &[i, n]);
            b.if_then(done, |b| b.effect(Op::Break));
            add(&mut b, i);
            let next = b.add(i, one);
            b.set(at, next);
            let body = b.end();
            b.effect(Op::Loop(body));
        }
        let t = b.get(total);
        b.store(Space::Buffer(1), zero, t);
        b.finish("unknown", [1, 1, 1], Dim::ONE)
    };
    for (counted, rounds) in [(true, 1_000u32), (false, 1_000), (true, 100_000), (false, 100_000)] {
        let code = device.compiler().code(&make(counted)).unwrap();
        let kernel = device.load(&code).unwrap();
        let [from, to] = [words([rounds, 0, 0, 0]), vec![0; 16]].map(|bytes| {
            let buffer = device.allocate(16).unwrap();
            device.write(buffer, 0, &bytes).unwrap();
            MemRef { buffer, offset: 0, bytes: 16 }
        });
        let launch = Command::Launch { kernel, args: &[from, to], bindings: &Bindings::new() };
        let mut got = vec![0; 16];
        let done = device.submit(&[launch]).and_then(|()| device.read(to.buffer, 0, &mut got));
        match done {
            Ok(()) => assert_eq!(to_words(&got)[0], (0..rounds).fold(0, u32::wrapping_add), "{rounds} rounds"),
            Err(d) => assert!(d.code == "X013" && rounds > 65535 && d.to_string().contains("left this loop"), "{d}"),
        }
    }
}
