//! Evaluation: the kernel's Python is run once, at compile time; what depends on arguments becomes Tile IR.

mod arguments;
mod assume;
mod call;
mod carry;
mod constant;
mod control;
mod expr;
mod loops;
mod memory;
mod names;
mod operators;
pub(crate) mod promote;
mod stmt;
mod sums;
pub(crate) mod tensor;
mod trips;

use crate::affine::Range;
use crate::globals::Function;
use crate::module::{Module, Source};
use crate::rounds::{self, Looped, Spread};
use crate::signature::{Arg, Assume, Constant, Signature, parameters};
use crate::value::{Tensor, Value};
use crate::wrap::{self, Sink, Wrapped, Zero};
use crate::{Binding, Kernel, share, steps};
use girih_base::{Diag, Dim, Loc, Result, Symbol};
use girih_tile::{Access, Builder, ValueId};
use ruff_python_ast::Expr;
use ruff_text_size::TextRange;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The largest value that a size may have; larger integers are plain numbers.
pub(crate) const MAX_SIZE: i64 = 1 << 30;
/// The largest extents of a grid along x, y and z.
pub(crate) const MAX_GRID: [i64; 3] = [i32::MAX as i64, 65535, 65535];
/// Calls nest at most this deep.
const DEPTH: usize = 64;
/// Statements evaluated for one kernel, unrolled loops and second passes included.
const FUEL: u64 = 2_000_000;

/// The state of compiling one kernel.
pub(crate) struct Eval<'m> {
    pub module: &'m Module,
    pub b: Builder,
    /// What is done with each parameter: read, written.
    pub uses: Vec<(bool, bool)>,
    /// Ranges of i32 scalars that sums are made of, with a symbolic upper end where there is one.
    pub ranges: BTreeMap<ValueId, (Range, Option<Dim>)>,
    /// Sizes that must fit i32 at launch.
    pub checks: Vec<Dim>,
    /// Sizes that are assumed not to be negative, if that is allowed, and those that are negative at the launch.
    pub assumes: Vec<Dim>,
    pub missed: Vec<Dim>,
    pub assume: Assume,
    /// The values of symbols at the launch.
    pub known: girih_base::Bindings,
    /// Symbolic lower ends of scalars.
    pub bottoms: BTreeMap<ValueId, Dim>,
    pub notes: Vec<String>,
    /// What is known of the launch's symbols.
    symbols: Vec<Symbol>,
    /// Assertions are tested.
    pub debug: bool,
    /// Remainders of indices, and what is stored where.
    pub remainders: Vec<Wrapped>,
    pub sinks: Vec<Sink>,
    /// The numbers of the program along each axis of the grid.
    pub programs: [Vec<ValueId>; 3],
    /// The loops, as they were evaluated.
    pub loops: Vec<Looped>,
    /// What an evaluation before has found, and the loops that became programs.
    pub again: Again,
    pub spread: usize,
    /// The zeros that mark remainders that need not wrap.
    pub zeros: BTreeMap<ValueId, Zero>,
    pub frames: Vec<Frame>,
    /// The piece of source being evaluated.
    pub here: TextRange,
    /// Extents of the grid.
    pub grid: [Dim; 3],
    globals: BTreeMap<(Arc<str>, String), Value>,
    fuel: u64,
    pub depth: usize,
    /// Depths of calls, with the names that expressions must not bind there; none: no names.
    pub fixed: Vec<(usize, Option<BTreeSet<String>>)>,
    /// Names that only a branch or a loop binds: of which call, and which statement; for errors.
    pub partial: Vec<(Loc, String, Loc)>,
}

/// A call in progress.
pub(crate) struct Frame {
    pub source: Arc<Source>,
    pub vars: BTreeMap<String, Value>,
    /// Where it was called.
    pub site: Loc,
}

/// What an evaluation finds for a second one to use.
#[derive(Clone, Debug, Default)]
pub(crate) struct Again {
    /// Remainders that need not wrap.
    pub needless: Vec<Loc>,
    /// Loops of one round.
    pub once: Vec<Loc>,
    /// The loop whose rounds become programs.
    pub spread: Option<Spread>,
}

