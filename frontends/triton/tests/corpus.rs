//! Compiles every kernel of a folder of Python files to WGSL, with signatures guessed from how parameters are used.
//!
//! `GIRIH_LIGER=/path/to/liger_kernel/ops cargo test -p girih-triton --test corpus -- --ignored --nocapture`
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

use girih_base::DType;
use girih_driver::Target;
use girih_triton::{Arg, Constant, Module, Place, Signature};
use girih_wgpu::WgpuTarget;
use ruff_python_ast::{Expr, Stmt};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

#[test]
#[ignore = "needs a folder of kernels in GIRIH_LIGER"]
fn every_kernel_compiles_to_wgsl() {
    let Ok(root) = std::env::var("GIRIH_LIGER") else { return };
    let only = std::env::var("GIRIH_KERNEL").ok();
    let mut files = Vec::new();
    collect(Path::new(&root), &mut files);
    files.sort();
    let webgpu = WgpuTarget::webgpu();
    let mut desc = webgpu.desc().clone();
    // A desktop adapter: more workgroup memory and buffers than WebGPU's defaults, and 64-bit integers.
    desc.workgroup_bytes = 65536;
    desc.max_buffers = 32;
    desc.max_threads = 1024;
    let target = webgpu.with_desc(desc);
    let (mut ok, mut refused): (Vec<String>, Vec<(String, String)>) = Default::default();
    let mut times = Vec::new();
    for file in &files {
        let text = std::fs::read_to_string(file).unwrap();
        let root = PathBuf::from(&root);
        let name = file.strip_prefix(&root).unwrap().display().to_string();
        let resolver = resolver(root.clone());
        let module = match Module::with_resolver(&text, &file.display().to_string(), Box::new(resolver)) {
            Ok(m) => m,
            Err(e) => panic!("{e}"),
        };
        let usage = usage(&text);
        for kernel in module.kernels() {
            if usage.called.contains(kernel) {
                continue;
            }
            let title = format!("{name}::{kernel}");
            if only.as_ref().is_some_and(|o| !title.contains(o.as_str())) {
                continue;
            }
            let (result, spent) = climb(&module, kernel, &usage, &target);
            times.push((spent, title.clone()));
            match result {
                Ok(text) => {
                    if only.is_some() {
                        println!("{text}");
                    }
                    ok.push(title);
                }
                Err(e) => refused.push((title, e)),
            }
        }
    }
    times.sort();
    let total = ok.len() + refused.len();
    println!("{} of {total} compile to WGSL ({:.1} %)", ok.len(), 100.0 * ok.len() as f64 / total.max(1) as f64);
    println!(
        "compile time: median {:?}, slowest {:?} ({})",
        times[times.len() / 2].0,
        times[times.len() - 1].0,
        times[times.len() - 1].1
    );
    for (title, e) in &refused {
        println!("\n== {title}\n{e}");
    }
    assert!(only.is_some() || ok.len() * 100 >= total * 95, "{} of {total}", ok.len());
}

fn collect(at: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(at).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            // Other vendors' variants of the same kernels need compilers of their own.
            let skip = ["backends", "cute", "cutedsl", "cutile", "__pycache__"];
            if !skip.contains(&path.file_name().unwrap().to_str().unwrap()) {
                collect(&path, out);
            }
        } else if path.extension().is_some_and(|e| e == "py") {
            out.push(path);
        }
    }
}

fn resolver(root: PathBuf) -> impl Fn(&str, &str) -> Option<(String, String)> + Send + Sync {
    move |module, from| {
        let base = root.parent()?.parent()?;
        let path = match module.strip_prefix('.') {
            Some(rest) => Path::new(from).parent()?.join(rest.replace('.', "/")),
            None => base.join(module.replace('.', "/")),
        };
        let path = path.with_extension("py");
        Some((path.display().to_string(), std::fs::read_to_string(&path).ok()?))
    }
}

/// Compiles with the guessed signature; while that fails, changes one argument at a time and keeps what gets further.
fn climb(module: &Module, kernel: &str, usage: &Usage, target: &WgpuTarget) -> (Result<String, String>, Duration) {
    let mut s = guess(module, kernel, usage);
    let timed = |s: &Signature| {
        let start = Instant::now();
        let result = attempt(module, kernel, s, target);
        (result, start.elapsed())
    };
    let (mut best, mut spent) = timed(&s);
    for _ in 0..12 {
        let Err((reached, _)) = &best else { break };
        let reached = *reached;
        let mut found = None;
        'search: for (name, arg) in s.args.clone() {
            for other in alternatives(&arg) {
                let mut t = s.clone();
                t.args.insert(name.clone(), other);
                let (result, time) = timed(&t);
                let further = match &result {
                    Ok(_) => true,
                    Err((line, _)) => *line > reached,
                };
                if further {
                    found = Some((t, result, time));
                    break 'search;
                }
            }
        }
        match found {
            Some((t, result, time)) => (s, best, spent) = (t, result, time),
            None => break,
        }
    }
    (best.map_err(|e| e.1), spent)
}

