//! A small Llama-like transformer over characters, as graphs: its loss with gradients and AdamW in one step, and its logits.

use girih_base::{DType, Dim, Loc, Result, ScalarOp};
use girih_graph::eval::{Array, Value};
use girih_graph::{Graph, NodeId, ParamKind, TensorTy, grad, nn};

/// Sizes of the model.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Characters.
    pub letters: usize,
    /// Features of a token.
    pub width: usize,
    /// Attention heads.
    pub heads: usize,
    /// Layers.
    pub layers: usize,
    /// Most tokens it sees at once.
    pub tokens: usize,
}

/// Decay of AdamW's running means.
const BETA: [f64; 2] = [0.9, 0.99];

/// One trained tensor.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its first values are drawn from a normal distribution of this width, or are 1 where this is 0.
    pub spread: f64,
}

impl Sizes {
    /// The trained tensors, in order.
    pub fn parameters(&self) -> Vec<Parameter> {
        let (d, f) = (self.width, 2 * self.width);
        let new = |name: String, shape: &[usize]| {
            let spread = if shape.len() == 1 { 0.0 } else { 1.0 / (shape[0] as f64).sqrt() };
            Parameter { name, shape: shape.to_vec(), spread }
        };
        let mut all = vec![Parameter { name: "embedding".into(), shape: vec![self.letters, d], spread: 0.3 }];
        for i in 0..self.layers {
            let part = |p: &str| format!("layer{i}.{p}");
            all.extend([
                new(part("norm1"), &[d]),
                new(part("q"), &[d, d]),
                new(part("k"), &[d, d]),
                new(part("v"), &[d, d]),
                new(part("out"), &[d, d]),
                new(part("norm2"), &[d]),
                new(part("gate"), &[d, f]),
                new(part("up"), &[d, f]),
                new(part("down"), &[f, d]),
            ]);
        }
        all.push(new("norm".into(), &[d]));
        all
    }

    /// First values, the same in every run.
    pub fn first_values(&self, seed: u64) -> Result<Vec<Vec<u8>>> {
        let mut g = Graph::new("first_values");
        let key = girih_graph::random::key(&mut g, seed)?;
        let all = self.parameters();
        let keys = girih_graph::random::split(&mut g, key, all.len())?;
        let mut outputs = Vec::new();
        for (i, p) in all.iter().enumerate() {
            let shape: Vec<Dim> = p.shape.iter().map(|n| Dim::from(*n)).collect();
            let ty = TensorTy::new(DType::F32, shape.clone());
            outputs.push(match p.spread {
                0.0 => g.splat(1.0, ty)?,
                spread => {
                    let key = girih_graph::random::nth(&mut g, keys, i)?;
                    let x = girih_graph::random::normal(&mut g, key, &shape, DType::F32)?;
                    let spread = g.splat(spread, ty)?;
                    g.map(ScalarOp::Mul, &[x, spread])?
                }
            });
        }
        g.set_outputs(outputs);
        g.eval(&[], &Default::default())?.iter().map(|v| Ok(v.array()?.encode())).collect()
    }

