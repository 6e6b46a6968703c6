//! Graphs of models: their shape, their meaning against an independent forward pass, and what is refused.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

mod common;

use common::models::{self, F32, Q4_0, Q8_0, VOCABULARY};
use common::{SMOLLM2, V, Writer, s};
use girih_base::{Bindings, DType};
use girih_gguf::oracle::Oracle;
use girih_gguf::{ChatTemplate, Finish, Generator, Gguf, Limits, Logits, Message, Model, Options, Sampling, Tokenizer};
use girih_graph::eval::{Array, Value};
use girih_graph::{Op, ParamKind};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Runs the steps of a model with the graph evaluator; gives the logits of all positions.
struct Evaluated {
    model: Model,
    weights: Vec<Value>,
    states: Vec<Value>,
    pos: usize,
}

impl Evaluated {
    fn new(model: Model) -> Evaluated {
        let weight = |(i, w): (usize, &girih_gguf::WeightRef)| {
            Value::from(Array::decode(w.dtype, &w.shape, model.weight_bytes(i)).unwrap())
        };
        let weights = model.weights.iter().enumerate().map(weight).collect();
        let zero =
            |s: &girih_gguf::StateSpec| Value::from(Array::splat(s.ty.dtype, &s.ty.const_shape().unwrap(), 0.0.into()));
        let states = model.states.iter().map(zero).collect();
        Evaluated { model, weights, states, pos: 0 }
    }

    fn step(&mut self, tokens: &[u32]) -> Vec<Vec<f64>> {
        let ids = Array::from_ints(DType::U32, &[tokens.len()], tokens.iter().map(|t| *t as i128));
        let inputs: Vec<Value> =
            [Value::from(ids)].into_iter().chain(self.weights.iter().cloned()).chain(self.states.drain(..)).collect();
        let bindings: Bindings = [("seq".into(), tokens.len() as i64), ("pos".into(), self.pos as i64)].into();
        let mut out = self.model.graph.eval(&inputs, &bindings).unwrap();
        self.states = out.split_off(1);
        self.pos += tokens.len();
        let logits = out[0].array().unwrap();
        logits.to_f64().chunks_exact(logits.shape[1]).map(<[f64]>::to_vec).collect()
    }
}

fn open(w: &Writer) -> Gguf {
    Gguf::from_bytes(w.finish()).unwrap()
}

fn all() -> Options {
    Options { logits: Logits::All, ..Options::default() }
}

/// The largest difference, relative to the largest logit.
fn difference(a: &[Vec<f64>], b: &[Vec<f64>]) -> f64 {
    assert_eq!((a.len(), a[0].len()), (b.len(), b[0].len()));
    let largest = b.iter().flatten().fold(0f64, |m, v| m.max(v.abs()));
    let apart = a.iter().flatten().zip(b.iter().flatten()).fold(0f64, |m, (a, b)| m.max((a - b).abs()));
    assert!(apart.is_finite() && largest > 0.1, "logits of {largest}, {apart} apart");
    apart / largest
}

/// Chunks of a text, so that steps start in the middle of the cache and windows are passed.
const CHUNKS: [&[u32]; 4] = [&[3, 1, 4, 1, 5, 9, 2], &[6], &[5, 3, 5], &[8, 39]];

/// What every graph must be: valid, and the same after printing and parsing.
fn check_form(model: &Model) {
    model.graph.verify().unwrap();
    let text = model.graph.to_string();
    let again = girih_graph::text::parse(&text, "model").unwrap();
    assert_eq!(again.to_string(), text);
}

fn agree_with_oracle(w: &Writer, options: &Options, tolerance: f64) {
    let file = open(w);
    let model = Model::new(&file, options).unwrap();
    check_form(&model);
    let mut graph = Evaluated::new(model);
    let mut oracle = Oracle::new(&file, options.layers).unwrap();
    for tokens in CHUNKS {
        let (got, want) = (graph.step(tokens), oracle.logits(tokens).unwrap());
        let d = difference(&got, &want);
        assert!(d < tolerance, "{tokens:?} at {}: {d:e}", graph.pos);
        oracle.round_caches();
    }
}

