//! Typed metadata: the key-value pairs of a GGUF file.
//!
//! Scalars are decoded when the file is opened. Arrays stay where they are: their bytes are checked once and decoded
//! when asked for, so that a vocabulary of a million strings costs nothing until a tokenizer wants it.

use crate::cursor::Cursor;
use crate::file::Bytes;
use girih_base::{Diag, Result};
use std::collections::BTreeMap;
use std::ops::Range;

/// A metadata value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Any unsigned integer type.
    Unsigned(u64),
    /// Any signed integer type.
    Signed(i64),
    /// f32 (exact) or f64.
    Float(f64),
    /// A truth value.
    Bool(bool),
    /// Text.
    Str(String),
    /// An array, still encoded.
    Array(Array),
}

/// An array as it lies in the file; its elements were checked when the file was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Array {
    element: u32,
    count: usize,
    range: Range<usize>,
}

/// The metadata of a file, by key.
#[derive(Clone, Debug)]
pub struct Meta {
    bytes: Bytes,
    entries: BTreeMap<String, Value>,
}

const STRING: u32 = 8;
const ARRAY: u32 = 9;
/// Names of the type numbers 0..=12.
const NAMES: [&str; 13] =
    ["u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "string", "array", "u64", "i64", "f64"];
/// Bytes of the scalar types; 0 for those of variable size.
const SIZES: [usize; 13] = [1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8];
/// Arrays of arrays deeper than this are refused; real files have none at all.
const MAX_DEPTH: usize = 4;

impl Meta {
    pub(crate) fn parse(cursor: &mut Cursor<'_>, bytes: Bytes, count: usize) -> Result<Meta> {
        let mut entries = BTreeMap::new();
        for i in 0..count {
            let at = cursor.at();
            let key = cursor.str(&format!("the key of metadata entry {i}"))?.to_string();
            let ty = cursor.u32(&format!("the type of `{key}`"))?;
            let value = value(cursor, &bytes, ty, &key)?;
            if entries.contains_key(&key) {
                return Err(Diag::error("M006", format!("metadata key `{key}` occurs twice"))
                    .note(format!("the second is entry {i}, at byte {at}"))
                    .help("the file was written by a faulty converter; convert the model again"));
            }
            entries.insert(key, value);
        }
        Ok(Meta { bytes, entries })
    }

    /// Every key with its value, in key order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.entries.iter().map(|(k, v)| (k.as_str(), v))
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.entries.get(key)
    }

    /// A non-negative integer; an error when it is missing or something else.
    pub fn uint(&self, key: &str) -> Result<u64> {
        self.uint_opt(key)?.ok_or_else(|| self.missing(key, "an unsigned integer"))
    }

    /// A non-negative integer if the key exists; an error when it is something else.
    pub fn uint_opt(&self, key: &str) -> Result<Option<u64>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Unsigned(v)) => Ok(Some(*v)),
            Some(Value::Signed(v)) if *v >= 0 => Ok(Some(*v as u64)),
            Some(v) => Err(mistyped(key, v, "an unsigned integer")),
        }
    }

    /// A float if the key exists; an error when it is something else.
    pub fn float_opt(&self, key: &str) -> Result<Option<f64>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Float(v)) => Ok(Some(*v)),
            Some(v) => Err(mistyped(key, v, "a float")),
        }
    }

    /// A float; an error when it is missing or something else.
    pub fn float(&self, key: &str) -> Result<f64> {
        self.float_opt(key)?.ok_or_else(|| self.missing(key, "a float"))
    }

    /// A truth value if the key exists; an error when it is something else.
    pub fn bool_opt(&self, key: &str) -> Result<Option<bool>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Bool(v)) => Ok(Some(*v)),
            Some(v) => Err(mistyped(key, v, "a truth value")),
        }
    }

    /// Text if the key exists; an error when it is something else.
    pub fn str_opt(&self, key: &str) -> Result<Option<&str>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Str(v)) => Ok(Some(v)),
            Some(v) => Err(mistyped(key, v, "text")),
        }
    }

    /// Text; an error when it is missing or something else.
    pub fn str(&self, key: &str) -> Result<&str> {
        self.str_opt(key)?.ok_or_else(|| self.missing(key, "text"))
    }

    /// The strings of an array, borrowed from the file; an error when missing or of another type.
    pub fn strings(&self, key: &str) -> Result<Vec<&str>> {
        let array = self.array(key, "an array of strings", |t| t == STRING)?;
        let mut cursor = Cursor::new(&self.bytes, array.range.start);
        (0..array.count).map(|i| cursor.str(&format!("string {i} of `{key}`"))).collect()
    }

    /// The integers of an array; an error when missing or of another type.
    pub fn ints(&self, key: &str) -> Result<Vec<i64>> {
        let array = self.array(key, "an array of integers", |t| matches!(t, 0..=5 | 7 | 10 | 11))?;
        Ok(self.scalars(array, |v| match v {
            Value::Unsigned(v) => v.min(i64::MAX as u64) as i64,
            Value::Signed(v) => v,
            Value::Bool(b) => b as i64,
            _ => 0,
        }))
    }

    /// The floats of an array; an error when missing or of another type.
    pub fn floats(&self, key: &str) -> Result<Vec<f64>> {
        let array = self.array(key, "an array of floats", |t| matches!(t, 6 | 12))?;
        Ok(self.scalars(array, |v| if let Value::Float(v) = v { v } else { 0.0 }))
    }

    /// Bytes that tensor data is aligned to: a power of two, 32 unless the file says otherwise.
    pub fn alignment(&self) -> Result<usize> {
        let key = "general.alignment";
        let value = self.uint_opt(key)?.unwrap_or(32);
        // A page of the largest kind in use is ample; more would let a hostile file overflow sums of offsets.
        match usize::try_from(value).ok().filter(|v| v.is_power_of_two() && *v <= 1 << 21) {
            Some(v) => Ok(v),
            None => Err(Diag::error("M005", format!("`{key}` is {value}"))
                .help("the alignment is a power of two up to 2 MiB; the file is damaged")),
        }
    }

    fn array(&self, key: &str, want: &str, fits: impl Fn(u32) -> bool) -> Result<&Array> {
        match self.get(key) {
            Some(Value::Array(a)) if fits(a.element) => Ok(a),
            Some(v) => Err(mistyped(key, v, want)),
            None => Err(self.missing(key, want)),
        }
    }

    fn scalars<T>(&self, array: &Array, f: impl Fn(Value) -> T) -> Vec<T> {
        let size = SIZES[array.element as usize].max(1);
        self.bytes[array.range.clone()].chunks_exact(size).map(|c| f(scalar(array.element, c))).collect()
    }

    fn missing(&self, key: &str, want: &str) -> Box<Diag> {
        let prefix = key.split('.').next().unwrap_or(key);
        let near: Vec<&str> =
            self.entries.keys().map(String::as_str).filter(|k| k.starts_with(prefix)).take(12).collect();
        let diag = Diag::error("M010", format!("metadata key `{key}` is missing ({want})"));
        let diag = if near.is_empty() { diag } else { diag.note(format!("keys like it: {}", near.join(", "))) };
        diag.help("the file is incomplete; convert the model again with a current converter")
    }
}

