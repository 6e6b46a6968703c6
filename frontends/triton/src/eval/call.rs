//! Calls: functions of the file are inlined, functions of the language run, Python's own are computed.

use super::stmt::Flow;
use super::{DEPTH, Eval, Frame};
use crate::builtins::{self, Args, How, Row};
use crate::globals::Function;
use crate::value::{RangeOf, Tensor, Value, type_name};
use girih_base::{DType, Result};
use ruff_python_ast::{Expr, ExprCall};
use ruff_text_size::{Ranged, TextRange};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

type Keywords = Vec<(String, Value)>;

impl Eval<'_> {
    pub fn call(&mut self, c: &ExprCall, span: TextRange) -> Result<Value> {
        let (object, member) = match &*c.func {
            Expr::Attribute(a) => (Some(self.expr(&a.value)?), a.attr.id.as_str()),
            _ => (None, ""),
        };
        let callee = match &object {
            None => Some(self.expr(&c.func)?),
            Some(Value::Type(_) | Value::PointerType(_) | Value::Str(_) | Value::Dict(_)) => None,
            Some(v) => {
                let v = v.clone();
                Some(self.at(c.func.range(), |e| e.attribute(&v, member))?)
            }
        };
        let mut args = Vec::new();
        for a in &c.arguments.args {
            match a {
                Expr::Starred(s) => match self.expr(&s.value)? {
                    Value::Tuple(v) => args.extend(v.iter().cloned()),
                    other => return Err(self.error("K004", format!("{other} cannot be unpacked"), "here")),
                },
                a => args.push(self.expr(a)?),
            }
        }
        let mut keywords = Vec::new();
        for k in &c.arguments.keywords {
            let v = self.expr(&k.value)?;
            match (&k.arg, v) {
                (Some(name), v) => keywords.push((name.id.to_string(), v)),
                (None, Value::Dict(pairs)) => keywords.extend(super::string_keys(&pairs)),
                (None, other) => return Err(self.error("K004", format!("{other} cannot be unpacked by `**`"), "here")),
            }
        }
        self.enter(span);
        match (callee, object) {
            (Some(f), _) => self.apply(&f, args, keywords),
            (None, Some(v)) => self.constant_method(&v, member, args),
            (None, None) => Ok(Value::None),
        }
    }

    /// Calls a value.
    pub fn apply(&mut self, f: &Value, mut args: Vec<Value>, keywords: Keywords) -> Result<Value> {
        match f {
            Value::Function(f) => self.user(&f.clone(), args, keywords),
            Value::Builtin(row) => self.builtin(row, args, keywords),
            Value::Method(v, row) => {
                args.insert(0, (**v).clone());
                self.builtin(row, args, keywords)
            }
            Value::Lambda(l) => {
                let l = l.clone();
                if l.params.len() != args.len() || !keywords.is_empty() {
                    let (want, have) = (l.params.len(), args.len() + keywords.len());
                    return Err(self.error("K006", format!("a lambda of {want} arguments gets {have}"), "called here"));
                }
                let mut vars = BTreeMap::new();
                for (p, v) in l.params.iter().zip(args) {
                    vars.insert(p.clone(), v);
                }
                let site = self.loc();
                self.push_frame(Frame { source: l.module.clone(), vars, site })?;
                let v = self.expr(&l.body);
                self.frames.pop();
                v
            }
            Value::Python(name) => self.python(name, args, keywords),
            Value::Type(d) => {
                let Some(v) = args.first() else { return Err(self.error("K006", "nothing to convert", "here")) };
                let t = self.convert(v, *d)?;
                Ok(Value::Tensor(t))
            }
            Value::Foreign(name) => {
                let e = self.error("K003", format!("`{name}` is not known here"), "called here");
                let last = name.rsplit('.').next().unwrap_or(name);
                Err(match builtins::find(last) {
                    Some(row) => e.help(format!("did you mean `tl.{}`?", row.name)),
                    None => e.help(
                        "kernels call `@triton.jit` functions and `triton.language`; what the host computes is passed as an argument",
                    ),
                })
            }
            other => Err(self.error("K004", format!("{other} cannot be called"), "called here")),
        }
    }

    fn push_frame(&mut self, frame: Frame) -> Result<()> {
        if self.frames.len() >= DEPTH {
            return Err(self
                .error("K013", "calls are nested too deeply", "called here")
                .help("kernels cannot recurse"));
        }
        self.frames.push(frame);
        Ok(())
    }

    /// Inlines a function of a file.
    fn user(&mut self, f: &Arc<Function>, args: Vec<Value>, keywords: Keywords) -> Result<Value> {
        let name = f.def.name.id.to_string();
        if !f.jit && !f.plain {
            return Err(self.error("K002", format!("`{name}` is not a `@triton.jit` function"), "called here"));
        }
        let site = self.loc();
        let source = self.source_of(f)?;
        let params = &f.def.parameters;
        let mut vars = BTreeMap::new();
        let mut args = args.into_iter();
        let declared: Vec<_> = params.posonlyargs.iter().chain(&params.args).collect();
        for (p, v) in declared.iter().zip(args.by_ref()) {
            vars.insert(p.parameter.name.id.to_string(), v);
        }
        let rest: Vec<Value> = args.collect();
        match &params.vararg {
            Some(p) => {
                vars.insert(p.name.id.to_string(), Value::tuple(rest));
            }
            None if !rest.is_empty() => {
                let count = match declared.len() {
                    1 => "1 argument".to_string(),
                    n => format!("{n} arguments"),
                };
                return Err(self.wrong_call(f, format!("`{name}` takes {count}"), "called with more"));
            }
            None => {}
        }
        for (key, v) in keywords {
            let known = params.iter_non_variadic_params().any(|p| p.parameter.name.id.as_str() == key);
            if !known {
                return Err(self.wrong_call(f, format!("`{name}` has no parameter `{key}`"), "called here"));
            }
            if vars.insert(key.clone(), v).is_some() {
                return Err(self.error("K006", format!("`{key}` is given twice"), "called here"));
            }
        }
        let here = self.here;
        for p in params.iter_non_variadic_params() {
            let key = p.parameter.name.id.to_string();
            if !vars.contains_key(&key) {
                let Some(default) = &p.default else {
                    return Err(self.wrong_call(f, format!("argument `{key}` of `{name}` is missing"), "called here"));
                };
                self.push_frame(Frame { source: source.clone(), vars: BTreeMap::new(), site: site.clone() })?;
                let v = self.expr(default);
                self.frames.pop();
                vars.insert(key.clone(), v?);
            }
            // `tl.constexpr` on a helper's parameter is no promise: Triton's own attention tutorial gives tensors for it.
        }
        self.here = here;
        self.push_frame(Frame { source, vars, site })?;
        let flow = self.body(&f.def.body, None);
        self.frames.pop();
        self.enter(here);
        Ok(match flow? {
            Flow::Return(v) => v,
            Flow::Next => Value::None,
        })
    }

    /// The error for a call that does not fit a function of a file.
    fn wrong_call(&self, f: &Function, what: String, label: &str) -> Box<girih_base::Diag> {
        let one = |p: &ruff_python_ast::ParameterWithDefault| {
            let name = p.parameter.name.id.as_str();
            if p.default.is_some() { format!("{name}=...") } else { name.to_string() }
        };
        let params: Vec<String> = f.def.parameters.iter_non_variadic_params().map(one).collect();
        self.error("K006", what, label).help(format!("it is `{}({})`", f.def.name.id, params.join(", ")))
    }

    fn source_of(&mut self, f: &Arc<Function>) -> Result<Arc<crate::module::Source>> {
        let own = self.frames.iter().rev().map(|f| &f.source).chain([&self.module.source]);
        if let Some(s) = own.into_iter().find(|s| s.file == f.file) {
            return Ok(s.clone());
        }
        match self.module.library.by_file(&f.file) {
            Some(s) => Ok(s),
            None => Err(self.error("K003", format!("the source of `{}` is not at hand", f.def.name.id), "called here")),
        }
    }

    /// Runs a function of the language.
    pub fn builtin(&mut self, row: &'static Row, args: Vec<Value>, keywords: Keywords) -> Result<Value> {
        match row.how {
            How::Refused(advice) => {
                let e = self.error("K010", format!("`tl.{}` is not supported", row.name), "used here");
                Err(e.help(advice))
            }
            How::Run(run) => {
                let mut bound = Args::bind(self, row, args, keywords)?;
                run(self, &mut bound)
            }
            How::Map(op) => {
                let bound = Args::bind(self, row, args, keywords)?;
                builtins::math::map(self, op, &bound)
            }
            How::Same(name) => match builtins::find(name) {
                Some(other) => self.builtin(other, args, keywords),
                None => Err(self.error("K003", format!("`tl.{name}` is not there"), "here")),
            },
        }
    }

    /// `value.name`.
    pub fn attribute(&mut self, v: &Value, name: &str) -> Result<Value> {
        let shape = |s: &[u32]| Value::tuple(s.iter().map(|n| Value::Int(*n as i128)).collect());
        let elements = |s: &[u32]| s.iter().map(|n| *n as i128).product::<i128>();
        let found = match (v, name) {
            (Value::Module(m), _) => return self.module_attribute(&m.clone(), name),
            (Value::Foreign(n), _) => Some(Value::Foreign(format!("{n}.{name}").as_str().into())),
            (Value::Tensor(t), "dtype") => Some(Value::Type(t.dtype)),
            (Value::Tensor(t), "type") => Some(Value::Type(t.dtype)),
            (Value::Tensor(t), "shape") => Some(shape(&t.shape)),
            (Value::Tensor(t), "numel") => Some(Value::Int(elements(&t.shape))),
            (Value::Tensor(t), "T") => {
                let mut perm: Vec<usize> = (0..t.shape.len()).collect();
                if perm.len() >= 2 {
                    let n = perm.len();
                    perm.swap(n - 1, n - 2);
                }
                let t = t.clone();
                Some(Value::Tensor(self.permute(&t, &perm)))
            }
            (Value::Pointer(p), "dtype" | "type") => Some(Value::PointerType(p.dtype)),
            (Value::Pointer(p), "shape") => Some(shape(&p.offset.shape)),
            (Value::Type(d), "element_ty" | "scalar" | "dtype") => Some(Value::Type(*d)),
            (Value::PointerType(d), "element_ty") => Some(Value::Type(*d)),
            (Value::PointerType(d), "scalar") => Some(Value::PointerType(*d)),
            (Value::Type(d), "name") => Some(Value::str(type_name(*d))),
            (Value::Type(d), "primitive_bitwidth" | "int_bitwidth" | "itemsize") => {
                let bits = if *d == DType::Bool { 1 } else { d.bits() as i128 };
                Some(Value::Int(if name == "itemsize" { (bits + 7) / 8 } else { bits }))
            }
            (Value::BlockPointer(p), "dtype") => Some(Value::Type(p.base.dtype)),
            (Value::BlockPointer(p), "block_shape") => Some(shape(&p.block)),
            (Value::BlockPointer(p), "shape") => {
                Some(Value::tuple(p.shape.iter().cloned().map(Value::Tensor).collect()))
            }
            (v, "value") if v.is_const() => Some(v.clone()),
            (v, "to") if v.is_number() => builtins::find("cast").map(|row| Value::Method(Rc::new(v.clone()), row)),
            _ => None,
        };
        if let Some(v) = found {
            return Ok(v);
        }
        let row = match (v, name) {
            (Value::Tensor(_), "to") => builtins::find("cast"),
            (Value::BlockPointer(p), "load" | "store" | "gather" | "scatter" | "atomic_add") if p.descriptor => {
                builtins::find(&format!("descriptor_{name}"))
            }
            (Value::Tensor(_) | Value::Pointer(_), _) => builtins::find(name).filter(|r| r.method),
            _ => None,
        };
        match row {
            Some(row) => Ok(Value::Method(Rc::new(v.clone()), row)),
            None => {
                let e = self.error("K003", format!("{v} has no attribute `{name}`"), "here");
                Err(match v {
                    Value::Tensor(_) => {
                        e.help("tensors have `shape`, `dtype`, `T`, and as methods what docs/triton.md lists as such")
                    }
                    _ => e,
                })
            }
        }
    }

    /// Methods of element types, texts and dictionaries.
    fn constant_method(&mut self, v: &Value, name: &str, args: Vec<Value>) -> Result<Value> {
        let answer = match (v, name) {
            (Value::Type(d), _) => predicate(*d, name),
            (Value::PointerType(_), "is_ptr") => Some(true),
            (Value::PointerType(_), n) if n.starts_with("is_") => Some(false),
            (Value::Str(s), "startswith") => match args.first() {
                Some(Value::Str(p)) => Some(s.starts_with(&**p)),
                _ => None,
            },
            (Value::Str(s), "endswith") => match args.first() {
                Some(Value::Str(p)) => Some(s.ends_with(&**p)),
                _ => None,
            },
            _ => None,
        };
        if let Some(answer) = answer {
            return Ok(Value::Bool(answer));
        }
        if let (Value::Dict(pairs), "get" | "keys" | "values" | "items") = (v, name) {
            return Ok(match name {
                "keys" => Value::tuple(pairs.iter().map(|p| p.0.clone()).collect()),
                "values" => Value::tuple(pairs.iter().map(|p| p.1.clone()).collect()),
                "items" => Value::tuple(pairs.iter().map(|p| Value::tuple(vec![p.0.clone(), p.1.clone()])).collect()),
                _ => {
                    let found = args.first().and_then(|k| pairs.iter().find(|p| p.0.same(k)));
                    found.map(|p| p.1.clone()).or(args.get(1).cloned()).unwrap_or(Value::None)
                }
            });
        }
        match self.attribute(v, name)? {
            Value::Method(v, row) => self.apply(&Value::Method(v, row), args, Vec::new()),
            other => Ok(other),
        }
    }

    /// Python's own functions.
    fn python(&mut self, name: &str, args: Vec<Value>, keywords: Keywords) -> Result<Value> {
        let wrong = |e: &Self| e.error("K006", format!("`{name}` cannot be called like this"), "called here");
        let first = args.first().cloned().unwrap_or(Value::None);
        let most = match name {
            "len" | "abs" | "int" | "float" | "bool" | "tuple" | "list" | "str" | "reversed" | "next_power_of_2" => 1,
            "enumerate" | "isinstance" | "hasattr" => 2,
            "range" | "getattr" => 3,
            "dict" => 0,
            _ => usize::MAX,
        };
        let keys: &[&str] = match name {
            "enumerate" => &["start"],
            "zip" => &["strict"],
            _ => &[],
        };
        let free = matches!(name, "dict" | "Config" | "print" | "min" | "max");
        if args.len() > most || !(free || keywords.iter().all(|(k, _)| keys.contains(&k.as_str()))) {
            return Err(wrong(self));
        }
        let language = |e: &mut Self, row: &str| match builtins::find(row) {
            Some(row) => e.builtin(row, args.clone(), keywords.clone()),
            None => Err(wrong(e)),
        };
        Ok(match name {
            "range" => Value::Range(Rc::new(self.range(&args, false).ok_or_else(|| wrong(self))?)),
            "len" => match &first {
                Value::Tuple(v) => Value::Int(v.len() as i128),
                Value::Dict(v) => Value::Int(v.len() as i128),
                Value::Str(s) => Value::Int(s.chars().count() as i128),
                Value::Tensor(Tensor { shape, .. }) if !shape.is_empty() => Value::Int(shape[0] as i128),
                _ => return Err(wrong(self)),
            },
            "min" | "max" => {
                let list = match &first {
                    Value::Tuple(v) if args.len() == 1 => v.to_vec(),
                    _ => args.clone(),
                };
                if !list.iter().all(Value::is_number) {
                    return language(self, if name == "min" { "minimum" } else { "maximum" });
                }
                let better = |a: &Value, b: &Value| {
                    let less = a.as_f64().unwrap_or(0.0) < b.as_f64().unwrap_or(0.0);
                    if name == "min" { less } else { b.as_f64().unwrap_or(0.0) < a.as_f64().unwrap_or(0.0) }
                };
                let mut best = list.first().cloned().ok_or_else(|| wrong(self))?;
                for v in &list[1..] {
                    if better(v, &best) {
                        best = v.clone();
                    }
                }
                best
            }
            "abs" => match &first {
                Value::Float(v) => Value::Float(v.abs()),
                v if v.as_int().is_some() => {
                    Value::Int(v.as_int().and_then(i128::checked_abs).ok_or_else(|| wrong(self))?)
                }
                _ => return language(self, "abs"),
            },
            "int" => match &first {
                Value::Float(v) if v.is_finite() => Value::Int(v.trunc() as i128),
                v if v.as_int().is_some() => Value::Int(v.as_int().unwrap_or(0)),
                Value::Tensor(t) => {
                    let t = t.clone();
                    Value::Tensor(self.cast(&t, DType::I32)?)
                }
                _ => return Err(wrong(self)),
            },
            "float" => match &first {
                Value::Str(s) => match s.trim().to_ascii_lowercase().parse::<f64>() {
                    Ok(v) => Value::Float(v),
                    Err(_) => return Err(wrong(self)),
                },
                Value::Tensor(t) => {
                    let t = t.clone();
                    Value::Tensor(self.cast(&t, DType::F32)?)
                }
                v => Value::Float(v.as_f64().ok_or_else(|| wrong(self))?),
            },
            "bool" => match first.truth() {
                Some(t) => Value::Bool(t),
                None => Value::Tensor(self.truth_tensor(&first)?),
            },
            "tuple" | "list" => Value::tuple(self.items(&first)?),
            "reversed" => Value::tuple(self.items(&first)?.into_iter().rev().collect()),
            "enumerate" => {
                let items = self.items(&first)?;
                let start = args.get(1).or(keywords.first().map(|k| &k.1)).map_or(Some(0), Value::as_int);
                let Some(start) = start.filter(|s| i64::try_from(*s).is_ok()) else { return Err(wrong(self)) };
                Value::tuple((start..).zip(items).map(|(i, v)| Value::tuple(vec![Value::Int(i), v])).collect())
            }
            "zip" => {
                let lists = args.iter().map(|a| self.items(a)).collect::<Result<Vec<_>>>()?;
                let n = lists.iter().map(Vec::len).min().unwrap_or(0);
                Value::tuple((0..n).map(|i| Value::tuple(lists.iter().map(|l| l[i].clone()).collect())).collect())
            }
            "str" => Value::str(first.to_string()),
            // Triton's `print` of what only the run knows.
            "print" if matches!(first, Value::Str(_)) && !args.iter().all(Value::is_const) => {
                let Some(row) = crate::builtins::find("device_print") else { return Err(wrong(self)) };
                let mut bound = crate::builtins::Args::bind(self, row, args.to_vec(), keywords)?;
                crate::builtins::debug::device_print(self, &mut bound)?
            }
            "print" => {
                self.notes.push(args.iter().map(Value::to_string).collect::<Vec<_>>().join(" "));
                Value::None
            }
            "next_power_of_2" => match first.as_int().and_then(|v| u64::try_from(v).ok()) {
                Some(v) => Value::Int(v.checked_next_power_of_two().unwrap_or(1) as i128),
                None => return Err(self.not_constant("the argument")),
            },
            "Config" => match keywords.iter().find(|k| k.0 == "kwargs") {
                Some(k) => k.1.clone(),
                None => first,
            },
            "isinstance" => {
                let classes = match args.get(1) {
                    Some(Value::Tuple(list)) => list.to_vec(),
                    Some(class) => vec![class.clone()],
                    None => return Err(wrong(self)),
                };
                let mut any = false;
                for class in &classes {
                    any |= is_instance(&first, class).ok_or_else(|| wrong(self))?;
                }
                Value::Bool(any)
            }
            "dict" => Value::Dict(Rc::new(keywords.into_iter().map(|(k, v)| (Value::str(k), v)).collect())),
            "hasattr" | "getattr" => {
                let Some(Value::Str(s)) = args.get(1).cloned() else { return Err(wrong(self)) };
                let found = self.attribute(&first, &s);
                match (name, found) {
                    ("hasattr", f) => Value::Bool(f.is_ok()),
                    (_, Ok(v)) => v,
                    (_, Err(e)) => args.get(2).cloned().ok_or(e)?,
                }
            }
            _ => return Err(wrong(self)),
        })
    }

    /// The range of `range(...)`.
    pub fn range(&self, args: &[Value], unroll: bool) -> Option<RangeOf> {
        let (lo, hi, step) = match args {
            [hi] => (Value::Int(0), hi.clone(), Value::Int(1)),
            [lo, hi] => (lo.clone(), hi.clone(), Value::Int(1)),
            [lo, hi, step] => (lo.clone(), hi.clone(), step.clone()),
            _ => return None,
        };
        Some(RangeOf { lo, hi, step, unroll })
    }
}

