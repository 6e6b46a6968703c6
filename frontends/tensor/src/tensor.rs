//! [`Tensor`]: a cheap handle to a value that is known, or will be computed.

use crate::data::{Data, Element};
use crate::{run, trace};
use girih_base::{DType, Diag, Dim, Loc, Result};
use girih_graph::{Op, TensorTy, Ty};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A multi-dimensional array.
///
/// Cloning copies a pointer. A tensor is in one of four states:
///
/// * **known**: it holds its elements;
/// * **lazy**: it is an operation on other tensors, computed on the [current device](crate::Device) when its elements
///   are asked for, and kept from then on;
/// * **traced**: it stands for an argument while [`jit`](crate::jit), [`grad`](crate::grad) and their kin run a function
///   to see what it does; its type is known, its elements are not;
/// * **refused**: an operation did not accept its operands. Whatever is computed from a refused tensor is refused for
///   the same reason, and asking for elements gives that reason: the shapes and names of both operands and the line of
///   the user's source. So building never fails and never panics, and reading always answers with a `Result`.
#[derive(Clone)]
pub struct Tensor(pub(crate) Arc<Node>);

pub(crate) struct Node {
    pub ty: Ty,
    pub loc: Loc,
    /// What the value depends on: nothing ([`CONST`]), known elements ([`KNOWN`]), or the newest trace of its operands.
    pub level: u64,
    name: Mutex<Option<Arc<str>>>,
    state: Mutex<State>,
}

/// Level of tensors made from numbers alone.
pub(crate) const CONST: u64 = 0;
/// Level of tensors that depend on known elements.
pub(crate) const KNOWN: u64 = 1;

