//! Tile IR to programs: flattens regions, finds products with quantised matrices and stores that can be computed in
//! place, and places every value.

use crate::chain;
use crate::exec::Inner;
use crate::memory::Aligned;
use crate::place;
use crate::program::{Check, Code, Direct, Group, Inst, Lane, ParamInfo, Program, Slot, Tile};
use crate::simd::strided;
use girih_base::{DType, Diag, Result};
use girih_tile::verify::MAX_RANK;
use girih_tile::{AtomicOp, Block, Kernel, Literal, Op, ValueId};

/// Elements of the largest tile of a group of instances: what pays for the bookkeeping of an operation, and still lies in the
/// first caches.
const GROUPED: u64 = 8192;
/// Most instances of a group.
const MOST: u64 = 256;
/// Fewer groups than this are not worth forming: threads would have nothing to do. Not the number of threads, which results
/// must not depend on.
const LEAST: u64 = 16;

/// Compiles a kernel. Its instances run in groups of `count` where they can; without a number, of as many as make tiles of a
/// good size.
///
/// # Errors
/// What the verifier refuses; `X102` when a row of a quantised matrix does not fill blocks.
pub(crate) fn compile(kernel: &Kernel, count: Option<u32>) -> Result<Program> {
    let mut program = single(kernel)?;
    let largest = kernel.values.iter().map(|v| v.ty.elements() as u64).max().unwrap_or(1);
    let least = if count.is_some() { 1 } else { LEAST };
    let count = count.unwrap_or((GROUPED / largest.max(1)).min(MOST) as u32);
    // What an instance prints and asserts bears its number.
    if !program.sequential && count > 1 && girih_tile::debug::sites(kernel).is_none() {
        program.group = girih_tile::group(kernel, count).map(|g| grouped(&g, least)).transpose()?.map(Box::new);
    }
    Ok(program)
}

/// Compiles a group with its conditions.
fn grouped(g: &girih_tile::Group, least: u64) -> Result<Group> {
    let mut program = single(&g.kernel)?;
    let mut checks: Vec<(usize, Check)> = g.agree.iter().map(|v| (v.0 as usize, Check::Agree)).collect();
    for (v, span) in &g.spans {
        checks.push((v.0 as usize, Check::Span(program.dims.len())));
        program.dims.push(span.clone());
    }
    fn attach(code: &mut Code, checks: &[(usize, Check)]) {
        for inst in &mut code.insts {
            let check = checks.iter().find(|(id, _)| inst.dst.contains(id));
            inst.check = check.map(|(_, check)| *check);
            inst.blocks.iter_mut().for_each(|b| attach(b, checks));
        }
    }
    attach(&mut program.body, &checks);
    Ok(Group { program, count: g.count as u64, restartable: g.restartable, least })
}

/// Compiles a kernel to run instance by instance.
fn single(kernel: &Kernel) -> Result<Program> {
    girih_tile::verify(kernel)?;
    let mut c = Compiler {
        kernel,
        views: Vec::new(),
        dims: Vec::new(),
        uses: vec![0; kernel.values.len()],
        dots: false,
        sites: 0,
    };
    c.count_uses(&kernel.body);
    let mut body = c.block(&kernel.body);
    if let [grid @ .., _] = &kernel.grid[..]
        && grid.len() >= MAX_RANK
    {
        return Err(Diag::error("X102", format!("kernel `{}` has {} grid axes", kernel.name, kernel.grid.len()))
            .help(format!("merge axes: at most {MAX_RANK} are supported")));
    }
    find_quant(kernel, &mut body, &c.uses);
    chain::join(kernel, &mut body, &c.uses);
    let mut slots: Vec<Slot> = kernel
        .values
        .iter()
        .map(|v| {
            let shape: Vec<usize> = v.ty.shape.iter().map(|e| *e as usize).collect();
            let (lane, len) = (Lane::of(v.ty.dtype), shape.iter().product());
            let strides = strided::contiguous(&shape);
            Slot { dtype: v.ty.dtype, lane, shape, strides, len, offset: 0, storage: 0 }
        })
        .collect();
    let scratch = place::place(&body, &mut slots);
    let (fixed, pool) = fixed_values(&body, &slots)?;
    let stored = |p: usize| writes(&kernel.body, p);
    let params = kernel.params.iter().enumerate().map(|(i, p)| ParamInfo {
        name: p.name.clone(),
        dtype: p.dtype,
        len: p.len.clone(),
        stored: stored(i),
    });
    Ok(Program {
        name: kernel.name.clone(),
        params: params.collect(),
        scalars: kernel.scalars.clone(),
        grid: kernel.grid.clone(),
        slots,
        body,
        scratch,
        views: c.views,
        dims: c.dims,
        fixed,
        _pool: pool,
        dots: c.dots,
        sequential: sequential(kernel, &c.uses),
        work: work(kernel, &kernel.body),
        group: None,
    })
}

