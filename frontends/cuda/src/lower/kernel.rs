//! A whole kernel: its arguments, the walks over its body, and the finished SIMT kernel.

mod globals;
mod parameters;

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
}
