//! Statements that change something: stores, atomics, barriers, control flow.

use super::super::expr::{Expr, Level, Read};
use super::super::spell::type_name;
use super::super::uses::key;
use super::{Body, remark};
use girih_base::Result;
use girih_simt::*;

impl Body<'_> {
    pub(super) fn effect(&mut self, s: &Stmt) -> Result<()> {
        match &s.op {
            Op::Store(space, index, x) => {
                let (place, x) = (self.element(*space, *index), self.take(*x));
                self.settle(Some(Read::of(*space)));
                self.lines.push((self.line, s.loc.clone()));
                if self.uses.atomic.contains(&key(*space)) {
                    self.put(&format!("atomicStore(&{}, {});", place.text, x.text));
                } else {
                    self.assign(&place.text, &x);
                }
            }
            Op::Set(i, x) => {
                let x = self.take(*x);
                self.settle(Some(Read::Variable(*i)));
                self.lines.push((self.line, s.loc.clone()));
                let place = self.locals[*i as usize].clone();
                self.assign(&place, &x);
            }
            Op::Atomic(op, space, index, x) => {
                let (place, x) = (self.element(*space, *index), self.take(*x));
                self.settle(Some(Read::of(*space)));
                let name = match op {
                    AtomicOp::Add => "atomicAdd",
                    AtomicOp::Min => "atomicMin",
                    AtomicOp::Max => "atomicMax",
                    AtomicOp::And => "atomicAnd",
                    AtomicOp::Or => "atomicOr",
                    AtomicOp::Xor => "atomicXor",
                    AtomicOp::Exchange => "atomicExchange",
                };
                self.lines.push((self.line, s.loc.clone()));
                let call = format!("{name}(&{}, {})", place.text, x.text);
                self.result_or_statement(s, call);
            }
            Op::CompareExchange(space, index, expected, new) => {
                let (place, mut expected, new) = (self.element(*space, *index), self.take(*expected), self.take(*new));
                self.settle(Some(Read::of(*space)));
                self.lines.push((self.line, s.loc.clone()));
                if !expected.reads.is_empty() {
                    let name = self.names.claim("expected");
                    self.put(&format!("let {name} = {};", expected.text));
                    expected = Expr::atom(name);
                }
                // The weak exchange may fail for no reason; only a different old value counts.
                let old = self.names.claim("old");
                let ty = s.result.map_or("u32".into(), |r| type_name(self.ty(r)));
                self.put(&format!("var {old}: {ty};"));
                self.put("loop {");
                self.put(&format!(
                    "    let attempt = atomicCompareExchangeWeak(&{}, {}, {});",
                    place.text, expected.text, new.text
                ));
                self.put(&format!("    {old} = attempt.old_value;"));
                self.put(&format!("    if (attempt.exchanged || {old} != {}) {{", expected.at(Level::Sum)));
                self.put("        break;");
                self.put("    }");
                self.put("}");
                if let Some(r) = s.result {
                    self.exprs[r.0 as usize] = Some(Expr::atom(old));
                }
            }
            // WGSL has no barrier of a subgroup: that of the workgroup does more.
            Op::Barrier | Op::SubgroupBarrier => {
                self.settle(None);
                self.lines.push((self.line, s.loc.clone()));
                let written = |i: &u32| self.kernel.buffers[*i as usize].written;
                let storage = self.uses.loaded.iter().any(written) || self.uses.atomic.iter().any(|a| a.0 == 0);
                if !self.kernel.shared.is_empty() || !storage {
                    self.put("workgroupBarrier();");
                }
                if storage {
                    self.put("storageBarrier();");
                }
            }
            Op::Subgroup(op, x) => {
                let x = self.take(*x);
                self.settle(None);
                self.lines.push((self.line, s.loc.clone()));
                let name = match op {
                    SubgroupOp::Add => "subgroupAdd",
                    SubgroupOp::Min => "subgroupMin",
                    SubgroupOp::Max => "subgroupMax",
                    SubgroupOp::And => "subgroupAnd",
                    SubgroupOp::Or => "subgroupOr",
                    SubgroupOp::Xor => "subgroupXor",
                    SubgroupOp::InclusiveAdd => "subgroupInclusiveAdd",
                    SubgroupOp::ExclusiveAdd => "subgroupExclusiveAdd",
                    SubgroupOp::ShuffleXor(_) => "subgroupShuffleXor",
                    SubgroupOp::BroadcastFirst => "subgroupBroadcastFirst",
                    SubgroupOp::Broadcast(_) => "subgroupBroadcast",
                    SubgroupOp::Any => "subgroupAny",
                    SubgroupOp::All => "subgroupAll",
                    SubgroupOp::Ballot => "subgroupBallot",
                };
                let call = match op {
                    // Small subgroups may lack the lane.
                    SubgroupOp::Broadcast(n) => {
                        let own = self.names.claim("own");
                        self.put(&format!("let {own} = {};", x.text));
                        format!("select({own}, {name}({own}, {n}u), {n}u < subgroup_size)")
                    }
                    SubgroupOp::ShuffleXor(n) => format!("{name}({}, {n}u)", x.text),
                    _ => format!("{name}({})", x.text),
                };
                self.subgroup_result(s, call);
            }
            Op::Shuffle(kind, x, n) => self.shuffle(s, *kind, *x, *n),
            Op::Assert(..) => {
                let help = "give the kernel a debug buffer first: `girih_simt::debug::instrument`";
                return Err(self.refuse(s, "an assertion, which WGSL has no way to report").help(help));
            }
            Op::Print(..) => return Err(self.refuse(s, "a printed line, which WGSL has no way to report")),
            _ => self.control(s)?,
        }
        Ok(())
    }

    /// A value from a lane chosen at run time; a thread keeps its own where there is no such lane.
    fn shuffle(&mut self, s: &Stmt, kind: Shuffle, x: ValueId, n: ValueId) {
        let (x, n) = (self.take(x), self.take(n));
        self.settle(None);
        self.lines.push((self.line, s.loc.clone()));
        let own = self.names.claim("own");
        self.put(&format!("let {own} = {};", x.text));
        let from = self.names.claim("from_lane");
        let n = n.at(Level::Unary);
        self.put(&match kind {
            Shuffle::Index => format!("let {from} = {n};"),
            // Beyond the subgroup where the lane would wrap.
            Shuffle::Up => format!("let {from} = select(subgroup_size, subgroup_lane - {n}, {n} <= subgroup_lane);"),
            Shuffle::Down => format!("let {from} = select(subgroup_size, subgroup_lane + {n}, {n} < subgroup_size);"),
            Shuffle::Xor => format!("let {from} = subgroup_lane ^ {n};"),
        });
        let call = format!("select({own}, subgroupShuffle({own}, {from}), {from} < subgroup_size)");
        self.subgroup_result(s, call);
    }

    fn subgroup_result(&mut self, s: &Stmt, call: String) {
        match s.result {
            Some(r) => self.bind(r, &Expr::atom(call)),
            None => self.put(&format!("_ = {call};")),
        }
    }

    fn control(&mut self, s: &Stmt) -> Result<()> {
        match &s.op {
            Op::If(cond, then, otherwise) => {
                let mut cond = self.take(*cond);
                self.settle(None);
                self.lines.push((self.line, s.loc.clone()));
                let (mut first, mut second) = (then, otherwise);
                if first.is_empty() && !second.is_empty() {
                    (first, second) = (second, first);
                    cond = Expr::prefix("!", &cond);
                }
                self.put(&format!("if ({}) {{", cond.text));
                self.region(first)?;
                match second.is_empty() {
                    true => self.put("}"),
                    false => self.otherwise(second)?,
                }
            }
            Op::For { index, lo, hi, step, body, .. } => {
                let (lo, mut end) = (self.take(*lo), self.take(*hi));
                self.settle(None);
                self.lines.push((self.line, s.loc.clone()));
                self.names.enter();
                if !end.reads.is_empty() || end.text.len() > 32 {
                    let name = self.names.claim("end");
                    self.put(&format!("let {name} = {};", end.text));
                    end = Expr::atom(name);
                }
                let wish = self.kernel.values[index.0 as usize].name.clone().unwrap_or_else(|| "i".into());
                let name = self.names.claim(&wish);
                self.exprs[index.0 as usize] = Some(Expr::atom(name.clone()));
                let cond = Expr::infix("<", &Expr::atom(name.clone()), &end);
                self.put(&format!("for (var {name} = {}; {}; {name} += {step}u) {{", lo.text, cond.text));
                self.region(body)?;
                self.names.leave();
                self.put("}");
            }
            Op::Loop(body) => {
                self.settle(None);
                self.put("loop {");
                self.region(body)?;
                self.put("}");
            }
            Op::Break | Op::Continue | Op::Return => {
                self.settle(None);
                self.put(match s.op {
                    Op::Break => "break;",
                    Op::Continue => "continue;",
                    _ => "return;",
                });
            }
            Op::Comment(text) => text.lines().map(remark).for_each(|line| self.put(format!("// {line}").trim_end())),
            _ => return Err(self.refuse(s, "a statement that WGSL has no form for")),
        }
        Ok(())
    }

    fn result_or_statement(&mut self, s: &Stmt, call: String) {
        match s.result.filter(|r| self.uses.count[r.0 as usize] > 0) {
            Some(r) => self.bind(r, &Expr::atom(call)),
            None => self.put(&format!("{call};")),
        }
    }

    /// `x = x + y` as `x += y`.
    fn assign(&mut self, place: &str, value: &Expr) {
        match value.infix {
            Some((op, split))
                if value.text[..split] == *place && !matches!(op, "<" | "<=" | ">" | ">=" | "==" | "!=") =>
            {
                let rest = value.text[split + op.len() + 2..].to_string();
                let rest = rest
                    .strip_prefix('(')
                    .and_then(|r| r.strip_suffix(')'))
                    .filter(|r| balanced(r))
                    .map_or(rest.clone(), String::from);
                self.put(&format!("{place} {op}= {rest};"));
            }
            _ => self.put(&format!("{place} = {};", value.text)),
        }
    }
}

/// Whether no parenthesis closes before it opens.
fn balanced(text: &str) -> bool {
    let mut depth = 0;
    text.chars().all(|c| {
        depth += (c == '(') as i32 - (c == ')') as i32;
        depth >= 0
    })
}