    /// Tokens [.., n] to logits [.., n, letters]; `p` are the parameters.
    fn forward(&self, g: &mut Graph, tokens: NodeId, p: &[NodeId]) -> Result<NodeId> {
        let mut p = p.iter().copied();
        let mut next =
            || p.next().ok_or_else(|| girih_base::Diag::error("C020", "a parameter of the model is missing"));
        let shape = g.tensor(tokens)?.shape.clone();
        let length = shape.last().cloned().unwrap_or(Dim::ONE);
        let table = next()?;
        let mut x = nn::embedding(g, table, tokens)?;
        let head = self.width / self.heads;
        let (cos, sin) = nn::rope_tables(g, length, head, Dim::ZERO, 10_000.0)?;
        let mut split = shape.clone();
        split.extend([Dim::from(self.heads), Dim::from(head)]);
        let mut joined = shape.clone();
        joined.push(Dim::from(self.width));
        // [.., n, heads, head] -> [.., heads, n, head] and back: the last axes but one change places.
        let n = split.len();
        let mut swap: Vec<usize> = (0..n).collect();
        swap.swap(n - 3, n - 2);
        for _ in 0..self.layers {
            let norm = next()?;
            let h = nn::rms_norm(g, x, norm, 1e-5)?;
            let mut project = |g: &mut Graph| -> Result<NodeId> {
                let y = nn::linear(g, h, next()?, None)?;
                let y = g.reshape(y, split.clone())?;
                g.permute(y, &swap)
            };
            let (q, k, v) = (project(g)?, project(g)?, project(g)?);
            let (q, k) = (nn::rope(g, q, cos, sin)?, nn::rope(g, k, cos, sin)?);
            let seen = nn::attention(g, q, k, v, None, 1.0 / (head as f64).sqrt(), Some(Dim::ZERO))?;
            let seen = g.permute(seen, &swap)?;
            let seen = g.reshape(seen, joined.clone())?;
            let seen = nn::linear(g, seen, next()?, None)?;
            x = g.map(ScalarOp::Add, &[x, seen])?;
            let norm = next()?;
            let h = nn::rms_norm(g, x, norm, 1e-5)?;
            let (gate, up) = (nn::linear(g, h, next()?, None)?, nn::linear(g, h, next()?, None)?);
            let h = nn::swiglu(g, gate, up)?;
            let h = nn::linear(g, h, next()?, None)?;
            x = g.map(ScalarOp::Add, &[x, h])?;
        }
        let norm = next()?;
        let x = nn::rms_norm(g, x, norm, 1e-5)?;
        let rank = g.tensor(x)?.rank();
        g.dot(x, table, &[], &[(rank - 1, 1)])
    }

    fn declare(&self, g: &mut Graph, kind: ParamKind, suffix: &str) -> Vec<NodeId> {
        let all = self.parameters();
        all.iter()
            .map(|p| {
                g.param(
                    &format!("{}{suffix}", p.name),
                    TensorTy::new(DType::F32, p.shape.iter().copied()),
                    kind,
                    Loc::unknown(),
                )
            })
            .collect()
    }

    /// Tokens u32 `[n]`, `n` known at run time, to logits f32 `[n, letters]`; the parameters are weights.
    pub fn logits(&self) -> Result<Graph> {
        let mut g = Graph::new("logits");
        let n = Dim::symbol("n", 1, self.tokens as i64);
        let tokens = g.param("tokens", TensorTy::new(DType::U32, [n]), ParamKind::Input, Loc::unknown());
        let weights = self.declare(&mut g, ParamKind::Weight, "");
        let logits = self.forward(&mut g, tokens, &weights)?;
        g.set_name(logits, "logits");
        g.set_outputs(vec![logits]);
        Ok(g)
    }

    /// The mean loss of `batch` texts: tokens and the tokens that follow, i32 [batch, n], then the parameters.
    fn loss(&self, batch: usize) -> Result<Graph> {
        let mut g = Graph::new("loss");
        let ty = TensorTy::new(DType::I32, [batch, self.tokens]);
        let tokens = g.param("tokens", ty.clone(), ParamKind::Input, Loc::unknown());
        let labels = g.param("next", ty, ParamKind::Input, Loc::unknown());
        let params = self.declare(&mut g, ParamKind::Input, "");
        let logits = self.forward(&mut g, tokens, &params)?;
        let loss = nn::cross_entropy(&mut g, logits, labels)?;
        let axes: Vec<usize> = (0..g.tensor(loss)?.rank()).collect();
        let loss = nn::mean(&mut g, loss, &axes)?;
        g.set_outputs(vec![loss]);
        Ok(g)
    }

