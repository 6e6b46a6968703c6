//! A whole kernel: its arguments, the walks over its body, and the finished SIMT kernel.

use super::template::Env;
use super::value::{Base, Ix, Place, Ptr, Tv, Val};
use super::*;
use crate::ast::*;
use girih_base::{DType, Dim, Result, ScalarOp as S};
use girih_simt::{Builtin, Kernel};

/// What a launch passes.
#[derive(Clone, Debug, PartialEq)]
pub enum Argument {
    /// A pointer: the next buffer.
    Buffer {
        /// Name of the parameter.
        name: String,
        /// What it points to, where that is numbers or vectors of them.
        element: Option<DType>,
        /// Its offset in the parameter's bytes, for structs.
        offset: u32,
        /// Number of the parameter.
        parameter: usize,
    },
    /// A texture or surface object: the next buffer, and uniforms for its extents.
    Texture {
        /// Name of the parameter.
        name: String,
        /// Names of the uniforms for width, height, depth and pitch, all counted in texels.
        extents: [String; 4],
        /// What the kernel was compiled for.
        mode: TextureMode,
        /// Whether the buffer is that of a pointer before.
        shared: bool,
        /// Its offset in the parameter's bytes, for structs.
        offset: u32,
        /// Number of the parameter.
        parameter: usize,
    },
    /// Where a pointer or texture begins in its buffer, which may be that of a pointer before.
    Start {
        /// Name of the uniform.
        name: String,
        /// Bytes that it counts.
        unit: u32,
        /// The pointer's offset in the parameter's bytes, for structs.
        offset: u32,
        /// Number of the parameter.
        parameter: usize,
    },
    /// A number, bound by name: an integer, or a float's bits.
    Scalar {
        /// Name of the uniform; of 64-bit values, of their low word. The high word is `name.hi`.
        name: String,
        /// Its type.
        dtype: DType,
        /// Bytes.
        size: u32,
        /// Its offset in the parameter's bytes, for structs.
        offset: u32,
        /// Number of the parameter.
        parameter: usize,
    },
    /// A `__constant__` or `__device__` variable: a buffer that the program itself provides.
    Symbol {
        /// Name of the variable.
        name: String,
        /// Its bytes before the first launch.
        initial: Vec<u8>,
    },
}

/// A kernel for one shape of launch.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The kernel.
    pub kernel: Kernel,
    /// Its arguments: buffers and symbols in binding order among the scalars.
    pub arguments: Vec<Argument>,
    /// Names of the uniforms that carry the grid's size, one for each axis.
    pub grid: Vec<String>,
    /// What the author should know of how it runs on graphics drivers, each with its place.
    pub notes: Vec<String>,
}

/// Lowers a kernel.
pub fn lower(p: &Program, function: usize, args: &[TemplateArg], shape: LaunchShape, caps: Caps) -> Result<Compiled> {
    let mut choices = Choices::default();
    for _ in 0..400 {
        let mut l = Lowerer::new(p, shape, caps, std::mem::take(&mut choices));
        match l.kernel(function, args) {
            Ok(done) => return Ok(done),
            Err(Fail::Diag(d)) => return Err(d),
            Err(Fail::Retry) => choices = l.choices,
        }
    }
    let at = p.functions[function].at;
    Err(p.sources.error("U006", at, "this kernel needs more decisions than are tried", "here"))
}

