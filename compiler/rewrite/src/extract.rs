//! Greedy extraction over the DAG.
//!
//! Each class keeps the set of classes its cheapest form needs, as bits, and the price of that set; so a value that is
//! used twice is paid once. (Costs summed over trees double at every residual connection: after 24 layers they no
//! longer tell good from bad.) Greedy is not optimal, but close on such graphs; optimal extraction is NP-hard.

use crate::cost::{Cost, Model};
use crate::egraph::{EGraph, ENode};
use crate::saturate::classes;
use egg::Id;

/// Passes over all classes; prices settle in two or three.
const PASSES: usize = 12;

/// The chosen node of every class that has one.
pub struct Choice {
    index: Vec<u32>,
    chosen: Vec<Option<ENode>>,
    cost: Vec<Cost>,
}

struct Candidate {
    node: ENode,
    kids: Vec<usize>,
    cost: Cost,
}

struct Class {
    candidates: Vec<Candidate>,
    best: Option<usize>,
    needs: Vec<u64>,
    total: Cost,
    // Number of the last change, and of the last look at this class: unchanged operands need no second look.
    changed: usize,
    looked: usize,
}

const NONE: u32 = u32::MAX;

/// Chooses a node for every class, cheapest first.
pub fn extract(eg: &EGraph, model: &Model, roots: &[Id]) -> Choice {
    let ids = classes(eg);
    let mut index = vec![NONE; ids.last().map_or(0, |i| usize::from(*i) + 1)];
    for (i, id) in ids.iter().enumerate() {
        index[usize::from(*id)] = i as u32;
    }
    let at = |id: Id| index[usize::from(eg.find(id))] as usize;
    let mut table: Vec<Class> = Vec::with_capacity(ids.len());
    for id in &ids {
        let candidates = eg[*id]
            .nodes
            .iter()
            .map(|n| Candidate {
                node: n.clone(),
                kids: n.kids.iter().map(|k| at(*k)).collect(),
                cost: model.node(eg, n),
            })
            .collect();
        table.push(Class { candidates, best: None, needs: Vec::new(), total: Cost::MAX, changed: 0, looked: 0 });
    }
    let order = bottom_up(&table, &roots.iter().map(|r| at(*r)).collect::<Vec<_>>());
    settle(&mut table, &order);
    let mut chosen = Vec::with_capacity(table.len());
    let mut cost = Vec::with_capacity(table.len());
    for class in &table {
        chosen.push(class.best.map(|b| class.candidates[b].node.clone()));
        cost.push(class.best.map_or(0, |b| class.candidates[b].cost));
    }
    Choice { index, chosen, cost }
}

/// Reachable classes, operands first as far as there is such an order.
fn bottom_up(table: &[Class], roots: &[usize]) -> Vec<usize> {
    let mut state = vec![false; table.len()];
    let mut order = Vec::new();
    let mut stack: Vec<(usize, bool)> = roots.iter().rev().map(|r| (*r, false)).collect();
    while let Some((c, ready)) = stack.pop() {
        if ready {
            order.push(c);
        } else if !std::mem::replace(&mut state[c], true) {
            stack.push((c, true));
            let kids = table[c].candidates.iter().rev().flat_map(|n| n.kids.iter().rev());
            stack.extend(kids.map(|k| (*k, false)));
        }
    }
    order
}

fn settle(table: &mut [Class], order: &[usize]) {
    let words = table.len().div_ceil(64);
    let mut own: Vec<Cost> = vec![0; table.len()];
    let mut clock = 1;
    for _ in 0..PASSES {
        let mut any = false;
        for &c in order {
            let fresh = |n: &Candidate| n.kids.iter().any(|k| table[*k].changed > table[c].looked);
            let first = table[c].looked == 0;
            let look: Vec<usize> =
                (0..table[c].candidates.len()).filter(|i| first || fresh(&table[c].candidates[*i])).collect();
            clock += 1;
            table[c].looked = clock;
            for i in look {
                let Some((needs, total)) = price(table, c, i, words, &own) else { continue };
                let current = table[c].best == Some(i);
                let better = total < table[c].total || table[c].best.is_none();
                if current && total != table[c].total || better && !current && !reaches(table, c, i) {
                    own[c] = table[c].candidates[i].cost;
                    let class = &mut table[c];
                    (class.best, class.needs, class.total, class.changed) = (Some(i), needs, total, clock);
                    any = true;
                }
            }
        }
        if !any {
            break;
        }
    }
}

/// The classes candidate `i` of class `c` needs and their price; none when an operand has no form yet or needs `c`.
fn price(table: &[Class], c: usize, i: usize, words: usize, own: &[Cost]) -> Option<(Vec<u64>, Cost)> {
    let candidate = &table[c].candidates[i];
    let mut needs = vec![0u64; words];
    for k in &candidate.kids {
        table[*k].best?;
        for (w, bits) in needs.iter_mut().zip(&table[*k].needs) {
            *w |= bits;
        }
        needs[k / 64] |= 1 << (k % 64);
    }
    if needs[c / 64] >> (c % 64) & 1 == 1 {
        return None;
    }
    let mut total = candidate.cost;
    for (w, bits) in needs.iter().enumerate() {
        let mut bits = *bits;
        while bits != 0 {
            total = total.saturating_add(own[w * 64 + bits.trailing_zeros() as usize]);
            bits &= bits - 1;
        }
    }
    Some((needs, total))
}

/// Whether the current choices lead from candidate `i` of `c` back to `c`. The bit sets may lag behind; this may not.
fn reaches(table: &[Class], c: usize, i: usize) -> bool {
    let mut seen = vec![false; table.len()];
    let mut stack: Vec<usize> = table[c].candidates[i].kids.clone();
    while let Some(k) = stack.pop() {
        if k == c {
            return true;
        }
        if !std::mem::replace(&mut seen[k], true)
            && let Some(b) = table[k].best
        {
            stack.extend(&table[k].candidates[b].kids);
        }
    }
    false
}

impl Choice {
    fn at(&self, eg: &EGraph, id: Id) -> Option<usize> {
        self.index.get(usize::from(eg.find(id))).filter(|i| **i != NONE).map(|i| *i as usize)
    }

    /// The node chosen for a class.
    pub fn node(&self, eg: &EGraph, id: Id) -> Option<ENode> {
        self.chosen[self.at(eg, id)?].clone()
    }

    /// The price of everything the roots need, each value once.
    pub fn total(&self, eg: &EGraph, roots: &[Id]) -> Cost {
        let mut seen = vec![false; self.chosen.len()];
        let mut stack: Vec<Id> = roots.to_vec();
        let mut total: Cost = 0;
        while let Some(id) = stack.pop() {
            let Some(i) = self.at(eg, id) else { continue };
            if !std::mem::replace(&mut seen[i], true) {
                total = total.saturating_add(self.cost[i]);
                if let Some(n) = &self.chosen[i] {
                    stack.extend(n.kids.iter());
                }
            }
        }
        total
    }
}
