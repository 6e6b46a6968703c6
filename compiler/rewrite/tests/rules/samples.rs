//! A left side, or several, for each rule whose pattern alone does not say what fits it.

use girih_base::{DType, Dim, QuantFormat, Result, ScalarOp};
use girih_graph::ops::*;
use girih_graph::{Graph, NodeId, ParamKind, TensorTy, nn};

/// A graph being written, in the dtype under test.
pub struct Sample {
    pub g: Graph,
    pub dtype: DType,
}

type S<'a> = &'a mut Sample;
type Build = fn(S) -> Result<NodeId>;

impl Sample {
    pub fn new(dtype: DType) -> Sample {
        Sample { g: Graph::new("sample"), dtype }
    }

    /// A new parameter.
    pub fn p(&mut self, shape: &[i64]) -> NodeId {
        let ty = TensorTy::new(self.dtype, shape.iter().copied());
        self.of(ty)
    }

    pub fn of(&mut self, ty: TensorTy) -> NodeId {
        let name = format!("p{}", self.g.params().len());
        self.g.param(&name, ty, ParamKind::Input, Default::default())
    }

    /// A constant of the shape and dtype of `like`.
    pub fn c(&mut self, value: f64, like: NodeId) -> Result<NodeId> {
        let ty = self.g.tensor(like)?.clone();
        if ty.dtype.is_float() { self.g.splat(value, ty) } else { self.g.splat(value as i64, ty) }
    }

    fn m(&mut self, op: ScalarOp, args: &[NodeId]) -> Result<NodeId> {
        self.g.map(op, args)
    }

    /// Repeats `x` along the axes of `shape` that are not in `axes`.
    fn w(&mut self, x: NodeId, shape: &[i64], axes: &[usize]) -> Result<NodeId> {
        self.g.broadcast(x, dims(shape), axes.to_vec())
    }

    fn slice(&mut self, x: NodeId, start: &[i64], limit: &[i64], stride: &[i64]) -> Result<NodeId> {
        self.g.push(Slice { start: dims(start), limit: dims(limit), stride: stride.to_vec() }, &[x])
    }

    fn sum(&mut self, x: NodeId, axes: &[usize]) -> Result<NodeId> {
        self.g.reduce(girih_graph::Monoid::Sum, x, axes)
    }

    fn max(&mut self, x: NodeId, axes: &[usize]) -> Result<NodeId> {
        self.g.reduce(girih_graph::Monoid::Max, x, axes)
    }
}

fn dims(list: &[i64]) -> Vec<Dim> {
    list.iter().map(|d| Dim::from(*d)).collect()
}

use ScalarOp::{Add, Div, Exp, Mul, Neg, Recip, Rsqrt, Select, Silu, Sqrt, Square, Sub};

