//! What programs mean: an interpreter of C's rules, a statement over all threads before the next one.

use crate::floats::{self, KNOWN, bits, number};
use crate::program::{ELEMENTS, Expr, FIELDS, Function, LoopKind, Program, Stmt};
use crate::types::*;

fn eval(e: &Expr, vars: &[Number], f: &[Function]) -> Number {
    match e {
        Expr::Var(i) => vars[*i],
        Expr::Const(v, t) => int(*v as i128, *t),
        Expr::Real(v, t) => real(*v, *t),
        Expr::Un(op, a) => {
            let a = eval(a, vars, f);
            let p = promote(a.1);
            let v = convert(a, p).0;
            match *op {
                "-" if p.float() => floats::check((bits(-number(v)), p)),
                "-" => int(-v, p),
                "~" => int(!v, p),
                _ => (!truth(a) as i128, BOOL),
            }
        }
        Expr::Cast(t, a) => convert(eval(a, vars, f), *t),
        Expr::Pick(c, a, b) => {
            let (x, y) = (eval(a, vars, f), eval(b, vars, f));
            let t = if x.1 == y.1 { x.1 } else { common_type(x.1, y.1) };
            if truth(eval(c, vars, f)) { convert(x, t) } else { convert(y, t) }
        }
        Expr::Elem(i) => vars[ELEMENTS + (eval(i, vars, f).0 & 3) as usize],
        Expr::Call(i, a, b) => {
            let args = [(a, 0), (b, 1)].map(|(e, k)| {
                let v = eval(e, vars, f);
                f[*i].params[k].map_or(v, |t| convert(v, t))
            });
            f[*i].eval(&args, |e| eval(e, &args, f))
        }
        Expr::Known(i, args) => {
            let args: Vec<Number> =
                args.iter().zip(KNOWN[*i].args).map(|(a, t)| convert(eval(a, vars, f), *t)).collect();
            floats::call(&KNOWN[*i], &args)
        }
        Expr::Which(a) => {
            let t = eval(a, vars, f).1;
            int(TYPES.iter().position(|k| *k == t).map_or(99, |i| i as i128), INT)
        }
        Expr::Bin(op @ ("/" | "%"), a, b) => {
            let b = eval(b, vars, f);
            let b = if b.1.float() { b } else { binary("|", b, int(1, INT)) };
            binary(op, eval(a, vars, f), b)
        }
        Expr::Bin(op @ ("<<" | ">>"), a, b) => {
            let count = binary("&", eval(b, vars, f), int(31, INT));
            binary(op, eval(a, vars, f), count)
        }
        Expr::Bin(op, a, b) => binary(op, eval(a, vars, f), eval(b, vars, f)),
    }
}

fn set(vars: &mut [Number], i: usize, v: Number) {
    vars[i] = convert(v, vars[i].1);
}

/// The threads of a warp or block in lockstep: those that go on, those that left the loop or switch, those that go to the loop's
/// next round.
pub fn together(p: &Program, list: &[Stmt], vars: &mut [Vec<Number>], mut on: Vec<usize>) -> [Vec<usize>; 3] {
    let f = &p.functions;
    let (mut broken, mut continued) = (Vec::new(), Vec::new());
    for s in list {
        let part = |on: &[usize], vars: &[Vec<Number>], e: &Expr| -> (Vec<usize>, Vec<usize>) {
            on.iter().partition(|t| truth(eval(e, &vars[**t], f)))
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
                    let (x, y) = (vars[*t][FIELDS], vars[*t][FIELDS + 1]);
                    set(&mut vars[*t], FIELDS, y);
                    set(&mut vars[*t], FIELDS + 1, x);
                }
            }
            Stmt::Mix(e) => {
                for t in &on {
                    let v = eval(e, &vars[*t], f);
                    let mut local = vec![vars[*t][FIELDS], vars[*t][FIELDS + 1], convert(v, p.mix.ty)];
                    let x = eval(&p.mix.x, &local, f);
                    set(&mut local, 0, x);
                    let y = eval(&p.mix.y, &local, f);
                    set(&mut local, 1, y);
                    vars[*t][FIELDS..FIELDS + 2].copy_from_slice(&local[..2]);
                }
            }
            Stmt::Bump(i, e) => {
                for t in &on {
                    let n = convert(eval(e, &vars[*t], f), INT);
                    let mut local = vec![vars[*t][*i], n];
                    if truth(binary("<", int(0, INT), n)) {
                        let v = eval(&p.bump, &local, f);
                        set(&mut local, 0, v);
                    } else {
                        set(&mut local, 0, n);
                    }
                    vars[*t][*i] = local[0];
                }
            }
            Stmt::Vote(i, e) => {
                let votes = part(&on, vars, e).0.len() as i128;
                for t in &on {
                    let v = binary("+", vars[*t][*i], int(votes, INT));
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
                    let v = all[t ^ bits];
                    // Overloads there are for words, pairs of words and floats.
                    let v = if v.1.float() { v } else { convert(v, promote(v.1)) };
                    set(&mut vars[*t], *to, v);
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
            Stmt::Switch(e, cases) => {
                let mut waiting = std::mem::take(&mut on);
                let default = cases.iter().position(|c| c.label.is_none());
                let mut enters: Vec<Vec<usize>> = vec![Vec::new(); cases.len()];
                for t in waiting.drain(..) {
                    let v = binary("&", eval(e, &vars[t], f), int(3, INT)).0;
                    match cases.iter().position(|c| c.label.is_some_and(|l| l as i128 == v)).or(default) {
                        Some(i) => enters[i].push(t),
                        None => on.push(t),
                    }
                }
                let mut falling = Vec::new();
                for (case, enter) in cases.iter().zip(enters) {
                    falling.extend(enter);
                    falling.sort_unstable();
                    let [x, left, next] = together(p, &case.body, vars, falling);
                    on.extend(left);
                    continued.extend(next);
                    falling = x;
                    if case.ends {
                        on.append(&mut falling);
                    }
                }
                on.extend(falling);
                on.sort_unstable();
            }
            Stmt::Loop(kind, n, c, body) => {
                let (mut inside, mut out) = (on, Vec::new());
                for round in 0..*n {
                    if *kind != LoopKind::Do || round > 0 {
                        let (stay, leave) = part(&inside, vars, c);
                        out.extend(leave);
                        inside = stay;
                    }
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
