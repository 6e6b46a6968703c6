//! Values of the evaluator: arrays of exact numbers, and tuples of them.

use crate::literal::Number;
use crate::ty::TensorTy;
use girih_base::codec::{self, Scalar};
use girih_base::scalar::IntType;
use girih_base::{DType, Diag, Result};
use std::sync::Arc;

/// Elements of an array, row-major.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// Elements of float types, at f64 precision.
    Floats(Vec<f64>),
    /// Elements of integer types and bool (0, 1). A u64 is kept by its bits; [`Array::int`] gives its value.
    Ints(Vec<i64>),
}

/// A tensor with known extents.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Element type.
    pub dtype: DType,
    /// Extent of each axis.
    pub shape: Vec<usize>,
    /// As many elements as the extents multiply to; floats for float types, ints for all others.
    pub data: Data,
}

/// What a node evaluates to. Cheap to clone.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// One tensor.
    Array(Arc<Array>),
    /// Several values.
    Tuple(Vec<Value>),
}

impl Array {
    /// An array from f64 elements, not rounded: floats are kept as they are, integers are truncated and wrapped.
    pub fn from_f64(dtype: DType, shape: &[usize], elements: impl IntoIterator<Item = f64>) -> Array {
        let data = match IntType::of(dtype) {
            None => Data::Floats(elements.into_iter().collect()),
            Some(t) => Data::Ints(elements.into_iter().map(|v| t.wrap(v as i128) as i64).collect()),
        };
        Array { dtype, shape: shape.to_vec(), data }
    }

    /// An array from integers: wrapped at integer types, converted at float types (not rounded to the dtype).
    pub fn from_ints(dtype: DType, shape: &[usize], elements: impl IntoIterator<Item = i128>) -> Array {
        let data = match IntType::of(dtype) {
            None => Data::Floats(elements.into_iter().map(|v| v as f64).collect()),
            Some(t) => Data::Ints(elements.into_iter().map(|v| t.wrap(v) as i64).collect()),
        };
        Array { dtype, shape: shape.to_vec(), data }
    }

    /// An f32 array.
    pub fn f32(shape: &[usize], elements: &[f32]) -> Array {
        Array::from_f64(DType::F32, shape, elements.iter().map(|v| *v as f64))
    }

    /// An array that repeats one number, rounded or wrapped to the dtype.
    pub fn splat(dtype: DType, shape: &[usize], value: Number) -> Array {
        Array::repeat(dtype, shape, codec::cast(value.into(), dtype))
    }

    /// An array that repeats one element, which is taken as it is.
    pub(crate) fn repeat(dtype: DType, shape: &[usize], element: Scalar) -> Array {
        let n = shape.iter().product();
        let data = match dtype.is_float() {
            true => Data::Floats(vec![element.as_f64(); n]),
            false => Data::Ints(vec![element.as_int() as i64; n]),
        };
        Array { dtype, shape: shape.to_vec(), data }
    }

    /// An array from encoded elements: row-major, little-endian, sub-byte types packed.
    pub fn decode(dtype: DType, shape: &[usize], bytes: &[u8]) -> Result<Array> {
        let n: usize = shape.iter().product();
        if bytes.len() as u64 != dtype.bytes_for(n as u64) {
            return Err(Diag::error("G205", format!("{} bytes for {n} elements of {dtype}", bytes.len())));
        }
        let data = match dtype {
            // The two that whole models come in, without a detour.
            DType::F32 => {
                let (words, _) = bytes.as_chunks::<4>();
                Data::Floats(words.iter().map(|w| f32::from_le_bytes(*w) as f64).collect())
            }
            DType::U8 => Data::Ints(bytes.iter().map(|b| *b as i64).collect()),
            _ => {
                let mut data = Data::empty(dtype);
                codec::codes(dtype, bytes).take(n).for_each(|c| data.push(dtype, codec::decode(c, dtype)));
                data
            }
        };
        Ok(Array { dtype, shape: shape.to_vec(), data })
    }

