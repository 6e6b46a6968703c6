//! The functions of the language, one row each: name, parameters, what runs, or why not.

mod blocks;
pub(crate) mod create;
pub(crate) mod debug;
pub(crate) mod math;
mod memory;
mod product;
mod random;
mod reduce;
mod rust;
mod shape;
mod sort;
mod table;

pub use table::markdown;

use crate::eval::Eval;
use crate::value::{Pointer, Tensor, Value};
use girih_base::{DType, Result, ScalarOp};
use std::collections::BTreeMap;

/// One function of the language.
pub(crate) struct Row {
    /// Its name, without `tl.`.
    pub name: &'static str,
    /// Parameters as in Python: `x` must be given, `x=` may be, `*x` takes the rest.
    pub params: &'static str,
    /// It is a method of tensors too.
    pub method: bool,
    pub how: How,
    /// For the documentation: what to know of it here.
    pub doc: &'static str,
}

/// What a function does.
#[derive(Clone, Copy)]
pub(crate) enum How {
    Run(fn(&mut Eval, &mut Args) -> Result<Value>),
    /// A row of the scalar-operation table on floats.
    Map(ScalarOp),
    /// Another name of a function.
    Same(&'static str),
    /// Not supported; what to do instead.
    Refused(&'static str),
}

/// The row of a name.
pub(crate) fn find(name: &str) -> Option<&'static Row> {
    table::ROWS.iter().find(|r| r.name == name)
}

/// The name that a mistyped one is closest to.
pub(crate) fn nearest(name: &str) -> Option<&'static str> {
    nearest_of(name, table::ROWS.iter().map(|r| r.name).chain(DTYPES.iter().map(|d| d.0)))
}

/// The known name that a mistyped one is closest to.
pub(crate) fn nearest_of<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let best = known.map(|n| (distance(name, n), n)).min()?;
    (best.0 <= 1 + name.len() / 4 && best.0 < name.len()).then_some(best.1)
}

/// Edits between two words.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = (above + 1).min(row[j] + 1).min(corner + usize::from(x != *y));
            corner = above;
        }
    }
    row[b.len()]
}

/// Element types by their names in the language.
const DTYPES: &[(&str, DType)] = &[
    ("int1", DType::Bool),
    ("int8", DType::I8),
    ("int16", DType::I16),
    ("int32", DType::I32),
    ("int64", DType::I64),
    ("uint8", DType::U8),
    ("uint16", DType::U16),
    ("uint32", DType::U32),
    ("uint64", DType::U64),
    ("float16", DType::F16),
    ("bfloat16", DType::Bf16),
    ("float32", DType::F32),
    ("float64", DType::F64),
    ("float8e4nv", DType::F8E4M3Fn),
    ("float8e5", DType::F8E5M2),
];

/// The element type of a name of the language.
pub(crate) fn dtype(name: &str) -> Option<DType> {
    DTYPES.iter().find(|d| d.0 == name).map(|d| d.1)
}

/// The arguments of a call, by parameter.
pub(crate) struct Args {
    pub row: &'static Row,
    values: BTreeMap<&'static str, Value>,
}

impl Args {
    /// Matches arguments with parameters.
    pub fn bind(e: &Eval, row: &'static Row, args: Vec<Value>, keywords: Vec<(String, Value)>) -> Result<Args> {
        let mut values = BTreeMap::new();
        let names: Vec<&'static str> = row.params.split(", ").filter(|p| !p.is_empty()).collect();
        let bare = |p: &'static str| p.trim_start_matches('*').trim_end_matches('=');
        let mut args = args.into_iter().peekable();
        for p in &names {
            if p.starts_with('*') {
                let rest: Vec<Value> = args.by_ref().collect();
                let rest = match &rest[..] {
                    [Value::Tuple(list)] => list.to_vec(),
                    _ => rest,
                };
                values.insert(bare(p), Value::tuple(rest));
            } else if let Some(v) = args.next() {
                values.insert(bare(p), v);
            }
        }
        if args.peek().is_some() {
            let most = names.len();
            return Err(e.error("K006", format!("`tl.{}` takes {most} arguments", row.name), "called with more"));
        }
        for (key, v) in keywords {
            let Some(p) = names.iter().find(|p| bare(p) == key) else {
                if key.starts_with('_') {
                    continue;
                }
                let takes = names.iter().map(|p| format!("`{}`", bare(p))).collect::<Vec<_>>().join(", ");
                return Err(e
                    .error("K006", format!("`tl.{}` has no parameter `{key}`", row.name), "called here")
                    .help(format!("it takes {takes}")));
            };
            let given = values.insert(bare(p), v);
            let empty = p.starts_with('*') && matches!(&given, Some(Value::Tuple(t)) if t.is_empty());
            if given.is_some() && !empty {
                return Err(e.error("K006", format!("`{key}` is given twice"), "called here"));
            }
        }
        for p in names.iter().filter(|p| !p.ends_with('=') && !p.starts_with('*')) {
            if !values.contains_key(bare(p)) {
                return Err(e.error(
                    "K006",
                    format!("argument `{}` of `tl.{}` is missing", bare(p), row.name),
                    "called here",
                ));
            }
        }
        Ok(Args { row, values })
    }

    /// An argument; `None` where it was not given.
    pub fn get(&self, name: &str) -> Value {
        self.values.get(name).cloned().unwrap_or(Value::None)
    }

    /// An argument that was given and is not `None`.
    pub fn some(&self, name: &str) -> Option<Value> {
        self.values.get(name).filter(|v| !matches!(v, Value::None)).cloned()
    }