/// The samples of a rule that is code.
pub fn samples(rule: &str) -> Vec<Build> {
    let views: &[(&str, &[Build])] = &[
        (
            "reshape-reshape",
            &[|s| {
                let x = s.p(&[4, 6]);
                let y = s.g.reshape(x, dims(&[2, 12]))?;
                s.g.reshape(y, dims(&[3, 8]))
            }],
        ),
        (
            "reshape-same",
            &[|s| {
                let x = s.p(&[4, 6]);
                s.g.push(Reshape { shape: dims(&[4, 6]) }, &[x])
            }],
        ),
        (
            "permute-permute",
            &[|s| {
                let x = s.p(&[2, 3, 4]);
                let y = s.g.permute(x, &[2, 0, 1])?;
                s.g.permute(y, &[1, 0, 2])
            }],
        ),
        (
            "permute-unit-axes",
            &[|s| {
                let x = s.p(&[2, 1, 3]);
                s.g.permute(x, &[1, 0, 2])
            }],
        ),
        (
            "broadcast-broadcast",
            &[|s| {
                let x = s.p(&[3]);
                let y = s.w(x, &[2, 3], &[1])?;
                s.w(y, &[2, 4, 3], &[0, 2])
            }],
        ),
        (
            "broadcast-same",
            &[|s| {
                let x = s.p(&[2, 3]);
                s.w(x, &[2, 3], &[0, 1])
            }],
        ),
        (
            "permute-broadcast",
            &[|s| {
                let x = s.p(&[2, 3]);
                let y = s.w(x, &[2, 4, 3], &[0, 2])?;
                s.g.permute(y, &[2, 1, 0])
            }],
        ),
        (
            "broadcast-iota",
            &[|s| {
                let x = s.g.iota(TensorTy::new(s.dtype, [2, 3]), 1)?;
                s.w(x, &[4, 2, 3], &[1, 2])
            }],
        ),
        (
            "slice-whole",
            &[|s| {
                let x = s.p(&[2, 3]);
                s.slice(x, &[0, 0], &[2, 3], &[1, 1])
            }],
        ),
        (
            "slice-slice",
            &[
                |s| {
                    let x = s.p(&[11, 3]);
                    let y = s.slice(x, &[1, 0], &[10, 3], &[2, 1])?;
                    s.slice(y, &[1, 1], &[5, 3], &[3, 1])
                },
                |s| {
                    let x = s.p(&[5]);
                    let y = s.slice(x, &[0], &[5], &[2])?;
                    s.slice(y, &[0], &[3], &[1])
                },
            ],
        ),
        (
            "slice-map-1",
            &[|s| {
                let x = s.p(&[4, 3]);
                let y = s.m(Neg, &[x])?;
                s.slice(y, &[1, 0], &[3, 3], &[1, 2])
            }],
        ),
        (
            "slice-map-2",
            &[|s| {
                let (x, y) = (s.p(&[4, 3]), s.p(&[4, 3]));
                let z = s.m(Add, &[x, y])?;
                s.slice(z, &[1, 0], &[3, 3], &[1, 2])
            }],
        ),
        (
            "slice-cast",
            &[|s| {
                let x = s.p(&[4, 3]);
                let y = s.g.push(Cast { to: DType::F64 }, &[x])?;
                s.slice(y, &[1, 0], &[3, 3], &[1, 2])
            }],
        ),
        (
            "slice-broadcast",
            &[|s| {
                let x = s.p(&[5]);
                let y = s.w(x, &[4, 5], &[1])?;
                s.slice(y, &[1, 1], &[3, 5], &[1, 2])
            }],
        ),
        (
            "slice-permute",
            &[|s| {
                let x = s.p(&[2, 5, 4]);
                let y = s.g.permute(x, &[2, 0, 1])?;
                s.slice(y, &[1, 0, 1], &[3, 2, 5], &[1, 1, 2])
            }],
        ),
        (
            "slice-concat",
            &[
                |s| {
                    let (x, y) = (s.p(&[2, 3]), s.p(&[4, 3]));
                    let z = s.g.concat(&[x, y], 0)?;
                    s.slice(z, &[3, 0], &[6, 2], &[2, 1])
                },
                |s| {
                    let (x, y) = (s.p(&[2, 3]), s.p(&[4, 3]));
                    let z = s.g.concat(&[x, y], 0)?;
                    s.slice(z, &[1, 0], &[2, 2], &[1, 1])
                },
            ],
        ),
        (
            "concat-slices",
            &[|s| {
                let x = s.p(&[6, 3]);
                let (a, b) = (s.slice(x, &[1, 0], &[3, 3], &[1, 2])?, s.slice(x, &[3, 0], &[5, 3], &[1, 2])?);
                s.g.concat(&[a, b], 0)
            }],
        ),
        (
            "lift-view-1",
            &[
                |s| {
                    let x = s.p(&[3]);
                    let y = s.w(x, &[2, 3], &[1])?;
                    s.m(Neg, &[y])
                },
                |s| {
                    let x = s.p(&[6]);
                    let y = s.g.reshape(x, dims(&[2, 3]))?;
                    s.m(Neg, &[y])
                },
            ],
        ),
        (
            "lift-view-2",
            &[
                |s| {
                    let x = s.p(&[3]);
                    let y = s.w(x, &[2, 3], &[1])?;
                    let c = s.c(2.0, y)?;
                    s.m(Mul, &[c, y])
                },
                |s| {
                    let (x, y) = (s.p(&[3, 2]), s.p(&[3, 2]));
                    let (x, y) = (s.g.permute(x, &[1, 0])?, s.g.permute(y, &[1, 0])?);
                    s.m(Sub, &[x, y])
                },
            ],
        ),
        (
            "lift-view-3",
            &[|s| {
                let x = s.p(&[2, 3]);
                let (c, x) = (s.of(TensorTy::new(DType::Bool, [2, 3])), x);
                let (c, x) = (s.g.reshape(c, dims(&[6]))?, s.g.reshape(x, dims(&[6]))?);
                let low = s.c(0.0, x)?;
                s.m(Select, &[c, x, low])
            }],
        ),
        (
            "cast-same",
            &[|s| {
                let x = s.p(&[3]);
                s.g.push(Cast { to: s.dtype }, &[x])
            }],
        ),
        (
            "cast-cast",
            &[
                |s| {
                    let x = s.p(&[3]);
                    let y = s.g.push(Cast { to: DType::F64 }, &[x])?;
                    s.g.push(Cast { to: DType::F16 }, &[y])
                },
                |s| {
                    let x = s.p(&[3]);
                    let y = s.g.push(Cast { to: DType::I64 }, &[x])?;
                    s.g.push(Cast { to: DType::I16 }, &[y])
                },
            ],
        ),
        (
            "bitcast-bitcast",
            &[
                |s| {
                    let x = s.of(TensorTy::new(DType::F32, [3]));
                    let y = s.g.bitcast(x, DType::U32)?;
                    s.g.bitcast(y, DType::I32)
                },
                |s| {
                    let x = s.of(TensorTy::new(DType::U32, [3]));
                    let y = s.g.bitcast(x, DType::I32)?;
                    s.g.bitcast(y, DType::U32)
                },
            ],
        ),
    ];
    let numeric: &[(&str, &[Build])] = &[
        (
            "div-power-of-two",
            &[|s| {
                let x = s.p(&[2, 3]);
                let c = s.c(8.0, x)?;
                s.m(Div, &[x, c])
            }],
        ),
        (
            "div-constant",
            &[|s| {
                let x = s.p(&[2, 3]);
                let c = s.c(3.0, x)?;
                s.m(Div, &[x, c])
            }],
        ),
        (
            "mul-constants",
            &[|s| {
                let x = s.p(&[3]);
                let (c, d) = (s.c(3.0, x)?, s.c(5.0, x)?);
                let y = s.m(Mul, &[x, c])?;
                s.m(Mul, &[y, d])
            }],
        ),
        (
            "add-constants",
            &[|s| {
                let x = s.p(&[3]);
                let (c, d) = (s.c(3.0, x)?, s.c(5.0, x)?);
                let y = s.m(Add, &[x, c])?;
                s.m(Add, &[y, d])
            }],
        ),
        (
            "reduce-nothing",
            &[
                |s| {
                    let x = s.p(&[2, 3]);
                    s.sum(x, &[])
                },
                |s| {
                    let x = s.p(&[2, 3]);
                    s.max(x, &[])
                },
            ],
        ),
        (
            "reduce-broadcast",
            &[|s| {
                let x = s.p(&[3]);
                let y = s.w(x, &[4, 3, 2], &[1])?;
                s.max(y, &[0])
            }],
        ),
        (
            "reduce-permute",
            &[reduce_permute(true), |s| {
                let x = s.p(&[2, 3, 4]);
                let y = s.g.permute(x, &[2, 0, 1])?;
                s.max(y, &[1])
            }],
        ),
        ("reduce-permute-float", &[reduce_permute(true)]),
        (
            "reduce-reduce",
            &[
                |s| {
                    let x = s.p(&[2, 3, 4]);
                    let y = s.sum(x, &[1])?;
                    s.sum(y, &[0])
                },
                |s| {
                    let x = s.p(&[2, 3, 4]);
                    let y = s.max(x, &[0])?;
                    s.max(y, &[1])
                },
            ],
        ),
        (
            "reduce-reduce-float",
            &[|s| {
                let x = s.p(&[5, 3, 4]);
                let y = s.sum(x, &[1])?;
                s.sum(y, &[0])
            }],
        ),
        (
            "sum-scale",
            &[|s| {
                let x = s.p(&[5, 3]);
                let c = s.c(3.0, x)?;
                let y = s.m(Mul, &[x, c])?;
                s.sum(y, &[0])
            }],
        ),
        (
            "reduce-split",
            &[
                |s| {
                    let x = s.p(&[1 << 16]);
                    s.max(x, &[0])
                },
                |s| {
                    let x = s.p(&[2, 1 << 16]);
                    s.sum(x, &[1])
                },
            ],
        ),
        (
            "reduce-split-float",
            &[|s| {
                let x = s.p(&[1 << 16, 2]);
                s.sum(x, &[0])
            }],
        ),
        (
            "dot-permute-left",
            &[|s| {
                let (x, y) = (s.p(&[2, 5, 3, 4]), s.p(&[3, 4, 6]));
                let x = s.g.permute(x, &[3, 1, 2, 0])?;
                s.g.dot(x, y, &[(2, 0)], &[(0, 1)])
            }],
        ),
        (
            "dot-permute-right",
            &[|s| {
                let (x, y) = (s.p(&[2, 5, 3, 4]), s.p(&[3, 4, 6]));
                let x = s.g.permute(x, &[3, 1, 2, 0])?;
                s.g.dot(y, x, &[(0, 2)], &[(1, 0)])
            }],
        ),
        (
            "dot-cast",
            &[|s| {
                let (x, y) = (s.p(&[2, 3]), s.p(&[3, 4]));
                let (x, y) = (s.g.push(Cast { to: DType::F32 }, &[x])?, s.g.push(Cast { to: DType::F32 }, &[y])?);
                s.g.dot(x, y, &[], &[(1, 0)])
            }],
        ),
        (
            "dot-scale-left",
            &[|s| {
                let (x, y) = (s.p(&[2, 3]), s.p(&[3, 4]));
                let c = s.c(3.0, x)?;
                let x = s.m(Mul, &[x, c])?;
                s.g.dot(x, y, &[], &[(1, 0)])
            }],
        ),
        (
            "dot-scale-right",
            &[|s| {
                let (x, y) = (s.p(&[2, 3]), s.p(&[3, 4]));
                let c = s.c(3.0, y)?;
                let y = s.m(Mul, &[y, c])?;
                s.g.dot(x, y, &[], &[(1, 0)])
            }],
        ),
        ("dot-row-scale-left", &[|s| row_scale(s, Mul)]),
        ("dot-row-divide-left", &[|s| row_scale(s, Div)]),
        (
            "row-scale-into-dot",
            &[|s| {
                let (x, y, r) = (s.p(&[2, 5, 3]), s.p(&[2, 3, 4]), s.p(&[2, 5]));
                let d = s.g.dot(x, y, &[(0, 0)], &[(2, 1)])?;
                let r = s.w(r, &[2, 5, 4], &[0, 1])?;
                s.m(Mul, &[d, r])
            }],
        ),
        (
            "dot-assoc-right",
            &[
                |s| {
                    let (x, a, b) = (s.p(&[2, 5, 6]), s.p(&[6, 3]), s.p(&[3, 4]));
                    let xa = s.g.dot(x, a, &[], &[(2, 0)])?;
                    s.g.dot(xa, b, &[], &[(2, 0)])
                },
                |s| {
                    let (x, a, b) = (s.p(&[5, 6]), s.p(&[3, 6]), s.p(&[4, 3]));
                    let xa = s.g.dot(x, a, &[], &[(1, 1)])?;
                    s.g.dot(xa, b, &[], &[(1, 1)])
                },
            ],
        ),
        (
            "dot-assoc-left",
            &[|s| {
                let (x, a, b) = (s.p(&[2, 5, 6]), s.p(&[6, 3]), s.p(&[4, 3]));
                let ab = s.g.dot(a, b, &[], &[(1, 1)])?;
                s.g.dot(x, ab, &[], &[(2, 0)])
            }],
        ),
        (
            "mul-repeated-recip",
            &[|s| {
                let (x, y) = (s.p(&[2, 3]), s.p(&[2]));
                let y = s.m(Recip, &[y])?;
                let y = s.w(y, &[2, 3], &[0])?;
                s.m(Mul, &[x, y])
            }],
        ),
        (
            "div-repeated-sqrt",
            &[|s| {
                let (x, y) = (s.p(&[2, 3]), s.p(&[2]));
                let y = s.m(Square, &[y])?;
                let y = s.m(Sqrt, &[y])?;
                let y = s.w(y, &[2, 3], &[0])?;
                s.m(Div, &[x, y])
            }],
        ),
    ];
    let composites: &[(&str, &[Build])] = &[
        (
            "swiglu",
            &[|s| {
                let (x, y) = (s.p(&[2, 3]), s.p(&[2, 3]));
                let x = s.m(Silu, &[x])?;
                s.m(Mul, &[x, y])
            }],
        ),
        ("softmax", &[|s| softmax(s, 1), |s| softmax(s, 0)]),
        (
            "rms-norm",
            &[|s| {
                let (x, w) = (s.p(&[2, 3, 5]), s.p(&[5]));
                let y = normal(s, x)?;
                let w = s.w(w, &[2, 3, 5], &[2])?;
                s.m(Mul, &[y, w])
            }],
        ),
        (
            "layer-norm",
            &[|s| {
                let (x, w, b) = (s.p(&[2, 3, 5]), s.p(&[5]), s.p(&[5]));
                let mean = s.sum(x, &[2])?;
                let n = s.c(0.2, mean)?;
                let mean = s.m(Mul, &[mean, n])?;
                let mean = s.w(mean, &[2, 3, 5], &[0, 1])?;
                let x = s.m(Sub, &[x, mean])?;
                let y = normal(s, x)?;
                let (w, b) = (s.w(w, &[2, 3, 5], &[2])?, s.w(b, &[2, 3, 5], &[2])?);
                let y = s.m(Mul, &[y, w])?;
                s.m(Add, &[y, b])
            }],
        ),
        (
            "rope",
            &[|s| {
                let x = s.p(&[2, 3, 8]);
                let (a, b) =
                    (s.slice(x, &[0, 0, 0], &[2, 3, 4], &[1, 1, 1])?, s.slice(x, &[0, 0, 4], &[2, 3, 8], &[1, 1, 1])?);
                let [a, b] = rotate(s, a, b)?;
                s.g.concat(&[a, b], 2)
            }],
        ),
        (
            "rope-interleaved",
            &[|s| {
                let x = s.p(&[2, 3, 8]);
                let (a, b) =
                    (s.slice(x, &[0, 0, 0], &[2, 3, 7], &[1, 1, 2])?, s.slice(x, &[0, 0, 1], &[2, 3, 8], &[1, 1, 2])?);
                let [a, b] = rotate(s, a, b)?;
                let (a, b) = (s.g.reshape(a, dims(&[2, 3, 4, 1]))?, s.g.reshape(b, dims(&[2, 3, 4, 1]))?);
                let y = s.g.concat(&[a, b], 3)?;
                s.g.reshape(y, dims(&[2, 3, 8]))
            }],
        ),
        (
            "map-twice",
            &[|s| {
                let x = s.p(&[2, 3]);
                let y = s.g.concat(&[x, x], 1)?;
                s.m(Neg, &[y])
            }],
        ),
        (
            "broadcast-twice",
            &[|s| {
                let x = s.p(&[2, 3]);
                let y = s.g.concat(&[x, x], 1)?;
                s.w(y, &[2, 4, 6], &[0, 2])
            }],
        ),
        (
            "rope-rotate-half",
            &[|s| {
                let (x, c, t) = (s.p(&[3, 8]), s.p(&[3, 4]), s.p(&[3, 4]));
                let (c, t) = (s.g.concat(&[c, c], 1)?, s.g.concat(&[t, t], 1)?);
                let (a, b) = (s.slice(x, &[0, 0], &[3, 4], &[1, 1])?, s.slice(x, &[0, 4], &[3, 8], &[1, 1])?);
                let b = s.m(Neg, &[b])?;
                let turned = s.g.concat(&[b, a], 1)?;
                let (x, y) = (s.m(Mul, &[x, c])?, s.m(Mul, &[turned, t])?);
                s.m(Add, &[x, y])
            }],
        ),
        (
            "attention",
            &[
                |s| attention(s, Mask::None),
                |s| attention(s, Mask::Bool),
                |s| attention(s, Mask::Causal),
                |s| attention(s, Mask::Added),
                |s| attention(s, Mask::Window),
            ],
        ),
        (
            "concat-dequant-2",
            &[|s| {
                let x = dequants(s, &[2, 3])?;
                s.g.concat(&x, 0)
            }],
        ),
        (
            "concat-dequant-3",
            &[|s| {
                let x = dequants(s, &[2, 3, 1])?;
                s.g.concat(&x, 0)
            }],
        ),
    ];
    [views, numeric, composites].concat().iter().find(|(n, _)| *n == rule).map(|(_, b)| b.to_vec()).unwrap_or_default()
}

