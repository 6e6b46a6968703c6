//! What is written after `--arg` and `--const`: arrays by how they are made, numbers, text.

use crate::output::Done;
use girih::Tensor;
use girih_base::{DType, Diag, Result};
use girih_graph::Number;
use girih_graph::eval::Array;

/// Most elements of an array that is made here; larger ones come from files.
const MOST: usize = 1 << 28;

/// The forms, for help and errors.
pub const FORMS: &str = "npy:FILE, zeros:f32[4,128], ones:.., empty:.. (not to be read before it is written), \
                         full:f32[4]:1.5, arange:i32[8], random:f32[4,128] or random:f32[4,128]:SEED, 128, 1e-5, true, \
                         none, type:f16, text";

/// One argument of a kernel.
#[derive(Clone, Debug, PartialEq)]
pub enum Given {
    /// An array.
    Array(Elements),
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
    /// A truth value.
    Bool(bool),
    /// An element type.
    Type(DType),
    /// `None`, or a null pointer.
    Nothing,
    /// Anything else.
    Text(String),
}

/// An array, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Elements {
    /// Element type.
    pub dtype: DType,
    /// Extents.
    pub shape: Vec<usize>,
    /// Encoded elements; none where nothing is there before the kernel writes.
    pub bytes: Option<Vec<u8>>,
}

impl Elements {
    /// Bytes of all elements.
    pub fn size(&self) -> usize {
        self.dtype.bytes_for(self.shape.iter().product::<usize>() as u64) as usize
    }

    /// `f32[4, 128]`.
    pub fn ty(&self) -> String {
        let axes: Vec<String> = self.shape.iter().map(ToString::to_string).collect();
        format!("{}[{}]", self.dtype, axes.join(", "))
    }
}

/// `NAME=VALUE` of the command line.
///
/// # Errors
/// `C005` for what has no such form, `T030` and `T033` for files.
pub fn parse(text: &str) -> Result<(String, Given)> {
    let (name, value) = text
        .split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .ok_or_else(|| wrong(text, "is not NAME=VALUE").help(format!("values are {FORMS}")))?;
    Ok((name.to_string(), self::value(value)?))
}

fn value(text: &str) -> Result<Given> {
    if let Some((form, rest)) = text.split_once(':') {
        match form {
            "npy" => return npy(rest).map(Given::Array),
            "type" => return dtype(rest).map(Given::Type),
            "zeros" | "ones" | "empty" | "full" | "arange" | "random" => return made(form, rest).map(Given::Array),
            _ => {}
        }
    }
    Ok(match text {
        "true" | "True" => Given::Bool(true),
        "false" | "False" => Given::Bool(false),
        "none" | "None" | "null" => Given::Nothing,
        _ => match (text.parse(), text.parse()) {
            (Ok(v), _) => Given::Int(v),
            (_, Ok(v)) => Given::Float(v),
            _ => Given::Text(text.to_string()),
        },
    })
}

/// An array of a file.
fn npy(path: &str) -> Result<Elements> {
    let data = girih::io::load_npy(path).and_then(|t: Tensor| t.data())?;
    Ok(Elements { dtype: data.dtype(), shape: data.shape().to_vec(), bytes: Some(data.bytes()?.to_vec()) })
}

/// An array by its rule: `f32[4,128]`, and what follows another colon.
fn made(form: &str, text: &str) -> Result<Elements> {
    let (ty, rest) = text.split_once(':').map_or((text, None), |(ty, rest)| (ty, Some(rest)));
    let (dtype, shape) = array_type(ty)?;
    let number = |text: &str| match (text.parse::<i64>(), text.parse::<f64>()) {
        (Ok(v), _) => Ok(Number::Int(v as i128)),
        (_, Ok(v)) => Ok(Number::Float(v.to_bits())),
        _ => Err(wrong(text, "is not a number")),
    };
    let n = shape.iter().product::<usize>();
    let array = match (form, rest) {
        ("empty", None) => return Ok(Elements { dtype, shape, bytes: None }),
        ("zeros", None) => Array::splat(dtype, &shape, Number::Int(0)),
        ("ones", None) => Array::splat(dtype, &shape, Number::Int(1)),
        ("full", Some(v)) => Array::splat(dtype, &shape, number(v)?),
        ("full", None) => return Err(wrong(text, "says nothing to fill it with").help("write full:f32[4]:1.5")),
        ("arange", None) => Array::from_ints(dtype, &shape, (0..n).map(|i| i as i128)),
        ("random", seed) => {
            let seed = seed.map_or(Ok(0), |s| s.parse().map_err(|_| wrong(s, "is not a seed")))?;
            Array::random(dtype, &shape, seed)
        }
        (form, Some(rest)) => return Err(wrong(rest, &format!("has no meaning for `{form}`"))),
        (form, None) => return Err(wrong(form, "is no rule for arrays").help(format!("values are {FORMS}"))),
    };
    Ok(Elements { dtype, shape, bytes: Some(array.encode()) })
}

