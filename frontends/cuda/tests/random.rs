//! Random integer programs, written as CUDA C++ and evaluated by an interpreter of C's rules here: equal bit for bit on the
//! emulator, the CPU and through wgpu.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;
use common::*;

#[derive(Clone, Copy, PartialEq, Debug)]
struct Ty {
    name: &'static str,
    bits: u32,
    signed: bool,
}

const TYPES: [Ty; 8] = [
    Ty { name: "int", bits: 32, signed: true },
    Ty { name: "unsigned", bits: 32, signed: false },
    Ty { name: "long long", bits: 64, signed: true },
    Ty { name: "unsigned long long", bits: 64, signed: false },
    Ty { name: "signed char", bits: 8, signed: true },
    Ty { name: "unsigned char", bits: 8, signed: false },
    Ty { name: "short", bits: 16, signed: true },
    Ty { name: "unsigned short", bits: 16, signed: false },
];

fn wrap(v: i128, t: Ty) -> i128 {
    let spare = 128 - t.bits;
    if t.signed { v << spare >> spare } else { ((v as u128) << spare >> spare) as i128 }
}

fn promote(t: Ty) -> Ty {
    if t.bits < 32 { TYPES[0] } else { t }
}

fn common_type(a: Ty, b: Ty) -> Ty {
    let (a, b) = (promote(a), promote(b));
    if a.bits != b.bits {
        return if a.bits > b.bits { a } else { b };
    }
    if a.signed { b } else { a }
}

