//! Fixing what a kernel is given at launch, and the order of its buffers.

use crate::ir::{Kernel, Stmt};
use crate::op::{Op, Space};
use girih_base::{Bindings, Literal, launch};
use std::sync::Arc;

/// The kernel with every uniform replaced by its value, and the number of workgroups that follows: it needs no values at launch.
///
/// # Errors
/// As [`launch::words`]: the uniform that has no value, or a value that does not fit its words.
pub fn bind(kernel: &Kernel, bindings: &Bindings) -> Result<Kernel, (Arc<str>, Option<i64>)> {
    let words = launch::words(&kernel.uniforms, bindings)?;
    let mut kernel = Kernel { uniforms: Vec::new(), groups: kernel.groups.substitute(bindings), ..kernel.clone() };
    statements(&mut kernel.body, &words);
    Ok(kernel)
}

fn statements(body: &mut [Stmt], words: &[u32]) {
    for s in body {
        if let Op::Uniform(i) = s.op {
            s.op = Op::Const(Literal::Int(i64::from(words[i as usize])));
        }
        s.op.blocks_mut().into_iter().for_each(|b| statements(b, words));
    }
}

/// The kernel with its buffers in another order: buffer `order[i]` becomes buffer `i`. `order` names each buffer once.
pub fn reorder_buffers(kernel: &Kernel, order: &[usize]) -> Kernel {
    let mut kernel = kernel.clone();
    kernel.buffers = order.iter().filter_map(|i| kernel.buffers.get(*i).cloned()).collect();
    let place = |old: u32| order.iter().position(|i| *i == old as usize).map_or(old, |new| new as u32);
    spaces(&mut kernel.body, &place);
    kernel
}

fn spaces(body: &mut [Stmt], place: &dyn Fn(u32) -> u32) {
    for s in body {
        if let Some(Space::Buffer(i)) = s.op.space_mut() {
            *i = place(*i);
        }
        s.op.blocks_mut().into_iter().for_each(|b| spaces(b, place));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use crate::{parse, print};

    #[test]
    fn buffers_change_places() {
        let text = |first: &str, second: &str| {
            format!(
                "kernel @copy workgroup [4, 1, 1] groups 1 {{\n  buffer {first}\n  buffer {second}\n  %0 = local_index : u32
  %1 = load x[%0] : u32\n  store y[%0] = %1\n}}\n"
            )
        };
        let (x, y) = ("x: u32 read", "y: u32 written");
        assert_eq!(print(&reorder_buffers(&parse(&text(y, x)).unwrap(), &[1, 0])), text(x, y));
    }

    #[test]
    fn uniforms_become_constants() {
        let text = "sym n 1..64
kernel @fill workgroup [4, 1, 1] groups n {
  uniform n
  buffer y: u32 written
  %0.i = local_index : u32
  %1 = uniform n : u32
  store y[%0.i] = %1
}
";
        let kernel = parse(text).unwrap();
        let bound = bind(&kernel, &Bindings::from([("n".into(), 7)])).unwrap();
        let want = text
            .replace("groups n", "groups 7")
            .replace("  uniform n\n", "")
            .replace("sym n 1..64\n", "")
            .replace("uniform n :", "7 :");
        assert_eq!(print(&bound), want);
        assert_eq!(bind(&kernel, &Bindings::new()), Err(("n".into(), None)));
    }
}
