//! Compiled models against the f64 forward pass, and the cache of their plans.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::devices::devices;
use common::models;
use girih_cpu::{CpuDevice, CpuTarget};
use girih_driver::PlanCache;
use girih_gguf::oracle::Oracle;
use girih_gguf::{Gguf, Model, Options, Runner, Step};

fn runner(file: &Gguf, cache: Option<PlanCache>) -> Runner {
    let model = Model::new(file, &Options::default()).unwrap();
    Runner::new(model, Box::new(CpuTarget::with_threads(2)), Box::new(CpuDevice::with_threads(2)), cache)
}

fn close(got: &[f32], want: &[f32]) {
    assert_eq!(got.len(), want.len());
    let error: f64 = got.iter().zip(want).map(|(g, w)| (*g as f64 - *w as f64).powi(2)).sum();
    let scale: f64 = want.iter().map(|w| (*w as f64).powi(2)).sum();
    assert!(error <= 1e-7 * scale, "error {error:e} of {scale:e}");
}

#[test]
fn steps_of_any_length_give_the_logits_of_the_forward_pass() {
    for file in [models::llama(|_| models::Q4_0).finish(), models::gemma3().finish()] {
        let file = Gguf::from_bytes(file).unwrap();
        for (target, device) in devices() {
            let name = device.name();
            let mut run = Runner::new(Model::new(&file, &Options::default()).unwrap(), target, device, None);
            let mut oracle = Oracle::new(&file, None).unwrap();
            let text: Vec<u32> = (0..20).map(|i| i * 7 % 40).collect();
            let mut pos = 0;
            for length in [1, 9, 1, 1, 5] {
                let tokens = &text[pos..pos + length];
                eprintln!("{name}: {length} tokens at {pos}");
                close(&run.step(tokens, pos).unwrap(), &oracle.step(tokens, pos).unwrap());
                pos += length;
            }
            // A new text sees nothing of the one before.
            close(&run.step(&[3, 1], 0).unwrap(), &Oracle::new(&file, None).unwrap().step(&[3, 1], 0).unwrap());
            assert_eq!(run.plans().count(), 2);
            assert!(run.memory().total() > file.len() as u64);
        }
    }
}

#[test]
fn nonsense_is_refused_before_it_runs() {
    let file = Gguf::from_bytes(models::llama(|_| models::F32).finish()).unwrap();
    let mut run = runner(&file, None);
    let mut code = |tokens: &[u32], pos| run.step(tokens, pos).unwrap_err().code;
    assert_eq!(code(&[], 0), "M017");
    assert_eq!(code(&[40], 0), "M017");
    assert_eq!(code(&[1], 5), "M017");
    assert_eq!(code(&[1; 65], 0), "M015");
}

#[test]
fn plans_are_kept_and_damaged_ones_compiled_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = Gguf::from_bytes(models::llama(|_| models::Q4_0).finish()).unwrap();
    let logits = |expect_hit: bool, expect_notes: usize| {
        let mut run = runner(&file, Some(PlanCache::new(folder.path())));
        let logits = run.step(&[1], 0).unwrap();
        let plan = run.plans().next().unwrap();
        assert_eq!((plan.cached, plan.notes.len()), (expect_hit, expect_notes), "{:?}", plan.notes);
        logits
    };
    let first = logits(false, 0);
    assert_eq!(logits(true, 0), first);
    let path = std::fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
    let whole = std::fs::read(&path).unwrap();
    for damaged in [&whole[..whole.len() / 2], &b"something else"[..], &[]] {
        std::fs::write(&path, damaged).unwrap();
        assert_eq!(logits(false, 1), first);
        assert_eq!(logits(true, 0), first);
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing half-written stays");
    // A folder that cannot be made is a note, not an error.
    let blocked = path.join("below a file");
    let mut run = runner(&file, Some(PlanCache::new(blocked)));
    assert_eq!(run.step(&[1], 0).unwrap(), first);
    assert_eq!(run.plans().next().unwrap().notes.len(), 2);
}
