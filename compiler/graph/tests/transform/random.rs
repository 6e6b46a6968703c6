//! Random numbers against JAX 0.10.2 (`jax_threefry_partitionable` true, x64 on), seed 42 unless said otherwise.

use crate::harness::{close, run};
use girih_base::{DType, Dim, Loc, Result};
use girih_graph::eval::Array;
use girih_graph::{Graph, NodeId, ParamKind, TensorTy, batch, random};

fn draw(build: impl Fn(&mut Graph, NodeId) -> Result<NodeId>) -> Array {
    let mut g = Graph::new("draw");
    let key = random::key(&mut g, 42).unwrap();
    let out = build(&mut g, key).unwrap();
    g.set_outputs(vec![out]);
    run(&g, &[]).remove(0)
}

fn integers(a: &Array) -> Vec<i128> {
    (0..a.len()).map(|i| a.int(i)).collect()
}

fn dims(list: &[i64]) -> Vec<Dim> {
    list.iter().map(|d| Dim::from(*d)).collect()
}

#[test]
fn keys_have_both_halves_of_the_seed() {
    assert_eq!(integers(&draw(|_, key| Ok(key))), [0, 42]);
    assert_eq!(integers(&draw(|g, _| random::key(g, (7 << 32) | 9))), [7, 9]);
    assert_eq!(
        integers(&draw(|g, _| {
            let seed = g.scalar(-2, DType::I32)?;
            random::key_from(g, seed)
        })),
        [0, 0xFFFF_FFFE]
    );
}

#[test]
fn split_and_fold_in() {
    let split = draw(|g, key| random::split(g, key, 3));
    assert_eq!(integers(&split), [1832780943, 270669613, 64467757, 2916123636, 2465931498, 255383827]);
    let other = draw(|g, _| {
        let key = random::key(g, (7 << 32) | 9)?;
        random::split(g, key, 2)
    });
    assert_eq!(integers(&other), [1949403054, 1208180859, 1355769149, 3709916571]);
    for (data, want) in [(123i64, [2238821533, 719561804]), (0xDEAD_BEEF, [1644914347, 3512592124])] {
        let folded = draw(|g, key| {
            let data = g.scalar(data, DType::U32)?;
            random::fold_in(g, key, data)
        });
        assert_eq!(integers(&folded), want);
    }
}

#[test]
fn bits_of_every_width() {
    let want: [(DType, [i128; 6]); 4] = [
        (DType::U8, [162, 217, 249, 215, 21, 216]),
        (DType::U16, [5026, 12505, 63993, 49623, 29461, 20184]),
        (DType::U32, [2098992034, 2919706841, 2646866425, 2409546199, 1935504149, 2516274904]),
        (
            DType::U64,
            [
                7871734211187709741,
                276886910877598708,
                10591095138341673235,
                13462782411356743825,
                12687676868490354166,
                11878554724538143822,
            ],
        ),
    ];
    for (dtype, want) in want {
        assert_eq!(integers(&draw(|g, key| random::bits(g, key, &dims(&[2, 3]), dtype))), want, "{dtype}");
    }
    assert_eq!(integers(&draw(|g, key| random::bits(g, key, &[], DType::U32))), [2098992034]);
    let many = integers(&draw(|g, key| random::bits(g, key, &dims(&[70000]), DType::U32)));
    assert_eq!((many[69999], many.iter().sum::<i128>()), (3248217389, 150287765840186));
}

#[test]
fn uniform_in_every_dtype() {
    let want = [
        (DType::F16, [0.076171875, 0.1904296875, 0.9755859375, 0.7568359375, 0.44921875]),
        (DType::Bf16, [0.6328125, 0.84375, 0.96875, 0.8359375, 0.078125]),
        (
            DType::F32,
            [0.48870956897735596, 0.6797971725463867, 0.6162714958190918, 0.5610160827636719, 0.4506446123123169],
        ),
        (
            DType::F64,
            [0.4267275666499091, 0.015010069515314584, 0.5741444178995352, 0.7298188969046309, 0.687800341230566],
        ),
    ];
    for (dtype, want) in want {
        assert_eq!(draw(|g, key| random::uniform(g, key, &dims(&[5]), dtype, 0.0, 1.0)).to_f64(), want, "{dtype}");
    }
    // A range of one's own is rounded at every step on a device; the evaluator keeps f64.
    let ranged = draw(|g, key| random::uniform(g, key, &dims(&[4]), DType::F32, -2.0, 3.0)).to_f64();
    for (got, want) in ranged.iter().zip([1055070388u32, 1068700152, 1066035692, 1062083008]) {
        assert_eq!(*got as f32, f32::from_bits(want));
    }
}

#[test]
fn normal_near_and_far_from_zero() {
    let f32s = draw(|g, key| random::normal(g, key, &dims(&[6]), DType::F32)).to_f64();
    let want = [
        -0.02830461598932743,
        0.4671318531036377,
        0.2957029640674591,
        0.15354591608047485,
        -0.12403281778097153,
        0.21692314743995667,
    ];
    f32s.iter().zip(want).for_each(|(g, w)| close(*g, w, 1e-6, "f32"));
    let f64s = draw(|g, key| random::normal(g, key, &dims(&[6]), DType::F64)).to_f64();
    let want = [
        -0.18471174528191162,
        -2.169824560397754,
        0.18693555179382582,
        0.6122653570510959,
        0.4896249504757018,
        0.36900430470828355,
    ];
    f64s.iter().zip(want).for_each(|(g, w)| close(*g, w, 1e-14, "f64"));
    let many = draw(|g, key| random::normal(g, key, &dims(&[100000]), DType::F32));
    // Out here 1 - x^2 has lost most of its digits in JAX's f32 arithmetic; the evaluator does not round it.
    close(many.f64(59469), 4.380119800567627, 1e-3, "f32 maximum");
    close(many.f64(78702), -4.480391502380371, 1e-3, "f32 minimum");
    let many = draw(|g, key| random::normal(g, key, &dims(&[100000]), DType::F64));
    close(many.f64(50829), 4.239669117452375, 1e-13, "f64 maximum");
    close(many.f64(25784), -4.480111980443948, 1e-13, "f64 minimum");
}

#[test]
fn bernoulli() {
    let got = integers(&draw(|g, key| random::bernoulli(g, key, 0.3, &dims(&[3, 7]))));
    assert_eq!(got, [0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0]);
}

#[test]
fn mapping_over_keys_draws_what_each_key_draws() {
    let mut g = Graph::new("draw");
    let key = g.param("key", TensorTy::new(DType::U32, [2]), ParamKind::Input, Loc::unknown());
    let bits = random::bits(&mut g, key, &dims(&[2]), DType::U32).unwrap();
    let sub = random::split(&mut g, key, 2).unwrap();
    let sub = random::nth(&mut g, sub, 1).unwrap();
    let floats = random::uniform(&mut g, sub, &dims(&[4]), DType::F32, 0.0, 1.0).unwrap();
    g.set_outputs(vec![bits, floats]);
    let mapped = batch::vmap(&g, &[Some(0)], 3usize).unwrap();
    let keys = draw(|g, key| random::split(g, key, 3));
    let got = run(&mapped, std::slice::from_ref(&keys));
    assert_eq!(integers(&got[0]), [2277453133, 1345880512, 3125294276, 3383865362, 2865777128, 3098761794]);
    for e in 0..3 {
        let key = Array::from_ints(DType::U32, &[2], [keys.int(2 * e), keys.int(2 * e + 1)]);
        let single = run(&g, &[key]);
        assert_eq!(got[1].to_f64()[4 * e..4 * e + 4], single[1].to_f64());
    }
}
