//! safetensors: a JSON header of names, dtypes, shapes and offsets, then the elements.
//! Format: <https://github.com/huggingface/safetensors#format>; parsed by its own crate, which checks all of them.

use super::{file_error, read, write};
use crate::data::Data;
use crate::tensor::Tensor;
use crate::tree::{self, Tree};
use girih_base::{DType, Diag, Loc, Result};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::collections::BTreeMap;
use std::path::Path;

const DTYPES: &[(Dtype, DType)] = &[
    (Dtype::BOOL, DType::Bool),
    (Dtype::U8, DType::U8),
    (Dtype::I8, DType::I8),
    (Dtype::U16, DType::U16),
    (Dtype::I16, DType::I16),
    (Dtype::U32, DType::U32),
    (Dtype::I32, DType::I32),
    (Dtype::U64, DType::U64),
    (Dtype::I64, DType::I64),
    (Dtype::F8_E4M3, DType::F8E4M3Fn),
    (Dtype::F8_E5M2, DType::F8E5M2),
    (Dtype::F8_E8M0, DType::F8E8M0),
    (Dtype::F4, DType::F4E2M1),
    (Dtype::F16, DType::F16),
    (Dtype::BF16, DType::Bf16),
    (Dtype::F32, DType::F32),
    (Dtype::F64, DType::F64),
];

/// Every tensor of a file, by name.
pub fn load(path: impl AsRef<Path>) -> Result<BTreeMap<String, Tensor>> {
    let path = path.as_ref();
    parse(&read(path)?).map_err(|why| why.note(format!("in `{}`", path.display())))
}

/// Every tensor of the bytes of a file, by name.
#[track_caller]
pub fn parse(bytes: &[u8]) -> Result<BTreeMap<String, Tensor>> {
    let loc = Loc::caller();
    let file = SafeTensors::deserialize(bytes).map_err(|why| {
        Diag::error("T031", format!("not a safetensors file, or a broken one: {why}"))
            .help("download it again, or check that it is not a pointer to a file kept elsewhere")
    })?;
    let mut out = BTreeMap::new();
    for (name, view) in file.iter() {
        let dtype = DTYPES.iter().find(|(theirs, _)| *theirs == view.dtype()).map(|(_, ours)| *ours);
        let dtype = dtype.ok_or_else(|| {
            Diag::error("T031", format!("`{name}` has the dtype {:?}, which is not supported", view.dtype()))
        })?;
        let data = Data::new(dtype, view.shape().to_vec(), view.data())?;
        out.insert(name.to_string(), Tensor::known(data, loc.clone()).named(name));
    }
    Ok(out)
}

/// The tree with every tensor read from a file, by its path. Refuses a file that lacks one, or has it with another dtype
/// or shape; tensors of the file that the tree lacks are ignored.
pub fn load_into<T: Tree>(like: &T, path: impl AsRef<Path>) -> Result<T> {
    let path = path.as_ref();
    let file = load(path)?;
    let mut found = Vec::new();
    for (name, want) in tree::leaves(like) {
        let got = file.get(&name).ok_or_else(|| {
            Diag::error("T032", format!("`{}` has no tensor `{name}`", path.display()))
                .note(format!("it has {} tensors", file.len()))
        })?;
        if got.ty() != want.ty() {
            return Err(Diag::error("T032", format!("`{name}` does not fit: {} in the file", got.describe()))
                .note(format!("the tree has {}", want.describe()))
                .note(format!("the file is `{}`", path.display())));
        }
        found.push(got.clone());
    }
    tree::unflatten(like, &found)
}

/// Writes every tensor of a tree under its path.
pub fn save<T: Tree>(tree: &T, path: impl AsRef<Path>) -> Result<()> {
    let path = path.as_ref();
    tree::eval(tree)?;
    let mut entries = Vec::new();
    for (name, tensor) in tree::leaves(tree) {
        let data = tensor.data()?;
        let theirs = DTYPES.iter().find(|(_, ours)| *ours == data.dtype()).map(|(theirs, _)| *theirs);
        let theirs = theirs.ok_or_else(|| {
            Diag::error("T031", format!("safetensors has no dtype {}, which `{name}` is of", data.dtype()))
                .help("cast it before saving")
        })?;
        entries.push((name, theirs, data));
    }
    let mut views = Vec::new();
    for (name, dtype, data) in &entries {
        let view = TensorView::new(*dtype, data.shape().to_vec(), data.bytes()?)
            .map_err(|why| Diag::error("T031", format!("`{name}` cannot be saved: {why}")))?;
        views.push((name.as_str(), view));
    }
    let bytes = safetensors::serialize(views, None)
        .map_err(|why| file_error("write", path, &std::io::Error::other(why.to_string())))?;
    write(path, |out| out.write_all(&bytes))
}
