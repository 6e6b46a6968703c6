//! Block pointers and tensor descriptors.

use super::Args;
use crate::eval::Eval;
use crate::value::{BlockPointer, Pointer, Tensor, Value, describe_type};
use girih_base::{AtomicOp, Result, ScalarOp};
use std::rc::Rc;

/// Integer scalars of a tuple.
fn scalars(e: &mut Eval, a: &Args, name: &str) -> Result<Vec<Tensor>> {
    let list = match a.get(name) {
        Value::Tuple(list) => list.to_vec(),
        v => vec![v],
    };
    let mut out = Vec::new();
    for v in &list {
        let t = e.expect_tensor(v, &format!("`{name}`"))?;
        if !t.dtype.is_int() || t.shape.iter().any(|n| *n != 1) {
            let have = describe_type(t.dtype, &t.shape);
            return Err(e.error("K004", format!("`{name}` holds {have}, expected integer scalars"), "here"));
        }
        let t = e.reshape(&t, &[])?;
        out.push(t);
    }
    Ok(out)
}

pub(super) fn make_block_ptr(e: &mut Eval, a: &mut Args) -> Result<Value> {
    let base = a.pointer(e, "base")?;
    let (shape, strides, offsets) = (scalars(e, a, "shape")?, scalars(e, a, "strides")?, scalars(e, a, "offsets")?);
    let block = a.shape(e, "block_shape")?;
    new(e, base, shape, strides, offsets, block, false, false)
}

pub(super) fn make_tensor_descriptor(e: &mut Eval, a: &mut Args) -> Result<Value> {
    let base = a.pointer(e, "base")?;
    let (shape, strides) = (scalars(e, a, "shape")?, scalars(e, a, "strides")?);
    let block = a.shape(e, "block_shape")?;
    let zero = e.number(&Value::Int(0), girih_base::DType::I32)?;
    let offsets = vec![zero; block.len()];
    let nan = super::memory::padding(e, a)?;
    new(e, base, shape, strides, offsets, block, true, nan)
}

#[allow(clippy::too_many_arguments, reason = "the parts of a block pointer")]
fn new(
    e: &mut Eval,
    base: Pointer,
    shape: Vec<Tensor>,
    strides: Vec<Tensor>,
    offsets: Vec<Tensor>,
    block: Vec<u32>,
    descriptor: bool,
    nan: bool,
) -> Result<Value> {
    let n = block.len();
    if [shape.len(), strides.len(), offsets.len()].iter().any(|l| *l != n) {
        let list = [shape.len(), strides.len(), offsets.len(), n];
        return Err(e.error("K005", format!("shape, strides, offsets and block have {list:?} entries"), "here"));
    }
    if !base.offset.shape.is_empty() {
        return Err(e.error("K008", "the base of a block pointer is one address", "here"));
    }
    super::create::sized(e, &block)?;
    Ok(Value::BlockPointer(Rc::new(BlockPointer { base, shape, strides, offsets, block, descriptor, nan })))
}

pub(super) fn advance(e: &mut Eval, a: &mut Args) -> Result<Value> {
    let Value::BlockPointer(p) = a.get("base") else {
        return Err(e
            .error("K004", format!("`tl.advance` of {}", a.get("base")), "here")
            .help("it moves block pointers"));
    };
    let by = scalars(e, a, "offsets")?;
    if by.len() != p.offsets.len() {
        return Err(e.error("K005", format!("{} offsets for {} axes", by.len(), p.offsets.len()), "here"));
    }
    let mut offsets = Vec::new();
    for (o, d) in p.offsets.iter().zip(&by) {
        let (o, d) = (e.low_tensor(o)?, e.low_tensor(d)?);
        offsets.push(e.map(ScalarOp::Add, &[&o, &d])?);
    }
    Ok(Value::BlockPointer(Rc::new(BlockPointer { offsets, ..(*p).clone() })))
}

fn descriptor(e: &mut Eval, a: &Args, offsets: &str) -> Result<Rc<BlockPointer>> {
    let Value::BlockPointer(p) = a.get("desc") else {
        return Err(e.error("K004", format!("{} is not a tensor descriptor", a.get("desc")), "here"));
    };
    let at = scalars(e, a, offsets)?;
    if at.len() != p.block.len() {
        return Err(e.error("K005", format!("{} offsets for {} axes", at.len(), p.block.len()), "here"));
    }
    let mut moved = Vec::new();
    for t in &at {
        moved.push(e.low_tensor(t)?);
    }
    Ok(Rc::new(BlockPointer { offsets: moved, ..(*p).clone() }))
}

fn all(p: &BlockPointer) -> Vec<usize> {
    (0..p.block.len()).collect()
}

pub(super) fn descriptor_load(e: &mut Eval, a: &mut Args) -> Result<Value> {
    let p = descriptor(e, a, "offsets")?;
    e.load_block(&p, &all(&p), p.nan).map(Value::Tensor)
}

pub(super) fn descriptor_store(e: &mut Eval, a: &mut Args) -> Result<Value> {
    let p = descriptor(e, a, "offsets")?;
    e.store_block(&p, &a.get("value"), &all(&p))?;
    Ok(Value::None)
}

pub(super) fn descriptor_atomic_add(e: &mut Eval, a: &mut Args) -> Result<Value> {
    let p = descriptor(e, a, "offsets")?;
    let (pointer, mask) = e.window(&p, &all(&p))?;
    e.atomic(AtomicOp::Add, &pointer, &a.get("value"), mask)?;
    Ok(Value::None)
}