/// `f32[4,128]`.
fn array_type(text: &str) -> Result<(DType, Vec<usize>)> {
    let parts = text.split_once('[').and_then(|(d, axes)| Some((d, axes.strip_suffix(']')?)));
    let (name, axes) = parts.ok_or_else(|| wrong(text, "is not a type such as f32[4,128]"))?;
    let dtype = dtype(name)?;
    let axes = axes.split(',').map(str::trim).filter(|a| !a.is_empty());
    let shape: Option<Vec<usize>> = axes.map(|a| a.parse().ok()).collect();
    let shape = shape.ok_or_else(|| wrong(text, "is not a type such as f32[4,128]"))?;
    let n = shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d)).filter(|n| *n <= MOST);
    match n {
        Some(0) => Err(wrong(text, "has no elements")),
        Some(_) => Ok((dtype, shape)),
        None => Err(wrong(text, &format!("has more than {MOST} elements")).help("larger arrays come from .npy files")),
    }
}

/// An element type, also as Triton spells it.
pub fn dtype(text: &str) -> Result<DType> {
    let long = [("fp", "f"), ("float", "f"), ("uint", "u"), ("int", "i"), ("bfloat16", "bf16"), ("i1", "bool")];
    let name = match long.iter().find_map(|(long, short)| Some((*short, text.strip_prefix(long)?))) {
        Some((short, rest)) => format!("{short}{rest}"),
        None => text.to_string(),
    };
    let found = DType::from_name(text).or_else(|| DType::from_name(&name));
    found.filter(|d| d.bits() >= 8).ok_or_else(|| {
        let known: Vec<&str> = DType::ALL.iter().filter(|d| d.bits() >= 8).map(|d| d.name()).collect();
        wrong(text, "is not an element type").help(format!("known: {}", known.join(", ")))
    })
}

/// Extents along x, y, z: `4`, `4,2`, `4,2,1`.
///
/// # Errors
/// `C005` for anything else.
pub fn extents(text: &str) -> Result<[u32; 3]> {
    let parts: Option<Vec<u32>> = text.split(',').map(|p| p.trim().parse().ok()).collect();
    match parts.as_deref() {
        Some([x]) => Ok([*x, 1, 1]),
        Some([x, y]) => Ok([*x, *y, 1]),
        Some([x, y, z]) => Ok([*x, *y, *z]),
        _ => Err(wrong(text, "is not one to three extents").help("write X or X,Y or X,Y,Z")),
    }
}

/// `NAME=FILE` of `--out`.
pub fn file(text: &str) -> Done<(String, String)> {
    match text.split_once('=') {
        Some((name, path)) if !name.is_empty() && !path.is_empty() => Ok((name.into(), path.into())),
        _ => Err(wrong(text, "is not NAME=FILE").help("write y=out.npy").into()),
    }
}

fn wrong(text: &str, why: &str) -> Box<Diag> {
    Diag::error("C005", format!("`{text}` {why}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn floats(text: &str) -> Vec<f64> {
        match value(text).unwrap() {
            Given::Array(e) => {
                girih_base::codec::decode_floats(e.dtype, &e.bytes.unwrap(), e.shape.iter().product()).unwrap()
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn arrays_are_made_by_rule() {
        assert_eq!(floats("zeros:f32[2,2]"), [0.0; 4]);
        assert_eq!(floats("full:fp16[3]:1.5"), [1.5; 3]);
        assert_eq!(floats("arange:bfloat16[3]"), [0.0, 1.0, 2.0]);
        assert_eq!(floats("random:f32[50]"), floats("random:float32[50]:0"));
        assert_ne!(floats("random:f32[50]"), floats("random:f32[50]:1"));
    }

    #[test]
    fn values_are_numbers_before_they_are_text() {
        let one = |t: &str| value(t).unwrap();
        assert_eq!([one("3"), one("-2"), one("1e-5")], [Given::Int(3), Given::Int(-2), Given::Float(1e-5)]);
        assert_eq!(
            [one("true"), one("none"), one("ieee")],
            [Given::Bool(true), Given::Nothing, Given::Text("ieee".into())]
        );
        assert_eq!(one("type:int32"), Given::Type(DType::I32));
    }

    #[test]
    fn anything_else_is_refused() {
        let bad = [
            "x",
            "=3",
            "x=zeros:f32",
            "x=zeros:g32[4]",
            "x=full:f32[4]",
            "x=full:f32[4]:a",
            "x=arange:i32[-1]",
            "x=zeros:f32[0]",
        ];
        for text in bad.into_iter().chain(["x=zeros:f32[99999,99999]", "x=zeros:f32[4]:1", "x=random:f32[4]:a"]) {
            assert_eq!(parse(text).unwrap_err().code, "C005", "{text}");
        }
        assert_eq!(parse("x=npy:none.npy").unwrap_err().code, "T030");
        for text in ["", "1,2,3,4", "-1", "a"] {
            assert_eq!(extents(text).unwrap_err().code, "C005", "{text}");
        }
    }
}