fn mistyped(key: &str, value: &Value, want: &str) -> Box<Diag> {
    let got = match value {
        Value::Unsigned(v) => format!("the integer {v}"),
        Value::Signed(v) => format!("the integer {v}"),
        Value::Float(v) => format!("the float {v}"),
        Value::Bool(v) => format!("the truth value {v}"),
        Value::Str(_) => "text".into(),
        Value::Array(a) => format!("an array of {} {}", a.count, NAMES[a.element as usize]),
    };
    Diag::error("M010", format!("metadata key `{key}` must be {want}, but is {got}"))
        .help("the file was written by a faulty converter; convert the model again")
}

fn value(cursor: &mut Cursor<'_>, bytes: &[u8], ty: u32, key: &str) -> Result<Value> {
    let what = format!("the value of `{key}`");
    match ty {
        STRING => Ok(Value::Str(cursor.str(&what)?.to_string())),
        ARRAY => array(cursor, bytes, key, 1).map(Value::Array),
        _ => {
            let size = scalar_size(ty, cursor, key)?;
            let range = cursor.skip(size as u64, &what)?;
            check_bool(ty, &bytes[range.clone()], range.start, key)?;
            Ok(scalar(ty, &bytes[range]))
        }
    }
}

fn array(cursor: &mut Cursor<'_>, bytes: &[u8], key: &str, depth: usize) -> Result<Array> {
    let what = format!("the array `{key}`");
    if depth > MAX_DEPTH {
        return Err(Diag::error("M005", format!("`{key}` nests arrays deeper than {MAX_DEPTH}"))
            .note(format!("at byte {}", cursor.at()))
            .help("no known converter writes such a file; it is damaged or hostile"));
    }
    let element = cursor.u32(&what)?;
    let (least, fixed) = match element {
        STRING => (8, false),
        ARRAY => (12, false),
        _ => (scalar_size(element, cursor, key)?, true),
    };
    let count = cursor.count(least, &format!("the length of {what}"))?;
    let start = cursor.at();
    if fixed {
        let range = cursor.skip((count * least) as u64, &what)?;
        check_bool(element, &bytes[range], start, key)?;
    } else {
        for _ in 0..count {
            if element == STRING {
                cursor.str(&what)?;
            } else {
                array(cursor, bytes, key, depth + 1)?;
            }
        }
    }
    Ok(Array { element, count, range: start..cursor.at() })
}

fn scalar_size(ty: u32, cursor: &Cursor<'_>, key: &str) -> Result<usize> {
    match SIZES.get(ty as usize) {
        Some(n) if *n > 0 => Ok(*n),
        _ => Err(Diag::error("M005", format!("`{key}` has the unknown value type {ty}"))
            .note(format!("at byte {}; types 0 to 12 exist", cursor.at().saturating_sub(4)))
            .help("the file is damaged or newer than this program")),
    }
}

fn check_bool(ty: u32, bytes: &[u8], start: usize, key: &str) -> Result<()> {
    match bytes.iter().position(|b| *b > 1) {
        Some(i) if NAMES[ty as usize] == "bool" => {
            Err(Diag::error("M005", format!("`{key}` holds {} where a truth value must be 0 or 1", bytes[i]))
                .note(format!("at byte {}", start + i))
                .help("the file is damaged"))
        }
        _ => Ok(()),
    }
}

/// Decodes a scalar of type `ty` from exactly its bytes.
fn scalar(ty: u32, b: &[u8]) -> Value {
    let mut wide = [0u8; 8];
    wide[..b.len().min(8)].copy_from_slice(&b[..b.len().min(8)]);
    let raw = u64::from_le_bytes(wide);
    match NAMES[ty as usize] {
        "i8" => Value::Signed(raw as u8 as i8 as i64),
        "i16" => Value::Signed(raw as u16 as i16 as i64),
        "i32" => Value::Signed(raw as u32 as i32 as i64),
        "i64" => Value::Signed(raw as i64),
        "f32" => Value::Float(f32::from_bits(raw as u32) as f64),
        "f64" => Value::Float(f64::from_bits(raw)),
        "bool" => Value::Bool(raw != 0),
        _ => Value::Unsigned(raw),
    }
}