struct Compiler<'a> {
    kernel: &'a Kernel,
    views: Vec<girih_tile::View>,
    dims: Vec<girih_base::Dim>,
    uses: Vec<u32>,
    dots: bool,
    /// Prints and assertions so far.
    sites: usize,
}

fn ids(values: &[ValueId]) -> Vec<usize> {
    values.iter().map(|v| v.0 as usize).collect()
}

impl Compiler<'_> {
    fn count_uses(&mut self, block: &Block) {
        for stmt in &block.stmts {
            stmt.op.operands().iter().for_each(|v| self.uses[v.0 as usize] += 1);
            stmt.op.blocks().into_iter().for_each(|b| self.count_uses(b));
        }
        block.results.iter().for_each(|v| self.uses[v.0 as usize] += 1);
    }

    fn block(&mut self, block: &Block) -> Code {
        let mut insts: Vec<Inst> = Vec::with_capacity(block.stmts.len());
        for (at, stmt) in block.stmts.iter().enumerate() {
            let table = match &stmt.op {
                Op::Load { view, .. } | Op::Store { view, .. } => {
                    self.views.push(view.clone());
                    self.views.len() - 1
                }
                Op::Size(d) => {
                    self.dims.push(d.clone());
                    self.dims.len() - 1
                }
                Op::LoadQuant { rows, columns, .. } => {
                    self.dims.extend([rows.clone(), columns.clone()]);
                    self.dims.len() - 2
                }
                Op::Print(..) | Op::Assert(..) => {
                    self.sites += 1;
                    self.sites - 1
                }
                _ => 0,
            };
            self.dots |= matches!(stmt.op, Op::Dot { .. });
            let blocks = stmt.op.blocks().into_iter().map(|b| self.block(b)).collect();
            if let Op::Store { param, at: coords, value, mask: None, .. } = &stmt.op {
                let shape = self.kernel.values[value.0 as usize].ty.shape.iter().map(|e| *e as usize).collect();
                let direct = Direct { param: *param, table, at: ids(coords), shape };
                self.forward(block, at, &mut insts, *value, direct);
            }
            let dst = ids(&stmt.results);
            let inner = match &stmt.op {
                Op::Map(op, args) => {
                    let dtypes: Vec<DType> = args.iter().map(|v| self.kernel.values[v.0 as usize].ty.dtype).collect();
                    Some(Inner::of(*op, &dtypes))
                }
                _ => None,
            };
            insts.push(Inst {
                op: stmt.op.clone(),
                dst,
                table,
                direct: None,
                split: None,
                blocks,
                quant: None,
                inner,
                check: None,
                chain: None,
                over: None,
            });
            self.matrix(stmt, &mut insts);
        }
        Code { params: ids(&block.params), insts, results: ids(&block.results) }
    }

    /// Tells a load that only a matrix is made of it, whose elements then may lie column by column.
    fn matrix(&self, stmt: &girih_tile::Stmt, insts: &mut [Inst]) {
        let Op::Reshape(x) = &stmt.op else { return };
        let shape = |v: &ValueId| &self.kernel.values[v.0 as usize].ty.shape;
        let (from, to) = (shape(x), shape(&stmt.results[0]));
        let load = insts.iter_mut().find(|i| i.dst.contains(&(x.0 as usize)) && matches!(i.op, Op::Load { .. }));
        let (Some(load), 1, [rows, _]) = (load, self.uses[x.0 as usize], &to[..]) else { return };
        load.split = (0..=from.len()).find(|i| from[..*i].iter().map(|e| *e as u64).product::<u64>() == *rows as u64);
    }

    /// Lets the operation that defines `value` compute it where the store (statement `store`) puts it, if nothing
    /// between the two can tell the difference.
    fn forward(&self, block: &Block, store: usize, insts: &mut [Inst], value: ValueId, direct: Direct) {
        if self.uses[value.0 as usize] != 1 || !Lane::is_memory(self.kernel.values[value.0 as usize].ty.dtype) {
            return;
        }
        let Some(from) = block.stmts[..store].iter().position(|s| s.results.contains(&value)) else { return };
        if let Op::Reshape(x) = &block.stmts[from].op {
            return self.forward(block, store, insts, *x, direct);
        }
        if !matches!(block.stmts[from].op, Op::Map(..) | Op::Dot { .. } | Op::Cast(_)) {
            return;
        }
        let clear = block.stmts[from..store].iter().all(|s| {
            let touches = match &s.op {
                Op::Load { param, .. } | Op::LoadAt { param, .. } | Op::LoadQuant { param, .. } => {
                    *param == direct.param
                }
                Op::Store { param, .. } => *param == direct.param,
                Op::StoreAt { .. } | Op::Atomic { .. } | Op::CompareExchange { .. } => true,
                Op::For { .. } | Op::While { .. } | Op::If { .. } => true,
                _ => false,
            };
            !touches && !s.results.iter().any(|r| direct.at.contains(&(r.0 as usize)))
        });
        if clear {
            insts[from].direct = Some(direct);
        }
    }
}