/// Whether a value is of a class; none where the class is not known.
fn is_instance(v: &Value, class: &Value) -> Option<bool> {
    let descriptor = |v: &Value| matches!(v, Value::BlockPointer(p) if p.descriptor);
    if matches!(v, Value::Foreign(_)) {
        return None;
    }
    Some(match class {
        // What is known now is a constexpr, the rest are tensors.
        Value::Builtin(r) if r.name == "constexpr" => v.is_const(),
        Value::Builtin(r) if r.name == "tensor" => !v.is_const() && !descriptor(v),
        Value::Builtin(r) if r.name == "tensor_descriptor" => descriptor(v),
        Value::Builtin(r) if r.name == "dtype" => matches!(v, Value::Type(_)),
        Value::Python("int") => matches!(v, Value::Int(_) | Value::Bool(_)),
        Value::Python("bool") => matches!(v, Value::Bool(_)),
        Value::Python("float") => matches!(v, Value::Float(_)),
        Value::Python("str") => matches!(v, Value::Str(_)),
        Value::Python("tuple" | "list") => matches!(v, Value::Tuple(_)),
        Value::Python("dict") => matches!(v, Value::Dict(_)),
        _ => return None,
    })
}

/// `dtype.is_floating()` and its kin.
fn predicate(d: DType, name: &str) -> Option<bool> {
    let signed_int = matches!(d, DType::I8 | DType::I16 | DType::I32 | DType::I64 | DType::Bool);
    Some(match name {
        "is_floating" => d.is_float(),
        "is_int" => d.is_int() || d == DType::Bool,
        "is_int_signed" => signed_int,
        "is_int_unsigned" => d.is_int() && !signed_int,
        "is_fp8" => d.is_float() && d.bits() == 8,
        "is_fp16" => d == DType::F16,
        "is_bf16" => d == DType::Bf16,
        "is_fp32" => d == DType::F32,
        "is_fp64" => d == DType::F64,
        "is_int1" | "is_bool" => d == DType::Bool,
        "is_int8" => d == DType::I8,
        "is_int16" => d == DType::I16,
        "is_int32" => d == DType::I32,
        "is_int64" => d == DType::I64,
        "is_uint8" => d == DType::U8,
        "is_uint16" => d == DType::U16,
        "is_uint32" => d == DType::U32,
        "is_uint64" => d == DType::U64,
        "is_fp8e4nv" => d == DType::F8E4M3Fn,
        "is_fp8e5" => d == DType::F8E5M2,
        "is_standard_floating" => matches!(d, DType::F16 | DType::Bf16 | DType::F32 | DType::F64),
        "is_ptr" | "is_block" | "is_const" | "is_void" => false,
        _ => return None,
    })
}