/// Whether a kernel with these template arguments has parameters of these types; constness does not count.
pub fn takes(p: &Program, function: usize, args: &[TemplateArg], types: &[TemplateArg]) -> Result<bool> {
    // Types are resolved without a target.
    let caps = Caps { double: true, ..Caps::default() };
    let mut l = Lowerer::new(p, LaunchShape::new([1, 1, 1], 1), caps, Choices::default());
    let mut same = || -> R<bool> {
        let f = &p.functions[function];
        let (env, _) = l.bind_template(&f.template, args, f.at)?;
        l.scopes.push(env);
        let mut own = Vec::new();
        for param in &f.params {
            own.push(l.ty(&param.ty, param.at)?);
        }
        l.scopes.pop();
        let mut asked = Vec::new();
        for t in types {
            let TemplateArg::Type(t) = t else { return Ok(false) };
            asked.push(l.ty(t, f.at)?);
        }
        // On the host a texture is a number.
        let number = |t: &Type| matches!(t, Type::Texture | Type::Scalar(Scalar::ULongLong));
        let fits = |(a, b): (&Type, &Type)| a == b || *a == Type::Texture && number(b);
        Ok(own.len() == asked.len() && own.iter().zip(&asked).all(fits))
    };
    match same() {
        Ok(same) => Ok(same),
        // Template arguments that are missing, and types that nobody knows.
        Err(Fail::Diag(d)) if d.code != "U006" => Ok(false),
        Err(Fail::Diag(d)) => Err(d),
        Err(Fail::Retry) => Ok(false),
    }
}

/// The bytes of a `__constant__` or `__device__` variable before the first launch; `None` where there is no such variable.
pub fn initial(p: &Program, name: &str, caps: Caps) -> Result<Option<Vec<u8>>> {
    let device = |v: &&Var| &*v.name == name && matches!(v.place, Storage::Constant | Storage::Device);
    let Some(var) = p.globals.iter().find(device) else { return Ok(None) };
    let mut l = Lowerer::new(p, LaunchShape::new([1, 1, 1], 1), caps, Choices::default());
    let bytes = l.declared(&var.ty, var.init.as_ref(), var.at).and_then(|t| l.initial_bytes(var, &t));
    match bytes {
        Ok(bytes) => Ok(Some(bytes)),
        Err(Fail::Diag(d)) => Err(d),
        Err(Fail::Retry) => Err(p.sources.error("U004", var.at, "the initial value must be a constant", "here")),
    }
}

