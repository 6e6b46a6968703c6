//! Library functions against values that JAX 0.10.2 gives in f64.

use crate::harness::{close, ints, run};
use girih_base::{DType, Dim, Loc, Result, ScalarOp};
use girih_graph::eval::Array;
use girih_graph::{Graph, NodeId, Op, ParamKind, TensorTy, nn, random};

/// `1.5 sin(1.7 i + 0.3)` in row-major order.
fn wave(shape: &[usize]) -> Array {
    let n: usize = shape.iter().product();
    Array::from_f64(DType::F64, shape, (0..n).map(|i| (i as f64 * 1.7 + 0.3).sin() * 1.5))
}

fn affine(a: Array, scale: f64, shift: f64) -> Array {
    Array::from_f64(DType::F64, &a.shape.clone(), a.to_f64().iter().map(|x| x * scale + shift))
}

fn apply(inputs: &[Array], build: impl Fn(&mut Graph, &[NodeId]) -> Result<Vec<NodeId>>) -> Vec<Array> {
    let mut g = Graph::new("library");
    let params: Vec<NodeId> = inputs.iter().map(|a| g.param("x", a.ty(), ParamKind::Input, Loc::unknown())).collect();
    let out = build(&mut g, &params).unwrap();
    g.set_outputs(out);
    run(&g, inputs)
}

fn expect(got: &Array, want: &[f64]) {
    assert_eq!(got.len(), want.len());
    got.to_f64().iter().zip(want).for_each(|(g, w)| close(*g, *w, 1e-11, "element"));
}

#[test]
fn softmax_and_log_softmax() {
    let out = apply(&[wave(&[2, 4])], |g, x| Ok(vec![nn::softmax(g, x[0], 1)?, nn::log_softmax(g, x[0], 0)?]));
    let soft = [
        0.249854936445,
        0.627376177897,
        0.0724463272481,
        0.0503225584098,
        0.478241784886,
        0.385306322148,
        0.0428248795065,
        0.0936270134596,
    ];
    let log = [
        -1.07016916628,
        -0.47916843809,
        -0.464790025833,
        -1.05161933274,
        -0.41999591608,
        -0.965738788991,
        -0.989579454428,
        -0.429816524765,
    ];
    expect(&out[0], &soft);
    expect(&out[1], &log);
}

#[test]
fn softmax_of_large_numbers() {
    let x = Array::from_f64(DType::F32, &[3], [1e30, 1e30, -1e30]);
    let out = apply(&[x], |g, x| Ok(vec![nn::softmax(g, x[0], 0)?]));
    expect(&out[0], &[0.5, 0.5, 0.0]);
}

#[test]
fn norms() {
    let inputs = [wave(&[2, 4]), affine(wave(&[4]), 1.0, 2.0), affine(wave(&[4]), 0.5, 0.0)];
    let out =
        apply(&inputs, |g, x| Ok(vec![nn::layer_norm(g, x[0], x[1], x[2], 1e-5)?, nn::rms_norm(g, x[0], x[1], 1e-5)?]));
    let layer = [
        1.39038647559,
        5.37788198522,
        -1.3080151582,
        -1.52027094699,
        2.82621042402,
        3.54039809733,
        -2.02367861394,
        -1.05581995882,
    ];
    let rms = [
        1.07873265925,
        4.56991735793,
        -0.954048717441,
        -0.970779782555,
        2.67315009618,
        2.953142384,
        -1.59128909748,
        -0.452087256812,
    ];
    expect(&out[0], &layer);
    expect(&out[1], &rms);
}

#[test]
fn causal_attention_with_shared_heads() {
    let inputs = [wave(&[1, 3, 4, 2]), affine(wave(&[1, 3, 2, 2]), 0.9, 0.0), affine(wave(&[1, 3, 2, 2]), 1.0, 0.1)];
    let out = apply(&inputs, |g, x| Ok(vec![nn::grouped_attention(g, x[0], x[1], x[2], 0.7, Some(Dim::ZERO))?]));
    let want = [
        0.543280309992,
        1.46394614024,
        0.543280309992,
        1.46394614024,
        -0.694754211363,
        -1.05914673133,
        -0.694754211363,
        -1.05914673133,
        0.955226513777,
        1.15565783575,
        0.761445721396,
        1.30067756991,
        -0.867693431119,
        -0.854237814127,
        -1.05566277294,
        -0.63152005902,
        1.33191667781,
        0.60759297556,
        0.857640191319,
        1.17200760925,
        -0.939042006451,
        -0.696224015422,
        -1.24027351763,
        -0.101569496802,
    ];
    assert_eq!(out[0].shape, [1, 3, 4, 2]);
    // JAX takes the softmax in f32 whatever the dtype.
    out[0].to_f64().iter().zip(want).for_each(|(g, w)| close(*g, w, 1e-7, "attention"));
}