fn alternatives(arg: &Arg) -> Vec<Arg> {
    let constant = |v: Constant| Arg::Constant(v);
    match arg {
        Arg::Pointer { dtype, multiple_of, .. } => [DType::I32, DType::I64, DType::F32, DType::Bf16, DType::I8]
            .into_iter()
            .filter(|d| d != dtype)
            .map(|dtype| Arg::Pointer { dtype, multiple_of: *multiple_of, place: Place::default() })
            .collect(),
        Arg::Int { .. } => vec![Arg::Float(DType::F32), constant(Constant::None)],
        Arg::Descriptor { dtype, .. } => [vec![64, 64], vec![1, 64]]
            .map(|block| Arg::Descriptor { dtype: *dtype, block, nan: false, place: Place::default() })
            .to_vec(),
        Arg::Float(_) => vec![Arg::size(), Arg::pointer(DType::F32), constant(Constant::Int(1))],
        Arg::Tuple(_) => Vec::new(),
        Arg::Constant(_) => {
            let numbers = [64, 16, 4, 1, 0, 2, 128, 3].map(|v| constant(Constant::Int(v)));
            let words = ["sum", "none", "dapo", "bnpo", "luspo", "sapo"].map(|v| constant(Constant::Str(v.into())));
            let rest =
                [Constant::Bool(true), Constant::Bool(false), Constant::None, Constant::Type(DType::F32)].map(constant);
            rest.into_iter().chain(numbers).chain(words).collect()
        }
    }
}

fn guess(module: &Module, kernel: &str, usage: &Usage) -> Signature {
    let mut s = Signature { single: [false, true, true], ..Signature::default() };
    if usage.programs.get(kernel).copied().unwrap_or(0) > 1 {
        s.single = [false; 3];
    }
    for p in module.parameters(kernel).unwrap() {
        let lower = p.name.to_lowercase();
        let key = (kernel.to_string(), p.name.clone());
        let arg = if p.constexpr {
            match constant(&lower) {
                Some(c) => Arg::Constant(c),
                None => continue,
            }
        } else if lower.starts_with("desc_") {
            Arg::Descriptor { dtype: DType::F32, block: vec![1, 64, 64], nan: false, place: Place::default() }
        } else if usage.pointers.contains(&key) {
            Arg::Pointer { dtype: element(&lower), multiple_of: 16, place: Place::default() }
        } else if usage.integers.contains(&key) || integer(&lower) {
            Arg::Int { dtype: DType::I32, multiple_of: 16, size: !lower.contains("ignore") }
        } else {
            Arg::Float(DType::F32)
        };
        s.args.insert(p.name, arg);
    }
    s
}

/// The WGSL, or the line the error is at and the error.
fn attempt(module: &Module, kernel: &str, s: &Signature, target: &WgpuTarget) -> Result<String, (u32, String)> {
    let place = |e: &girih_base::Diag| e.labels.first().and_then(|l| l.loc.position()).map_or(0, |p| p.1);
    let compiled = module.compile(kernel, s).map_err(|e| (place(&e), e.to_string()))?;
    let tile = || if std::env::var("GIRIH_TILE").is_ok() { girih_tile::print(&compiled.tile) } else { String::new() };
    let simt = Instant::now();
    if std::env::var("GIRIH_PHASES").is_ok() {
        let d = girih_lower::distribute(&compiled.tile, target.desc()).map(|k| k.values.len());
        eprintln!("{kernel}: distribute {:?} {d:?}", simt.elapsed());
    }
    let code = target.compile(&compiled.tile).map_err(|e| (1_000_000, format!("{e}\n{}", tile())))?;
    Ok(code.text.to_string())
}

