//! From the syntax tree to SIMT IR: types are checked, templates instantiated, calls inlined and constants folded in one walk
//! over the kernel. Where the walk learns that an earlier choice was wrong (a variable needs its bytes in order, a condition
//! differs between threads), it notes the choice and starts again; the number of choices bounds the number of walks.

mod arith;
mod call;
mod checks;
mod choice;
mod convert;
mod either;
mod enums;
mod expr;
mod fences;
mod groups;
mod intrinsic;
mod kernel;
mod layout;
mod matrix;
mod memory;
mod names;
mod object;
mod overload;
mod place;
mod scan;
mod stmt;
mod template;
mod texture;
mod traits;
mod value;
mod warp;
mod wide;
mod words;

pub(crate) use kernel::takes;
pub use kernel::{Argument, Compiled, initial, lower};
pub(crate) use texture::known as is_texture_function;

use crate::parse::Program;
use crate::source::At;
use crate::texture::{TEXTURES, TextureMode};
use crate::types::{Scalar, Type};
use girih_base::Diag;
use girih_base::Loc;
use girih_simt::{Builder, Local, Space, Ty, ValueId};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use value::{Binding, Place, Tv};

/// What a target offers beyond WebGPU's minimum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Caps {
    /// Arithmetic on 64-bit integers; otherwise pairs of words stand for them.
    pub int64: bool,
    /// Doubles, and 64-bit integers to move their bits; otherwise they are refused.
    pub double: bool,
    /// Atomic operations on 64-bit integers, and such integers to move their bits; otherwise they are refused.
    pub atomic64: bool,
    /// For a checker, the lanes of a warp: operations of warps keep their own form, and assertions say what alignment and lanes
    /// the program counts on.
    pub checked: Option<u32>,
    /// Subgroups have exactly 32 threads: operations of warps are those of subgroups. Otherwise lanes exchange words through
    /// workgroup memory.
    pub native: bool,
}

/// How a kernel is launched, as far as its code depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaunchShape {
    /// Threads of a block.
    pub block: [u32; 3],
    /// Axes of the grid that may be longer than 1: 1, 2 or 3.
    pub grid_axes: u8,
    /// Bytes of dynamic shared memory.
    pub dynamic_shared: u32,
    /// Parameters that are null pointers, one bit each from the first: branches on them are decided now.
    pub nulls: u64,
    /// How the pointers lie in memory.
    pub pointers: Pointers,
    /// Texels and modes of the kernel's textures and surfaces, in order; those not said are as the kernel reads them.
    pub textures: [Option<TextureMode>; TEXTURES],
}

/// How the pointers of a launch lie in memory. They are counted through all parameters, those inside structs included; of the
/// first 32 more can be said than that each has a buffer of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pointers {
    /// Null pointers, one bit each from the first.
    pub nulls: u32,
    /// Pointers that do not begin where their buffer does: [`Argument::Start`] says where.
    pub starts: u32,
    /// How many pointers back is the first one into the same buffer; 0 for a buffer that none before points into.
    pub back: [u8; 32],
}

impl Pointers {
    /// How the pointers of a launch lie, from where each one leads: its memory and how far inside; none is null.
    ///
    /// # Errors
    /// The number of the first pointer that is null, shares its memory or begins inside it, and about which that cannot be said.
    pub fn arranged<M: PartialEq>(targets: &[Option<(M, u64)>]) -> Result<Pointers, usize> {
        let mut pointers = Pointers::default();
        for (i, target) in targets.iter().enumerate() {
            let mut special = true;
            let bit = 1u32.checked_shl(i as u32).unwrap_or(0);
            match target {
                None => pointers.nulls |= bit,
                Some((memory, offset)) => {
                    let same = |t: &Option<(M, u64)>| t.as_ref().is_some_and(|(m, _)| m == memory);
                    let first = targets.iter().position(same).unwrap_or(i);
                    special = first != i || *offset != 0;
                    if let Some(back) = pointers.back.get_mut(i) {
                        *back = (i - first).min(255) as u8;
                    }
                    if *offset != 0 {
                        pointers.starts |= bit;
                    }
                }
            }
            if special && i >= pointers.back.len() {
                return Err(i);
            }
        }
        Ok(pointers)
    }