    /// One step of training. Inputs: tokens and next tokens i32 [batch, n], then `rate`, `fix_mean` and `fix_square`, f32 scalars
    /// (see [`corrections`]). States: the parameters, then AdamW's two running means of each. Output: the loss.
    pub fn training(&self, batch: usize) -> Result<Graph> {
        let loss = self.loss(batch)?;
        let count = self.parameters().len();
        let with_gradients = grad::value_and_grad(&loss, &(2..2 + count).collect::<Vec<_>>())?;
        let mut g = Graph::new("training_step");
        let ty = TensorTy::new(DType::I32, [batch, self.tokens]);
        let tokens = g.param("tokens", ty.clone(), ParamKind::Input, Loc::unknown());
        let labels = g.param("next", ty, ParamKind::Input, Loc::unknown());
        let scalar =
            |g: &mut Graph, name| g.param(name, TensorTy::scalar(DType::F32), ParamKind::Input, Loc::unknown());
        let (rate, fix_mean, fix_square) =
            (scalar(&mut g, "rate"), scalar(&mut g, "fix_mean"), scalar(&mut g, "fix_square"));
        let params = self.declare(&mut g, ParamKind::State, "");
        let means = self.declare(&mut g, ParamKind::State, ".mean");
        let squares = self.declare(&mut g, ParamKind::State, ".square");
        let args: Vec<NodeId> = [tokens, labels].into_iter().chain(params.iter().copied()).collect();
        let results = g.inline(&with_gradients, &args, &Loc::unknown())?;
        let (mut new_params, mut new_means, mut new_squares) = (Vec::new(), Vec::new(), Vec::new());
        for i in 0..count {
            let gradient = results[1 + i];
            // m = b m + (1 - b) g, s = b s + (1 - b) g^2, p = p - rate (m fix) / (sqrt(s fix) + eps)
            let mean = blend(&mut g, means[i], gradient, BETA[0])?;
            let square = g.map(ScalarOp::Square, &[gradient])?;
            let square = blend(&mut g, squares[i], square, BETA[1])?;
            let m = g.map_broadcast(ScalarOp::Mul, &[mean, fix_mean])?;
            let s = g.map_broadcast(ScalarOp::Mul, &[square, fix_square])?;
            let root = g.map(ScalarOp::Sqrt, &[s])?;
            let eps = g.scalar(1e-8, DType::F32)?;
            let root = g.map_broadcast(ScalarOp::Add, &[root, eps])?;
            let change = g.map(ScalarOp::Div, &[m, root])?;
            let change = g.map_broadcast(ScalarOp::Mul, &[change, rate])?;
            new_params.push(g.map(ScalarOp::Sub, &[params[i], change])?);
            new_means.push(mean);
            new_squares.push(square);
        }
        let mut outputs = vec![results[0]];
        outputs.extend(new_params.into_iter().chain(new_means).chain(new_squares));
        g.set_outputs(outputs);
        g.compact()
    }
}

/// `beta x + (1 - beta) y`.
fn blend(g: &mut Graph, x: NodeId, y: NodeId, beta: f64) -> Result<NodeId> {
    let (a, b) = (g.scalar(beta, DType::F32)?, g.scalar(1.0 - beta, DType::F32)?);
    let (x, y) = (g.map_broadcast(ScalarOp::Mul, &[x, a])?, g.map_broadcast(ScalarOp::Mul, &[y, b])?);
    g.map(ScalarOp::Add, &[x, y])
}

/// What running means of `step` values (from 1) must be multiplied with.
pub fn corrections(step: u32) -> [f32; 2] {
    BETA.map(|b| (1.0 / (1.0 - b.powi(step as i32))) as f32)
}

/// Values for the evaluator: tokens, then the parameters from their bytes.
pub fn values(sizes: &Sizes, tokens: &[u32], parameters: &[Vec<u8>]) -> Result<Vec<Value>> {
    let bytes: Vec<u8> = tokens.iter().flat_map(|t| t.to_le_bytes()).collect();
    let mut all = vec![Value::from(Array::decode(DType::U32, &[tokens.len()], &bytes)?)];
    for (p, bytes) in sizes.parameters().iter().zip(parameters) {
        all.push(Value::from(Array::decode(DType::F32, &p.shape, bytes)?));
    }
    Ok(all)
}