/// A value for a constant, from its name.
fn constant(name: &str) -> Option<Constant> {
    let block = 64;
    Some(match name {
        n if n.contains("dtype") => Constant::Type(DType::F32),
        n if n.contains("reduction") => Constant::Str("mean".into()),
        n if n.contains("mode") || n.contains("casting") => Constant::Int(0),
        n if n.contains("loss_type") => Constant::Str("grpo".into()),
        n if n.contains("kernel_size") || n.contains("window") => Constant::Int(3),
        n if n.contains("num_stages") || n.contains("num_warps") => Constant::Int(1),
        n if n.starts_with("n_heads") || n.ends_with("_hq") || n.contains("group") => Constant::Int(4),
        n if n.contains("log2e") || n.contains("scale") => Constant::Float(1.0),
        n if n.contains("block") || n.starts_with("pad_") || n.contains("tile") || n.contains("chunk") => {
            Constant::Int(block)
        }
        n if n.starts_with("has_") || n.starts_with("is_") || n.starts_with("use_") || n.starts_with("return_") => {
            Constant::Bool(true)
        }
        n if n.contains("eps") || n.contains("beta") || n.contains("alpha") => Constant::Float(0.5),
        n if n.len() <= 2 || n.contains("dim") || n.contains("size") || n.starts_with("n_") || n.starts_with("num") => {
            Constant::Int(64)
        }
        _ => Constant::Bool(true),
    })
}

fn element(name: &str) -> DType {
    let any = |words: &[&str]| words.iter().any(|w| name.contains(w));
    if any(&[
        "target",
        "label",
        "idx",
        "indices",
        "index",
        "input_ids",
        "token_ids",
        "_ids",
        "offs",
        "count",
        "seq",
        "expert",
        "start",
        "cu_",
        "_map",
        "perm",
        "gather",
        "reverse",
    ]) {
        return DType::I32;
    }
    if any(&["mask"]) {
        return DType::I8;
    }
    DType::F32
}

fn integer(name: &str) -> bool {
    let exact = ["n", "m", "k", "v", "b", "t", "h", "c", "d", "s", "l", "bt", "bs", "sl", "ignore_index", "hd"];
    exact.contains(&name)
        || [
            "stride", "n_", "num", "size", "cols", "rows", "len", "index", "dim", "offset_", "_offset", "count",
            "start", "end", "total", "channels", "heads", "hidden", "rank", "seed", "vocab",
        ]
        .iter()
        .any(|w| name.contains(w))
}

/// How the functions of a file use their parameters.
#[derive(Default)]
struct Usage {
    pointers: BTreeSet<(String, String)>,
    integers: BTreeSet<(String, String)>,
    called: BTreeSet<String>,
    programs: BTreeMap<String, usize>,
}

fn usage(text: &str) -> Usage {
    let mut usage = Usage::default();
    let parsed = ruff_python_parser::parse_module(text).unwrap().into_syntax();
    let mut functions = Vec::new();
    functions_of(&parsed.body, &mut functions);
    let names: BTreeSet<String> = functions.iter().map(|f| f.name.id.to_string()).collect();
    // Calls pass pointers on, so a few rounds settle it.
    for _ in 0..6 {
        for f in &functions {
            let mut scan = Scan {
                function: f.name.id.to_string(),
                names: &names,
                functions: &functions,
                usage: &mut usage,
                roots: BTreeMap::new(),
            };
            for p in f.parameters.iter_non_variadic_params() {
                scan.roots.insert(p.parameter.name.id.to_string(), p.parameter.name.id.to_string());
            }
            scan.block(&f.body);
        }
    }
    usage
}

fn functions_of<'a>(body: &'a [Stmt], out: &mut Vec<&'a ruff_python_ast::StmtFunctionDef>) {
    for s in body {
        match s {
            Stmt::FunctionDef(f) => {
                let jit = f.decorator_list.iter().any(|d| format!("{:?}", d.expression).contains("jit"));
                if jit {
                    out.push(f);
                }
            }
            Stmt::If(i) => {
                functions_of(&i.body, out);
                i.elif_else_clauses.iter().for_each(|c| functions_of(&c.body, out));
            }
            _ => {}
        }
    }
}

struct Scan<'a, 'u> {
    function: String,
    names: &'a BTreeSet<String>,
    functions: &'a [&'a ruff_python_ast::StmtFunctionDef],
    usage: &'u mut Usage,
    /// The parameter that a variable's address starts from.
    roots: BTreeMap<String, String>,
}

impl Scan<'_, '_> {
    fn block(&mut self, body: &[Stmt]) {
        for s in body {
            match s {
                Stmt::Assign(a) => {
                    self.expr(&a.value);
                    if let (Some(root), Some(Expr::Name(n))) = (self.root(&a.value), a.targets.first()) {
                        self.roots.insert(n.id.to_string(), root);
                    }
                }
                Stmt::AugAssign(a) => self.expr(&a.value),
                Stmt::AnnAssign(a) => a.value.iter().for_each(|v| self.expr(v)),
                Stmt::Expr(e) => self.expr(&e.value),
                Stmt::Return(r) => r.value.iter().for_each(|v| self.expr(v)),
                Stmt::For(f) => {
                    if let Expr::Call(c) = &*f.iter {
                        c.arguments.args.iter().for_each(|a| self.mark_integers(a));
                    }
                    self.expr(&f.iter);
                    self.block(&f.body);
                }
                Stmt::While(w) => {
                    self.expr(&w.test);
                    self.block(&w.body);
                }
                Stmt::If(i) => {
                    self.expr(&i.test);
                    self.block(&i.body);
                    for c in &i.elif_else_clauses {
                        c.test.iter().for_each(|t| self.expr(t));
                        self.block(&c.body);
                    }
                }
                _ => {}
            }
        }
    }