#[derive(Clone)]
pub(crate) enum State {
    Known(Data),
    Lazy(Op, Vec<Tensor>),
    Traced,
    Refused(Arc<Diag>),
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Tensor {
    /// A tensor from host values in row-major order.
    ///
    /// ```
    /// # use girih::prelude::*;
    /// let x = Tensor::new(&[1f32, 2.0, 3.0, 4.0], [2, 2]);
    /// assert_eq!(x.sum(0).to_vec::<f32>()?, [4.0, 6.0]);
    /// # Ok::<(), Box<Diag>>(())
    /// ```
    #[track_caller]
    pub fn new<T: Element>(values: &[T], shape: impl AsRef<[usize]>) -> Tensor {
        Tensor::known_or_refused(Data::from_slice(values, shape.as_ref()), Loc::caller())
    }

    /// A tensor from a value.
    #[track_caller]
    pub fn from_data(data: Data) -> Tensor {
        Tensor::known(data, Loc::caller())
    }

    pub(crate) fn make(ty: Ty, loc: Loc, level: u64, name: Option<Arc<str>>, state: State) -> Tensor {
        Tensor(Arc::new(Node { ty, loc, level, name: Mutex::new(name), state: Mutex::new(state) }))
    }

    pub(crate) fn known(data: Data, loc: Loc) -> Tensor {
        Tensor::make(data.ty().into(), loc, KNOWN, None, State::Known(data))
    }

    pub(crate) fn known_or_refused(data: Result<Data>, loc: Loc) -> Tensor {
        match data {
            Ok(data) => Tensor::known(data, loc),
            Err(why) => Tensor::refused(why.at(&loc, "this tensor")),
        }
    }

    /// A tensor that carries an error to whoever asks for its elements.
    pub fn refused(why: Box<Diag>) -> Tensor {
        let loc = why.labels.first().map_or(Loc::unknown(), |l| l.loc.clone());
        Tensor::make(Ty::Tuple(Vec::new()), loc, CONST, None, State::Refused(Arc::from(why)))
    }

    /// Names the value; error messages, text forms and generated kernels show the name.
    pub fn named(self, name: &str) -> Tensor {
        *lock(&self.0.name) = Some(name.into());
        self
    }

    /// The name, if it has one.
    pub fn name(&self) -> Option<Arc<str>> {
        lock(&self.0.name).clone()
    }

    /// The type; `None` when the tensor is refused.
    pub fn ty(&self) -> Option<&TensorTy> {
        self.0.ty.tensor()
    }

    /// Element type; f32 when the tensor is refused.
    pub fn dtype(&self) -> DType {
        self.ty().map_or(DType::F32, |t| t.dtype)
    }

    /// Number of axes; 0 when the tensor is refused.
    pub fn rank(&self) -> usize {
        self.ty().map_or(0, TensorTy::rank)
    }

    /// Extent of each axis, symbolic ones included; empty when the tensor is refused.
    pub fn shape(&self) -> &[Dim] {
        self.ty().map_or(&[], |t| &t.shape)
    }

    /// Extents as numbers. Refuses a tensor of another rank than `N`, one with a symbolic extent, and a refused one.
    #[track_caller]
    pub fn dims<const N: usize>(&self) -> Result<[usize; N]> {
        self.ok()?;
        let ty = self.ty().and_then(TensorTy::const_shape).and_then(|s| <[usize; N]>::try_from(s).ok());
        ty.ok_or_else(|| {
            Diag::error("T004", format!("expected {N} axes of known extent, got {}", self.describe()))
                .at(&Loc::caller(), "asked here")
                .at(&self.0.loc, "the tensor was made here")
        })
    }

    /// Extent of one axis, negative ones counted from the last; 0 where there is no such axis or it is symbolic, so that
    /// the next operation refuses.
    pub fn dim(&self, axis: i64) -> usize {
        let at = if axis < 0 { axis + self.rank() as i64 } else { axis };
        let extent = usize::try_from(at).ok().and_then(|at| self.shape().get(at)).and_then(Dim::as_const);
        extent.and_then(|v| usize::try_from(v).ok()).unwrap_or(0)
    }

    /// Whether every operation so far was accepted; the error is the first one that was not.
    pub fn ok(&self) -> Result<()> {
        match self.refusal() {
            Some(why) => Err(Box::new((*why).clone())),
            None => Ok(()),
        }
    }

    /// The elements, computed if they are not there yet.
    pub fn data(&self) -> Result<Data> {
        if let State::Known(data) = &*lock(&self.0.state) {
            return Ok(data.clone());
        }
        run::eval(std::slice::from_ref(self))?;
        match &*lock(&self.0.state) {
            State::Known(data) => Ok(data.clone()),
            _ => Err(Diag::error("T005", "the device gave no value").at(&self.0.loc, "for this tensor")),
        }
    }

    /// The elements in row-major order; `T` must be the tensor's own dtype.
    #[track_caller]
    pub fn to_vec<T: Element>(&self) -> Result<Vec<T>> {
        self.data()?.to_vec().map_err(|e| e.at(&Loc::caller(), "read here").at(&self.0.loc, "the tensor was made here"))
    }

    /// The only element of a tensor that has one.
    #[track_caller]
    pub fn item<T: Element>(&self) -> Result<T> {
        match self.to_vec::<T>()?[..] {
            [one] => Ok(one),
            _ => Err(Diag::error("T006", format!("`item` needs one element, got {}", self.describe()))
                .at(&Loc::caller(), "asked here")
                .help("use `to_vec`, or reduce it first")),
        }
    }

    /// Cuts the history: the same elements, known, of which nothing is differentiated. Computes them now.
    pub fn detach(&self) -> Tensor {
        match self.data() {
            Ok(data) => Tensor::known(data, self.0.loc.clone()).named_as(self),
            Err(why) => Tensor::refused(why),
        }
    }

    pub(crate) fn named_as(self, other: &Tensor) -> Tensor {
        match other.name() {
            Some(name) => self.named(&name),
            None => self,
        }
    }

    pub(crate) fn state(&self) -> State {
        lock(&self.0.state).clone()
    }

    pub(crate) fn refusal(&self) -> Option<Arc<Diag>> {
        match &*lock(&self.0.state) {
            State::Refused(why) => Some(why.clone()),
            _ => None,
        }
    }

    pub(crate) fn is_known(&self) -> bool {
        matches!(&*lock(&self.0.state), State::Known(_))
    }

    pub(crate) fn is_traced(&self) -> bool {
        self.0.level > KNOWN
    }

    /// Keeps a computed value and lets go of the operands.
    pub(crate) fn fill(&self, data: Data) {
        let old = std::mem::replace(&mut *lock(&self.0.state), State::Known(data));
        release(old);
    }

    /// "`w1`: f32[3, 4]", or the type alone.
    pub(crate) fn describe(&self) -> String {
        match (self.ty(), self.name()) {
            (None, _) => "a refused tensor".into(),
            (Some(ty), Some(name)) => format!("`{name}`: {ty}"),
            (Some(ty), None) => ty.to_string(),
        }
    }

    /// Number of handles to the value.
    pub(crate) fn handles(&self) -> usize {
        Arc::strong_count(&self.0)
    }

    pub(crate) fn key(&self) -> usize {
        Arc::as_ptr(&self.0) as usize
    }

    /// Applies a graph-building function to tensors: see [`trace::build`].
    pub(crate) fn apply(
        inputs: &[&Tensor],
        loc: Loc,
        f: impl FnOnce(&mut girih_graph::Graph, &[girih_graph::NodeId]) -> Result<girih_graph::NodeId>,
    ) -> Tensor {
        let outputs = trace::build(inputs, loc, |g, ids| Ok(vec![f(g, ids)?]));
        outputs.into_iter().next().unwrap_or_else(|| Tensor::refused(Diag::error("T005", "an operation gave no value")))
    }
}

/// Drops a state without recursion: a long chain of lazy tensors must not exhaust the stack.
fn release(state: State) {
    let mut pending = vec![state];
    while let Some(state) = pending.pop() {
        if let State::Lazy(_, operands) = state {
            for operand in operands {
                if let Some(mut node) = Arc::into_inner(operand.0) {
                    let state = node.state.get_mut().unwrap_or_else(PoisonError::into_inner);
                    pending.push(std::mem::replace(state, State::Traced));
                }
            }
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let State::Lazy(..) = state {
            release(std::mem::replace(state, State::Traced));
        }
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*lock(&self.0.state) {
            State::Known(_) => write!(f, "Tensor({})", self.describe()),
            State::Lazy(op, _) => write!(f, "Tensor({}, lazy {})", self.describe(), girih_graph::ops::Rule::name(op)),
            State::Traced => write!(f, "Tensor({}, traced)", self.describe()),
            State::Refused(why) => write!(f, "Tensor(refused: {})", why.message),
        }
    }
}