/// Compiles a kernel.
pub(crate) fn compile(module: &Module, function: &Arc<Function>, signature: &Signature) -> Result<Kernel> {
    let first = evaluate(module, function, signature, Again::default())?;
    let loops = Again {
        needless: Vec::new(),
        once: rounds::once(&first.loops),
        spread: rounds::spread(&first.kernel.tile, &first.loops),
    };
    let needless = wrap::needless(&first.kernel.tile, &first.remainders, &first.sinks);
    let wrapped = (!needless.is_empty()).then(|| Again { needless, ..loops.clone() });
    let looped = (!loops.once.is_empty() || loops.spread.is_some()).then_some(loops);
    for again in wrapped.into_iter().chain(looped) {
        let Ok(mut second) = evaluate(module, function, signature, again) else { continue };
        // Code that still uses a zero would see the index where the remainder is meant.
        let kept = girih_tile::clean(&mut second.kernel.tile, &[]);
        if second.spread && second.zeros.keys().all(|z| kept.get(z.0 as usize).is_none_or(Option::is_none)) {
            return finish(second.kernel);
        }
    }
    finish(first.kernel)
}

fn finish(mut kernel: Kernel) -> Result<Kernel> {
    share::simplify(&mut kernel.tile);
    steps::compute(&mut kernel.tile);
    girih_tile::clean(&mut kernel.tile, &[]);
    girih_tile::verify(&kernel.tile)?;
    Ok(kernel)
}

/// Whether a kernel is declared with `debug=True`.
fn asked(function: &Function) -> bool {
    use ruff_python_ast::Expr;
    function.def.decorator_list.iter().any(|d| match &d.expression {
        Expr::Call(call) => call.arguments.keywords.iter().any(|k| {
            k.arg.as_ref().is_some_and(|name| name.id.as_str() == "debug")
                && matches!(&k.value, Expr::BooleanLiteral(b) if b.value)
        }),
        _ => false,
    })
}

/// A kernel as it was evaluated, and what decides whether it is evaluated again.
struct Evaluated {
    kernel: Kernel,
    remainders: Vec<Wrapped>,
    sinks: Vec<Sink>,
    zeros: BTreeMap<ValueId, Zero>,
    loops: Vec<Looped>,
    /// The rounds that were to become programs did.
    spread: bool,
}

fn evaluate(module: &Module, function: &Arc<Function>, signature: &Signature, again: Again) -> Result<Evaluated> {
    let debug = signature.debug || asked(function);
    let mut e = Eval { again, debug, assume: signature.assume.clone(), ..Eval::new(module) };
    let mut taken: Vec<String> = parameters(function).into_iter().map(|p| p.name).collect();
    let mut unique = |base: String| {
        let mut name = base.clone();
        let mut n = 1;
        while taken.contains(&name) {
            n += 1;
            name = format!("{base}{n}");
        }
        taken.push(name.clone());
        name
    };
    let mut grid_names = [const { None::<Arc<str>> }; 3];
    for axis in 0..3 {
        if !signature.single[axis] {
            let name = unique(format!("grid_{}", ["x", "y", "z"][axis]));
            e.grid[axis] = e.symbol(&name, 0, MAX_GRID[axis], 1);
            if let Assume::Launch(launch) = &signature.assume {
                e.known.insert(name.as_str().into(), launch.grid[axis] as i64);
            }
            grid_names[axis] = Some(name.into());
        }
    }
    let decided = decorators(module, function, signature, &BTreeMap::new())?;
    let mut vars = BTreeMap::new();
    let mut bindings = Vec::new();
    let params = &function.def.parameters;
    if let Some(star) = params.vararg.as_deref().or(params.kwarg.as_deref()) {
        e.here = star.range;
        let what = format!("kernel `{}` takes any number of arguments as `{}`", function.def.name.id, star.name.id);
        return Err(e.error("K002", what, "declared here").help("give each argument a name; a tuple may be one"));
    }
    for p in params.iter_non_variadic_params() {
        let name = p.parameter.name.id.to_string();
        e.here = p.range;
        let value = match signature.args.get(&name) {
            Some(arg) => e.argument(&name, arg, &mut vars, &mut unique, &mut bindings)?,
            None => match (decided.get(&name), &p.default) {
                (Some(c), _) => e.constant(c)?,
                (None, Some(default)) => e.expr(default)?,
                (None, None) => {
                    return Err(e
                        .error(
                            "K012",
                            format!("argument `{name}` of `{}` is missing", function.def.name.id),
                            "declared here",
                        )
                        .help("give it a type or a value in the signature"));
                }
            },
        };
        vars.insert(name, value);
    }
    if let Some(extra) = signature.args.keys().find(|n| !vars.contains_key(*n)) {
        e.here = function.span();
        return Err(e.error("K012", format!("`{}` has no parameter `{extra}`", function.def.name.id), "declared here"));
    }
    if let Some(frame) = e.frames.last_mut() {
        frame.vars = vars;
    }
    if let Assume::Launch(launch) = &signature.assume {
        for (name, binding) in &bindings {
            if let (Binding::Size(symbol), Some(v)) = (binding, launch.sizes.get(name)) {
                e.known.insert(symbol.clone(), *v);
            }
        }
    }
    e.body(&function.def.body, None)?;
    for (p, (reads, writes)) in e.b.params_mut().iter_mut().zip(&e.uses) {
        p.access = match (reads, writes) {
            (true, true) => Access::ReadWrite,
            (false, true) => Access::Write,
            _ => Access::Read,
        };
        p.constant = p.access == Access::Read;
    }
    let mut grid = e.grid.clone();
    let spread = usize::from(e.again.spread.is_some()) == e.spread;
    if let Some(spread) = e.again.spread {
        grid[spread.axis] = spread.count;
    }
    let [x, y, z] = grid;
    let tile = e.b.finish(function.def.name.id.to_string(), vec![z, y, x]);
    let (checks, assumes, missed) = (e.checks, e.assumes, e.missed);
    let kernel =
        Kernel { tile, bindings, grid: grid_names, checks, assumes, missed, symbols: e.symbols, notes: e.notes };
    Ok(Evaluated { kernel, remainders: e.remainders, sinks: e.sinks, zeros: e.zeros, loops: e.loops, spread })
}