    /// The elements as the dtype is stored, floats rounded to nearest even.
    pub fn encode(&self) -> Vec<u8> {
        match &self.data {
            Data::Floats(v) => codec::encode_floats(self.dtype, v),
            Data::Ints(_) => {
                codec::encode_slice(self.dtype, &(0..self.len()).map(|i| self.elem(i)).collect::<Vec<_>>())
            }
        }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The f64 elements; an error for integer types.
    pub fn floats(&self) -> Result<&[f64]> {
        match &self.data {
            Data::Floats(v) => Ok(v),
            Data::Ints(_) => Err(Diag::error("G205", format!("expected floats, got {}", self.dtype))),
        }
    }

    /// Element `i` in row-major order as f64.
    pub fn f64(&self, i: usize) -> f64 {
        match &self.data {
            Data::Floats(v) => v[i],
            Data::Ints(_) => self.int(i) as f64,
        }
    }

    /// Element `i` in row-major order as an integer; floats are truncated.
    pub fn int(&self, i: usize) -> i128 {
        match &self.data {
            Data::Floats(v) => v[i] as i128,
            Data::Ints(v) => widen(self.dtype, v[i]),
        }
    }

    /// Element `i` in row-major order.
    pub fn elem(&self, i: usize) -> Scalar {
        match &self.data {
            Data::Floats(v) => Scalar::Float(v[i]),
            Data::Ints(v) => Scalar::Int(widen(self.dtype, v[i])),
        }
    }

    /// Every element as f64.
    pub fn to_f64(&self) -> Vec<f64> {
        (0..self.len()).map(|i| self.f64(i)).collect()
    }

    /// The same array with floats rounded to the dtype.
    pub fn rounded(mut self) -> Array {
        match (&mut self.data, self.dtype) {
            (Data::Ints(_), _) | (_, DType::F64) => {}
            (Data::Floats(v), DType::F32) => v.iter_mut().for_each(|x| *x = *x as f32 as f64),
            (Data::Floats(v), dtype) => {
                v.iter_mut().for_each(|x| *x = codec::cast(Scalar::Float(*x), dtype).as_f64());
            }
        }
        self
    }

    /// The type, with constant extents.
    pub fn ty(&self) -> TensorTy {
        TensorTy::new(self.dtype, self.shape.iter().copied())
    }
}

impl Data {
    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            Data::Floats(v) => v.len(),
            Data::Ints(v) => v.len(),
        }
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// No elements yet, of the kind that the dtype has.
    pub(crate) fn empty(dtype: DType) -> Data {
        if dtype.is_float() { Data::Floats(Vec::new()) } else { Data::Ints(Vec::new()) }
    }

    /// Appends an element, wrapped at an integer dtype.
    pub(crate) fn push(&mut self, dtype: DType, elem: Scalar) {
        match (self, IntType::of(dtype)) {
            (Data::Floats(v), _) => v.push(elem.as_f64()),
            (Data::Ints(v), Some(t)) => v.push(t.wrap(elem.as_int()) as i64),
            (Data::Ints(_), None) => debug_assert!(false, "an integer element of {dtype}"),
        }
    }

    /// The elements at these positions.
    pub(crate) fn pick(&self, positions: impl Iterator<Item = usize>) -> Data {
        match self {
            Data::Floats(v) => Data::Floats(positions.map(|i| v[i]).collect()),
            Data::Ints(v) => Data::Ints(positions.map(|i| v[i]).collect()),
        }
    }

    /// Copies all elements of `from`, which holds the same kind of numbers, to these positions.
    pub(crate) fn place(&mut self, from: &Data, at: impl Iterator<Item = usize>) {
        match (self, from) {
            (Data::Floats(d), Data::Floats(s)) => at.zip(s).for_each(|(i, x)| d[i] = *x),
            (Data::Ints(d), Data::Ints(s)) => at.zip(s).for_each(|(i, x)| d[i] = *x),
            _ => debug_assert!(false, "floats and ints mixed"),
        }
    }

    /// Copies one element of `from`, which holds the same kind of numbers.
    pub(crate) fn put(&mut self, at: usize, from: &Data, i: usize) {
        match (self, from) {
            (Data::Floats(d), Data::Floats(s)) => d[at] = s[i],
            (Data::Ints(d), Data::Ints(s)) => d[at] = s[i],
            _ => debug_assert!(false, "floats and ints mixed"),
        }
    }
}

/// The value of a stored integer: a u64 is stored by its bits.
pub(crate) fn widen(dtype: DType, stored: i64) -> i128 {
    if dtype == DType::U64 { stored as u64 as i128 } else { stored as i128 }
}

impl Value {
    /// The array, when this is one.
    pub fn array(&self) -> Result<&Array> {
        match self {
            Value::Array(a) => Ok(a),
            Value::Tuple(_) => Err(Diag::error("G205", "expected one array, got a tuple")),
        }
    }
}

impl From<Array> for Value {
    fn from(a: Array) -> Value {
        Value::Array(Arc::new(a))
    }
}