#[test]
fn llama_computes_what_the_oracle_computes() {
    agree_with_oracle(&models::llama(|_| Q8_0), &all(), 1e-9);
    agree_with_oracle(&models::llama(|i| [F32, Q4_0, Q8_0][i]), &Options { layers: Some(2), ..all() }, 1e-9);
}

#[test]
fn gemma3_computes_what_the_oracle_computes() {
    agree_with_oracle(&models::gemma3(), &all(), 1e-9);
}

#[test]
fn a_half_cache_rounds_keys_and_values_only() {
    agree_with_oracle(&models::llama(|_| Q8_0), &Options { cache: DType::F16, ..all() }, 3e-3);
    let w = models::llama(|_| Q8_0);
    let exact = Evaluated::new(Model::new(&open(&w), &all()).unwrap()).step(CHUNKS[0]);
    let half = Evaluated::new(Model::new(&open(&w), &Options { cache: DType::F16, ..all() }).unwrap()).step(CHUNKS[0]);
    assert!(difference(&half, &exact) > 1e-7, "the cache was rounded");
}

#[test]
fn the_last_logits_are_the_last_row_of_all() {
    let file = open(&models::llama(|_| Q8_0));
    let every = Evaluated::new(Model::new(&file, &all()).unwrap()).step(CHUNKS[0]);
    let last = Evaluated::new(Model::new(&file, &Options::default()).unwrap()).step(CHUNKS[0]);
    assert_eq!(last, every[6..]);
    assert_eq!(last[0].len(), VOCABULARY as usize);
}

/// Names of the distinct bodies called in the main graph, with the number of calls.
fn callees(model: &Model) -> Vec<(String, usize)> {
    let mut seen: BTreeMap<usize, (String, usize)> = BTreeMap::new();
    for id in model.graph.ids() {
        if let Op::Call(call) = model.graph.op(id) {
            let order = seen.len();
            let key = Arc::as_ptr(&call.callee) as usize;
            let entry = seen.entry(key).or_insert((format!("{order} {}", call.callee.name), 0));
            entry.1 += 1;
        }
    }
    let mut list: Vec<_> = seen.into_values().collect();
    list.sort();
    list.into_iter().map(|(n, c)| (n.split(' ').nth(1).unwrap().into(), c)).collect()
}

#[test]
fn layers_of_one_kind_share_one_body() {
    let names = |w: &Writer| callees(&Model::new(&open(w), &Options::default()).unwrap());
    let of = |list: &[(&str, usize)]| list.iter().map(|(n, c)| (n.to_string(), *c)).collect::<Vec<_>>();
    let llama = names(&models::llama(|_| Q8_0));
    assert_eq!(llama, of(&[("dequant.q8_0", 1), ("layer", 3), ("dequant.q8_0", 1)]));
    let mixed = names(&models::llama(|i| [Q8_0, F32, Q8_0][i]));
    assert_eq!(mixed, of(&[("dequant.q8_0", 1), ("layer", 2), ("layer", 1), ("dequant.q8_0", 1)]));
    let gemma = names(&models::gemma3());
    assert_eq!(gemma, of(&[("dequant.q8_0", 1), ("local_layer", 6), ("global_layer", 1), ("dequant.q8_0", 1)]));
}

#[test]
fn layers_hold_no_named_operations_but_dequant() {
    let model = Model::new(&open(&models::gemma3()), &Options::default()).unwrap();
    for id in model.graph.ids() {
        let Op::Call(layer) = model.graph.op(id) else { continue };
        for inner in layer.callee.body.ids() {
            if let Op::Call(call) = layer.callee.body.op(inner) {
                assert!(call.callee.name.starts_with("dequant."), "{}", call.callee.name);
            }
        }
    }
}

