//! What programs mean: an interpreter of C's rules, a statement over all threads before the next one.

use crate::program::{ELEMENTS, Expr, Function, Program, Stmt};
use crate::types::*;

fn eval(e: &Expr, vars: &[Number], f: &[Function]) -> Number {
    match e {
        Expr::Var(i) => vars[*i],
        Expr::Const(v, t) => (wrap(*v as i128, *t), *t),
        Expr::Un(op, a) => {
            let (v, t) = eval(a, vars, f);
            let p = promote(t);
            match *op {
                "-" => (wrap(-v, p), p),
                "~" => (wrap(!v, p), p),
                _ => ((v == 0) as i128, TYPES[0]),
            }
        }
        Expr::Cast(t, a) => (wrap(eval(a, vars, f).0, *t), *t),
        Expr::Pick(c, a, b) => {
            let (x, y) = (eval(a, vars, f), eval(b, vars, f));
            let t = if x.1 == y.1 { x.1 } else { common_type(x.1, y.1) };
            (wrap(if eval(c, vars, f).0 != 0 { x.0 } else { y.0 }, t), t)
        }
        Expr::Elem(i) => vars[ELEMENTS + (eval(i, vars, f).0 & 3) as usize],
        Expr::Call(i, a, b) => {
            let args = [(a, 0), (b, 1)].map(|(e, k)| (wrap(eval(e, vars, f).0, f[*i].params[k]), f[*i].params[k]));
            (wrap(eval(f[*i].body(), &args, f).0, f[*i].ret), f[*i].ret)
        }
        Expr::Bin(op @ ("/" | "%"), a, b) => {
            let one = binary("|", eval(b, vars, f), (1, TYPES[0]));
            binary(op, eval(a, vars, f), one)
        }
        Expr::Bin(op @ ("<<" | ">>"), a, b) => {
            let count = binary("&", eval(b, vars, f), (31, TYPES[0]));
            binary(op, eval(a, vars, f), count)
        }
        Expr::Bin(op, a, b) => binary(op, eval(a, vars, f), eval(b, vars, f)),
    }
}

fn set(vars: &mut [Number], i: usize, v: Number) {
    vars[i].0 = wrap(v.0, vars[i].1);
}

/// The threads of a warp or block in lockstep: those that go on, those that left the loop, those that go to its next round.
pub fn together(p: &Program, list: &[Stmt], vars: &mut [Vec<Number>], mut on: Vec<usize>) -> [Vec<usize>; 3] {
    let f = &p.functions;
    let (mut broken, mut continued) = (Vec::new(), Vec::new());
    for s in list {
        let part = |on: &[usize], vars: &[Vec<Number>], e: &Expr| -> (Vec<usize>, Vec<usize>) {
            on.iter().partition(|t| eval(e, &vars[**t], f).0 != 0)
        };
        match s {
            Stmt::Set(i, op, e) => {
                for t in &on {
                    let v = eval(e, &vars[*t], f);
                    let v = op.map_or(v, |op| binary(op, vars[*t][*i], v));
                    set(&mut vars[*t], *i, v);
                }
            }
            Stmt::SetElem(i, e) => {
                for t in &on {
                    let at = ELEMENTS + (eval(i, &vars[*t], f).0 & 3) as usize;
                    let v = eval(e, &vars[*t], f);
                    set(&mut vars[*t], at, v);
                }
            }
            Stmt::Turn => {
                for t in &on {
                    let (x, y) = (vars[*t][5], vars[*t][6]);
                    set(&mut vars[*t], 5, y);
                    set(&mut vars[*t], 6, x);
                }
            }
            Stmt::Vote(i, e) => {
                let votes = part(&on, vars, e).0.len() as i128;
                for t in &on {
                    let v = binary("+", vars[*t][*i], (votes, TYPES[0]));
                    set(&mut vars[*t], *i, v);
                }
            }
            Stmt::Exchange(to, from, by) => {
                let all: Vec<Number> = vars.iter().map(|v| v[*from]).collect();
                for t in &on {
                    set(&mut vars[*t], *to, all[(t + by) % all.len()]);
                }
            }
            Stmt::Shuffle(to, from, bits) => {
                let all: Vec<Number> = vars.iter().map(|v| v[*from]).collect();
                for t in &on {
                    set(&mut vars[*t], *to, all[t ^ bits]);
                }
            }
            Stmt::If(c, a, b) => {
                let (yes, no) = part(&on, vars, c);
                let ([mut x, p1, q], [y, r, s]) = (together(p, a, vars, yes), together(p, b, vars, no));
                x.extend(y);
                x.sort_unstable();
                on = x;
                broken.extend(p1.into_iter().chain(r));
                continued.extend(q.into_iter().chain(s));
            }
            Stmt::For(n, body) => {
                let (mut inside, mut out) = (on, Vec::new());
                for _ in 0..*n {
                    let [mut x, left, next] = together(p, body, vars, inside);
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