/// Marks dots whose right operand is a transposed quantised load that nothing else uses; the load then decodes
/// nothing.
fn find_quant(kernel: &Kernel, code: &mut Code, uses: &[u32]) {
    code.insts.iter_mut().for_each(|i| i.blocks.iter_mut().for_each(|b| find_quant(kernel, b, uses)));
    let definition = |code: &Code, id: ValueId| code.insts.iter().position(|i| i.dst.contains(&(id.0 as usize)));
    for at in 0..code.insts.len() {
        let Op::Dot { a, b, .. } = code.insts[at].op else { continue };
        let single = |v: usize| Lane::of(kernel.values[v].ty.dtype) == Lane::F32;
        if !single(a.0 as usize) || kernel.values[code.insts[at].dst[0]].ty.dtype != DType::F32 {
            continue;
        }
        let Some(turn) = definition(code, b) else { continue };
        let Op::Permute(x, perm) = &code.insts[turn].op else { continue };
        let Some(load) = definition(code, *x) else { continue };
        let once = uses[b.0 as usize] == 1 && uses[x.0 as usize] == 1;
        if once && perm[..] == [1, 0] && matches!(code.insts[load].op, Op::LoadQuant { .. }) {
            code.insts[at].quant = Some(load);
            code.insts[load].quant = Some(at);
        }
    }
}

fn any(block: &Block, test: &dyn Fn(&Op) -> bool) -> bool {
    block.stmts.iter().any(|s| test(&s.op) || s.op.blocks().into_iter().any(|b| any(b, test)))
}

fn writes(block: &Block, param: usize) -> bool {
    any(block, &|op| match op {
        Op::Store { param: p, .. }
        | Op::StoreAt { param: p, .. }
        | Op::Atomic { param: p, .. }
        | Op::CompareExchange { param: p, .. } => *p == param,
        _ => false,
    })
}

/// Whether the order of instances shows: an atomic operation gives the element as it was, replaces it or sums floats, or the
/// kernel also loads or stores what it updates. (Other updates of integers come out the same in any order.)
fn sequential(kernel: &Kernel, uses: &[u32]) -> bool {
    fn walk(block: &Block, f: &mut impl FnMut(&girih_tile::Stmt)) {
        for stmt in &block.stmts {
            f(stmt);
            stmt.op.blocks().into_iter().for_each(|b| walk(b, f));
        }
    }
    let mut updated = vec![false; kernel.params.len()];
    let (mut seen, mut ordered) = (updated.clone(), false);
    walk(&kernel.body, &mut |s| match &s.op {
        Op::Atomic { op, param, .. } => {
            updated[*param] = true;
            let dtype = kernel.params[*param].dtype;
            let word = dtype.is_int() && Lane::is_memory(dtype);
            ordered |= !word || *op == AtomicOp::Exchange || s.results.iter().any(|r| uses[r.0 as usize] > 0);
        }
        Op::CompareExchange { .. } => ordered = true,
        Op::Load { param, .. }
        | Op::LoadQuant { param, .. }
        | Op::LoadAt { param, .. }
        | Op::Store { param, .. }
        | Op::StoreAt { param, .. } => seen[*param] = true,
        _ => {}
    });
    ordered || updated.iter().zip(&seen).any(|(u, s)| *u && *s)
}

