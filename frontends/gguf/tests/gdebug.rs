//! Gemma 3 270M as published (Q5_0, Q4_K, Q6_K, Q8_0 and F32 tensors): what it answers on each device, against the forward
//! pass in f64, and its tokens against llama.cpp's.
//!
//! Skipped, saying so, where the file is missing; `GIRIH_REQUIRE_MODELS=1` makes that a failure.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::GEMMA3;
use common::devices::{devices, margin, nmse};
use girih_gguf::oracle::Oracle;
use girih_gguf::{Gguf, Logits, Model, Options, Runner, Step, Tokenizer, greedy};

const PROMPT: &str = "The capital of France is";

/// What `llama_tokenize` of llama.cpp gives.
#[test]
fn tokens_are_llama_cpps() {
    let Some(path) = common::model(GEMMA3) else { return };
    let tokenizer = Tokenizer::new(Gguf::open(path).unwrap().meta()).unwrap();
    let cases: [(&str, &[u32]); 3] = [
        (PROMPT, &[2, 818, 5279, 529, 7001, 563]),
        ("Once upon a time, there was", &[2, 14946, 3324, 496, 990, 236764, 993, 691]),
        ("def fibonacci(n):\n", &[2, 2063, 10779, 78113, 236769, 236749, 1473, 107]),
    ];
    for (text, want) in cases {
        assert_eq!(tokenizer.encode_prompt(text).unwrap(), want, "{text:?}");
    }
}

#[test]
fn logits_are_those_of_the_forward_pass() {
    let Some(path) = common::model(GEMMA3) else { return };
    let file = Gguf::open(path).unwrap();
    let prompt = Tokenizer::new(file.meta()).unwrap().encode_prompt(PROMPT).unwrap();
    let options = Options { logits: Logits::All, context: Some(64), layers: std::env::var("L").ok().map(|l| l.parse().unwrap()), ..Options::default() };
    let prompt = prompt[..std::env::var("P").map_or(6, |p| p.parse().unwrap())].to_vec();
    let mut oracle = Oracle::new(&file, options.layers).unwrap();
    let mut want = oracle.logits(&prompt).unwrap();
    let next = greedy(&want[want.len() - 1].iter().map(|v| *v as f32).collect::<Vec<_>>());
    want.extend(oracle.logits(&[next]).unwrap());
    for (target, device) in devices() {
        let name = device.name();
        let mut run = Runner::new(Model::new(&file, &options).unwrap(), target, device, None);
        let mut got = run.step(&prompt, 0).unwrap();
        let vocabulary = got.len() / prompt.len();
        let token = greedy(&got[got.len() - vocabulary..]);
        let rows = prompt.len();
        for r in 0..rows { eprintln!("{name} row {r}: {:.2e}", nmse(&got[r*vocabulary..(r+1)*vocabulary], &want[r..r+1])); }
        if std::env::var("NO").is_ok() { continue; }
        assert!(margin(&want[prompt.len() - 1], token) < 1e-3, "{name}: token {token}, not {next}");
        got.extend(run.step(&[next], prompt.len()).unwrap());
        let error = nmse(&got, &want);
        eprintln!("{name}: nmse {error:.2e}");
        assert!(error <= 1e-6, "{name}: {error:e}");
    }
}
