//! Gives every value of a kernel its place in a worker's scratch.
//!
//! Values live from the statement that defines them to their last use, or to the end of the loop they are used in; values whose
//! lives do not meet share memory. Components, reinterpretations, and reads of variables that nobody writes meanwhile are
//! views of other values.

use super::passes::strides::Step;
use super::plan::Plan;
use super::program::{Reg, SUBGROUP};
use super::uniform::Varies;
use crate::compile::write_lane;
use crate::memory::ALIGNMENT;
use crate::program::Lane;
use girih_base::{Diag, Literal, Result};
use girih_simt::{Builtin, Kernel, Op, Stmt, Ty, ValueId};

/// Most bytes of scratch, or of workgroup memory, that one worker may need.
const MOST: usize = 1 << 30;

/// Where everything lies.
pub(super) struct Layout {
    /// Per value; nothing for values that nobody uses.
    pub regs: Vec<Option<Reg>>,
    /// Per variable; arrays begin here, see [`super::program::Array::Local`].
    pub locals: Vec<Reg>,
    pub image: Vec<u8>,
    pub group_at: usize,
    /// A word that is 0.
    pub zero_at: usize,
    pub zeroed: std::ops::Range<usize>,
    pub scratch: usize,
    pub spare: usize,
}

/// What a value is: memory of its own or a view.
#[derive(Clone, Copy, Debug)]
enum Home {
    /// Nobody uses it.
    Nowhere,
    /// At a fixed place.
    Fixed(Reg),
    Own,
    /// In a variable.
    Local(usize),
    /// From that component of another value on.
    View(ValueId, usize),
    /// One component of another value, repeated.
    Repeat(ValueId),
}

struct Lives<'a> {
    varies: &'a Varies,
    plan: &'a Plan,
    at: usize,
    defined: Vec<usize>,
    last: Vec<usize>,
    used: Vec<bool>,
    /// For each open loop, its start and the values used in it.
    loops: Vec<(usize, Vec<ValueId>)>,
    /// Start and end of each loop that was closed.
    closed: Vec<(usize, usize)>,
    /// Statements that write each variable.
    sets: Vec<Vec<usize>>,
}