#[test]
fn attention_by_mask_is_attention_by_offset_and_hidden_rows_average() {
    let inputs = [wave(&[2, 3]), wave(&[4, 3]), affine(wave(&[4, 2]), 1.0, 0.5)];
    let out = apply(&inputs, |g, x| {
        let byte = |bits: [u8; 8]| bits.to_vec();
        let shape = TensorTy::new(DType::Bool, [2, 4]);
        let mask = g.dense(shape.clone(), byte([1, 1, 1, 0, 1, 1, 1, 1]))?;
        let none = g.dense(shape, byte([0; 8]))?;
        Ok(vec![
            nn::attention(g, x[0], x[1], x[2], Some(mask), 0.5, None)?,
            nn::attention(g, x[0], x[1], x[2], None, 0.5, Some(Dim::from(2)))?,
            nn::attention(g, x[0], x[1], x[2], Some(none), 0.5, None)?,
        ])
    });
    assert_eq!(out[0], out[1]);
    let v = inputs[2].to_f64();
    for c in 0..2 {
        close(out[2].f64(c), (0..4).map(|t| v[2 * t + c]).sum::<f64>() / 4.0, 1e-14, "average");
    }
}

#[test]
fn convolution_with_everything() {
    let inputs = [wave(&[1, 4, 5, 4]), affine(wave(&[6, 2, 3, 2]), 0.3, 0.0)];
    let how = nn::Conv2d { stride: [2, 1], padding: [(1, 1), (0, 2)], dilation: [1, 2], groups: 2 };
    let out = apply(&inputs, |g, x| Ok(vec![nn::conv2d(g, x[0], x[1], None, &how)?])).remove(0);
    assert_eq!(out.shape, [1, 6, 3, 4]);
    let first = [0.572312695142, 0.350952554495, -0.576757144752, 0.212167618661, 0.298859763384, -0.102034525525];
    first.iter().enumerate().for_each(|(i, w)| close(out.f64(i), *w, 1e-11, "conv"));
    let weights = wave(&[1, 6, 3, 4]).to_f64();
    close(out.to_f64().iter().sum(), 0.4165296966789892, 1e-12, "sum");
    close(out.to_f64().iter().zip(weights).map(|(a, b)| a * b).sum(), -0.5101460260618583, 1e-12, "weighted sum");
}

#[test]
fn pools() {
    let x = Array::from_f64(DType::F64, &[1, 1, 3, 3], (1..=9).map(f64::from));
    let out = apply(&[x], |g, x| {
        let pad = [(1, 0); 2];
        Ok(vec![
            nn::max_pool2d(g, x[0], [2, 2], [2, 2], pad)?,
            nn::avg_pool2d(g, x[0], [2, 2], [2, 2], pad, true)?,
            nn::avg_pool2d(g, x[0], [2, 2], [2, 2], pad, false)?,
        ])
    });
    expect(&out[0], &[1.0, 3.0, 7.0, 9.0]);
    expect(&out[1], &[0.25, 1.25, 2.75, 7.0]);
    expect(&out[2], &[1.0, 2.5, 5.5, 7.0]);
}

#[test]
fn activations() {
    let out = apply(&[wave(&[4])], |g, x| {
        let gate = nn::swiglu(g, x[0], x[0])?;
        Ok(vec![nn::gelu(g, x[0])?, nn::gelu_tanh(g, x[0])?, nn::silu(g, x[0])?, gate])
    });
    let near = |a: &Array, want: [f64; 4]| a.to_f64().iter().zip(want).for_each(|(g, w)| close(*g, w, 1e-8, "act"));
    near(&out[0], [0.29753795, 1.24624815, -0.16958326, -0.14280478]);
    near(&out[1], [0.29752689, 1.24601448, -0.16966561, -0.14300827]);
    near(&out[2], [0.26997561, 1.08624712, -0.24728679, -0.27683016]);
    let x = wave(&[4]);
    (0..4).for_each(|i| close(out[3].f64(i), out[2].f64(i) * x.f64(i), 1e-14, "swiglu"));
}