#[test]
fn parameters_are_tokens_then_weights_then_states() {
    let model =
        Model::new(&open(&models::llama(|_| Q4_0)), &Options { context: Some(32), ..Options::default() }).unwrap();
    let g = &model.graph;
    let kinds: Vec<ParamKind> =
        g.params().iter().map(|p| if let Op::Param(p) = g.op(*p) { p.kind } else { panic!() }).collect();
    let (weights, states) = (model.weights.len(), model.states.len());
    assert_eq!((weights, states, kinds.len()), (1 + 3 * 9 + 1, 6, 1 + 29 + 6));
    assert!(kinds[0] == ParamKind::Input && kinds[1..=weights].iter().all(|k| *k == ParamKind::Weight));
    assert!(kinds[weights + 1..].iter().all(|k| *k == ParamKind::State));
    for (i, w) in model.weights.iter().enumerate() {
        let ty = g.tensor(g.params()[1 + i]).unwrap();
        assert_eq!((ty.dtype, ty.const_shape().unwrap()), (w.dtype, w.shape.clone()), "{}", w.name);
        let bytes = w.dtype.bytes_for(w.shape.iter().product::<usize>() as u64);
        assert_eq!((model.weight_bytes(i).len() as u64, w.range.len() as u64), (bytes, bytes));
    }
    for (i, s) in model.states.iter().enumerate() {
        assert_eq!(g.tensor(g.params()[1 + weights + i]).unwrap(), &s.ty);
        assert_eq!(g.tensor(g.outputs()[1 + i]).unwrap(), &s.ty);
        assert_eq!(s.ty.const_shape().unwrap(), [2, 32, 16]);
    }
    assert_eq!(model.weight_bytes(weights), [0u8; 0]);
    assert_eq!(model.state_bytes(), 6 * 2 * 32 * 16 * 4);
}

#[test]
fn models_that_are_not_understood_are_refused() {
    let refused = |w: Writer, options: &Options, code: &str, words: &str| {
        let diag = Model::new(&open(&w), options).map(|_| ()).expect_err(words);
        assert!(diag.code == code && diag.to_string().contains(words) && diag.help.is_some(), "{diag}");
    };
    let ok = || models::llama(|_| Q8_0);
    let plain = Options::default();
    let set = |key: &str, value: V| {
        let mut w = ok();
        w.meta.retain(|(k, _)| k != key);
        w.meta(key, value)
    };
    let without = |name: &str| {
        let mut w = ok();
        w.tensors.retain(|t| t.0 != name);
        w
    };
    refused(set("general.architecture", s("mamba")), &plain, "M011", "`mamba` is not supported");
    refused(Writer::default(), &plain, "M010", "general.architecture");
    refused(set("llama.embedding_length", V::U32(32)), &plain, "M012", "token_embd.weight");
    refused(set("llama.attention.head_count_kv", V::U32(3)), &plain, "M011", "do not fit together");
    refused(set("llama.attention.head_count", V::U32(0)), &plain, "M011", "head_count` is 0");
    refused(set("llama.block_count", V::U32(4)), &plain, "M012", "blk.3.attn_norm.weight");
    refused(set("llama.block_count", V::U32(u32::MAX)), &plain, "M011", "block_count");
    refused(set("llama.block_count", V::U32(2)), &plain, "M012", "blk.2.");
    refused(set("split.count", V::U32(3)), &plain, "M011", "one of 3 parts");
    refused(set("llama.expert_count", V::U32(8)), &plain, "M011", "expert_count");
    refused(set("llama.rope.scaling.type", s("yarn")), &plain, "M011", "yarn");
    refused(set("llama.rope.dimension_count", V::U32(15)), &plain, "M011", "15 rotated");
    refused(set("llama.rope.freq_base", V::F32(f32::NAN)), &plain, "M011", "base NaN");
    refused(without("blk.1.ffn_up.weight"), &plain, "M012", "blk.1.ffn_up.weight");
    refused(without("token_embd.weight"), &plain, "M012", "token_embd.weight");
    refused(ok().f32s("blk.1.attn_q.bias", &[1], &[0.0]), &plain, "M012", "blk.1.attn_q.bias");
    refused(ok().f32s("rope_freqs.weight", &[8], &[0.0; 8]), &plain, "M012", "positive divisors");
    refused(ok(), &Options { context: Some(65), ..plain.clone() }, "M015", "context of 65");
    refused(ok(), &Options { context: Some(0), ..plain.clone() }, "M015", "between 1 and 64");
    refused(ok(), &Options { cache: DType::I8, ..plain.clone() }, "M012", "i8");
}