/// What `@triton.autotune` (its first configuration) and `@triton.heuristics` give to constants; `values` are those of a launch.
pub(crate) fn decorators(
    module: &Module,
    function: &Arc<Function>,
    signature: &Signature,
    values: &BTreeMap<String, Constant>,
) -> Result<BTreeMap<String, Constant>> {
    let deciding =
        |d: &ruff_python_ast::Decorator| crate::globals::decorator(&d.expression, &["autotune", "heuristics"]);
    if !function.def.decorator_list.iter().any(deciding) {
        return Ok(BTreeMap::new());
    }
    let mut e = Eval::new(module);
    let mut out = BTreeMap::new();
    let mut known: Vec<(Value, Value)> = values.iter().filter_map(|(n, v)| Some((Value::str(n), v.value()?))).collect();
    for (name, arg) in &signature.args {
        if let Arg::Constant(c) = arg {
            known.extend(c.value().map(|v| (Value::str(name), v)));
        }
    }
    // Decorators apply from the inside out, but autotuning decides before heuristics look.
    for wanted in ["autotune", "heuristics"] {
        for d in &function.def.decorator_list {
            if !crate::globals::decorator(&d.expression, &[wanted]) {
                continue;
            }
            let Expr::Call(call) = &d.expression else { continue };
            e.here = d.range;
            let pairs = match wanted {
                "autotune" => e.first_config(call),
                _ => e.heuristics(call, &known, signature),
            };
            let pairs = match pairs {
                Ok(pairs) => pairs,
                // What the call gives needs no decorator.
                Err(_) if missing(function, signature, &out).is_none() => continue,
                Err(why) => return Err(why),
            };
            for (name, value) in pairs {
                if signature.args.contains_key(&name) {
                    continue;
                }
                let Some(c) = Constant::of(&value) else {
                    return Err(e.error("K007", format!("`{name}` is not decided by constants"), "this decorator"));
                };
                known.push((Value::str(&name), value));
                out.insert(name, c);
            }
        }
    }
    Ok(out)
}

/// A parameter that has no value yet.
fn missing(function: &Function, signature: &Signature, decided: &BTreeMap<String, Constant>) -> Option<String> {
    let given = |name: &String| signature.args.contains_key(name) || decided.contains_key(name);
    parameters(function).into_iter().find(|p| !p.default && !given(&p.name)).map(|p| p.name)
}