fn reduce_permute(_: bool) -> Build {
    |s| {
        let x = s.p(&[2, 3, 4]);
        let y = s.g.permute(x, &[2, 0, 1])?;
        s.sum(y, &[0, 2])
    }
}

fn row_scale(s: S, op: ScalarOp) -> Result<NodeId> {
    let (x, y, r) = (s.p(&[2, 5, 3]), s.p(&[2, 3, 4]), s.p(&[2, 5]));
    let r = s.w(r, &[2, 5, 3], &[0, 1])?;
    let x = s.m(op, &[x, r])?;
    s.g.dot(x, y, &[(0, 0)], &[(2, 1)])
}

fn softmax(s: S, axis: usize) -> Result<NodeId> {
    let x = s.p(&[3, 4]);
    let max = s.max(x, &[axis])?;
    let max = s.w(max, &[3, 4], &[1 - axis])?;
    let x = s.m(Sub, &[x, max])?;
    let e = s.m(Exp, &[x])?;
    let sum = s.sum(e, &[axis])?;
    let sum = s.w(sum, &[3, 4], &[1 - axis])?;
    s.m(Div, &[e, sum])
}

/// x [2, 3, 5] over its root mean square.
fn normal(s: S, x: NodeId) -> Result<NodeId> {
    let square = s.m(Square, &[x])?;
    let sum = s.sum(square, &[2])?;
    let (n, eps) = (s.c(0.2, sum)?, s.c(1e-3, sum)?);
    let mean = s.m(Mul, &[sum, n])?;
    let mean = s.m(Add, &[mean, eps])?;
    let r = s.m(Rsqrt, &[mean])?;
    let r = s.w(r, &[2, 3, 5], &[0, 1])?;
    s.m(Mul, &[x, r])
}

