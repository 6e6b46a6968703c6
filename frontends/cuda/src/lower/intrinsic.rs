//! Built-in names, functions and members of CUDA.

mod atomic;
mod bits;
mod constants;
mod halves;
mod math;
mod print;
mod ptx;
mod refused;
mod wide_atomic;

use super::call::Operand;
use super::value::{Binding, Place, Tv, Val};
use super::*;
use crate::ast::*;
use girih_base::ScalarOp as S;
use girih_simt::Op;

/// Whether a built-in function has that name, so that it changes nothing but what it gets the address of.
pub(crate) fn known(name: &str) -> bool {
    math::known(name)
        || bits::known(name)
        || halves::known(name)
        || name.starts_with("__")
        || name.starts_with("make_")
        || name.starts_with("atomic")
        || super::texture::known(name)
        || scan::is_collective(name)
        || matches!(
            name,
            "printf" | "assert" | "memcpy" | "memset" | "tiled_partition" | "this_thread_block" | "this_grid"
        )
}

impl Lowerer<'_> {
    /// A call.
    pub fn call(&mut self, f: &Expr, args: &[Expr], at: At) -> R<Operand> {
        match &f.kind {
            ExprKind::Name(n) => self.call_name(n, args, at),
            ExprKind::Member(object, part, arrow) => self.call_member(object, part, *arrow, args, at),
            _ => {
                let callee = self.operand(f)?;
                let args = self.arguments(args)?;
                self.call_object(callee, &args, at)
            }
        }
    }

    /// Evaluated arguments, packs expanded.
    fn arguments(&mut self, args: &[Expr]) -> R<Vec<Operand>> {
        let mut out = Vec::new();
        for a in args {
            if let ExprKind::Name(n) = &a.kind
                && let Some(Binding::Pack(list)) = self.lookup(&n.last().id).cloned()
            {
                for b in list {
                    if let Binding::Place(p) = b {
                        out.push(Operand::Place(p));
                    }
                }
                continue;
            }
            if let ExprKind::List(items) = &a.kind {
                let items = self.arguments(items)?;
                out.push(Operand::Braces(Rc::new(items)));
                continue;
            }
            out.push(self.operand(a)?);
        }
        Ok(out)
    }

    fn call_object(&mut self, callee: Operand, args: &[Operand], at: At) -> R<Operand> {
        match callee.ty().clone() {
            Type::Lambda(i) => self.call_lambda(i, args, at),
            Type::Callable(name) if name.is_empty() => Err(self.refuse(
                at,
                "a call through a function pointer",
                "WGSL calls no computed addresses: pass the function as a template argument, or a functor",
            )),
            Type::Callable(name) => match self.call_named(&name, None, args, None, at)? {
                Some(o) => Ok(o),
                None => Err(self.err("U003", at, format!("`{name}` is not a known function"))),
            },
            Type::Functor(name) => {
                let [a, b] = args else { return Err(self.err("U004", at, "this takes two arguments")) };
                let (a, b) = (self.operand_value(a, at)?, self.operand_value(b, at)?);
                self.functor(name, a, b, at).map(Operand::Value)
            }
            Type::Struct(id) => {
                let this = match callee {
                    Operand::Place(p) => p,
                    Operand::Value(tv) => Place::Value(tv),
                    Operand::Braces(_) => return Err(self.err("U004", at, "a list cannot be called")),
                };
                match self.call_named("operator()", None, args, Some((this, id)), at)? {
                    Some(o) => Ok(o),
                    None => Err(self.err("U004", at, "this struct has no `operator()`")),
                }
            }
            other => Err(self.err("U004", at, format!("{} cannot be called", self.type_name(&other)))),
        }
    }

    /// A built-in function object on two values.
    pub fn functor(&mut self, name: &str, a: Tv, b: Tv, at: At) -> R<Tv> {
        match name {
            "plus" => self.binary("+", a, b, at),
            "multiplies" => self.binary("*", a, b, at),
            "bit_and" => self.binary("&", a, b, at),
            "bit_or" => self.binary("|", a, b, at),
            "bit_xor" => self.binary("^", a, b, at),
            "less" => self.extreme(false, a, b, at),
            "greater" => self.extreme(true, a, b, at),
            _ => Err(self.err("U004", at, format!("`{name}` is not called with two values"))),
        }
    }

    fn call_name(&mut self, n: &Name, args: &[Expr], at: At) -> R<Operand> {
        let part = n.last().clone();
        let id = &*part.id;
        if n.parts.len() == 1
            && let Some(Binding::Place(p)) = self.lookup(id).cloned()
        {
            let args = self.arguments(args)?;
            return self.call_object(Operand::Place(p), &args, at);
        }
        if let Some(tv) = self.unevaluated(n, args, at)? {
            return Ok(Operand::Value(tv));
        }
        // A static method, or another method of the same object.
        if n.parts.len() > 1 {
            let owner = Name { parts: n.parts[..n.parts.len() - 1].to_vec(), at };
            let first = &owner.last().id;
            let named = self.p.structs.iter().any(|s| s.name == *first)
                || matches!(self.lookup(first), Some(Binding::Type(Type::Struct(_))))
                || self.p.aliases.contains_key(first);
            if named
                && let Type::Struct(sid) = self.ty(&TypeExpr::Named(owner), at)?
                && !self.methods(sid, id).is_empty()
            {
                let values = self.arguments(args)?;
                let this = self
                    .frames
                    .last()
                    .and_then(|f| f.this.clone())
                    .unwrap_or(Place::Value(Tv { v: Val::Opaque, t: Type::Struct(sid) }));
                if let Some(o) = self.call_named(id, part.args.as_deref(), &values, Some((this, sid)), at)? {
                    return Ok(o);
                }
            }
        } else if let Some((owner, this)) = self.frames.last().and_then(|f| f.owner.map(|o| (o, f.this.clone())))
            && !self.methods(owner, id).is_empty()
        {
            let values = self.arguments(args)?;
            let this = this.unwrap_or(Place::Value(Tv { v: Val::Opaque, t: Type::Struct(owner) }));
            if let Some(o) = self.call_named(id, part.args.as_deref(), &values, Some((this, owner)), at)? {
                return Ok(o);
            }
        }
        let values = self.arguments(args)?;
        self.loc(at);
        let user = self.p.functions.iter().any(|f| f.name == part.id && f.member_of.is_none());
        // `std::max` is never the program's own.
        let std = n.parts.len() > 1 && &*n.parts[0].id == "std" && !crate::headers::written(id);
        if user && !std {
            match self.call_named(id, part.args.as_deref(), &values, None, at) {
                Ok(Some(o)) => return Ok(o),
                Ok(None) => {}
                // Overloads of the program stand beside those built in.
                Err(Fail::Diag(d)) if d.code == "U004" && d.message.starts_with("no `") && known(id) => {
                    if let Some(tv) = self.built_in(id, part.args.as_deref(), &values, at)? {
                        return Ok(Operand::Value(tv));
                    }
                    return Err(Fail::Diag(d));
                }
                Err(e) => return Err(e),
            }
        }
        match self.built_in(id, part.args.as_deref(), &values, at)? {
            Some(tv) => Ok(Operand::Value(tv)),
            None => {
                // Why an item of that name did not parse is the best answer.
                let skipped =
                    self.p.skipped.iter().find(|(names, _)| names.contains(&part.id)).map(|(_, d)| d.to_string());
                let e = self.err("U003", at, format!("`{id}` is not a known function"));
                Err(match (e, skipped) {
                    (Fail::Diag(d), Some(why)) => {
                        Fail::Diag(d.note(format!("an item that names it did not parse: {why}")))
                    }
                    (e, _) => e,
                })
            }
        }
    }

    fn call_member(&mut self, object: &Expr, part: &Part, arrow: bool, args: &[Expr], at: At) -> R<Operand> {
        let place = self.object(object, arrow, at)?;
        let values = self.arguments(args)?;
        self.loc(at);
        match place.ty().clone() {
            Type::Struct(id) => {
                if let Some(o) =
                    self.call_named(&part.id, part.args.as_deref(), &values, Some((place.clone(), id)), at)?
                {
                    return Ok(o);
                }
                let field = self.field(&place, &part.id, at)?;
                self.call_object(Operand::Place(field), &values, at)
            }
            Type::Group(g) => self.group_call(g, &place, &part.id, &values, at).map(Operand::Value),
            other => Err(self.err("U004", at, format!("{} has no function `{}`", self.type_name(&other), part.id))),
        }
    }

    /// Functions that look at types or names instead of values.
    fn unevaluated(&mut self, n: &Name, args: &[Expr], at: At) -> R<Option<Tv>> {
        let id = &*n.last().id;
        if n.parts.len() > 1 && matches!(&*n.parts[n.parts.len() - 2].id, "numeric_limits") {
            let targs = n.parts[n.parts.len() - 2].args.clone().unwrap_or_default();
            let Some(a) = targs.first() else { return Ok(None) };
            let t = self.template_type(a, at)?;
            return Ok(t.scalar().and_then(|s| constants::limit(s, id)));
        }
        match n.parts.len() {
            1 => self.report(id, args, at),
            _ => Ok(None),
        }
    }

    /// Named constants and variables.
    pub fn builtin_value(&mut self, n: &Name, at: At) -> R<Option<Tv>> {
        let part = n.last();
        if let Some(tv) = self.trait_value(n, at)? {
            return Ok(Some(tv));
        }
        let three = |v: &[Tv; 3]| Tv {
            v: Val::Group(v.iter().map(|t| t.v.clone()).collect()),
            t: Type::Vector(Scalar::UInt, 3),
        };
        Ok(Some(match &*part.id {
            "threadIdx" => three(&self.thread),
            "blockIdx" => three(&self.block_index),
            "gridDim" => three(&self.grid),
            "blockDim" => {
                let v = self.shape.block.iter().map(|n| Val::Int(*n as i128)).collect();
                Tv { v: Val::Group(v), t: Type::Vector(Scalar::UInt, 3) }
            }
            "warpSize" => Tv::int(self.warp() as i128, Scalar::Int),
            "mem_row_major" => Tv::int(0, Scalar::Int),
            "mem_col_major" => Tv::int(1, Scalar::Int),
            id => match constants::constant(id) {
                Some(tv) => tv,
                None => return Ok(None),
            },
        }))
    }

    /// Members of built-in objects that are values.
    pub fn builtin_member(&mut self, object: &Expr, part: &Part, _at: At) -> R<Option<Tv>> {
        let ExprKind::Name(n) = &object.kind else { return Ok(None) };
        if n.parts.len() != 1 || self.lookup(&n.last().id).is_some() {
            return Ok(None);
        }
        let axis = match &*part.id {
            "x" => 0,
            "y" => 1,
            "z" => 2,
            _ => return Ok(None),
        };
        Ok(Some(match &*n.last().id {
            "threadIdx" => self.thread[axis].clone(),
            "blockIdx" => self.block_index[axis].clone(),
            "gridDim" => self.grid[axis].clone(),
            "blockDim" => Tv::int(self.shape.block[axis] as i128, Scalar::UInt),
            _ => return Ok(None),
        }))
    }

    /// A built-in function; `None` when there is none of that name.
    fn built_in(&mut self, id: &str, targs: Option<&[TemplateArg]>, args: &[Operand], at: At) -> R<Option<Tv>> {
        if let Some(v) = self.warp_call(id, targs, args, at)? {
            return Ok(Some(v));
        }
        if let Some(v) = self.atomic_call(id, args, at)? {
            return Ok(Some(v));
        }
        if let Some(v) = self.texture_call(id, targs, args, at)? {
            return Ok(Some(v));
        }
        if let Some(why) = refused::reason(id) {
            return Err(self.refuse(at, why.0, why.1));
        }
        let mut values = Vec::new();
        for a in args {
            values.push(self.operand_value(a, at)?);
        }
        if let Some(t) = id.strip_prefix("make_").and_then(crate::types::vector) {
            return self.make_vector(t, values, at).map(Some);
        }
        if let Some(v) = self.half_call(id, &values, at)? {
            return Ok(Some(v));
        }
        if let Some(v) = self.bits_call(id, &values, at)? {
            return Ok(Some(v));
        }
        if let Some(v) = self.math_call(id, &values, at)? {
            return Ok(Some(v));
        }
        self.other_call(id, values, args, at)
    }

    fn make_vector(&mut self, t: Type, values: Vec<Tv>, at: At) -> R<Tv> {
        let Type::Vector(s, n) = t else { return Err(self.err("U004", at, "this makes no vector")) };
        if values.len() != n as usize {
            return Err(self.err("U004", at, format!("{} values for {n} lanes", values.len())));
        }
        let mut out = Vec::new();
        for v in values {
            out.push(self.convert(v, &Type::Scalar(s), at)?.v);
        }
        Ok(Tv { v: Val::Group(out), t })
    }

    fn other_call(&mut self, id: &str, values: Vec<Tv>, args: &[Operand], at: At) -> R<Option<Tv>> {
        Ok(Some(match (id, &values[..]) {
            // Loads and stores with cache hints.
            ("__ldg" | "__ldcs" | "__ldca" | "__ldcg" | "__ldlu" | "__ldcv", [p]) => {
                let place = self.dereference(p.clone(), at)?;
                self.load(&place, at)?
            }
            ("__stcs" | "__stcg" | "__stwb" | "__stwt", [p, v]) => {
                let place = self.dereference(p.clone(), at)?;
                let t = place.ty().clone();
                let v = self.convert(v.clone(), &t, at)?;
                self.store(&place, &v.v, at)?;
                Tv::void()
            }
            ("__threadfence" | "__threadfence_block" | "__threadfence_system", _) => {
                self.fence(id != "__threadfence_block", at);
                Tv::void()
            }
            ("__prof_trigger" | "__nanosleep", _) => Tv::void(),
            ("memcpy" | "__builtin_memcpy", [to, from, n]) => {
                self.memcpy(to.clone(), from.clone(), n, at)?;
                to.clone()
            }
            ("swap", [_, _]) => {
                let (Operand::Place(a), Operand::Place(b)) = (&args[0], &args[1]) else {
                    return Err(self.err("U004", at, "only variables are swapped"));
                };
                let (x, y) = (self.load(a, at)?, self.load(b, at)?);
                self.store(a, &y.v, at)?;
                self.store(b, &x.v, at)?;
                Tv::void()
            }
            ("move" | "forward", [v]) => v.clone(),
            ("__builtin_expect" | "__builtin_assume_aligned" | "__cvta_generic_to_shared", [v, ..]) => v.clone(),
            ("__builtin_assume" | "__assume" | "__builtin_unreachable" | "__builtin_prefetch", _) => Tv::void(),
            _ => return Ok(None),
        }))
    }

    /// Copies a known number of bytes between objects of a known type.
    fn memcpy(&mut self, to: Tv, from: Tv, n: &Tv, at: At) -> R<()> {
        let (Val::Pointer(mut a), Val::Pointer(b), Some(n)) = (to.v, from.v, n.known()) else {
            return Err(self.refuse(at, "a memcpy of unknown size", "copy element by element"));
        };
        let size = |s: &Self, t: &Type| if *t == Type::Void { 1 } else { s.size(t) as i128 };
        if a.to == Type::Void {
            a.to = b.to.clone();
        }
        // The type that both sides are read as: the larger object if it is the whole copy, else its elements one by one.
        let unit = if size(self, &a.to) == n {
            a.to.clone()
        } else if size(self, &b.to) == n {
            b.to.clone()
        } else {
            a.to.clone()
        };
        let each = size(self, &unit).max(1);
        if n % each != 0 || n / each > 256 {
            return Err(self.refuse(at, "a memcpy of many or broken elements", "copy element by element"));
        }
        let (pa, pb) =
            (self.repoint(Val::Pointer(a), unit.clone(), at)?, self.repoint(Val::Pointer(b), unit.clone(), at)?);
        for i in 0..n / each {
            let i = Tv::int(i, Scalar::Int);
            let t = unit.clone().pointer();
            let source = self.advance(Tv { v: pb.clone(), t: t.clone() }, i.clone(), false, at)?;
            let target = self.advance(Tv { v: pa.clone(), t }, i, false, at)?;
            let (source, target) = (self.dereference(source, at)?, self.dereference(target, at)?);
            let v = self.load(&source, at)?;
            self.store(&target, &v.v, at)?;
        }
        Ok(())
    }

    // Helpers of the tables.

    /// An argument as an f32 value.
    pub(crate) fn f32(&mut self, tv: &Tv, at: At) -> R<ValueId> {
        let v = self.scalar_to(tv, Scalar::Float, at)?;
        Ok(self.id(&v, Scalar::Float))
    }

    /// An argument as a u32 value.
    pub(crate) fn u32(&mut self, tv: &Tv, at: At) -> R<ValueId> {
        let v = self.scalar_to(tv, Scalar::UInt, at)?;
        Ok(self.id(&v, Scalar::UInt))
    }

    pub(crate) fn fconst(&mut self, f: f64) -> ValueId {
        self.id(&Val::Float(f), Scalar::Float)
    }

    pub(crate) fn m(&mut self, op: S, args: &[ValueId]) -> ValueId {
        self.b.map(op, args)
    }

    /// A word array for exchanges between threads.
    pub fn scratch_array(&mut self, name: &'static str, len: u32) -> u32 {
        if let Some(i) = self.scratch.get(name) {
            return *i;
        }
        let unique = self.unique(name);
        self.b.shared.push(girih_simt::Shared { name: unique, elem: Ty::scalar(girih_base::DType::U32), len });
        let i = self.b.shared.len() as u32 - 1;
        self.scratch.insert(name, i);
        i
    }

    /// A result computed in active threads only.
    pub(crate) fn guarded_value(&mut self, dtype: girih_base::DType, f: impl FnOnce(&mut Self) -> ValueId) -> ValueId {
        let Some(mask) = self.masks.last().filter(|_| !self.plain).map(|m| m.local) else { return f(self) };
        let temp = self.new_local("result", Ty::scalar(dtype), None);
        let on = self.b.get(mask);
        self.open();
        self.plain = true;
        let v = f(self);
        self.plain = false;
        self.b.set(temp, v);
        let body = self.close();
        self.b.effect(Op::If(on, body, Vec::new()));
        self.b.get(temp)
    }
}