#[test]
fn smollm2_builds_with_one_layer_body() {
    let Some(path) = common::model(SMOLLM2) else { return };
    let model = Model::new(&Gguf::open(path).unwrap(), &Options::default()).unwrap();
    assert_eq!(callees(&model).iter().find(|(n, _)| n == "layer").unwrap().1, 30);
    assert_eq!((model.weights.len(), model.states.len(), model.context()), (272, 60, 8192));
    let weights: usize = (0..model.weights.len()).map(|i| model.weight_bytes(i).len()).sum();
    assert_eq!(weights, model.file().tensors().iter().map(|t| t.range.len()).sum::<usize>());
}

#[test]
fn smollm2_answers_in_english() {
    let Some(path) = common::model(SMOLLM2) else { return };
    let file = Gguf::open(path).unwrap();
    let tokenizer = Tokenizer::new(file.meta()).unwrap();
    let chat = ChatTemplate::new(file.meta()).unwrap().unwrap();
    let mut oracle = Oracle::new(&file, None).unwrap();
    let limits = Limits { context: 64, max_tokens: 12, chunk: 16 };
    let mut generator = Generator::new(Sampling::default(), limits, tokenizer.stop_tokens().clone()).unwrap();
    let mut ask = |prompt: &str| {
        let mut text = String::new();
        let done = generator.run_text(&mut oracle, &tokenizer, prompt, |piece| {
            text.push_str(piece);
            true
        });
        (text, done.unwrap())
    };
    let (text, done) = ask("The capital of France is");
    eprintln!("The capital of France is{text}");
    assert!(text.starts_with(" Paris") && done.finish == Finish::Length, "{text:?}");
    let prompt =
        chat.render(&[Message::new("system", "Be brief."), Message::new("user", "What is 2+2?")], true).unwrap();
    let (text, done) = ask(&prompt);
    eprintln!("What is 2+2? {text}");
    assert!(text.contains('4'), "{text:?} {done:?}");
}

#[test]
fn smollm2_first_layers_agree_with_the_oracle() {
    let Some(path) = common::model(SMOLLM2) else { return };
    let file = Gguf::open(path).unwrap();
    let options = Options { layers: Some(2), context: Some(64), ..Options::default() };
    let mut graph = Evaluated::new(Model::new(&file, &options).unwrap());
    let mut oracle = Oracle::new(&file, Some(2)).unwrap();
    let tokens = [504, 3575, 282, 4649, 314];
    let want = oracle.logits(&tokens).unwrap().split_off(4);
    // The evaluator decodes weights exactly, the reference decoder of Q4_1 rounds each to f32 once.
    let d = difference(&graph.step(&tokens), &want);
    assert!(d < 1e-6, "{d:e}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn damaged_models_never_panic(gemma: bool, at in any::<prop::sample::Index>(), word: u32, small in 0u32..80) {
        static FILES: std::sync::OnceLock<[Vec<u8>; 2]> = std::sync::OnceLock::new();
        let files = FILES.get_or_init(|| [models::llama(|_| Q8_0).finish(), models::gemma3().finish()]);
        let mut f = files[gemma as usize].clone();
        // Metadata and the directory are all in the first bytes; small words make plausible sizes.
        let at = at.index(6000.min(f.len() - 4));
        f[at..at + 4].copy_from_slice(&if small < 64 { small } else { word }.to_le_bytes());
        if let Ok(file) = Gguf::from_bytes(f) {
            if let Ok(model) = Model::new(&file, &Options::default()) {
                prop_assert!(model.graph.verify().is_ok());
            }
            let _ = Tokenizer::new(file.meta());
            let _ = ChatTemplate::new(file.meta());
        }
    }
}