enum Expr {
    Var(usize),
    Const(i64, Ty),
    Bin(&'static str, Box<Expr>, Box<Expr>),
    Un(&'static str, Box<Expr>),
    Cast(Ty, Box<Expr>),
    Pick(Box<Expr>, Box<Expr>, Box<Expr>),
}

enum Stmt {
    Set(usize, Option<&'static str>, Expr),
    If(Expr, Vec<Stmt>, Vec<Stmt>),
    For(u32, Vec<Stmt>),
    Break(Expr),
    Continue(Expr),
    /// `v += popc(ballot(e))`.
    Vote(usize, Expr),
    /// Writes the results and returns.
    Return(Expr),
}

/// The state, and whether warps vote.
struct Gen(u64, bool);

impl Gen {
    fn n(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % n
    }

    fn expr(&mut self, vars: &[Ty], depth: u32) -> Expr {
        if depth == 0 || self.n(6) == 0 {
            return match self.n(3) {
                0 => {
                    let t = TYPES[self.n(4)];
                    let v = [0, 1, 2, 5, 7, 255, 1000, 65537, 0x7fff_ffff][self.n(9)];
                    Expr::Const(v, t)
                }
                _ => Expr::Var(self.n(vars.len())),
            };
        }
        let (a, b) = (Box::new(self.expr(vars, depth - 1)), Box::new(self.expr(vars, depth - 1)));
        match self.n(10) {
            0 => Expr::Un(["-", "~", "!"][self.n(3)], a),
            1 => Expr::Cast(TYPES[self.n(8)], a),
            2 => Expr::Pick(Box::new(self.expr(vars, depth - 1)), a, b),
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
        match self.n(if depth > 0 { 8 } else { 4 }) {
            4 | 5 => {
                Stmt::If(self.expr(vars, 2), self.block(vars, depth - 1, in_loop), self.block(vars, depth - 1, in_loop))
            }
            6 | 7 => Stmt::For(1 + self.n(5) as u32, self.block(vars, depth - 1, true)),
            3 if in_loop && self.n(2) == 0 => {
                let e = self.expr(vars, 2);
                if self.n(2) == 0 { Stmt::Break(e) } else { Stmt::Continue(e) }
            }
            0 if self.1 => Stmt::Vote(self.n(vars.len()), self.expr(vars, 2)),
            1 if self.1 && self.n(8) == 0 => Stmt::Return(self.expr(vars, 2)),
            _ => {
                const OPS: [&str; 6] = ["+", "-", "*", "^", "|", "&"];
                let op = if self.n(3) == 0 { Some(OPS[self.n(6)]) } else { None };
                Stmt::Set(self.n(vars.len()), op, self.expr(vars, 3))
            }
        }
    }
}

/// A division or shift whose operands C leaves undefined is written with a guard that makes them defined.
fn text(e: &Expr) -> String {
    match e {
        Expr::Var(i) => format!("v{i}"),
        Expr::Const(v, t) => format!("({}){v}", t.name),
        Expr::Un(op, a) => format!("({op}({}))", text(a)),
        Expr::Cast(t, a) => format!("(({})({}))", t.name, text(a)),
        Expr::Pick(c, a, b) => format!("(({}) ? ({}) : ({}))", text(c), text(a), text(b)),
        Expr::Bin(op @ ("/" | "%"), a, b) => format!("(({}) {op} (({}) | 1))", text(a), text(b)),
        Expr::Bin(op @ ("<<" | ">>"), a, b) => format!("(({}) {op} (({}) & 31))", text(a), text(b)),
        Expr::Bin(op, a, b) => format!("(({}) {op} ({}))", text(a), text(b)),
    }
}

fn binary(op: &str, (x, s): (i128, Ty), (y, t): (i128, Ty)) -> (i128, Ty) {
    let c = common_type(s, t);
    let (p, q) = (wrap(x, c), wrap(y, c));
    let truth = |b: bool| (b as i128, TYPES[0]);
    match op {
        "+" => (wrap(p + q, c), c),
        "-" => (wrap(p - q, c), c),
        "*" => (wrap(p.wrapping_mul(q), c), c),
        "/" => (wrap(p / q, c), c),
        "%" => (wrap(p % q, c), c),
        "&" => (wrap(p & q, c), c),
        "|" => (wrap(p | q, c), c),
        "^" => (wrap(p ^ q, c), c),
        "<<" => {
            let s = promote(s);
            (wrap(wrap(x, s) << y, s), s)
        }
        ">>" => {
            let s = promote(s);
            (wrap(x, s) >> y, s)
        }
        "<" => truth(p < q),
        ">" => truth(p > q),
        "<=" => truth(p <= q),
        ">=" => truth(p >= q),
        "==" => truth(p == q),
        "!=" => truth(p != q),
        "&&" => truth(x != 0 && y != 0),
        _ => truth(x != 0 || y != 0),
    }
}

fn eval(e: &Expr, vars: &[(i128, Ty)]) -> (i128, Ty) {
    match e {
        Expr::Var(i) => vars[*i],
        Expr::Const(v, t) => (wrap(*v as i128, *t), *t),
        Expr::Un(op, a) => {
            let (v, t) = eval(a, vars);
            let p = promote(t);
            match *op {
                "-" => (wrap(-v, p), p),
                "~" => (wrap(!v, p), p),
                _ => ((v == 0) as i128, TYPES[0]),
            }
        }
        Expr::Cast(t, a) => (wrap(eval(a, vars).0, *t), *t),
        Expr::Pick(c, a, b) => {
            let (x, y) = (eval(a, vars), eval(b, vars));
            let t = if x.1 == y.1 { x.1 } else { common_type(x.1, y.1) };
            (wrap(if eval(c, vars).0 != 0 { x.0 } else { y.0 }, t), t)
        }
        Expr::Bin(op @ ("/" | "%"), a, b) => {
            let one = binary("|", eval(b, vars), (1, TYPES[0]));
            binary(op, eval(a, vars), one)
        }
        Expr::Bin(op @ ("<<" | ">>"), a, b) => {
            let count = binary("&", eval(b, vars), (31, TYPES[0]));
            binary(op, eval(a, vars), count)
        }
        Expr::Bin(op, a, b) => binary(op, eval(a, vars), eval(b, vars)),
    }
}

fn write(list: &[Stmt], depth: usize, out: &mut String) {
    for s in list {
        match s {
            Stmt::Set(i, op, e) => out.push_str(&format!("v{i} {}= {};\n", op.unwrap_or_default(), text(e))),
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
            Stmt::Vote(i, e) => out.push_str(&format!("v{i} += __popc(__ballot_sync(0xffffffff, {}));\n", text(e))),
            Stmt::Return(c) => {
                out.push_str(&format!("if ({}) {{\n", text(c)));
                (0..5).for_each(|i| out.push_str(&format!("out[t * 5 + {i}] = v{i};\n")));
                out.push_str("return;\n}\n");
            }
            Stmt::Break(c) => out.push_str(&format!("if ({}) break;\n", text(c))),
            Stmt::Continue(c) => out.push_str(&format!("if ({}) continue;\n", text(c))),
        }
    }
}

#[derive(PartialEq)]
enum Flow {
    On,
    Break,
    Continue,
}

fn run(list: &[Stmt], vars: &mut [(i128, Ty)]) -> Flow {
    for s in list {
        match s {
            Stmt::Set(i, op, e) => {
                let v = eval(e, vars);
                let v = op.map_or(v, |op| binary(op, vars[*i], v));
                vars[*i].0 = wrap(v.0, vars[*i].1);
            }
            Stmt::If(c, a, b) => {
                let flow = if eval(c, vars).0 != 0 { run(a, vars) } else { run(b, vars) };
                if flow != Flow::On {
                    return flow;
                }
            }
            Stmt::For(n, body) => {
                for _ in 0..*n {
                    if run(body, vars) == Flow::Break {
                        break;
                    }
                }
            }
            Stmt::Break(c) if eval(c, vars).0 != 0 => return Flow::Break,
            Stmt::Continue(c) if eval(c, vars).0 != 0 => return Flow::Continue,
            // Votes and returns are the business of whole warps.
            _ => {}
        }
    }
    Flow::On
}

/// `GIRIH_FUZZ_CUDA_PROGRAMS` sets the number of programs, `GIRIH_FUZZ_SEED` the first one.
#[test]
fn random_programs_agree_everywhere() {
    let number = |name: &str, default: u64| std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default);
    let (count, first) = (number("GIRIH_FUZZ_CUDA_PROGRAMS", 24), number("GIRIH_FUZZ_SEED", 1));
    for seed in first..first + count {
        let mut g = Gen(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15), false);
        let types: Vec<Ty> = (0..5).map(|_| TYPES[g.n(8)]).collect();
        let body: Vec<Stmt> = (0..4).flat_map(|_| g.block(&types, 2, false)).collect();
        let mut src = String::from("__global__ void k(const int* in, long long* out) {\nint t = threadIdx.x;\n");
        for (i, t) in types.iter().enumerate() {
            src.push_str(&format!("{} v{i} = in[t * 5 + {i}];\n", t.name));
        }
        write(&body, 0, &mut src);
        for i in 0..5 {
            src.push_str(&format!("out[t * 5 + {i}] = v{i};\n"));
        }
        src.push('}');
        let input: Vec<i32> =
            (0..40).map(|_| [g.n(1 << 31) as i32, -(g.n(200) as i32), g.n(9) as i32][g.n(3)]).collect();
        let mut want = Vec::new();
        for row in input.chunks(5) {
            let mut vars: Vec<(i128, Ty)> = row.iter().zip(&types).map(|(v, t)| (wrap(*v as i128, *t), *t)).collect();
            run(&body, &mut vars);
            want.extend(vars.iter().flat_map(|(v, _)| (*v as i64).to_le_bytes()));
        }
        for r in launch(&src, "k", 1, 8, vec![i(&input), zeros(80)]).run() {
            let words = |b: &[u8]| b.chunks(8).map(|c| i64::from_le_bytes(c.try_into().unwrap())).collect::<Vec<_>>();
            let (got, want) = (words(&r.memory[1]), words(&want));
            let wrong: Vec<_> =
                (0..40).filter(|i| got[*i] != want[*i]).map(|i| (i / 5, i % 5, got[i], want[i])).collect();
            assert!(
                wrong.is_empty(),
                "seed {seed} on {}: (thread, variable, got, want) {wrong:?}\n{src}\n{input:?}",
                r.on
            );
        }
    }
}

/// The threads of a warp in lockstep: those that go on, those that left the loop, those that go to its next round.
fn together(list: &[Stmt], vars: &mut [Vec<(i128, Ty)>], mut on: Vec<usize>) -> [Vec<usize>; 3] {
    let (mut broken, mut continued) = (Vec::new(), Vec::new());
    for s in list {
        let part = |on: &[usize], vars: &[Vec<(i128, Ty)>], e: &Expr| -> (Vec<usize>, Vec<usize>) {
            on.iter().partition(|t| eval(e, &vars[**t]).0 != 0)
        };
        match s {
            Stmt::Set(..) => on.iter().for_each(|t| {
                run(std::slice::from_ref(s), &mut vars[*t]);
            }),
            Stmt::Vote(i, e) => {
                let votes = part(&on, vars, e).0.len() as i128;
                for t in &on {
                    let (v, ty) = vars[*t][*i];
                    vars[*t][*i].0 = wrap(binary("+", (v, ty), (votes, TYPES[0])).0, ty);
                }
            }
            Stmt::If(c, a, b) => {
                let (yes, no) = part(&on, vars, c);
                let ([mut x, p, q], [y, r, s]) = (together(a, vars, yes), together(b, vars, no));
                x.extend(y);
                x.sort_unstable();
                on = x;
                broken.extend(p.into_iter().chain(r));
                continued.extend(q.into_iter().chain(s));
            }
            Stmt::For(n, body) => {
                let (mut inside, mut out) = (on, Vec::new());
                for _ in 0..*n {
                    let [mut x, left, next] = together(body, vars, inside);
                    out.extend(left);
                    x.extend(next);
                    x.sort_unstable();
                    inside = x;
                }
                out.extend(inside);
                out.sort_unstable();
                on = out;
            }
            Stmt::Break(c) | Stmt::Continue(c) | Stmt::Return(c) => {
                let (leave, stay) = part(&on, vars, c);
                on = stay;
                match s {
                    Stmt::Break(_) => broken.extend(leave),
                    Stmt::Continue(_) => continued.extend(leave),
                    _ => {}
                }
            }
        }
    }
    [on, broken, continued]
}

/// Warps vote under conditions, in loops that their threads leave one by one, and after returns.
#[test]
fn random_votes_agree_everywhere() {
    let number = |name: &str, default: u64| std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default);
    let (count, first) = (number("GIRIH_FUZZ_CUDA_PROGRAMS", 24), number("GIRIH_FUZZ_SEED", 1));
    for seed in first..first + count {
        let mut g = Gen(seed.wrapping_mul(0xd134_2543_de82_ef95), true);
        let types: Vec<Ty> = (0..5).map(|_| TYPES[g.n(8)]).collect();
        let body: Vec<Stmt> = (0..3).flat_map(|_| g.block(&types, 2, false)).collect();
        let mut src = String::from("__global__ void k(const int* in, long long* out) {\nint t = threadIdx.x;\n");
        for (i, t) in types.iter().enumerate() {
            src.push_str(&format!("{} v{i} = in[t * 5 + {i}];\n", t.name));
        }
        write(&body, 0, &mut src);
        (0..5).for_each(|i| src.push_str(&format!("out[t * 5 + {i}] = v{i};\n")));
        src.push('}');
        let input: Vec<i32> =
            (0..64 * 5).map(|_| [g.n(1 << 31) as i32, -(g.n(200) as i32), g.n(9) as i32][g.n(3)]).collect();
        let mut vars: Vec<Vec<(i128, Ty)>> = input
            .chunks(5)
            .map(|row| row.iter().zip(&types).map(|(v, t)| (wrap(*v as i128, *t), *t)).collect())
            .collect();
        for warp in 0..2 {
            together(&body, &mut vars, (warp * 32..warp * 32 + 32).collect());
        }
        let want: Vec<i64> = vars.iter().flatten().map(|(v, _)| *v as i64).collect();
        for r in launch(&src, "k", 1, 64, vec![i(&input), zeros(640)]).run() {
            let got: Vec<i64> = r.memory[1].chunks(8).map(|c| i64::from_le_bytes(c.try_into().unwrap())).collect();
            let wrong: Vec<_> =
                (0..320).filter(|i| got[*i] != want[*i]).map(|i| (i / 5, i % 5, got[i], want[i])).take(9).collect();
            assert!(
                wrong.is_empty(),
                "seed {seed} on {}: (thread, variable, got, want) {wrong:?}\n{src}\n{input:?}",
                r.on
            );
        }
    }
}