    fn bit(set: u32, pointer: usize) -> bool {
        pointer < 32 && set >> pointer & 1 == 1
    }

    fn starts_later(&self, pointer: usize) -> bool {
        Pointers::bit(self.starts, pointer)
    }

    /// The first pointer into the same buffer.
    fn first(&self, pointer: usize) -> usize {
        pointer - self.back.get(pointer).map_or(0, |n| *n as usize).min(pointer)
    }

    /// Whether a later pointer points into the buffer too.
    fn shared(&self, pointer: usize) -> bool {
        (0..32).any(|other| other != pointer && self.first(other) == pointer)
    }
}

impl LaunchShape {
    /// A launch of blocks of this size over a grid of this many axes, without dynamic shared memory or null pointers.
    pub const fn new(block: [u32; 3], grid_axes: u8) -> LaunchShape {
        LaunchShape {
            block,
            grid_axes,
            dynamic_shared: 0,
            nulls: 0,
            pointers: Pointers { nulls: 0, starts: 0, back: [0; 32] },
            textures: [None; TEXTURES],
        }
    }
}

/// Why a walk ended early.
pub(crate) enum Fail {
    /// The program is wrong or cannot be expressed.
    Diag(Box<Diag>),
    /// A choice was changed.
    Retry,
}

impl From<Box<Diag>> for Fail {
    fn from(d: Box<Diag>) -> Fail {
        Fail::Diag(d)
    }
}

pub(crate) type R<T> = Result<T, Fail>;

/// What earlier walks learnt.
#[derive(Default)]
pub(crate) struct Choices {
    /// Variables whose bytes are kept in order, since they are read as another type.
    pub memory: BTreeSet<At>,
    /// Arrays kept as u32 words, for atomics or mixed types.
    pub words: BTreeSet<String>,
    /// Arrays kept as u64, for atomics of that width.
    pub longs: BTreeSet<String>,
    /// Buffers that pass from block to block by way of a fence: accessed by atomic operations.
    pub coherent: BTreeSet<String>,
    /// Conditions that differ between threads around operations that all threads must reach.
    pub diverges: BTreeSet<At>,
    /// Arrays that a pointer variable may point into, where they are several.
    pub either: BTreeMap<String, BTreeSet<String>>,
    /// Textures whose texels the launch does not describe, as they are read.
    pub textures: BTreeMap<usize, TextureMode>,
}

/// A struct with its template arguments.
pub(crate) struct StructInst {
    pub def: usize,
    pub env: BTreeMap<Arc<str>, Binding>,
    pub fields: Vec<Field>,
    /// Bases, as numbers of instances.
    pub bases: Vec<u32>,
    pub size: u32,
    pub align: u32,
}

#[derive(Clone)]
pub(crate) struct Field {
    pub name: Arc<str>,
    pub ty: Type,
    pub offset: u32,
    /// Index of the variable in the struct, for its default value; and the struct it comes from.
    pub from: (usize, usize),
}

/// A function being inlined.
pub(crate) struct Frame {
    pub ret: Type,
    /// Where the result goes.
    pub result: Option<Place>,
    /// Set once the function has returned, where that cannot be expressed by nesting.
    pub done: Option<u32>,
    /// Number of masks when it began.
    pub masks: usize,
    pub loops: Vec<LoopCtx>,
    /// `Op::Return` may be used.
    pub leaves: bool,
    /// The body has operations that all threads must reach together.
    pub collective: bool,
    pub this: Option<Place>,
    pub owner: Option<u32>,
    pub name: Arc<str>,
}

/// What `continue` does before the next round.
#[derive(Clone)]
pub(crate) enum Next {
    Nothing,
    /// The step of a `for`.
    Step(Rc<crate::ast::Expr>),
    /// The condition of a `do`.
    Test(Rc<crate::ast::Expr>),
}

