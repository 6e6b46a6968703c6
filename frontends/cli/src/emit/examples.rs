//! Built-in programs, to look at and to measure.

use crate::rig::unknown;
use girih_base::{DType, Dim, Loc, Result, ScalarOp};
use girih_graph::{Graph, Monoid, NodeId, ParamKind, TensorTy, grad, nn};

/// A program that needs no file.
pub struct Example {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is.
    pub doc: &'static str,
    /// Adds its nodes to a graph; gives the outputs.
    pub build: fn(&mut Graph) -> Result<Vec<NodeId>>,
}

/// All of them: first those to read, then the workloads of `girih bench`.
pub fn all() -> impl Iterator<Item = &'static Example> {
    READING.iter().chain(crate::bench::workloads::WORKLOADS.iter().map(|w| &w.example))
}

/// The graph of an example.
pub fn find(name: &str) -> Result<Graph> {
    match all().find(|e| e.name == name) {
        Some(e) => e.graph(),
        None => {
            let names: Vec<&str> = all().map(|e| e.name).collect();
            Err(unknown("file or example", name, &names).note("files end in .girih or .gguf"))
        }
    }
}

impl Example {
    /// Its graph.
    pub fn graph(&self) -> Result<Graph> {
        let mut g = Graph::new(self.name);
        let outputs = (self.build)(&mut g)?;
        g.set_outputs(outputs);
        Ok(g)
    }
}

/// An f32 input.
pub fn input<D: Into<Dim>>(g: &mut Graph, name: &str, shape: impl IntoIterator<Item = D>) -> NodeId {
    g.param(name, TensorTy::new(DType::F32, shape), ParamKind::Input, Loc::unknown())
}

const READING: &[Example] = &[
    Example {
        name: "softmax_matmul",
        doc: "softmax(x @ w.T / 8), the program of docs/tour.md",
        build: |g| {
            let (x, w) = (input(g, "x", [128, 64]), input(g, "w", [256, 64]));
            let w = g.permute(w, &[1, 0])?;
            let y = g.matmul(x, w)?;
            let eighth = g.scalar(0.125, DType::F32)?;
            let y = g.map_broadcast(ScalarOp::Mul, &[y, eighth])?;
            Ok(vec![nn::softmax(g, y, 1)?])
        },
    },
    Example {
        name: "symbolic_softmax",
        doc: "softmax over rows of a length known at run time",
        build: |g| {
            let n = Dim::symbol("n", 1, 4096);
            let x = input(g, "x", [Dim::from(64), n]);
            Ok(vec![nn::softmax(g, x, 1)?])
        },
    },
    Example {
        name: "mlp_grad",
        doc: "the gradient of a two-layer perceptron's loss by its weights",
        build: |g| {
            let mut f = Graph::new("mlp");
            let (x, w1) = (input(&mut f, "x", [32, 64]), input(&mut f, "w1", [64, 128]));
            let (w2, y) = (input(&mut f, "w2", [128, 10]), input(&mut f, "y", [32, 10]));
            let h = f.matmul(x, w1)?;
            let h = nn::gelu(&mut f, h)?;
            let out = f.matmul(h, w2)?;
            let loss = nn::mean_squared_error(&mut f, out, y)?;
            f.set_outputs(vec![loss]);
            let df = grad::grad(&f, &[1, 2])?;
            let args: Vec<NodeId> = [("x", [32, 64]), ("w1", [64, 128]), ("w2", [128, 10]), ("y", [32, 10])]
                .map(|(name, shape)| input(g, name, shape))
                .to_vec();
            g.inline(&df, &args, &Loc::unknown())
        },
    },
    Example {
        name: "row_norms",
        doc: "the length of each row: one reduction with an elementwise end",
        build: |g| {
            let x = input(g, "x", [256, 300]);
            let squares = g.map(ScalarOp::Square, &[x])?;
            let sums = g.reduce(Monoid::Sum, squares, &[1])?;
            Ok(vec![g.map(ScalarOp::Sqrt, &[sums])?])
        },
    },
];