/// Elements one instance touches, roughly: enough to tell whether threads pay.
fn work(kernel: &Kernel, block: &Block) -> u64 {
    let elements = |v: &ValueId| kernel.values[v.0 as usize].ty.elements() as u64;
    let one = |s: &girih_tile::Stmt| match &s.op {
        Op::Dot { a, b, .. } => elements(a).saturating_mul(kernel.values[b.0 as usize].ty.shape[1] as u64) / 16,
        Op::For { body, .. } => work(kernel, body).saturating_mul(4),
        Op::While { test, body, .. } => work(kernel, test).saturating_add(work(kernel, body)).saturating_mul(4),
        Op::If { then, otherwise, .. } => work(kernel, then).max(work(kernel, otherwise)),
        op => s.results.iter().map(elements).sum::<u64>() + op.operands().iter().map(elements).max().unwrap_or(0),
    };
    block.stmts.iter().map(one).fold(0, u64::saturating_add)
}

/// Literals (one element, repeated) and coordinates (one axis, repeated along the others).
fn fixed_values(body: &Code, slots: &[Slot]) -> Result<(Vec<(usize, Tile)>, Aligned)> {
    fn walk(code: &Code, found: &mut Vec<(usize, Op)>) {
        for inst in &code.insts {
            if matches!(inst.op, Op::Const(_) | Op::Arange(_)) {
                found.push((inst.dst[0], inst.op.clone()));
            }
            inst.blocks.iter().for_each(|b| walk(b, found));
        }
    }
    let mut found = Vec::new();
    walk(body, &mut found);
    let room = |op: &Op, slot: &Slot| match op {
        Op::Arange(axis) => (slot.shape[*axis] * 4).next_multiple_of(8),
        _ => 8,
    };
    let mut pool = Aligned::zeroed(found.iter().map(|(id, op)| room(op, &slots[*id])).sum())?;
    let (mut at, mut out) = (0, Vec::new());
    for (id, op) in found {
        let slot = &slots[id];
        let mut tile = Tile { ptr: pool.as_mut_ptr().wrapping_add(at), strides: [0; MAX_RANK] };
        match &op {
            Op::Arange(axis) => {
                tile.strides[*axis] = 1;
                for i in 0..slot.shape[*axis] {
                    // SAFETY: `room` counted four bytes for each element.
                    unsafe { *tile.ptr.cast::<i32>().add(i) = i as i32 };
                }
            }
            // SAFETY: `room` counted eight bytes, which hold any lane.
            Op::Const(value) => unsafe { write_literal(tile.ptr, slot, *value) },
            _ => {}
        }
        at += room(&op, slot);
        out.push((id, tile));
    }
    Ok((out, pool))
}

/// Writes one lane of a value.
///
/// # Safety
/// `at` has room for a lane of the slot, aligned.
pub(crate) unsafe fn write_literal(at: *mut u8, slot: &Slot, value: Literal) {
    // SAFETY: the caller's promise.
    unsafe { write_lane(at, slot.lane, slot.dtype, value) };
}

/// Writes a literal as a lane, rounded to the dtype.
///
/// # Safety
/// `at` has room for the lane, aligned.
pub(crate) unsafe fn write_lane(at: *mut u8, lane: Lane, dtype: DType, value: Literal) {
    use girih_base::codec::{Scalar, cast};
    let exact = match value {
        Literal::Float(bits) => Scalar::Float(f64::from_bits(bits)),
        Literal::Int(v) => Scalar::Int(v as i128),
    };
    // SAFETY: the caller's promise.
    unsafe { crate::simd::fallback::write(lane, at, cast(exact, dtype)) };
}
