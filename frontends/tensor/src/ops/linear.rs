//! Products of matrices and their generalisations.

use crate::tensor::Tensor;
use girih_base::{Diag, Dim, Loc, Result};
use girih_graph::{Graph, NodeId};

impl Tensor {
    /// NumPy's `matmul`: the last two axes multiply as matrices, leading axes broadcast; vectors are taken as a row (left)
    /// or a column (right). f16 and bf16 accumulate in f32 and are rounded once.
    #[track_caller]
    pub fn matmul(&self, other: &Tensor) -> Tensor {
        Tensor::apply(&[self, other], Loc::caller(), |g, x| matmul(g, x[0], x[1]))
    }

    /// A contraction: `batch` and `contract` pair axes of the two operands. Result axes are the batch axes, this tensor's
    /// free axes, then the other's.
    #[track_caller]
    pub fn dot_general(&self, other: &Tensor, batch: &[(usize, usize)], contract: &[(usize, usize)]) -> Tensor {
        Tensor::apply(&[self, other], Loc::caller(), |g, x| dot(g, x[0], x[1], batch, contract))
    }
}

/// A dot whose result is rounded to the operands' float dtype.
fn dot(g: &mut Graph, a: NodeId, b: NodeId, batch: &[(usize, usize)], contract: &[(usize, usize)]) -> Result<NodeId> {
    let dtype = g.tensor(a)?.dtype;
    let product = g.dot(a, b, batch, contract)?;
    if dtype.is_float() { g.cast(product, dtype) } else { Ok(product) }
}

fn matmul(g: &mut Graph, a: NodeId, b: NodeId) -> Result<NodeId> {
    let (ra, rb) = (g.tensor(a)?.rank(), g.tensor(b)?.rank());
    if ra == 0 || rb == 0 {
        // A dot without axes to contract is refused with both operands named.
        return g.dot(a, b, &[], &[(0, 0)]);
    }
    // A right operand without batch axes needs no broadcast: all of the left's leading axes are free axes.
    if rb <= 2 {
        return dot(g, a, b, &[], &[(ra - 1, rb.saturating_sub(2))]);
    }
    if ra == 1 {
        let mut shape = g.tensor(a)?.shape.clone();
        shape.insert(0, Dim::ONE);
        let row = g.reshape(a, shape)?;
        let product = matmul(g, row, b)?;
        let mut shape = g.tensor(product)?.shape.clone();
        shape.remove(shape.len() - 2);
        return g.reshape(product, shape);
    }
    let (sa, sb) = (g.tensor(a)?.shape.clone(), g.tensor(b)?.shape.clone());
    let rank = ra.max(rb);
    let extent = |s: &[Dim], i: usize| (i + s.len()).checked_sub(rank).map_or(Dim::ONE, |at| s[at].clone());
    let lead: Vec<Dim> =
        (0..rank - 2).map(|i| if extent(&sa, i).is(1) { extent(&sb, i) } else { extent(&sa, i) }).collect();
    let a = g.broadcast_to(a, &[&lead, &sa[ra - 2..]].concat())?;
    let b = g.broadcast_to(b, &[&lead, &sb[rb - 2..]].concat())?;
    let batch: Vec<_> = (0..rank - 2).map(|i| (i, i)).collect();
    dot(g, a, b, &batch, &[(rank - 1, rank - 2)])
}

/// A contraction of two tensors in Einstein's notation: `einsum("bhqd,bhkd->bhqk", &q, &k)`.
///
/// Letters in both inputs and the output are batch axes, letters in both inputs only are summed over, letters in one
/// input only stay (or are summed when the output lacks them).
#[track_caller]
pub fn einsum(spec: &str, a: &Tensor, b: &Tensor) -> Tensor {
    let loc = Loc::caller();
    let bad = |why: String| {
        Tensor::refused(
            Diag::error("T013", format!("einsum `{spec}`: {why}"))
                .at(&loc, "this operation")
                .note(format!("operand 0 is {}", a.describe()))
                .note(format!("operand 1 is {}", b.describe()))
                .help("write it as `ij,jk->ik`, one letter per axis"),
        )
    };
    if let Some(why) = a.refusal().or_else(|| b.refusal()) {
        return Tensor::refused(Box::new((*why).clone()));
    }
    let Some(((left, right), out)) = spec.split_once("->").and_then(|(i, o)| Some((i.split_once(',')?, o))) else {
        return bad("not of the form `a,b->c`".into());
    };
    let [left, right, out] = [left, right, out].map(|part| part.trim().chars().collect::<Vec<char>>());
    for (letters, t) in [(&left, a), (&right, b)] {
        if letters.len() != t.rank() {
            return bad(format!("{} letters for {}", letters.len(), t.describe()));
        }
    }
    for letters in [&left, &right, &out] {
        if (1..letters.len()).any(|i| letters[..i].contains(&letters[i])) {
            return bad("a letter stands twice in one operand".into());
        }
    }
    if let Some(c) = out.iter().find(|c| !left.contains(c) && !right.contains(c)) {
        return bad(format!("`{c}` is in no input"));
    }
    // Letters of one operand alone that the output lacks are summed first.
    let reduced = |t: &Tensor, letters: &[char], other: &[char]| {
        let gone: Vec<i64> = (0..letters.len())
            .filter(|i| !other.contains(&letters[*i]) && !out.contains(&letters[*i]))
            .map(|i| i as i64)
            .collect();
        let kept: Vec<char> = letters.iter().copied().filter(|c| other.contains(c) || out.contains(c)).collect();
        (if gone.is_empty() { t.clone() } else { t.sum(&gone[..]) }, kept)
    };
    let (a, l) = reduced(a, &left, &right);
    let (b, r) = reduced(b, &right, &left);
    let at = |letters: &[char], c: char| letters.iter().position(|x| *x == c).unwrap_or(0);
    let both = |in_out: bool| -> Vec<(usize, usize)> {
        let shared = l.iter().filter(|c| r.contains(c) && out.contains(c) == in_out);
        shared.map(|c| (at(&l, *c), at(&r, *c))).collect()
    };
    let (batch, contract) = (both(true), both(false));
    let natural: Vec<char> = (batch.iter().map(|p| l[p.0]))
        .chain(l.iter().copied().filter(|c| !r.contains(c)))
        .chain(r.iter().copied().filter(|c| !l.contains(c)))
        .collect();
    let perm: Vec<usize> = out.iter().map(|c| at(&natural, *c)).collect();
    Tensor::apply(&[&a, &b], loc, |g, x| {
        let product = dot(g, x[0], x[1], &batch, &contract)?;
        g.permute(product, &perm)
    })
}