fn rotate(s: S, a: NodeId, b: NodeId) -> Result<[NodeId; 2]> {
    let (c, t) = (s.p(&[3, 4]), s.p(&[3, 4]));
    let (c, t) = (s.w(c, &[2, 3, 4], &[1, 2])?, s.w(t, &[2, 3, 4], &[1, 2])?);
    let (ac, bs, bc, as_) = (s.m(Mul, &[a, c])?, s.m(Mul, &[b, t])?, s.m(Mul, &[b, c])?, s.m(Mul, &[a, t])?);
    Ok([s.m(Sub, &[ac, bs])?, s.m(Add, &[bc, as_])?])
}

enum Mask {
    None,
    Bool,
    Causal,
    Added,
    Window,
}

/// q [2, 3, 5, 4] and k, v [.., 2, 4] in other orders of axes.
fn attention(s: S, mask: Mask) -> Result<NodeId> {
    let (q, k, v) = (s.p(&[4, 5, 3, 2]), s.p(&[6, 2, 4]), s.p(&[3, 2, 6]));
    let mut scores = s.g.dot(q, k, &[(3, 1)], &[(0, 2)])?;
    let shape = [2, 5, 3, 6];
    let c = s.c(0.5, scores)?;
    scores = s.m(Mul, &[scores, c])?;
    let low = s.c(f64::NEG_INFINITY, scores)?;
    match mask {
        Mask::None => {}
        Mask::Bool => {
            let m = s.of(TensorTy::new(DType::Bool, [3, 6]));
            // One key is seen by all, since a row without any has no meaning.
            let first = s.g.iota(TensorTy::new(DType::I32, [3, 6]), 1)?;
            let zero = s.c(0.0, first)?;
            let first = s.m(ScalarOp::Eq, &[first, zero])?;
            let m = s.m(ScalarOp::Or, &[m, first])?;
            let m = s.w(m, &shape, &[2, 3])?;
            scores = s.m(Select, &[m, scores, low])?;
        }
        Mask::Causal | Mask::Added | Mask::Window => {
            let ty = TensorTy::new(DType::I32, [3, 6]);
            let (i, t) = (s.g.iota(ty.clone(), 0)?, s.g.iota(ty, 1)?);
            let two = s.c(2.0, i)?;
            let i = s.m(Add, &[i, two])?;
            let m = s.m(ScalarOp::Le, &[t, i])?;
            let m = s.w(m, &shape, &[2, 3])?;
            if matches!(mask, Mask::Window) {
                let recent = s.m(ScalarOp::Sub, &[i, two])?;
                let recent = s.m(ScalarOp::Lt, &[recent, t])?;
                let recent = s.w(recent, &shape, &[2, 3])?;
                scores = s.m(Select, &[m, scores, low])?;
                scores = s.m(Select, &[recent, scores, low])?;
            } else if matches!(mask, Mask::Causal) {
                scores = s.m(Select, &[m, scores, low])?;
            } else {
                let zero = s.c(0.0, scores)?;
                let added = s.m(Select, &[m, zero, low])?;
                scores = s.m(Add, &[scores, added])?;
            }
        }
    }
    let p = nn::softmax(&mut s.g, scores, 3)?;
    s.g.dot(p, v, &[(0, 1)], &[(3, 2)])
}

fn dequants(s: S, rows: &[i64]) -> Result<Vec<NodeId>> {
    let bytes = QuantFormat::Q8_0.block_bytes() as i64;
    rows.iter()
        .map(|r| {
            let x = s.of(TensorTy::new(DType::U8, [*r, 2 * bytes]));
            nn::dequant(&mut s.g, x, QuantFormat::Q8_0)
        })
        .collect()
}
