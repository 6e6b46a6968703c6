//! NumPy's .npy: a magic, a version, a Python dictionary as text, then the elements.
//! Format: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>, versions 1 to 3.

use super::{read, write};
use crate::data::Data;
use crate::tensor::Tensor;
use girih_base::{DType, Diag, Loc, Result};
use std::path::Path;

const MAGIC: &[u8] = b"\x93NUMPY";

/// Codes of little-endian dtypes; those of one byte are written with `|`.
const CODES: &[(&str, DType)] = &[
    ("b1", DType::Bool),
    ("i1", DType::I8),
    ("u1", DType::U8),
    ("i2", DType::I16),
    ("u2", DType::U16),
    ("i4", DType::I32),
    ("u4", DType::U32),
    ("i8", DType::I64),
    ("u8", DType::U64),
    ("f2", DType::F16),
    ("f4", DType::F32),
    ("f8", DType::F64),
];

/// The tensor of a file.
pub fn load_npy(path: impl AsRef<Path>) -> Result<Tensor> {
    let path = path.as_ref();
    parse_npy(&read(path)?).map_err(|why| why.note(format!("in `{}`", path.display())))
}

/// The tensor of the bytes of a file. Arrays in Fortran order and big-endian ones are put in order.
#[track_caller]
pub fn parse_npy(bytes: &[u8]) -> Result<Tensor> {
    let (header, body) = split(bytes)?;
    let code = value(header, "descr").and_then(quoted).ok_or_else(|| broken("the header has no `descr`"))?;
    let fortran = match value(header, "fortran_order") {
        Some(v) if v.starts_with("True") => true,
        Some(v) if v.starts_with("False") => false,
        _ => return Err(broken("the header has no `fortran_order`")),
    };
    let shape = value(header, "shape").and_then(shape).ok_or_else(|| broken("the header has no `shape`"))?;
    let (order, name) = code.split_at_checked(1).ok_or_else(|| broken("an empty dtype"))?;
    let dtype = CODES.iter().find(|(c, _)| *c == name).map(|(_, d)| *d).filter(|_| "<>|=".contains(order));
    let dtype = dtype.ok_or_else(|| {
        Diag::error("T033", format!("the dtype `{code}` is not supported")).help("save it as a plain number type")
    })?;
    let swapped: Vec<u8>;
    let body = match order {
        ">" => {
            let size = (dtype.bits() / 8) as usize;
            swapped = body.chunks(size).flat_map(|c| c.iter().rev().copied()).collect();
            &swapped[..]
        }
        _ => body,
    };
    let loc = Loc::caller();
    if !fortran || shape.len() < 2 {
        return Ok(Tensor::known(Data::new(dtype, shape, body)?, loc));
    }
    // Fortran order is row-major order of the transpose.
    let transposed = Data::new(dtype, shape.iter().rev().copied().collect(), body)?;
    let axes: Vec<usize> = (0..shape.len()).rev().collect();
    Ok(Tensor::known(transposed, loc).permute(axes))
}

/// Writes a tensor as version 1, little-endian, in row-major order.
pub fn save_npy(tensor: &Tensor, path: impl AsRef<Path>) -> Result<()> {
    let data = tensor.data()?;
    let elements = data.bytes()?;
    let code = CODES.iter().find(|(_, d)| *d == data.dtype()).map(|(c, _)| *c).ok_or_else(|| {
        Diag::error("T033", format!("NumPy has no dtype {}", data.dtype())).help("cast it before saving")
    })?;
    let order = if data.dtype().bits() == 8 { '|' } else { '<' };
    let axes: String = data.shape().iter().map(|d| format!("{d}, ")).collect();
    let axes = if data.shape().len() == 1 { axes.trim_end() } else { axes.trim_end_matches(", ") };
    let mut header = format!("{{'descr': '{order}{code}', 'fortran_order': False, 'shape': ({axes}), }}");
    // The elements start at a multiple of 64.
    let start = (MAGIC.len() + 4 + header.len() + 1).next_multiple_of(64);
    header.push_str(&" ".repeat(start - MAGIC.len() - 4 - header.len() - 1));
    header.push('\n');
    let length = u16::try_from(header.len()).map_err(|_| broken("too many axes"))?;
    write(path.as_ref(), |out| {
        out.write_all(MAGIC)?;
        out.write_all(&[1, 0])?;
        out.write_all(&length.to_le_bytes())?;
        out.write_all(header.as_bytes())?;
        out.write_all(elements)
    })
}

fn broken(why: &str) -> Box<Diag> {
    Diag::error("T033", format!("not an .npy file, or a broken one: {why}"))
}

/// The header's text and the elements.
fn split(bytes: &[u8]) -> Result<(&str, &[u8])> {
    let rest = bytes.strip_prefix(MAGIC).ok_or_else(|| broken("it does not start with NumPy's magic"))?;
    let short = || broken("it ends inside the header");
    let (length, rest) = match *rest.first_chunk::<2>().ok_or_else(short)? {
        [1, _] => {
            let (n, rest) = rest[2..].split_first_chunk::<2>().ok_or_else(short)?;
            (usize::from(u16::from_le_bytes(*n)), rest)
        }
        [2 | 3, _] => {
            let (n, rest) = rest[2..].split_first_chunk::<4>().ok_or_else(short)?;
            (usize::try_from(u32::from_le_bytes(*n)).unwrap_or(usize::MAX), rest)
        }
        [major, minor] => return Err(broken(&format!("its version is {major}.{minor}, known are 1 to 3"))),
    };
    let (header, body) = rest.split_at_checked(length).ok_or_else(short)?;
    let header = std::str::from_utf8(header).map_err(|_| broken("the header is not text"))?;
    Ok((header, body))
}

/// What follows `'key':` in the header.
fn value<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let at = [format!("'{key}'"), format!("\"{key}\"")].iter().find_map(|k| header.find(k).map(|at| at + k.len()))?;
    Some(header[at..].trim_start().strip_prefix(':')?.trim_start())
}

fn quoted(text: &str) -> Option<&str> {
    let quote = text.chars().next().filter(|c| *c == '\'' || *c == '"')?;
    text[1..].split_once(quote).map(|(inside, _)| inside)
}

fn shape(text: &str) -> Option<Vec<usize>> {
    let (inside, _) = text.strip_prefix('(')?.split_once(')')?;
    let parts = inside.split(',').map(str::trim);
    parts.filter(|p| !p.is_empty()).map(|p| p.trim_end_matches('L').parse().ok()).collect()
}