pub(crate) enum LoopCtx {
    /// A loop of SIMT IR, with the number of masks around it.
    Plain { at: At, next: Next, masks: usize, collective: bool },
    /// All threads go round until none is left; the number of masks around it.
    Masked { masks: usize },
    /// A switch made from a loop of one round: `continue` leaves it first.
    Switch { resume: u32 },
    /// An unrolled loop: there is nothing to leave.
    Unrolled,
}

/// Why some threads are masked off.
#[derive(Clone)]
pub(crate) struct Mask {
    pub local: u32,
    /// The condition that differs; `None` where only threads that returned are off.
    pub why: Option<At>,
}

/// An array in memory, as SIMT IR declares it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Store {
    pub dtype: girih_base::DType,
    pub size: u32,
}

pub(crate) struct Lowerer<'p> {
    pub p: &'p Program,
    pub b: Builder,
    pub caps: Caps,
    pub shape: LaunchShape,
    pub choices: Choices,
    pub structs: Vec<StructInst>,
    pub struct_keys: BTreeMap<String, u32>,
    pub scopes: Vec<BTreeMap<Arc<str>, Binding>>,
    pub frames: Vec<Frame>,
    pub closures: Vec<Rc<value::Closure>>,
    pub masks: Vec<Mask>,
    /// The first mask is that of the kernel itself: threads that returned are off in it.
    pub exits: bool,
    /// Inside a guard of the current mask: nothing needs guarding.
    pub plain: bool,
    pub names: BTreeMap<String, u32>,
    /// Conditions taken to be the same for all threads.
    pub assumed: Vec<(At, ValueId)>,
    /// Shared variables: each instance of a template has its own.
    pub shared_vars: BTreeMap<(At, Arc<str>), Place>,
    /// The function that is being inlined, with its template arguments.
    pub instance: Arc<str>,
    pub global_vars: BTreeMap<usize, Place>,
    pub dynamic: Option<u32>,
    pub scratch: BTreeMap<&'static str, u32>,
    pub thread: [Tv; 3],
    pub block_index: [Tv; 3],
    pub grid: [Tv; 3],
    pub lane: ValueId,
    pub threads: u32,
    pub depth: usize,
    pub spent: usize,
    pub here: At,
    pub remarked: u32,
    pub collective_memo: RefCell<BTreeMap<Arc<str>, bool>>,
    pub instances: BTreeSet<String>,
    pub args: Vec<Argument>,
    pub textures: Vec<texture::Image>,
    /// The buffer of each pointer among the parameters; null pointers have none.
    pub pointers: Vec<Option<Space>>,
    /// Names that the functions being lowered may change.
    pub changed: scan::Changed,
    /// Depth of expressions and types.
    pub nest: u32,
    /// Enums whose constants are being evaluated, and which one.
    pub in_enum: Vec<(usize, usize)>,
    /// Number of conditions and loops around what is being lowered.
    pub flow: usize,
    pub fences: fences::Fences,
    /// 32-bit integers known to be at least 0.
    pub not_negative: BTreeSet<ValueId>,
}

/// Deepest nesting of expressions and types, calls included.
const MOST_NESTED: u32 = 4000;
/// Deepest inlining.
const MOST_CALLS: usize = 128;
/// Most expressions lowered for one kernel, unrolled and inlined.
const MOST_WORK: usize = 400_000;

