//! What prints and assertions of a kernel report: see [`girih_base::debug`].

use crate::ir::{Block, Kernel, Stmt, ValueId};
use crate::op::Op;
use girih_base::debug::{ASSERTIONS, DebugInfo, Instances, Site};
use girih_base::{DType, Dim};

/// The text of a print's lines with two keys before it: the number of the print in its program instance, and the element's
/// row-major position.
pub fn ordered(text: &str) -> String {
    format!("{{#}}{{#}}{text}")
}

/// How an element reaches the host: types of at most 32 bits without arithmetic of their own in a wider one.
pub fn stored(dtype: DType) -> DType {
    match dtype {
        DType::Bool => DType::Bool,
        d if d.bits() == 64 => d,
        d if d.is_float() => DType::F32,
        d if d.is_signed() => DType::I32,
        _ => DType::U32,
    }
}

/// The sites of a kernel, one for each print and assertion in the order of the statements; nothing for a kernel that has none.
/// An assertion's word follows those of the assertions before it.
pub fn sites(kernel: &Kernel) -> Option<DebugInfo> {
    let (mut sites, mut assertions) = (Vec::new(), 0);
    each(&kernel.body, &mut |s| match &s.op {
        Op::Print(text, args) => {
            let ty = |v: &ValueId| &kernel.values[v.0 as usize].ty;
            let scalar = |v: &ValueId| (stored(ty(v).dtype), 1);
            let mut types = vec![(DType::U32, 1); 2];
            if let Some((last, scalars)) = args.split_last() {
                types.extend(scalars.iter().map(scalar));
                types.extend(ty(last).shape.iter().map(|_| (DType::U32, 1)));
                types.push(scalar(last));
            }
            sites.push(Site::new(ordered(text).into(), types, None, &s.loc));
        }
        Op::Assert(_, text) => {
            sites.push(Site::new(text.clone(), Vec::new(), Some(ASSERTIONS + assertions), &s.loc));
            assertions += 1;
        }
        _ => {}
    });
    (!sites.is_empty()).then(|| DebugInfo { sites, instances: instances(kernel) })
}

/// Program instances: the last axis of the grid is the fastest, and is named first.
pub fn instances(kernel: &Kernel) -> Instances {
    Instances::Programs(kernel.grid.iter().rev().map(Dim::clone).collect())
}

fn each(block: &Block, f: &mut dyn FnMut(&Stmt)) {
    for s in &block.stmts {
        f(s);
        s.op.blocks().into_iter().for_each(|b| each(b, f));
    }
}