/// Places the values of a verified kernel.
pub(super) fn layout(kernel: &Kernel, varies: &Varies, plan: &Plan, threads: usize) -> Result<Layout> {
    let n = kernel.values.len();
    let mut lives = Lives {
        varies,
        plan,
        at: 0,
        defined: vec![0; n],
        last: vec![0; n],
        used: vec![false; n],
        loops: Vec::new(),
        closed: Vec::new(),
        sets: vec![Vec::new(); kernel.locals.len()],
    };
    lives.block(&kernel.body);
    let mut fixed =
        Fixed { image: vec![0; (kernel.uniforms.len() * 4).next_multiple_of(8)], threads, lanes: [None; 2] };
    let (group_at, zero_at) = (fixed.room(8, 8), fixed.room(8, 8));
    // Uses of views are uses of what they view, so the statements are visited from the last to the first.
    let mut statements = Vec::new();
    collect(&kernel.body, &mut statements);
    let mut homes = vec![Home::Nowhere; n];
    let (mut locals, mut end) = (Vec::new(), 0);
    for (i, local) in kernel.locals.iter().enumerate() {
        let bytes = row(local.elem, varies.locals[i], threads);
        let len = local.len.unwrap_or(1) as usize;
        locals.push((end, bytes));
        end = bytes.checked_mul(local.elem.lanes as usize * len).and_then(|b| b.checked_add(end)).unwrap_or(usize::MAX);
        end = end.min(MOST + 1);
    }
    for (result, op) in statements.iter().rev() {
        let v = result.0 as usize;
        if !lives.used[v] {
            continue;
        }
        let ty = kernel.values[v].ty;
        homes[v] = match op {
            Some(Op::Const(literal)) => Home::Fixed(fixed.literal(*literal, ty)),
            Some(Op::Uniform(i)) => Home::Fixed(single(*i as usize * 4, ty)),
            Some(Op::Builtin(b)) => Home::Fixed(match b {
                Builtin::WorkgroupIndex => single(group_at, ty),
                Builtin::SubgroupSize => fixed.literal(Literal::Int(SUBGROUP as i64), ty),
                Builtin::LocalIndex => fixed.numbers(0, ty, |t| t),
                Builtin::SubgroupLane => fixed.numbers(1, ty, |t| t % SUBGROUP),
            }),
            Some(Op::Component(x, c)) => Home::View(*x, *c as usize),
            Some(Op::Bitcast(x)) if plain(kernel, *x) && plain(kernel, *result) => Home::View(*x, 0),
            Some(Op::MakeVec(parts)) if parts.len() == 1 => Home::Repeat(parts[0]),
            Some(Op::Get(_)) if varies.once[v].is_some() => varies.once[v].map_or(Home::Own, |x| Home::View(x, 0)),
            Some(Op::Get(i)) => {
                let (from, to) = (lives.defined[v], lives.last[v]);
                match lives.sets[*i as usize].iter().any(|at| (from..to).contains(at)) {
                    true => Home::Own,
                    false => Home::Local(*i as usize),
                }
            }
            None | Some(_) => Home::Own,
        };
        if let Home::View(of, _) | Home::Repeat(of) = homes[v] {
            lives.used[of.0 as usize] = true;
            let until = lives.needed(of, lives.last[v]);
            lives.last[of.0 as usize] = lives.last[of.0 as usize].max(until);
        }
    }
    let image = fixed.image;
    let base = image.len().next_multiple_of(ALIGNMENT);
    let local_reg = |i: usize| {
        let (at, pitch) = locals[i];
        let ty = kernel.locals[i].elem;
        Reg { at: base + at, pitch, varies: varies.locals[i], ..single(0, ty) }
    };
    let zeroed = base..base + end;
    let mut rooms = Rooms { at: zeroed.end.next_multiple_of(ALIGNMENT), taken: Vec::new(), total: 0 };
    let mut regs: Vec<Option<Reg>> = vec![None; n];
    let mut own: Vec<usize> = (0..n).filter(|v| matches!(homes[*v], Home::Own)).collect();
    own.sort_by_key(|v| (!plan.early(ValueId(*v as u32)), lives.defined[*v]));
    for v in own {
        let ty = kernel.values[v].ty;
        let pitch = row(ty, varies.values[v], threads);
        let (from, last) = match plan.early(ValueId(v as u32)) {
            true => (0, usize::MAX),
            false => (lives.defined[v], lives.last[v]),
        };
        let at = rooms.place(pitch * ty.lanes as usize, from, last);
        regs[v] = Some(Reg { at, pitch, varies: varies.values[v], ..single(0, ty) });
    }
    for (result, _) in &statements {
        let v = result.0 as usize;
        let ty = kernel.values[v].ty;
        regs[v] = match homes[v] {
            Home::Nowhere => None,
            Home::Own => regs[v],
            Home::Local(i) => Some(local_reg(i)),
            Home::Fixed(r) => Some(r),
            Home::View(x, part) => regs[x.0 as usize].map(|r| Reg { at: r.at + part * r.pitch, ..retyped(r, ty) }),
            Home::Repeat(x) => regs[x.0 as usize].map(|r| Reg { pitch: 0, ..retyped(r, ty) }),
        };
    }
    let spare = rooms.total.max(rooms.at).next_multiple_of(ALIGNMENT);
    let scratch = spare + (threads * 8).next_multiple_of(ALIGNMENT) * 2;
    check(kernel, "scratch", scratch)?;
    Ok(Layout {
        regs,
        locals: (0..locals.len()).map(local_reg).collect(),
        image,
        group_at,
        zero_at,
        zeroed,
        scratch,
        spare,
    })
}

/// Refuses what does not fit a worker.
pub(super) fn check(kernel: &Kernel, what: &str, bytes: usize) -> Result<()> {
    if bytes <= MOST {
        return Ok(());
    }
    Err(Diag::error(
        "X102",
        format!("kernel `{}` needs more than {MOST} bytes of {what} for one workgroup", kernel.name),
    )
    .help("use smaller arrays, or fewer threads in a workgroup"))
}

fn plain(kernel: &Kernel, v: ValueId) -> bool {
    Lane::is_memory(kernel.values[v.0 as usize].ty.dtype)
}

/// Bytes of one component.
fn row(ty: Ty, varies: bool, threads: usize) -> usize {
    let bytes = Lane::of(ty.dtype).bytes();
    if varies { (bytes * threads).next_multiple_of(ALIGNMENT) } else { 8 }
}

fn single(at: usize, ty: Ty) -> Reg {
    Reg { at, pitch: 0, varies: false, dtype: ty.dtype, lane: Lane::of(ty.dtype), parts: ty.lanes as usize }
}

fn retyped(r: Reg, ty: Ty) -> Reg {
    Reg { dtype: ty.dtype, lane: Lane::of(ty.dtype), parts: ty.lanes as usize, ..r }
}

/// Values in the order of their definition; the index of a counted loop has no operation.
fn collect<'k>(stmts: &'k [Stmt], out: &mut Vec<(ValueId, Option<&'k Op>)>) {
    for s in stmts {
        if let Op::For { index, .. } = &s.op {
            out.push((*index, None));
        }
        out.extend(s.result.map(|r| (r, Some(&s.op))));
        s.op.blocks().into_iter().for_each(|b| collect(b, out));
    }
}

