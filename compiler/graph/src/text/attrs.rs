//! Attributes of operations as data, so that one printer and one parser serve every kind.
//!
//! A kind lists its attributes with one line in its own file, `attrs!(Slice "slice" { start, limit, stride })`, and
//! each attribute's type says once how it looks ([`Field`]).

use crate::graph::Graph;
use crate::literal::{Literal, Number};
use crate::ops::{Attr, Callee};
use crate::ty::TensorTy;
use girih_base::{DType, Dim, Symbol};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The value of an attribute.
#[derive(Clone, Debug)]
pub enum Item {
    /// `-3`; also any [`Dim`] without symbols.
    Int(i128),
    /// `0.5`, `-inf`.
    Float(f64),
    /// `2*n+1`.
    Dim(Dim),
    /// `sum`, `f32`, `true`; also a [`Dim`] that is one symbol, when read.
    Word(String),
    /// `"text"`.
    Text(Arc<str>),
    /// `0x00ff`.
    Bytes(Arc<[u8]>),
    /// `f32[n, 4]`.
    Type(TensorTy),
    /// `[1, 2]`.
    List(Vec<Item>),
    /// `size(n)`: a variant and what it holds.
    Call(&'static str, Vec<Item>),
    /// `@body`.
    Body(Arc<Graph>),
    /// `@callee`.
    Callee(Arc<Callee>),
}

/// The attributes of one operation: what was printed, or is to be.
pub struct Fields<'a> {
    /// Names and values, in the order of the kind's struct.
    pub list: Vec<(String, Item)>,
    /// The node's type where it is an attribute too (`const`, `iota`).
    pub ty: Option<TensorTy>,
    /// The symbols that sizes may use.
    pub symbols: &'a Symbols,
}

impl Fields<'_> {
    /// Removes and reads the attribute of that name.
    pub fn take<T: Field>(&mut self, name: &str) -> Result<T, String> {
        let at = self.list.iter().position(|(n, _)| n == name).ok_or_else(|| format!("`{name}` is missing"))?;
        let (_, item) = self.list.remove(at);
        T::read(item, self.symbols).map_err(|e| format!("`{name}`: {e}"))
    }
}

/// Symbols by name.
pub type Symbols = BTreeMap<Arc<str>, Symbol>;