#[test]
fn order_and_picking() {
    let out = apply(&[wave(&[2, 5]), ints(&[2], &[3, -1])], |g, x| {
        let (values, places) = nn::top_k(g, x[0], Dim::from(3))?;
        let best = nn::argmax(g, x[0], 1)?;
        let hot = nn::one_hot(g, x[1], Dim::from(4), DType::F32)?;
        let loss = nn::cross_entropy(g, x[0], x[1])?;
        let rows = nn::embedding(g, x[0], x[1])?;
        let zero = g.scalar(0.0, DType::F64)?;
        let negative = g.map_broadcast(ScalarOp::Lt, &[x[0], zero])?;
        let clipped = nn::where_(g, negative, zero, x[0])?;
        Ok(vec![values, places, best, hot, loss, rows, clipped])
    });
    let near = |a: &Array, want: &[f64]| a.to_f64().iter().zip(want).for_each(|(g, w)| close(*g, *w, 1e-8, "top"));
    near(&out[0], &[1.36394614, 1.09345356, 0.44328031, 1.45801125, 0.87737579, 0.16163048]);
    expect(&out[1], &[1., 4., 0., 3., 0., 4.]);
    expect(&out[2], &[1., 3.]);
    expect(&out[3], &[0., 0., 0., 1., 0., 0., 0., 0.]);
    let x = wave(&[2, 5]).to_f64();
    let total: f64 = x[..5].iter().map(|v| v.exp()).sum();
    expect(&out[4], &[total.ln() - x[3], 0.0]);
    // Ids are clamped to the table.
    expect(&out[5], &[&x[5..], &x[..5]].concat());
    assert!(out[6].to_f64().iter().zip(&x).all(|(c, x)| *c == x.max(0.0)));
}

#[test]
fn rotary_turns_by_the_position() {
    let out = apply(&[wave(&[2, 3, 4])], |g, x| {
        let (cos, sin) = nn::rope_tables(g, Dim::from(3), 4, Dim::from(5), 100.0)?;
        Ok(vec![nn::rope(g, x[0], cos, sin)?, nn::rope_interleaved(g, x[0], cos, sin)?])
    });
    let x = wave(&[2, 3, 4]).to_f64();
    for (row, base) in (0..6).map(|r| (r, 4 * r)) {
        for j in 0..2 {
            // theta^(-2j/4) = 100^(-j/2) = 10^-j; the table is f32.
            let (sin, cos) = ((5 + row % 3) as f64 * 0.1f64.powi(j as i32)).sin_cos();
            for (out, (p, q)) in [(&out[0], (j, j + 2)), (&out[1], (2 * j, 2 * j + 1))] {
                let (a, b) = (x[base + p], x[base + q]);
                close(out.f64(base + p), a * cos - b * sin, 1e-6, "rope");
                close(out.f64(base + q), b * cos + a * sin, 1e-6, "rope");
            }
        }
    }
}

#[test]
fn dropout_keeps_what_jax_keeps() {
    // jax.random.bernoulli(key(42), 0.3, (3, 7)) is true at 6 and 18 only.
    let ones = Array::from_f64(DType::F32, &[3, 7], [1.0; 21]);
    let out = apply(&[ones], |g, x| {
        let key = random::key(g, 42)?;
        Ok(vec![nn::dropout(g, x[0], key, 0.7)?])
    });
    for i in 0..21 {
        close(out[0].f64(i), if i == 6 || i == 18 { 1.0 / 0.3 } else { 0.0 }, 1e-6, "dropout");
    }
}

#[test]
fn equal_composites_share_one_body() {
    let mut g = Graph::new("shared");
    let ty = TensorTy::new(DType::F32, [2, 4]);
    let x = g.param("x", ty.clone(), ParamKind::Input, Loc::unknown());
    let w = g.param("w", TensorTy::new(DType::F32, [4]), ParamKind::Weight, Loc::unknown());
    let a = nn::rms_norm(&mut g, x, w, 1e-5).unwrap();
    let b = nn::rms_norm(&mut g, a, w, 1e-5).unwrap();
    let c = nn::rms_norm(&mut g, b, w, 1e-6).unwrap();
    let callee = |id: NodeId| match g.op(id) {
        Op::Call(call) => call.callee.clone(),
        _ => panic!("not a call"),
    };
    assert!(std::sync::Arc::ptr_eq(&callee(a), &callee(b)));
    assert!(!std::sync::Arc::ptr_eq(&callee(a), &callee(c)));
    assert_eq!(&*callee(a).name, "rms_norm");
}