impl Lowerer<'_> {
    pub fn err(&self, code: &'static str, at: At, message: impl Into<String>) -> Fail {
        let mut diag = self.p.sources.error(code, at, message, "here");
        for f in self.frames.iter().rev().take(3) {
            diag = diag.note(format!("in `{}`", f.name));
        }
        if code == "U003" && !self.p.missing.is_empty() {
            let list: Vec<&str> = self.p.missing.iter().map(|m| &**m).collect();
            diag = diag.note(format!("these included files were not found: {}", list.join(", ")));
        }
        Fail::Diag(diag)
    }

    /// A construct that cannot be ported, with advice.
    pub fn refuse(&self, at: At, what: impl Into<String>, help: &str) -> Fail {
        match self.err("U005", at, what) {
            Fail::Diag(d) => Fail::Diag(d.help(help)),
            retry => retry,
        }
    }

    pub fn spend(&mut self, at: At) -> R<()> {
        self.spent += 1;
        if self.spent > MOST_WORK {
            return Err(self.err(
                "U006",
                at,
                format!("this kernel has more than {MOST_WORK} expressions once inlined and unrolled"),
            ));
        }
        Ok(())
    }

    /// Runs one level deeper in expressions and types; those that are defined by themselves end here.
    pub fn nested<T>(&mut self, at: At, f: impl FnOnce(&mut Self) -> R<T>) -> R<T> {
        if self.nest >= MOST_NESTED {
            return Err(self.err("U006", at, "this is nested too deep, or defined by itself"));
        }
        self.nest += 1;
        let done = f(self);
        self.nest -= 1;
        done
    }

    pub fn loc(&mut self, at: At) {
        self.here = at;
        let loc: Loc = self.p.sources.loc(at);
        self.b.set_loc(loc);
    }

    /// A name that nothing in the kernel has yet.
    pub fn unique(&mut self, wish: &str) -> Arc<str> {
        let clean: String = wish.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect();
        let clean = if clean.is_empty() || clean.starts_with(|c: char| c.is_ascii_digit()) {
            format!("v{clean}")
        } else {
            clean
        };
        let mut name = clean.clone();
        while self.names.contains_key(&name) {
            let n = self.names.entry(clean.clone()).or_insert(0);
            *n += 1;
            name = format!("{clean}_{n}");
        }
        self.names.insert(name.clone(), 0);
        name.into()
    }

    /// A new variable of the thread.
    pub fn new_local(&mut self, wish: &str, elem: Ty, len: Option<u32>) -> u32 {
        let name = self.unique(wish);
        self.b.locals.push(Local { name, elem, len });
        self.b.locals.len() as u32 - 1
    }

    /// Opens a region that some threads may not run.
    pub fn open(&mut self) {
        self.flow += 1;
        self.b.begin();
    }

    /// Closes the innermost region.
    pub fn close(&mut self) -> Vec<girih_simt::Stmt> {
        self.flow -= 1;
        self.b.end()
    }

    /// How much control flow is around what is being lowered.
    pub fn around(&self) -> usize {
        self.flow + self.masks.len()
    }

    /// The frame of the function being lowered.
    pub fn frame(&mut self) -> &mut Frame {
        let last = self.frames.len() - 1;
        &mut self.frames[last]
    }

    pub fn lookup(&self, name: &str) -> Option<&Binding> {
        self.scopes.iter().rev().find_map(|s| s.get(name))
    }

    pub fn bind(&mut self, name: &Arc<str>, binding: Binding) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.insert(name.clone(), binding);
        }
    }

    /// The arrays behind spaces.
    pub fn store_of(&self, space: Space) -> Store {
        let ty = match space {
            Space::Buffer(i) => self.b.buffers[i as usize].elem,
            Space::Shared(i) => self.b.shared[i as usize].elem,
            Space::Local(i) => self.b.locals[i as usize].elem,
        };
        Store { dtype: ty.dtype, size: (ty.dtype.bits() / 8).max(1) }
    }

    pub fn type_name(&self, ty: &Type) -> String {
        match ty {
            Type::Void => "void".into(),
            Type::Scalar(s) => s.name().into(),
            Type::Vector(s, n) => format!("{}{n}", s.name()),
            Type::Struct(i) => self.p.structs[self.structs[*i as usize].def].name.to_string(),
            Type::Pointer(t) => format!("{}*", self.type_name(t)),
            Type::Array(t, n) => format!("{}[{n}]", self.type_name(t)),
            Type::Lambda(_) => "a lambda".into(),
            Type::Group(_) => "a cooperative group".into(),
            Type::Functor(f) => (*f).into(),
            Type::Callable(_) => "a function".into(),
            Type::Null => "nullptr_t".into(),
            Type::Texture => "cudaTextureObject_t".into(),
            Type::Fragment(..) => "fragment".into(),
        }
    }
}

pub(crate) const INT: Type = Type::Scalar(Scalar::Int);
pub(crate) const UINT: Type = Type::Scalar(Scalar::UInt);
pub(crate) const BOOL: Type = Type::Scalar(Scalar::Bool);