/// A kind whose attributes are known by name.
pub trait Attrs: Sized {
    /// Name of the kind in the text form.
    const NAME: &'static str;
    /// The attributes, in order.
    fn attrs(&self) -> Vec<(&'static str, Item)>;
    /// The kind with these attributes; each that is understood is taken.
    fn read(fields: &mut Fields) -> Result<Self, String>;
}

/// A type of attribute.
pub trait Field: Sized {
    /// As data.
    fn item(&self) -> Item;
    /// From data, or what was expected.
    fn read(item: Item, symbols: &Symbols) -> Result<Self, String>;
}

macro_rules! attrs {
    ($ty:ident $name:literal { $($field:ident),* }) => {
        impl $crate::text::attrs::Attrs for $ty {
            const NAME: &'static str = $name;
            fn attrs(&self) -> Vec<(&'static str, $crate::text::attrs::Item)> {
                vec![$((stringify!($field), $crate::text::attrs::Field::item(&self.$field))),*]
            }
            fn read(_fields: &mut $crate::text::attrs::Fields) -> Result<$ty, String> {
                Ok($ty { $($field: _fields.take(stringify!($field))?),* })
            }
        }
    };
}
/// A fieldless enum as words.
macro_rules! words {
    ($ty:ident { $($variant:ident $word:literal),* }) => {
        impl $crate::text::attrs::Field for $ty {
            fn item(&self) -> $crate::text::attrs::Item {
                $crate::text::attrs::Item::Word(match self { $($ty::$variant => $word),* }.into())
            }
            fn read(item: $crate::text::attrs::Item, _: &$crate::text::attrs::Symbols) -> Result<$ty, String> {
                match item {
                    $($crate::text::attrs::Item::Word(w) if w == $word => Ok($ty::$variant),)*
                    _ => Err(concat!("expected one of", $(" ", $word),*).into()),
                }
            }
        }
    };
}
pub(crate) use {attrs, words};

fn int(item: Item, what: &str) -> Result<i128, String> {
    match item {
        Item::Int(i) => Ok(i),
        _ => Err(format!("expected {what}")),
    }
}

/// Integer attributes are small, so that no arithmetic on them overflows.
const MAX_INT: i128 = 1 << 31;

impl Field for i64 {
    fn item(&self) -> Item {
        Item::Int(*self as i128)
    }
    fn read(item: Item, _: &Symbols) -> Result<i64, String> {
        match int(item, "an integer")? {
            i if i.abs() <= MAX_INT => Ok(i as i64),
            i => Err(format!("{i} is too large")),
        }
    }
}

impl Field for usize {
    fn item(&self) -> Item {
        Item::Int(*self as i128)
    }
    fn read(item: Item, _: &Symbols) -> Result<usize, String> {
        match int(item, "a number")? {
            i if (0..=MAX_INT).contains(&i) => Ok(i as usize),
            i => Err(format!("{i} is out of range")),
        }
    }
}

impl Field for bool {
    fn item(&self) -> Item {
        Item::Word(self.to_string())
    }
    fn read(item: Item, _: &Symbols) -> Result<bool, String> {
        match item {
            Item::Word(w) if w == "true" => Ok(true),
            Item::Word(w) if w == "false" => Ok(false),
            _ => Err("expected true or false".into()),
        }
    }
}

impl Field for Dim {
    fn item(&self) -> Item {
        match self.as_const() {
            Some(c) => Item::Int(c as i128),
            None => Item::Dim(self.clone()),
        }
    }
    fn read(item: Item, symbols: &Symbols) -> Result<Dim, String> {
        match item {
            Item::Int(i) => i64::try_from(i).map(Dim::from).map_err(|_| format!("{i} is too large for a size")),
            Item::Dim(d) => Ok(d),
            Item::Word(w) => match symbols.get(w.as_str()) {
                Some(s) => Ok(s.clone().into()),
                None => Err(format!("no symbol `{w}` was declared")),
            },
            _ => Err("expected a size".into()),
        }
    }
}

impl Field for DType {
    fn item(&self) -> Item {
        Item::Word(self.name().into())
    }
    fn read(item: Item, _: &Symbols) -> Result<DType, String> {
        match &item {
            Item::Word(w) => DType::from_name(w).ok_or_else(|| format!("no dtype `{w}`")),
            _ => Err("expected a dtype".into()),
        }
    }
}

impl Field for Number {
    fn item(&self) -> Item {
        match self {
            Number::Int(i) => Item::Int(*i),
            Number::Float(bits) => Item::Float(f64::from_bits(*bits)),
        }
    }
    fn read(item: Item, _: &Symbols) -> Result<Number, String> {
        match item {
            Item::Int(i) => Ok(Number::Int(i)),
            Item::Float(f) => Ok(f.into()),
            _ => Err("expected a number".into()),
        }
    }
}

impl Field for TensorTy {
    fn item(&self) -> Item {
        Item::Type(self.clone())
    }
    fn read(item: Item, _: &Symbols) -> Result<TensorTy, String> {
        match item {
            Item::Type(t) => Ok(t),
            _ => Err("expected a tensor type".into()),
        }
    }
}

impl Field for Arc<str> {
    fn item(&self) -> Item {
        Item::Text(self.clone())
    }
    fn read(item: Item, _: &Symbols) -> Result<Arc<str>, String> {
        match item {
            Item::Text(t) => Ok(t),
            _ => Err("expected a text in quotes".into()),
        }
    }
}

impl Field for Arc<Graph> {
    fn item(&self) -> Item {
        Item::Body(self.clone())
    }
    fn read(item: Item, _: &Symbols) -> Result<Arc<Graph>, String> {
        match item {
            Item::Body(b) => Ok(b),
            _ => Err("expected the @label of a graph".into()),
        }
    }
}

impl Field for Arc<Callee> {
    fn item(&self) -> Item {
        Item::Callee(self.clone())
    }
    fn read(item: Item, _: &Symbols) -> Result<Arc<Callee>, String> {
        match item {
            Item::Callee(c) => Ok(c),
            _ => Err("expected the @label of a callee".into()),
        }
    }
}

impl<T: Field> Field for Vec<T> {
    fn item(&self) -> Item {
        Item::List(self.iter().map(Field::item).collect())
    }
    fn read(item: Item, symbols: &Symbols) -> Result<Vec<T>, String> {
        match item {
            Item::List(items) => items.into_iter().map(|i| T::read(i, symbols)).collect(),
            _ => Err("expected a list".into()),
        }
    }
}

impl<T: Field> Field for (T, T) {
    fn item(&self) -> Item {
        Item::List(vec![self.0.item(), self.1.item()])
    }
    fn read(item: Item, symbols: &Symbols) -> Result<(T, T), String> {
        let two: Vec<T> = Field::read(item, symbols)?;
        let [a, b]: [T; 2] = two.try_into().map_err(|_| "expected a pair")?;
        Ok((a, b))
    }
}

/// The one value inside `name(..)`.
fn inside<T: Field>(mut items: Vec<Item>, symbols: &Symbols) -> Result<T, String> {
    match (items.pop(), items.is_empty()) {
        (Some(item), true) => T::read(item, symbols),
        _ => Err("expected one value in the parentheses".into()),
    }
}

impl Field for Literal {
    fn item(&self) -> Item {
        match self {
            Literal::Splat(n) => n.item(),
            Literal::Dim(d) => Item::Call("size", vec![d.item()]),
            Literal::Dense(bytes) => Item::Bytes(bytes.clone()),
        }
    }
    fn read(item: Item, symbols: &Symbols) -> Result<Literal, String> {
        match item {
            Item::Bytes(b) => Ok(Literal::Dense(b)),
            Item::Call("size", items) => Ok(Literal::Dim(inside(items, symbols)?)),
            other => Ok(Literal::Splat(Number::read(other, symbols)?)),
        }
    }
}

impl Field for Attr {
    fn item(&self) -> Item {
        match self {
            Attr::Number(n) => Item::Call("number", vec![n.item()]),
            Attr::Dim(d) => Item::Call("size", vec![d.item()]),
            Attr::Ints(list) => Item::List(list.iter().map(|i| Item::Int(*i as i128)).collect()),
            Attr::DType(d) => d.item(),
            Attr::Str(s) => s.item(),
        }
    }
    fn read(item: Item, symbols: &Symbols) -> Result<Attr, String> {
        Ok(match item {
            Item::Call("number", items) => Attr::Number(inside(items, symbols)?),
            Item::Call("size", items) => Attr::Dim(inside(items, symbols)?),
            Item::List(items) => {
                let ints = items.into_iter().map(|i| int(i, "an integer"));
                let ints = ints.map(|i| i64::try_from(i?).map_err(|_| "an integer is too large".to_string()));
                Attr::Ints(ints.collect::<Result<_, _>>()?)
            }
            Item::Text(t) => Attr::Str(t),
            word => Attr::DType(DType::read(word, symbols)?),
        })
    }
}
