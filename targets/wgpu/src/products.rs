//! High words of products, on adapters that compute with 64 bits: one wide product takes the place of four of 16-bit halves.

use girih_base::{DType, Literal, ScalarOp};
use girih_simt::{Builder, Kernel, Op, Stmt, Ty};

/// The kernel with the high words of 32-bit products taken from 64-bit ones; nothing if it has none.
pub fn widened(kernel: &Kernel) -> Option<Kernel> {
    let narrow = |s: &Stmt| match (&s.op, s.result) {
        (Op::Map(ScalarOp::MulHi, _), Some(r)) => kernel.values[r.0 as usize].ty.dtype.bits() == 32,
        _ => false,
    };
    if !any(&kernel.body, &narrow) {
        return None;
    }
    let mut b = Builder::over(kernel);
    block(&mut b, &kernel.body, &narrow);
    Some(b.finish(kernel.name.clone(), kernel.workgroup, kernel.groups.clone()))
}

fn any(stmts: &[Stmt], found: &impl Fn(&Stmt) -> bool) -> bool {
    stmts.iter().any(|s| found(s) || s.op.blocks().into_iter().any(|b| any(b, found)))
}

fn block(b: &mut Builder, stmts: &[Stmt], narrow: &impl Fn(&Stmt) -> bool) {
    for s in stmts {
        b.set_loc(s.loc.clone());
        let mut op = s.op.clone();
        match &mut op {
            Op::Map(_, args) if narrow(s) => {
                let signed = args.first().is_some_and(|x| b.ty(*x).dtype == DType::I32);
                let (wide, shift) =
                    if signed { (DType::I64, ScalarOp::Shr) } else { (DType::U64, ScalarOp::LogicalShr) };
                let args: Vec<_> = args.iter().map(|x| b.cast(*x, wide)).collect();
                let product = b.map(ScalarOp::Mul, &args);
                let word = b.constant(Literal::Int(32), Ty { dtype: wide, lanes: b.ty(product).lanes });
                op = Op::Cast(b.map(shift, &[product, word]));
            }
            Op::If(_, then, otherwise) => [then, otherwise].into_iter().for_each(|r| *r = region(b, r, narrow)),
            Op::For { body, .. } | Op::Loop(body) => *body = region(b, body, narrow),
            _ => {}
        }
        b.restate(Stmt { op, ..s.clone() });
    }
}

fn region(b: &mut Builder, stmts: &[Stmt], narrow: &impl Fn(&Stmt) -> bool) -> Vec<Stmt> {
    b.begin();
    block(b, stmts, narrow);
    b.end()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use girih_base::Bindings;
    use girih_simt::{emulate, parse, print, verify};

    const KERNEL: &str = "kernel @high workgroup [4, 1, 1] groups 1 {
  buffer y: u32 written
  buffer z: i32 written
  %0.lane = local_index : u32
  %1 = 4294967291 : u32
  %2 = mul %0.lane, %1 : u32
  %3 = 3 : u32
  %4 = lt %0.lane, %3 : bool
  if %4 {
    %5 = mul_hi %2, %1 : u32
    store y[%0.lane] = %5
    %6 = bitcast %2 : i32
    %7 = bitcast %0.lane : i32
    %8 = mul_hi %6, %7 : i32
    store z[%0.lane] = %8
  }
}
";

    #[test]
    fn the_high_words_stay_the_same() {
        let kernel = parse(KERNEL).unwrap();
        let wide = widened(&kernel).unwrap();
        verify::verify(&wide).unwrap();
        assert!(!print(&wide).contains("mul_hi"));
        let run = |k: &Kernel| {
            let mut memory = vec![vec![0u8; 16], vec![0u8; 16]];
            emulate::run(k, &mut memory, &Bindings::new(), emulate::Options::default()).unwrap();
            memory
        };
        assert_eq!(run(&wide), run(&kernel));
        // (2^32 - 5)^2 and, of 2 (2^32 - 5), the signed product with 2.
        let words =
            |b: &[u8]| b.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect::<Vec<_>>();
        assert_eq!(words(&run(&wide)[0]), [0, 4294967286, 4294967281, 0]);
        assert_eq!(words(&run(&wide)[1]), [0, u32::MAX, u32::MAX, 0]);
        assert!(widened(&wide).is_none());
    }
}
