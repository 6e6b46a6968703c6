//! The tensor directory and how elements are stored.

use crate::cursor::Cursor;
use girih_base::quant::QuantFormat;
use girih_base::{DType, Diag, Result};
use std::collections::BTreeMap;
use std::ops::Range;

/// How the elements of a tensor are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Storage {
    /// One element after the other.
    Plain(DType),
    /// Blocks of a quantised format along the last axis.
    Quant(QuantFormat),
}

/// One tensor of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    /// Name, unique in the file.
    pub name: String,
    /// Element type.
    pub storage: Storage,
    /// Extents, slowest axis first (GGUF writes them the other way round). The last one is whole blocks.
    pub shape: Vec<usize>,
    /// Where the elements lie in the file.
    pub range: Range<usize>,
}

impl Storage {
    /// The row of the type numbered `id` in ggml.h; the error is the name of a type that is known but not supported.
    pub fn from_ggml_type(id: u32) -> Result<Storage, Option<&'static str>> {
        match id {
            0 => Ok(Storage::Plain(DType::F32)),
            1 => Ok(Storage::Plain(DType::F16)),
            30 => Ok(Storage::Plain(DType::Bf16)),
            _ => QuantFormat::from_ggml_type(id)
                .map(Storage::Quant)
                .ok_or_else(|| UNSUPPORTED.iter().find(|(n, _)| *n == id).map(|(_, name)| *name)),
        }
    }

    /// Name of the dtype or format, in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Storage::Plain(dtype) => dtype.name(),
            Storage::Quant(format) => format.name(),
        }
    }

    /// Elements of a block; 1 when not quantised.
    pub fn block_elements(self) -> usize {
        match self {
            Storage::Plain(_) => 1,
            Storage::Quant(format) => format.block_elements(),
        }
    }

    /// Bytes of a block.
    pub fn block_bytes(self) -> usize {
        match self {
            Storage::Plain(dtype) => dtype.bits() as usize / 8,
            Storage::Quant(format) => format.block_bytes(),
        }
    }
}

const UNSUPPORTED: &[(u32, &str)] = &[
    (4, "Q4_2 (removed from ggml)"),
    (5, "Q4_3 (removed from ggml)"),
    (9, "Q8_1"),
    (10, "Q2_K"),
    (11, "Q3_K"),
    (15, "Q8_K"),
    (16, "IQ2_XXS"),
    (17, "IQ2_XS"),
    (18, "IQ3_XXS"),
    (19, "IQ1_S"),
    (20, "IQ4_NL"),
    (21, "IQ3_S"),
    (22, "IQ2_S"),
    (23, "IQ4_XS"),
    (24, "I8"),
    (25, "I16"),
    (26, "I32"),
    (27, "I64"),
    (28, "F64"),
    (29, "IQ1_M"),
    (31, "Q4_0_4_4 (removed from ggml)"),
    (32, "Q4_0_4_8 (removed from ggml)"),
    (33, "Q4_0_8_8 (removed from ggml)"),
    (34, "TQ1_0"),
    (35, "TQ2_0"),
    (39, "MXFP4"),
];

/// Most axes a ggml tensor has.
const MAX_RANK: u32 = 4;

/// Reads `count` directory entries and checks their data ranges against a file of `file_len` bytes.
pub(crate) fn directory(
    cursor: &mut Cursor<'_>,
    count: usize,
    alignment: usize,
    file_len: usize,
) -> Result<(Vec<TensorInfo>, BTreeMap<String, usize>)> {
    let mut tensors: Vec<TensorInfo> = Vec::new();
    let mut by_name = BTreeMap::new();
    for i in 0..count {
        let at = cursor.at();
        let (info, size) = entry(cursor, i, alignment)
            .map_err(|e| e.note(format!("entry {i} of the tensor directory starts at byte {at}")))?;
        if by_name.insert(info.name.clone(), i).is_some() {
            return Err(Diag::error("M006", format!("two tensors are named `{}`", info.name))
                .note(format!("the second is entry {i} of the tensor directory, at byte {at}"))
                .help("the file was written by a faulty converter; convert the model again"));
        }
        // Until the directory's end is known, ranges count from the start of the data.
        tensors.push(TensorInfo { range: info.range.start..info.range.start + size, ..info });
    }
    let start = cursor.at().next_multiple_of(alignment);
    for t in &mut tensors {
        let range = t.range.start.checked_add(start).zip(t.range.end.checked_add(start));
        let Some((from, to)) = range.filter(|(_, to)| *to <= file_len) else {
            return Err(Diag::error("M009", format!("the data of tensor `{}` lies outside the file", t.name))
                .note(format!("it takes {} bytes at {start} + {}", t.range.len(), t.range.start))
                .note(format!("the file has {file_len} bytes"))
                .help("the file is truncated or damaged; download it again and compare its size"));
        };
        t.range = from..to;
    }
    no_overlap(&tensors)?;
    Ok((tensors, by_name))
}