    /// A tensor.
    pub fn tensor(&self, e: &mut Eval, name: &str) -> Result<Tensor> {
        let v = self.get(name);
        e.expect_tensor(&v, &format!("argument `{name}` of `tl.{}`", self.row.name))
    }

    /// A pointer.
    pub fn pointer(&self, e: &Eval, name: &str) -> Result<Pointer> {
        match self.get(name) {
            Value::Pointer(p) => Ok(p),
            other => Err(e
                .error("K008", format!("`tl.{}` takes a pointer, got {}", self.row.name, other.quoted()), "here")
                .note("an address that is loaded or computed from integers cannot be traced to a parameter")
                .help("pass the buffer as a parameter of its own and add offsets to it")),
        }
    }

    /// A constant integer.
    pub fn int(&self, e: &Eval, name: &str) -> Result<Option<i128>> {
        match self.some(name) {
            None => Ok(None),
            Some(v) => match v.as_int() {
                Some(i) => Ok(Some(i)),
                None if !v.is_const() => Err(e.not_constant(&format!("argument `{name}` of `tl.{}`", self.row.name))),
                None => Err(e.error(
                    "K006",
                    format!("argument `{name}` of `tl.{}` is {}, expected an integer", self.row.name, v.quoted()),
                    "here",
                )),
            },
        }
    }

    /// A constant truth value.
    pub fn flag(&self, e: &Eval, name: &str, default: bool) -> Result<bool> {
        match self.some(name) {
            None => Ok(default),
            Some(v) => v.truth().ok_or_else(|| e.not_constant(&format!("argument `{name}` of `tl.{}`", self.row.name))),
        }
    }

    /// An element type.
    pub fn dtype(&self, e: &Eval, name: &str) -> Result<Option<DType>> {
        match self.some(name) {
            None => Ok(None),
            Some(Value::Type(d)) => Ok(Some(d)),
            Some(v) => Err(e.error(
                "K006",
                format!("argument `{name}` of `tl.{}` is {}, expected a type", self.row.name, v.quoted()),
                "here",
            )),
        }
    }

    /// An axis of a tensor; negative ones count from the end.
    pub fn axis(&self, e: &Eval, name: &str, rank: usize) -> Result<Option<usize>> {
        let given = match self.some(name) {
            None => return Ok(None),
            Some(v) => v,
        };
        let wrong = |e: &Eval, why: String| {
            let call = self.row.name;
            let mut d = e.error("K006", format!("argument `{name}` of `tl.{call}` {why}"), "here");
            let elementwise = match call {
                "max" => Some("tl.maximum"),
                "min" => Some("tl.minimum"),
                _ => None,
            };
            if let Some(other) = elementwise {
                d = d
                    .note(format!("`tl.{call}` folds an axis away; its second argument is the axis"))
                    .help(format!("`{other}(a, b)` compares two values element by element"));
            }
            d
        };
        match &given {
            Value::Int(i) => {
                let at = if *i < 0 { i.saturating_add(rank as i128) } else { *i };
                match usize::try_from(at).ok().filter(|a| *a < rank) {
                    Some(a) => Ok(Some(a)),
                    None => Err(wrong(e, format!("is {i}, but the tensor has {rank} axes"))),
                }
            }
            v if !v.is_const() => Err(wrong(e, format!("is {v}, expected a constant integer: an axis"))),
            v => Err(wrong(e, format!("is {}, expected an integer: an axis", v.quoted()))),
        }
    }

    /// A shape.
    pub fn shape(&self, e: &Eval, name: &str) -> Result<Vec<u32>> {
        let v = self.get(name);
        let list = match &v {
            Value::Tuple(list) => list.to_vec(),
            v if v.as_int().is_some() => vec![v.clone()],
            v => {
                return Err(if v.is_const() {
                    e.error(
                        "K006",
                        format!("argument `{name}` of `tl.{}` is {}, expected a shape", self.row.name, v.quoted()),
                        "here",
                    )
                } else {
                    e.not_constant("a shape")
                });
            }
        };
        list.iter()
            .map(|v| match v.as_int() {
                Some(n) => match u32::try_from(n) {
                    Ok(n) if n > 0 && n.is_power_of_two() => Ok(n),
                    _ => Err(e
                        .error("K005", format!("an extent of {n} in a shape"), "here")
                        .note("extents are powers of two")
                        .help("round up with `triton.next_power_of_2` and mask the rest")),
                },
                None => Err(e.not_constant("an extent of a shape")),
            })
            .collect()
    }

    /// A constant list of integers; one alone is a list too.
    pub fn ints(&self, e: &Eval, name: &str) -> Result<Vec<i128>> {
        let list = match self.some(name) {
            None => return Ok(Vec::new()),
            Some(Value::Tuple(list)) => list.to_vec(),
            Some(v) => vec![v],
        };
        let wrong = |v: &Value| match v.is_const() {
            true => {
                let why = format!("argument `{name}` of `tl.{}` has {v}, expected integers", self.row.name);
                e.error("K006", why, "here")
            }
            false => e.not_constant(&format!("argument `{name}` of `tl.{}`", self.row.name)),
        };
        list.iter().map(|v| v.as_int().ok_or_else(|| wrong(v))).collect()
    }

    /// Text.
    pub fn text(&self, name: &str) -> Option<String> {
        match self.some(name) {
            Some(Value::Str(s)) => Some(s.to_string()),
            _ => None,
        }
    }
}
