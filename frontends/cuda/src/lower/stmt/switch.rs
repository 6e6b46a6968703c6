//! Switches: a chain of conditions where no case falls into the next, else a loop of one round.

use super::super::scan;
use super::super::value::{Tv, Val};
use super::super::*;
use crate::ast::*;
use girih_base::{DType, ScalarOp as S};
use girih_simt::{Literal, Op, Stmt as Simt};

/// A break that leaves this switch.
fn breaks(s: &Stmt) -> bool {
    match &s.kind {
        StmtKind::Break => true,
        StmtKind::Block(list) => list.iter().any(breaks),
        StmtKind::If(_, _, a, b, _) => breaks(a) || b.as_ref().is_some_and(|b| breaks(b)),
        _ => false,
    }
}

/// The statements of a case without its closing break; `None` where it falls through or breaks elsewhere.
fn whole(body: &[Stmt], last: bool) -> Option<Vec<Stmt>> {
    let mut list = body.to_vec();
    if let [Stmt { kind: StmtKind::Block(inner), .. }] = &list[..] {
        list = inner.clone();
    }
    let closed = match list.last() {
        Some(Stmt { kind: StmtKind::Break, .. }) => {
            list.pop();
            true
        }
        Some(s) => scan::always_returns(s) || matches!(s.kind, StmtKind::Continue) || last,
        None => last,
    };
    (closed && !list.iter().any(breaks)).then_some(list)
}

impl Lowerer<'_> {
    pub(super) fn switch(&mut self, e: &Expr, cases: &[Case], s: &Stmt) -> R<bool> {
        let inside = cases.iter().any(|c| c.body.iter().any(|s| self.collective(s)));
        if self.guarded() && (inside || scan::returns(s) || scan::jumps(s)) {
            return Err(self.refuse(
                s.at,
                "a switch around an operation of the whole warp, where threads part",
                "write it with if and else",
            ));
        }
        let v = self.value(e)?;
        let Some(ty) = v.t.scalar().filter(|t| t.is_int()) else {
            return Err(self.err("U004", s.at, "a switch needs a whole number"));
        };
        let v = self.convert(v, &Type::Scalar(ty.promote()), s.at)?;
        let chain: Option<Vec<Vec<Stmt>>> =
            cases.iter().enumerate().map(|(i, c)| whole(&c.body, i + 1 == cases.len())).collect();
        if let Some(n) = v.known() {
            // Only the statements from the matching label on are there.
            let mut start = None;
            for (i, c) in cases.iter().enumerate() {
                for l in &c.labels {
                    match l {
                        Some(l) if self.constant(l)? == n => start = Some(i),
                        None if start.is_none() => {}
                        _ => {}
                    }
                }
            }
            let start = start.or_else(|| cases.iter().position(|c| c.labels.iter().any(Option::is_none)));
            let Some(start) = start else { return Ok(true) };
            if let Some(chain) = &chain {
                let block = Stmt { kind: StmtKind::Block(chain[start].clone()), at: s.at };
                return self.scoped(&block);
            }
        }
        match chain {
            Some(chain) => self.chain(&v, cases, chain, s, inside),
            None => self.fall(&v, cases, s, inside),
        }
    }

    fn matches(&mut self, v: &Tv, labels: &[Option<Expr>], at: At) -> R<Option<ValueId>> {
        let mut any: Option<ValueId> = None;
        for l in labels.iter().flatten() {
            let n = self.constant(l)?;
            let label = Tv { v: Val::Int(n), t: v.t.clone() };
            let eq = self.binary("==", v.clone(), label, at)?;
            let eq = self.id(&eq.v, Scalar::Bool);
            any = Some(match any {
                Some(a) => self.b.map(S::Or, &[a, eq]),
                None => eq,
            });
        }
        Ok(any)
    }

    fn chain(&mut self, v: &Tv, cases: &[Case], bodies: Vec<Vec<Stmt>>, s: &Stmt, inside: bool) -> R<bool> {
        let mut open = Vec::new();
        let mut default = None;
        let mut reached = false;
        for (c, body) in cases.iter().zip(&bodies) {
            if c.labels.iter().any(Option::is_none) {
                default = Some(body.clone());
                continue;
            }
            let Some(test) = self.matches(v, &c.labels, s.at)? else { continue };
            if inside || self.leaves_others(s) {
                if self.choices.diverges.contains(&s.at) {
                    return Err(self.refuse(
                        s.at,
                        "a switch around an operation of the whole warp, where threads part",
                        "write it with if and else",
                    ));
                }
                self.assumed.push((s.at, test));
            }
            self.open();
            let block = Stmt { kind: StmtKind::Block(body.clone()), at: s.at };
            let done = self.scoped(&block);
            let then = self.close();
            reached |= done?;
            open.push((test, then));
            self.open();
        }
        if let Some(body) = default {
            let block = Stmt { kind: StmtKind::Block(body), at: s.at };
            reached |= self.scoped(&block)?;
        } else {
            reached = true;
        }
        while let Some((test, then)) = open.pop() {
            let other: Vec<Simt> = self.close();
            self.b.effect(Op::If(test, then, other));
        }
        Ok(reached)
    }

    fn fall(&mut self, v: &Tv, cases: &[Case], s: &Stmt, inside: bool) -> R<bool> {
        if inside {
            return Err(self.refuse(
                s.at,
                "a switch that falls through around an operation of the whole warp",
                "end each case with break",
            ));
        }
        let bool_ty = Ty::scalar(DType::Bool);
        let (entered, resume) = (self.new_local("entered", bool_ty, None), self.new_local("resume", bool_ty, None));
        let no = self.b.constant(Literal::Int(0), bool_ty);
        self.b.set(entered, no);
        self.b.set(resume, no);
        let all: Vec<Option<Expr>> =
            cases.iter().flat_map(|c| c.labels.iter().filter(|l| l.is_some()).cloned()).collect();
        self.open();
        self.frame().loops.push(LoopCtx::Switch { resume });
        let done = (|l: &mut Self| -> R<()> {
            for c in cases {
                let mut test = l.matches(v, &c.labels, s.at)?;
                if c.labels.iter().any(Option::is_none) {
                    let some = l.matches(v, &all, s.at)?;
                    let none = match some {
                        Some(m) => l.b.map(S::Not, &[m]),
                        None => l.b.constant(Literal::Int(1), bool_ty),
                    };
                    test = Some(match test {
                        Some(t) => l.b.map(S::Or, &[t, none]),
                        None => none,
                    });
                }
                let before = l.b.get(entered);
                let on = match test {
                    Some(t) => l.b.map(S::Or, &[before, t]),
                    None => before,
                };
                l.b.set(entered, on);
                l.open();
                let block = Stmt { kind: StmtKind::Block(c.body.clone()), at: s.at };
                let done = l.scoped(&block);
                let body = l.close();
                done?;
                l.b.effect(Op::If(on, body, Vec::new()));
            }
            l.b.effect(Op::Break);
            Ok(())
        })(self);
        self.frame().loops.pop();
        let block = self.close();
        done?;
        self.b.effect(Op::Loop(block));
        if scan::continues(s) {
            let again = self.b.get(resume);
            self.open();
            let done = self.continue_stmt(s.at);
            let body = self.close();
            done?;
            self.b.effect(Op::If(again, body, Vec::new()));
        }
        Ok(true)
    }
}