/// One entry, its range starting at the offset it gives, and the bytes its elements take.
fn entry(cursor: &mut Cursor<'_>, index: usize, alignment: usize) -> Result<(TensorInfo, usize)> {
    let name = cursor.str(&format!("the name of tensor {index}"))?.to_string();
    let what = |field: &str| format!("the {field} of tensor `{name}`");
    let rank = cursor.u32(&what("rank"))?;
    if rank > MAX_RANK {
        return Err(Diag::error("M007", format!("tensor `{name}` has {rank} axes"))
            .help(format!("ggml tensors have at most {MAX_RANK}; the file is damaged")));
    }
    let mut shape = Vec::new();
    for _ in 0..rank {
        shape.push(cursor.u64(&what("shape"))?);
    }
    shape.reverse();
    let id = cursor.u32(&what("type"))?;
    let offset = cursor.u64(&what("offset"))?;
    let storage = Storage::from_ggml_type(id).map_err(|known| {
        let what = known.map_or(format!("unknown type {id}"), |n| format!("type {n}, which is not supported"));
        Diag::error("M008", format!("tensor `{name}` has {what}"))
            .note("supported: F32 F16 BF16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q4_K Q5_K Q6_K")
            .help("quantise the model again with one of these, for example `llama-quantize in.gguf out.gguf Q4_K_M`")
    })?;
    let (shape, size) = size(&shape, storage).map_err(|why| {
        Diag::error("M007", format!("tensor `{name}` of type {} and shape {shape:?}: {why}", storage.name()))
            .help("the file is damaged or was written by a faulty converter")
    })?;
    let start = usize::try_from(offset).ok().filter(|o| o.checked_add(size).is_some()).ok_or_else(|| {
        Diag::error("M009", format!("the data of tensor `{name}` lies outside the file"))
            .note(format!("it takes {size} bytes at data offset {offset}"))
            .help("the file is damaged; download it again and compare its size")
    })?;
    if start % alignment != 0 {
        return Err(Diag::error("M009", format!("the data of tensor `{name}` is not aligned"))
            .note(format!("its offset {start} is not a multiple of the file's alignment {alignment}"))
            .help("the file is damaged or was written by a faulty converter"));
    }
    Ok((TensorInfo { name, storage, shape, range: start..start }, size))
}

/// The shape in host integers and the bytes of its elements, or why there is no such tensor.
fn size(shape: &[u64], storage: Storage) -> Result<(Vec<usize>, usize), String> {
    let mut dims = Vec::new();
    for d in shape {
        dims.push(
            usize::try_from(*d)
                .ok()
                .filter(|d| *d > 0 && *d <= i64::MAX as usize)
                .ok_or("an extent is 0 or too large")?,
        );
    }
    let row = dims.last().copied().unwrap_or(1);
    if row % storage.block_elements() != 0 {
        return Err(format!("rows of {row} elements are not whole blocks of {}", storage.block_elements()));
    }
    let elements = dims.iter().try_fold(1usize, |n, d| n.checked_mul(*d)).ok_or("the number of elements overflows")?;
    let bytes = (elements / storage.block_elements())
        .checked_mul(storage.block_bytes())
        .ok_or("the number of bytes overflows")?;
    Ok((dims, bytes))
}

fn no_overlap(tensors: &[TensorInfo]) -> Result<()> {
    let mut order: Vec<&TensorInfo> = tensors.iter().collect();
    order.sort_by_key(|t| (t.range.start, t.range.end));
    match order.windows(2).find(|w| w[0].range.end > w[1].range.start) {
        None => Ok(()),
        Some(w) => Err(Diag::error("M009", format!("tensors `{}` and `{}` overlap", w[0].name, w[1].name))
            .note(format!("`{}` lies at bytes {:?}, `{}` at {:?}", w[0].name, w[0].range, w[1].name, w[1].range))
            .help("the file is damaged or was written by a faulty converter")),
    }
}