impl Lives<'_> {
    fn used(&mut self, v: ValueId) {
        let i = v.0 as usize;
        self.used[i] = true;
        self.last[i] = self.last[i].max(self.at);
        if let Some((_, values)) = self.loops.last_mut() {
            values.push(v);
        }
    }

    /// Until when a value is needed that is used at `at`: to the end of the outermost loop around the use that it comes from outside of.
    fn needed(&self, v: ValueId, at: usize) -> usize {
        let defined = self.defined[v.0 as usize];
        let around = self.closed.iter().filter(|(start, end)| defined <= *start && *start < at && at <= *end);
        around.map(|(_, end)| *end).fold(at, usize::max)
    }

    fn defined(&mut self, v: ValueId) {
        self.defined[v.0 as usize] = self.at;
        self.last[v.0 as usize] = self.at;
    }

    fn block(&mut self, stmts: &[Stmt]) {
        for s in stmts {
            self.at += 1;
            // What goes into a variable that nobody reads is not needed.
            let dead = matches!(&s.op, Op::Set(i, _) if !self.varies.read[*i as usize]);
            if !dead {
                self.plan.operands(s).into_iter().for_each(|v| self.used(v));
            }
            s.result.into_iter().for_each(|v| self.defined(v));
            // Accesses happen even if nothing comes of them.
            if let (Op::Load(..) | Op::ComponentAt(..), Some(r)) = (&s.op, s.result)
                && self.plan.folded(r).is_none()
            {
                self.used(r);
            }
            match &s.op {
                Op::Set(i, _) => self.sets[*i as usize].push(self.at),
                Op::For { index, hi, step, body, .. } => {
                    self.defined(*index);
                    let by = match self.plan.step(*index, *step) {
                        Step::Value(by) => by,
                        Step::Fixed(_) => *hi,
                    };
                    self.turn(body, &[*index, *hi, by]);
                }
                Op::Loop(body) => self.turn(body, &[]),
                op => op.blocks().into_iter().for_each(|b| self.block(b)),
            }
        }
    }

    /// A loop: values from outside that it uses are needed until its end, as are those that steer it.
    fn turn(&mut self, body: &[Stmt], steer: &[ValueId]) {
        let start = self.at;
        self.loops.push((start, Vec::new()));
        self.block(body);
        self.at += 1;
        let (_, values) = self.loops.pop().unwrap_or_default();
        self.closed.push((start, self.at));
        for v in values.iter().chain(steer) {
            if self.defined[v.0 as usize] <= start {
                self.used(*v);
            }
        }
    }
}

/// First fit.
struct Rooms {
    at: usize,
    /// Offset, bytes, last use.
    taken: Vec<(usize, usize, usize)>,
    total: usize,
}

impl Rooms {
    fn place(&mut self, bytes: usize, from: usize, last: usize) -> usize {
        self.taken.retain(|(_, _, end)| *end >= from);
        let mut at = self.at;
        let mut here = self.taken.len();
        for (i, (offset, len, _)) in self.taken.iter().enumerate() {
            if *offset >= at + bytes {
                here = i;
                break;
            }
            at = at.max((offset + len).next_multiple_of(ALIGNMENT));
        }
        self.taken.insert(here, (at, bytes, last));
        self.total = self.total.max(at + bytes);
        at
    }
}

/// The part of scratch that a launch fills once.
struct Fixed {
    image: Vec<u8>,
    threads: usize,
    lanes: [Option<usize>; 2],
}

impl Fixed {
    fn room(&mut self, bytes: usize, align: usize) -> usize {
        let at = self.image.len().next_multiple_of(align);
        self.image.resize(at + bytes, 0);
        at
    }

    fn literal(&mut self, value: Literal, ty: Ty) -> Reg {
        let at = self.room(8, 8);
        let mut word = [0u64; 1];
        let reg = single(at, ty);
        // SAFETY: eight aligned bytes hold any lane.
        unsafe { write_lane(word.as_mut_ptr().cast(), reg.lane, ty.dtype, value) };
        self.image[at..at + 8].copy_from_slice(&word[0].to_ne_bytes());
        reg
    }

    /// A u32 for each thread.
    fn numbers(&mut self, which: usize, ty: Ty, number: impl Fn(usize) -> usize) -> Reg {
        let at = match self.lanes[which] {
            Some(at) => at,
            None => {
                let at = self.room(self.threads * 4, ALIGNMENT);
                for t in 0..self.threads {
                    self.image[at + t * 4..][..4].copy_from_slice(&(number(t) as u32).to_ne_bytes());
                }
                at
            }
        };
        self.lanes[which] = Some(at);
        Reg { varies: true, ..single(at, ty) }
    }
}
