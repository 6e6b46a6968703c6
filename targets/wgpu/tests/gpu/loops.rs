//! Loops of many rounds.

use crate::harness::*;
use crate::kernels::U32;
use girih_base::{Bindings, Dim, ScalarOp};
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