impl<'m> Eval<'m> {
    fn new(module: &'m Module) -> Eval<'m> {
        Eval {
            module,
            b: Builder::new(),
            uses: Vec::new(),
            ranges: BTreeMap::new(),
            checks: Vec::new(),
            assumes: Vec::new(),
            missed: Vec::new(),
            assume: Assume::Nothing,
            known: girih_base::Bindings::new(),
            bottoms: BTreeMap::new(),
            notes: Vec::new(),
            symbols: Vec::new(),
            debug: false,
            remainders: Vec::new(),
            sinks: Vec::new(),
            programs: Default::default(),
            loops: Vec::new(),
            again: Again::default(),
            spread: 0,
            zeros: BTreeMap::new(),
            frames: vec![Frame { source: module.source.clone(), vars: BTreeMap::new(), site: Loc::unknown() }],
            here: TextRange::default(),
            grid: [Dim::ONE, Dim::ONE, Dim::ONE],
            globals: BTreeMap::new(),
            fuel: FUEL,
            depth: 0,
            fixed: Vec::new(),
            partial: Vec::new(),
        }
    }

    /// A symbol of the launch.
    fn symbol(&mut self, name: &str, min: i64, max: i64, multiple_of: i64) -> Dim {
        let s = Symbol { name: name.into(), min, max, multiple_of };
        self.symbols.push(s.clone());
        Dim::from(s)
    }

    /// An error at the piece of source being evaluated.
    pub fn error(&self, code: &'static str, message: impl Into<String>, label: &str) -> Box<Diag> {
        match self.frames.last() {
            Some(f) => f.source.diag(self.here, &f.site, code, message, label),
            None => Diag::error(code, message),
        }
    }

    /// The place being evaluated, with the calls that led there.
    pub fn loc(&self) -> Loc {
        self.frames.last().map_or_else(Loc::unknown, |f| f.source.loc(self.here, &f.site))
    }

    /// Statements from now on come from this piece of source.
    pub fn enter(&mut self, span: TextRange) {
        self.here = span;
        let loc = self.loc();
        self.b.set_loc(loc);
    }

    pub fn burn(&mut self) -> Result<()> {
        match self.fuel.checked_sub(1) {
            Some(left) => {
                self.fuel = left;
                Ok(())
            }
            None => Err(self.error("K013", "the kernel is too long once its loops are unrolled", "gave up here")),
        }
    }

    pub fn frame(&mut self) -> &mut Frame {
        if self.frames.is_empty() {
            let source = self.module.source.clone();
            self.frames.push(Frame { source, vars: BTreeMap::new(), site: Loc::unknown() });
        }
        let last = self.frames.len() - 1;
        &mut self.frames[last]
    }

    pub fn vars(&mut self) -> &mut BTreeMap<String, Value> {
        &mut self.frame().vars
    }

    /// Remembers what is done with a parameter.
    pub fn touch(&mut self, param: usize, read: bool, write: bool) {
        if let Some(u) = self.uses.get_mut(param) {
            u.0 |= read;
            u.1 |= write;
        }
    }

    /// A tensor that a value must be.
    pub fn expect_tensor(&mut self, v: &Value, what: &str) -> Result<Tensor> {
        match v {
            Value::Pointer(_) | Value::BlockPointer(_) => {
                Err(self.error("K004", format!("{what} is {v}, a tensor was expected"), "here"))
            }
            v => self.tensor(v),
        }
    }

    fn first_config(&mut self, call: &ruff_python_ast::ExprCall) -> Result<Vec<(String, Value)>> {
        let configs = call.arguments.find_argument_value("configs", 0);
        let Some(configs) = configs else { return Ok(Vec::new()) };
        let value = self.expr(configs)?;
        match value {
            Value::Tuple(list) => match list.first() {
                Some(Value::Dict(pairs)) => Ok(string_keys(pairs)),
                _ => Ok(Vec::new()),
            },
            _ => Ok(Vec::new()),
        }
    }

    fn heuristics(
        &mut self,
        call: &ruff_python_ast::ExprCall,
        known: &[(Value, Value)],
        signature: &Signature,
    ) -> Result<Vec<(String, Value)>> {
        let Some(values) = call.arguments.find_argument_value("values", 0) else { return Ok(Vec::new()) };
        let Value::Dict(pairs) = self.expr(values)? else { return Ok(Vec::new()) };
        let args = Value::Dict(std::rc::Rc::new(known.to_vec()));
        let mut out = Vec::new();
        for (name, rule) in string_keys(&pairs) {
            if signature.args.contains_key(&name) {
                continue;
            }
            out.push((name, self.apply(&rule, vec![args.clone()], Vec::new())?));
        }
        Ok(out)
    }
}

fn string_keys(pairs: &[(Value, Value)]) -> Vec<(String, Value)> {
    let one = |(k, v): &(Value, Value)| match k {
        Value::Str(s) => Some((s.to_string(), v.clone())),
        _ => None,
    };
    pairs.iter().filter_map(one).collect()
}
