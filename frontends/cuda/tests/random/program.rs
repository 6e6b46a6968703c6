//! Random programs and their text.

use crate::types::*;

/// Variables of a thread: five of its own, two fields of a struct, four elements of an array.
pub const VARIABLES: usize = 11;
const FIELDS: usize = 5;
pub const ELEMENTS: usize = 7;

pub enum Expr {
    Var(usize),
    Const(i64, Ty),
    Bin(&'static str, Box<Expr>, Box<Expr>),
    Un(&'static str, Box<Expr>),
    Cast(Ty, Box<Expr>),
    Pick(Box<Expr>, Box<Expr>, Box<Expr>),
    /// An element of the array.
    Elem(Box<Expr>),
    /// A function of the program.
    Call(usize, Box<Expr>, Box<Expr>),
}

pub enum Stmt {
    Set(usize, Option<&'static str>, Expr),
    SetElem(Expr, Expr),
    /// A function exchanges the fields of the struct.
    Turn,
    If(Expr, Vec<Stmt>, Vec<Stmt>),
    For(u32, Vec<Stmt>),
    Break(Expr),
    Continue(Expr),
    /// `v += popc(ballot(e))`.
    Vote(usize, Expr),
    /// Writes the results and returns.
    Return(Expr),
    /// Through shared memory, from the thread so many further on.
    Exchange(usize, usize, usize),
    /// From the lane whose number differs in these bits.
    Shuffle(usize, usize, usize),
}

/// `ret f(a, b) { return body; }`, whose variables are its parameters.
pub struct Function {
    pub ret: Ty,
    pub params: [Ty; 2],
    body: Expr,
}

impl Function {
    pub fn body(&self) -> &Expr {
        &self.body
    }
}

pub struct Program {
    pub types: Vec<Ty>,
    pub functions: Vec<Function>,
    pub body: Vec<Stmt>,
}

/// The state, and whether warps vote.
pub struct Gen {
    state: u64,
    votes: bool,
    functions: usize,
    /// Elements may be read: not inside of functions.
    elements: bool,
}

impl Gen {
    pub fn new(seed: u64, votes: bool) -> Gen {
        Gen { state: seed, votes, functions: 0, elements: false }
    }

    pub fn n(&mut self, n: usize) -> usize {
        self.state = self.state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.state >> 33) as usize % n
    }

    /// A program of `parts` pieces for blocks of `threads`.
    pub fn program(&mut self, parts: usize, threads: usize) -> Program {
        let mut functions = Vec::new();
        for _ in 0..self.n(3) {
            let (ret, params) = (TYPES[self.n(8)], [TYPES[self.n(8)], TYPES[self.n(8)]]);
            functions.push(Function { ret, params, body: self.expr(&params, 2) });
        }
        (self.functions, self.elements) = (functions.len(), true);
        let mut types: Vec<Ty> = (0..ELEMENTS).map(|_| TYPES[self.n(8)]).collect();
        types.resize(VARIABLES, TYPES[self.n(8)]);
        let mut body = Vec::new();
        for _ in 0..parts {
            body.extend(self.block(&types, 2, false));
            // All threads come here together.
            if !self.votes {
                let (to, from) = (self.n(ELEMENTS), self.n(ELEMENTS));
                match self.n(4) {
                    0 => body.push(Stmt::Exchange(to, from, 1 + self.n(threads - 1))),
                    1 => body.push(Stmt::Shuffle(to, from, 1 + self.n(threads.min(32) - 1))),
                    _ => {}
                }
            }
        }
        Program { types, functions, body }
    }

    fn expr(&mut self, vars: &[Ty], depth: u32) -> Expr {
        if depth == 0 || self.n(6) == 0 {
            return match self.n(3) {
                0 => {
                    let t = TYPES[self.n(4)];
                    let v = [0, 1, 2, 5, 7, 255, 1000, 65537, 0x7fff_ffff][self.n(9)];
                    Expr::Const(v, t)
                }
                _ => Expr::Var(self.n(vars.len().min(ELEMENTS))),
            };
        }
        let (a, b) = (Box::new(self.expr(vars, depth - 1)), Box::new(self.expr(vars, depth - 1)));
        match self.n(13) {
            0 => Expr::Un(["-", "~", "!"][self.n(3)], a),
            1 => Expr::Cast(TYPES[self.n(8)], a),
            2 => Expr::Pick(Box::new(self.expr(vars, depth - 1)), a, b),
            3 if self.elements => Expr::Elem(a),
            4 if self.functions > 0 => Expr::Call(self.n(self.functions), a, b),
            _ => {
                const OPS: [&str; 18] =
                    ["+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>", "<", ">", "<=", ">=", "==", "!=", "&&", "||"];
                Expr::Bin(OPS[self.n(18)], a, b)
            }
        }
    }

    fn block(&mut self, vars: &[Ty], depth: u32, in_loop: bool) -> Vec<Stmt> {
        (0..1 + self.n(3)).map(|_| self.stmt(vars, depth, in_loop)).collect()
    }

    fn stmt(&mut self, vars: &[Ty], depth: u32, in_loop: bool) -> Stmt {
        match self.n(if depth > 0 { 10 } else { 6 }) {
            6 | 7 => {
                Stmt::If(self.expr(vars, 2), self.block(vars, depth - 1, in_loop), self.block(vars, depth - 1, in_loop))
            }
            8 | 9 => Stmt::For(1 + self.n(5) as u32, self.block(vars, depth - 1, true)),
            3 if in_loop && self.n(2) == 0 => {
                let e = self.expr(vars, 2);
                if self.n(2) == 0 { Stmt::Break(e) } else { Stmt::Continue(e) }
            }
            4 if self.n(2) == 0 => Stmt::SetElem(self.expr(vars, 2), self.expr(vars, 2)),
            5 if self.n(4) == 0 => Stmt::Turn,
            0 if self.votes => Stmt::Vote(self.n(ELEMENTS), self.expr(vars, 2)),
            1 if self.votes && self.n(8) == 0 => Stmt::Return(self.expr(vars, 2)),
            _ => {
                const OPS: [&str; 6] = ["+", "-", "*", "^", "|", "&"];
                let op = if self.n(3) == 0 { Some(OPS[self.n(6)]) } else { None };
                Stmt::Set(self.n(ELEMENTS), op, self.expr(vars, 3))
            }
        }
    }
}

fn name(i: usize) -> String {
    match i {
        0..FIELDS => format!("v{i}"),
        FIELDS => "s.x".into(),
        6 => "s.y".into(),
        i => format!("a[{}]", i - ELEMENTS),
    }
}

/// A division or shift whose operands C leaves undefined is written with a guard that makes them defined.
fn text(e: &Expr, name: &dyn Fn(usize) -> String) -> String {
    let text = |e: &Expr| text(e, name);
    match e {
        Expr::Var(i) => name(*i),
        Expr::Const(v, t) => format!("({}){v}", t.name),
        Expr::Un(op, a) => format!("({op}({}))", text(a)),
        Expr::Cast(t, a) => format!("(({})({}))", t.name, text(a)),
        Expr::Pick(c, a, b) => format!("(({}) ? ({}) : ({}))", text(c), text(a), text(b)),
        Expr::Elem(i) => format!("a[({}) & 3]", text(i)),
        Expr::Call(f, a, b) => format!("f{f}({}, {})", text(a), text(b)),
        Expr::Bin(op @ ("/" | "%"), a, b) => format!("(({}) {op} (({}) | 1))", text(a), text(b)),
        Expr::Bin(op @ ("<<" | ">>"), a, b) => format!("(({}) {op} (({}) & 31))", text(a), text(b)),
        Expr::Bin(op, a, b) => format!("(({}) {op} ({}))", text(a), text(b)),
    }
}

fn results(out: &mut String) {
    for i in 0..VARIABLES {
        out.push_str(&format!("out[t * {VARIABLES} + {i}] = {};\n", name(i)));
    }
}

fn write(list: &[Stmt], depth: usize, out: &mut String) {
    let text = |e: &Expr| text(e, &name);
    for s in list {
        match s {
            Stmt::Set(i, op, e) => out.push_str(&format!("{} {}= {};\n", name(*i), op.unwrap_or_default(), text(e))),
            Stmt::SetElem(i, e) => out.push_str(&format!("a[({}) & 3] = {};\n", text(i), text(e))),
            Stmt::Turn => out.push_str("turn(s);\n"),
            Stmt::If(c, a, b) => {
                out.push_str(&format!("if ({}) {{\n", text(c)));
                write(a, depth, out);
                out.push_str("} else {\n");
                write(b, depth, out);
                out.push_str("}\n");
            }
            Stmt::For(n, body) => {
                out.push_str(&format!("for (int i{depth} = 0; i{depth} < {n}; i{depth}++) {{\n"));
                write(body, depth + 1, out);
                out.push_str("}\n");
            }
            Stmt::Vote(i, e) => {
                out.push_str(&format!("{} += __popc(__ballot_sync(0xffffffff, {}));\n", name(*i), text(e)));
            }
            Stmt::Return(c) => {
                out.push_str(&format!("if ({}) {{\n", text(c)));
                results(out);
                out.push_str("return;\n}\n");
            }
            Stmt::Break(c) => out.push_str(&format!("if ({}) break;\n", text(c))),
            Stmt::Continue(c) => out.push_str(&format!("if ({}) continue;\n", text(c))),
            Stmt::Exchange(to, from, by) => {
                let (to, from) = (name(*to), name(*from));
                out.push_str(&format!("shared[t] = {from};\n__syncthreads();\n"));
                out.push_str(&format!("{to} = shared[(t + {by}) % blockDim.x];\n__syncthreads();\n"));
            }
            Stmt::Shuffle(to, from, bits) => {
                out.push_str(&format!("{} = __shfl_xor_sync(0xffffffff, {}, {bits});\n", name(*to), name(*from)));
            }
        }
    }
}

impl Program {
    /// The program as CUDA C++, for blocks of `threads`.
    pub fn text(&self, threads: usize) -> String {
        let t = |i: usize| self.types[i].name;
        let mut out = format!("struct S {{ {} x; {} y; }};\n", t(FIELDS), t(FIELDS + 1));
        out.push_str("__device__ void turn(S& s) { auto x = s.x; s.x = s.y; s.y = x; }\n");
        for (i, f) in self.functions.iter().enumerate() {
            let body = text(&f.body, &|i| format!("p{i}"));
            let [a, b] = f.params.map(|p| p.name);
            out.push_str(&format!("__device__ {} f{i}({a} p0, {b} p1) {{ return {body}; }}\n", f.ret.name));
        }
        out.push_str("__global__ void k(const int* in, long long* out) {\nint t = threadIdx.x;\n");
        out.push_str(&format!("__shared__ long long shared[{threads}];\n"));
        (0..FIELDS).for_each(|i| out.push_str(&format!("{} v{i} = in[t * 5 + {i}];\n", t(i))));
        out.push_str("S s; s.x = v3; s.y = v4;\n");
        out.push_str(&format!("{} a[4];\nfor (int i = 0; i < 4; i++) a[i] = v0 * i;\n", t(ELEMENTS)));
        write(&self.body, 0, &mut out);
        results(&mut out);
        out + "}"
    }
}