    fn root(&self, e: &Expr) -> Option<String> {
        match e {
            Expr::Name(n) => self.roots.get(n.id.as_str()).cloned(),
            Expr::BinOp(b) => self.root(&b.left),
            Expr::Call(c) => match &*c.func {
                // `ptr.to(...)`, `tl.multiple_of(ptr, ..)`
                Expr::Attribute(a) if a.attr.id.as_str() == "to" => self.root(&a.value),
                Expr::Attribute(a) if a.attr.id.as_str() == "make_block_ptr" => {
                    c.arguments.args.first().and_then(|x| self.root(x))
                }
                _ => None,
            },
            Expr::If(i) => self.root(&i.body),
            _ => None,
        }
    }

    /// Names in sums and products with program indices are integers.
    fn mark_integers(&mut self, e: &Expr) {
        match e {
            Expr::Name(n) => {
                if let Some(root) = self.roots.get(n.id.as_str()) {
                    self.usage.integers.insert((self.function.clone(), root.clone()));
                }
            }
            Expr::BinOp(b) => {
                self.mark_integers(&b.left);
                self.mark_integers(&b.right);
            }
            Expr::Call(c) => c.arguments.args.iter().for_each(|a| self.mark_integers(a)),
            _ => {}
        }
    }

    fn expr(&mut self, e: &Expr) {
        match e {
            Expr::Call(c) => {
                c.arguments.args.iter().for_each(|a| self.expr(a));
                c.arguments.keywords.iter().for_each(|k| self.expr(&k.value));
                match &*c.func {
                    Expr::Attribute(a) => {
                        self.expr(&a.value);
                        let name = a.attr.id.as_str();
                        if name == "program_id" {
                            let axis = format!("{:?}", c.arguments);
                            let n = if axis.contains("Int(1)") || axis.contains("Int(2)") { 2 } else { 1 };
                            let slot = self.usage.programs.entry(self.function.clone()).or_insert(1);
                            *slot = (*slot).max(n);
                        }
                        let memory = ["load", "store", "make_block_ptr"].contains(&name) || name.starts_with("atomic_");
                        if let (true, Some(root)) = (memory, c.arguments.args.first().and_then(|p| self.root(p))) {
                            self.usage.pointers.insert((self.function.clone(), root));
                        }
                    }
                    Expr::Name(n) if self.names.contains(n.id.as_str()) => {
                        if n.id.as_str() != self.function {
                            self.usage.called.insert(n.id.to_string());
                        }
                        let Some(f) = self.functions.iter().find(|f| f.name.id == n.id) else { return };
                        let params: Vec<String> =
                            f.parameters.iter_non_variadic_params().map(|p| p.parameter.name.id.to_string()).collect();
                        let passed = c.arguments.args.iter().enumerate().map(|(i, a)| (params.get(i).cloned(), a));
                        let named =
                            c.arguments.keywords.iter().map(|k| (k.arg.as_ref().map(|a| a.id.to_string()), &k.value));
                        for (param, value) in passed.chain(named) {
                            let (Some(param), Some(root)) = (param, self.root(value)) else { continue };
                            if self.usage.pointers.contains(&(n.id.to_string(), param.clone())) {
                                self.usage.pointers.insert((self.function.clone(), root.clone()));
                            }
                            if self.usage.integers.contains(&(n.id.to_string(), param)) {
                                self.usage.integers.insert((self.function.clone(), root));
                            }
                        }
                    }
                    _ => {}
                }
            }
            Expr::BinOp(b) => {
                self.expr(&b.left);
                self.expr(&b.right);
            }
            Expr::UnaryOp(u) => self.expr(&u.operand),
            Expr::Compare(c) => {
                self.expr(&c.left);
                c.comparators.iter().for_each(|x| self.expr(x));
            }
            Expr::BoolOp(b) => b.values.iter().for_each(|x| self.expr(x)),
            Expr::If(i) => {
                self.expr(&i.test);
                self.expr(&i.body);
                self.expr(&i.orelse);
            }
            Expr::Tuple(t) => t.elts.iter().for_each(|x| self.expr(x)),
            Expr::Subscript(s) => self.expr(&s.value),
            _ => {}
        }
    }
}