impl<'p> Lowerer<'p> {
    fn new(p: &'p Program, shape: LaunchShape, caps: Caps, choices: Choices) -> Lowerer<'p> {
        let zero = || Tv::int(0, Scalar::UInt);
        Lowerer {
            p,
            b: Builder::new(),
            caps,
            shape,
            choices,
            structs: Vec::new(),
            struct_keys: BTreeMap::new(),
            scopes: vec![BTreeMap::new()],
            frames: Vec::new(),
            closures: Vec::new(),
            masks: Vec::new(),
            exits: false,
            plain: false,
            names: BTreeMap::new(),
            assumed: Vec::new(),
            shared_vars: BTreeMap::new(),
            instance: "".into(),
            global_vars: BTreeMap::new(),
            dynamic: None,
            scratch: BTreeMap::new(),
            thread: [zero(), zero(), zero()],
            block_index: [zero(), zero(), zero()],
            grid: [zero(), zero(), zero()],
            lane: ValueId(0),
            threads: shape.block.iter().product(),
            depth: 0,
            spent: 0,
            here: At(u32::MAX),
            remarked: 0,
            collective_memo: RefCell::new(BTreeMap::new()),
            instances: BTreeSet::new(),
            args: Vec::new(),
            textures: Vec::new(),
            pointers: Vec::new(),
            changed: scan::Changed::default(),
            in_enum: Vec::new(),
            not_negative: BTreeSet::new(),
            fences: fences::Fences::default(),
            flow: 0,
            nest: 0,
        }
    }

    fn kernel(&mut self, function: usize, args: &[TemplateArg]) -> R<Compiled> {
        let f = &self.p.functions[function];
        let body = match f.parsed.get() {
            Some(Ok(body)) => body.clone(),
            Some(Err(d)) => return Err(Fail::Diag(d.clone())),
            None => return Err(self.err("U003", f.at, format!("`{}` has no body", f.name))),
        };
        let (env, _) = self.bind_template(&f.template, args, f.at)?;
        self.scopes = vec![env, Env::new()];
        self.loc(f.at);
        let axes = self.hardware();
        self.assigned_in(&body.block);
        let collective = self.collective(&body.block);
        self.frames.push(Frame {
            ret: Type::Void,
            result: None,
            done: None,
            masks: 0,
            loops: Vec::new(),
            leaves: true,
            collective,
            this: None,
            owner: None,
            name: f.name.clone(),
        });
        for (i, p) in f.params.iter().enumerate() {
            self.kernel_parameter(p, i)?;
        }
        self.remarked = self.p.sources.line(body.block.at).1;
        if self.choices.diverges.contains(&f.at) {
            self.push_mask_copy();
            self.exits = true;
        }
        if let Some(e) = &f.bounds {
            let most = self.constant(e)?;
            if self.threads as i128 > most {
                let text = format!("a block of {} threads for a kernel of at most {most}", self.threads);
                return Err(self.err("U007", f.at, text));
            }
        }
        let StmtKind::Block(list) = &body.block.kind else {
            return Err(self.err("U002", f.at, "a kernel needs a body"));
        };
        self.stmts(list)?;
        if self.share_between_blocks() {
            return Err(Fail::Retry);
        }
        self.masks.clear();
        let groups = match self.shape.grid_axes {
            1 => Dim::symbol(&axes[0], 1, i32::MAX as i64),
            n => axes.iter().take(n as usize).fold(Dim::ONE, |d, a| &d * &Dim::symbol(a, 1, 65535)),
        };
        let name: String = f.name.to_string();
        let b = std::mem::take(&mut self.b);
        let kernel = b.finish(name, self.shape.block, groups);
        let flags = girih_simt::verify::varying(&kernel);
        let mut wrong = false;
        for (at, v) in std::mem::take(&mut self.assumed) {
            if flags.get(v.0 as usize) == Some(&true) {
                wrong |= self.choices.diverges.insert(at);
            }
        }
        if wrong {
            return Err(Fail::Retry);
        }
        girih_simt::verify::verify(&kernel)?;
        let grid = axes.into_iter().take(self.shape.grid_axes as usize).collect();
        Ok(Compiled {
            kernel,
            arguments: std::mem::take(&mut self.args),
            grid,
            notes: self.fence_note().into_iter().collect(),
        })
    }

    pub fn assigned_in(&mut self, s: &Stmt) {
        let mut changed = scan::Changed::default();
        self.assigned(s, &mut changed);
        self.changed = changed;
    }

    /// Thread and block indices; gives the names of the grid's uniforms.
    fn hardware(&mut self) -> Vec<String> {
        let axes: Vec<String> =
            ["gridDim_x", "gridDim_y", "gridDim_z"].iter().map(|n| self.unique(n).to_string()).collect();
        self.lane = self.b.builtin(Builtin::LocalIndex);
        self.not_negative.insert(self.lane);
        let [bx, by, bz] = self.shape.block;
        let lane = self.lane;
        let split = |l: &mut Self, at: ValueId, below: u32, n: u32, top: bool| -> Tv {
            if n == 1 {
                return Tv::int(0, Scalar::UInt);
            }
            let d = l.b.uint(below);
            let q = if below == 1 { at } else { l.b.map(S::Div, &[at, d]) };
            let m = l.b.uint(n);
            let v = if top { q } else { l.b.map(S::Rem, &[q, m]) };
            l.not_negative.insert(v);
            Tv::one(v, Scalar::UInt)
        };
        self.thread = [
            split(self, lane, 1, bx, by == 1 && bz == 1),
            split(self, lane, bx, by, bz == 1),
            split(self, lane, bx * by, bz, true),
        ];
        let group = self.b.builtin(Builtin::WorkgroupIndex);
        self.not_negative.insert(group);
        let mut rest = group;
        let n = self.shape.grid_axes as usize;
        for (i, axis) in axes.iter().enumerate().take(3) {
            if i >= n {
                self.block_index[i] = Tv::int(0, Scalar::UInt);
                self.grid[i] = Tv::int(1, Scalar::UInt);
                continue;
            }
            let size = self.b.uniform(&Arc::from(axis.as_str()));
            self.not_negative.insert(size);
            self.grid[i] = Tv::one(size, Scalar::UInt);
            let v = if i + 1 == n { rest } else { self.b.map(S::Rem, &[rest, size]) };
            self.not_negative.insert(v);
            self.block_index[i] = Tv::one(v, Scalar::UInt);
            if i + 1 < n {
                rest = self.b.map(S::Div, &[rest, size]);
                self.not_negative.insert(rest);
            }
        }
        axes
    }

    fn kernel_parameter(&mut self, p: &Param, index: usize) -> R<()> {
        let t = self.ty(&p.ty, p.at)?;
        if matches!(p.ty, TypeExpr::Reference(..)) {
            return Err(self.refuse(
                p.at,
                "a kernel parameter that is a reference",
                "take it by value or as a pointer",
            ));
        }
        let promise = matches!(&p.ty, TypeExpr::Pointer(_, true, true));
        let name = if p.name.is_empty() { format!("arg{index}") } else { p.name.to_string() };
        let v = self.parameter_value(&name, &t, promise, index, 0, p.at)?;
        // A word of the uniforms keeps their name anyway.
        if t.scalar().is_some_and(|s| s.dtype() != DType::U32) {
            self.name_value(&Tv { v: v.clone(), t: t.clone() }, &p.name);
        }
        let unchanged = !self.changed.contains(&p.name, &t);
        let binding = self.parameter(Tv { v, t }, &p.name, unchanged, p.at)?;
        self.bind(&p.name, binding);
        Ok(())
    }

    /// Uniforms and buffers for a parameter, or a part of one.
    fn parameter_value(&mut self, name: &str, t: &Type, promise: bool, index: usize, offset: u32, at: At) -> R<Val> {
        match t {
            Type::Pointer(to) => self.pointer_parameter(name, to, promise, index, offset, at),
            Type::Scalar(s) => {
                let unique = self.unique(name);
                let (name, dtype, size) = (unique.to_string(), s.dtype(), s.size());
                self.args.push(Argument::Scalar { name, dtype, size, offset, parameter: index });
                let word = self.b.uniform(&unique);
                let v = if s.size() == 8 {
                    let hi = self.b.uniform(&Arc::from(format!("{unique}.hi")));
                    if *s == Scalar::Double {
                        if !self.caps.double {
                            return Err(self.no_double(at));
                        }
                        self.double(word, hi)
                    } else {
                        self.wide(word, hi, *s)
                    }
                } else if s.size() == 4 {
                    self.bits32(&Val::One(word), Scalar::UInt, *s)
                } else {
                    Val::One(self.narrow(word, Ix::K(0), *s))
                };
                Ok(v)
            }
            Type::Vector(..) | Type::Struct(_) | Type::Array(..) => {
                let names: Vec<String> = match t {
                    Type::Struct(i) => self.structs[*i as usize].fields.iter().map(|f| f.name.to_string()).collect(),
                    Type::Vector(_, n) => {
                        ["x", "y", "z", "w"].iter().take(*n as usize).map(|s| s.to_string()).collect()
                    }
                    Type::Array(_, n) => (0..*n).map(|i| i.to_string()).collect(),
                    _ => Vec::new(),
                };
                if names.len() > 256 {
                    return Err(self.refuse(at, "a parameter of more than 256 values", "pass it in a buffer"));
                }
                let parts = self.parts(t);
                let mut out = Vec::new();
                for ((o, part), n) in parts.iter().zip(names) {
                    out.push(self.parameter_value(&format!("{name}_{n}"), part, promise, index, offset + o, at)?);
                }
                Ok(Val::Group(out))
            }
            Type::Texture => self.texture_parameter(name, index, offset),
            Type::Lambda(_) | Type::Functor(_) => Ok(Val::Opaque),
            other => Err(self.refuse(
                at,
                format!("a kernel parameter of {}", self.type_name(other)),
                "pass numbers, structs of numbers, or pointers",
            )),
        }
    }

    fn pointer_parameter(
        &mut self,
        name: &str,
        to: &Type,
        promise: bool,
        parameter: usize,
        offset: u32,
        at: At,
    ) -> R<Val> {
        let (pointers, number) = (self.shape.pointers, self.pointers.len());
        let null = offset == 0 && parameter < 64 && self.shape.nulls >> parameter & 1 == 1;
        if null || Pointers::bit(pointers.nulls, number) {
            self.pointers.push(None);
            return Ok(Val::Pointer(super::convert::null(to.clone())));
        }
        let before = self.pointers.get(pointers.first(number)).copied().flatten();
        let space = match before {
            Some(space) => space,
            None => {
                // A promise that nobody writes what this points to does not hold for the others.
                let space = self.buffer(name, to, promise && !pointers.shared(number), at)?;
                let element = match to {
                    Type::Scalar(s) | Type::Vector(s, _) => Some(s.dtype()),
                    _ => None,
                };
                self.args.push(Argument::Buffer { name: name.into(), element, offset, parameter });
                space
            }
        };
        self.pointers.push(Some(space));
        let base = Base::Space(space);
        if !Pointers::bit(pointers.starts, number) {
            let unit = self.store_of(space).size;
            return Ok(Val::Pointer(Ptr { base, unit, ix: Ix::K(0), plus: 0, to: to.clone() }));
        }
        let unit = self.size_align(to).1;
        let uniform = self.unique(&format!("{name}_start"));
        self.args.push(Argument::Start { name: uniform.to_string(), unit, offset, parameter });
        let start = self.b.uniform(&uniform);
        self.not_negative.insert(start);
        Ok(Val::Pointer(Ptr { base, unit, ix: Ix::V(start), plus: 0, to: to.clone() }))
    }

    /// A new storage buffer.
    fn buffer(&mut self, name: &str, elem: &Type, promise: bool, at: At) -> R<Space> {
        if self.has_texture(elem) {
            return Err(self.refuse(
                at,
                "texture objects in device memory",
                "WGSL has no handles: pass each texture as its own argument",
            ));
        }
        if self.has_pointer(elem) {
            return Err(self.refuse(
                at,
                "an array of pointers in device memory",
                "WGSL has no addresses: pass each array as its own argument, or one array with offsets",
            ));
        }
        let unique = self.unique(name);
        let dtype = self.storage(&format!("b:{unique}"), elem);
        if dtype == DType::F64 && !self.caps.double {
            return Err(self.no_double(at));
        }
        let read_only = promise && !self.choices.words.contains(&format!("w:{unique}"));
        self.b.buffers.push(girih_simt::Buffer { name: unique, elem: Ty::scalar(dtype), written: false, read_only });
        Ok(Space::Buffer(self.b.buffers.len() as u32 - 1))
    }

    /// A variable at file scope.
    pub fn global(&mut self, index: usize, part: &Part, at: At) -> R<super::call::Operand> {
        use super::call::Operand;
        let var = self.p.globals[index].clone();
        if let Some(params) = self.p.variable_templates.get(&var.name) {
            let params = params.clone();
            let (env, _) = self.bind_template(&params, part.args.as_deref().unwrap_or_default(), at)?;
            self.scopes.push(env);
            let done = self.constant_global(&var, at);
            self.scopes.pop();
            return done;
        }
        if matches!(&var.ty, TypeExpr::Named(n) if matches!(&*n.last().id, "texture" | "surface")) {
            return Err(self.refuse(
                at,
                "a texture or surface reference",
                "CUDA 12 has none either: pass a cudaTextureObject_t to the kernel",
            ));
        }
        if let Some(place) = self.global_vars.get(&index) {
            return Ok(Operand::Place(place.clone()));
        }
        match var.place {
            Storage::Dynamic => {
                let place = self.dynamic_shared(&var)?;
                self.global_vars.insert(index, place.clone());
                Ok(Operand::Place(place))
            }
            Storage::Constant | Storage::Device
                if !(var.constant && var.place == Storage::Device && var.init.is_some()) =>
            {
                let t = self.declared(&var.ty, var.init.as_ref(), var.at)?;
                let elem = if let Type::Array(..) = &t { t.clone() } else { t.clone() };
                let initial = self.initial_bytes(&var, &t)?;
                let space = self.buffer(&var.name, &elem, var.place == Storage::Constant, var.at)?;
                self.args.push(Argument::Symbol { name: var.name.to_string(), initial });
                let unit = self.store_of(space).size;
                let place = Place::Memory(Ptr { base: Base::Space(space), unit, ix: Ix::K(0), plus: 0, to: t });
                self.global_vars.insert(index, place.clone());
                Ok(Operand::Place(place))
            }
            Storage::Shared => self.shared_global(&var).map(Operand::Place),
            _ if var.init.is_none() => Err(self.refuse(
                at,
                format!("the host variable `{}`", var.name),
                "mark it __device__ or __constant__, or pass it as an argument",
            )),
            _ => self.constant_global(&var, at),
        }
    }

    fn shared_global(&mut self, var: &Var) -> R<Place> {
        let t = self.ty(&var.ty, var.at)?;
        let key = (var.at, "".into());
        if let Some(place) = self.shared_vars.get(&key) {
            return Ok(place.clone());
        }
        let place = self.shared_array(&var.name, &t, var.at)?;
        self.shared_vars.insert(key, place.clone());
        Ok(place)
    }

    fn constant_global(&mut self, var: &Var, at: At) -> R<super::call::Operand> {
        use super::call::Operand;
        let Some(init) = var.init.clone() else {
            return Err(self.err("U004", at, format!("`{}` has no value here", var.name)));
        };
        // Names of the function do not reach into a variable at file scope.
        let top = self.scopes.last().cloned().unwrap_or_default();
        let inner = std::mem::replace(&mut self.scopes, vec![top]);
        let done = self.declared(&var.ty, Some(&init), var.at).and_then(|t| self.initial_of(&init, &t, var.at));
        self.scopes = inner;
        Ok(Operand::Value(done?))
    }

    fn initial_bytes(&mut self, var: &Var, t: &Type) -> R<Vec<u8>> {
        if &*var.name == "__girih_xorwow_jumps" {
            return Ok(crate::random::jumps().to_vec());
        }
        let mut bytes = vec![0u8; self.size(t) as usize];
        if let Some(init) = var.init.clone() {
            let tv = self.initial_of(&init, t, var.at)?;
            self.put_bytes(&tv.v, t, 0, &mut bytes, var.at)?;
        }
        Ok(bytes)
    }

    fn put_bytes(&mut self, v: &Val, t: &Type, at: usize, out: &mut [u8], here: At) -> R<()> {
        match (t, v) {
            (Type::Scalar(s), Val::Int(_) | Val::Float(_)) => {
                let bits: u64 = match (s, v) {
                    (Scalar::Float, Val::Float(f)) => (*f as f32).to_bits() as u64,
                    (Scalar::Double, Val::Float(f)) => f.to_bits(),
                    (Scalar::Half, Val::Float(f)) => half::f16::from_f64(*f).to_bits() as u64,
                    (Scalar::Bf16, Val::Float(f)) => half::bf16::from_f64(*f).to_bits() as u64,
                    (_, Val::Int(n)) => *n as u64,
                    _ => 0,
                };
                let n = s.size() as usize;
                out[at..at + n].copy_from_slice(&bits.to_le_bytes()[..n]);
                Ok(())
            }
            (_, Val::Group(parts)) => {
                for ((o, t), v) in self.parts(t).into_iter().zip(parts) {
                    self.put_bytes(v, &t, at + o as usize, out, here)?;
                }
                Ok(())
            }
            _ => Err(self.err("U004", here, "the initial value must be a constant")),
        }
    }
}
