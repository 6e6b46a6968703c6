//! The container reader: real files, hostile files, random damage.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::{SMOLLM2, V, Writer, s, strs};
use girih_base::DType;
use girih_base::quant::QuantFormat;
use girih_gguf::{Gguf, Storage, Value};
use proptest::prelude::*;

fn small() -> Writer {
    Writer::default()
        .meta("general.architecture", s("llama"))
        .meta("a.count", V::U32(7))
        .meta("a.big", V::U64(1 << 40))
        .meta("a.eps", V::F32(1e-5))
        .meta("a.flag", V::Bool(true))
        .meta("a.words", strs(&["x", "", "yz"]))
        .meta("a.types", V::I32s(vec![1, -3]))
        .meta("a.scores", V::F32s(vec![0.5, -2.0]))
        .f32s("w", &[2, 3], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0])
        .tensor("q", &[1, 32], 3, vec![9; 20])
}

fn code(bytes: &[u8]) -> &'static str {
    let diag = Gguf::from_bytes(bytes).expect_err("this file must be refused");
    assert!(diag.help.is_some(), "no help in {diag}");
    assert!(!diag.notes.is_empty() || diag.message.len() > 10, "no facts in {diag}");
    diag.code
}

#[test]
fn a_small_file_reads_back() {
    let g = Gguf::from_bytes(small().finish()).unwrap();
    let m = g.meta();
    assert_eq!((g.version(), m.str("general.architecture").unwrap()), (3, "llama"));
    assert_eq!((m.uint("a.count").unwrap(), m.uint("a.big").unwrap()), (7, 1 << 40));
    assert_eq!((m.float("a.eps").unwrap(), m.bool_opt("a.flag").unwrap()), (1e-5f32 as f64, Some(true)));
    assert_eq!(m.strings("a.words").unwrap(), ["x", "", "yz"]);
    assert_eq!((m.ints("a.types").unwrap(), m.floats("a.scores").unwrap()), (vec![1, -3], vec![0.5, -2.0]));
    assert_eq!(m.iter().map(|(k, _)| k).next(), Some("a.big"));
    assert!(matches!(m.get("a.words"), Some(Value::Array(_))));
    let w = g.tensor("w").unwrap();
    assert_eq!((w.shape.as_slice(), w.storage), (&[2, 3][..], Storage::Plain(DType::F32)));
    assert_eq!(&g.bytes(w)[4..8], 1f32.to_le_bytes());
    let q = g.tensor("q").unwrap();
    assert_eq!((q.shape.as_slice(), q.storage), (&[1, 32][..], Storage::Quant(QuantFormat::Q4_1)));
    assert_eq!(g.bytes(q), [9; 20]);
}

#[test]
fn lookups_say_what_is_missing_or_mistyped() {
    let g = Gguf::from_bytes(small().finish()).unwrap();
    let missing = g.meta().uint("a.none").unwrap_err();
    assert!(missing.message.contains("`a.none` is missing") && missing.notes[0].contains("a.count"), "{missing}");
    let mistyped = g.meta().uint("a.words").unwrap_err();
    assert!(mistyped.message.contains("is an array of 3 string"), "{mistyped}");
    assert!(
        g.meta().strings("a.types").is_err() && g.meta().ints("a.words").is_err() && g.meta().float("a.count").is_err()
    );
}

#[test]
fn every_truncation_is_refused() {
    let full = small().finish();
    for len in 0..full.len() {
        let diag = Gguf::from_bytes(&full[..len]).expect_err("a truncated file");
        assert!(matches!(diag.code, "M004" | "M009"), "{len}: {diag}");
    }
}

#[test]
fn hostile_headers_are_refused() {
    let edit = |at: usize, bytes: &[u8]| {
        let mut f = small().finish();
        f[at..at + bytes.len()].copy_from_slice(bytes);
        code(&f)
    };
    assert_eq!(edit(0, b"GGML"), "M002");
    assert_eq!(edit(0, b"vers"), "M002");
    for version in [0, 1, 4, 3u32.swap_bytes(), u32::MAX] {
        assert_eq!(edit(4, &version.to_le_bytes()), "M003", "version {version}");
    }
    for count in [1 << 20, u64::MAX / 24, u64::MAX] {
        assert_eq!(edit(8, &count.to_le_bytes()), "M004", "tensors {count}");
        assert_eq!(edit(16, &count.to_le_bytes()), "M004", "entries {count}");
        assert_eq!(edit(24, &count.to_le_bytes()), "M004", "key length {count}");
    }
    assert_eq!(edit(32, &[0xff]), "M005", "a key that is not UTF-8");
    assert_eq!(edit(24 + 8 + 20, &99u32.to_le_bytes()), "M005", "a value type that does not exist");
}

#[test]
fn hostile_metadata_is_refused() {
    let raw = |value: &[u8]| {
        let mut f = b"GGUF\x03\0\0\0".to_vec();
        f.extend([0u64.to_le_bytes(), 1u64.to_le_bytes(), 1u64.to_le_bytes()].concat());
        f.push(b'k');
        f.extend(value);
        f
    };
    // An array type, then nested array headers with one element each.
    let mut nested = 9u32.to_le_bytes().to_vec();
    for _ in 0..2000 {
        nested.extend(9u32.to_le_bytes());
        nested.extend(1u64.to_le_bytes());
    }
    let diag = Gguf::from_bytes(raw(&nested)).unwrap_err();
    assert!(diag.code == "M005" && diag.message.contains("nests"), "{diag}");
    for (element, count) in [(0u32, u64::MAX), (10, u64::MAX / 8 + 1), (8, 1 << 60), (9, 1 << 60)] {
        let header = [&9u32.to_le_bytes()[..], &element.to_le_bytes(), &count.to_le_bytes()].concat();
        assert_eq!(code(&raw(&header)), "M004", "{count} elements of type {element}");
    }
    assert_eq!(code(&raw(&[&7u32.to_le_bytes()[..], &[2]].concat())), "M005", "a bool of 2");
    assert_eq!(code(&small().meta("a.count", V::U32(1)).finish()), "M006");
    for alignment in [0, 3, 1 << 22] {
        assert_eq!(code(&small().meta("general.alignment", V::U32(alignment)).finish()), "M005");
    }
}

#[test]
fn hostile_tensors_are_refused() {
    let with = |name: &str, shape: &[u64], ty: u32, at: Option<u64>| {
        let mut w = small();
        w.tensors.push((name.into(), shape.to_vec(), ty, vec![0; 64], at));
        let diag = Gguf::from_bytes(w.finish()).unwrap_err();
        assert!(diag.message.contains(&format!("`{name}`")) || diag.code == "M006", "{diag}");
        assert!(diag.help.is_some());
        (diag.code, diag.to_string())
    };
    assert_eq!(with("w", &[1], 0, None).0, "M006");
    assert_eq!(with("x", &[1, 1, 1, 1, 1], 0, None).0, "M007");
    assert_eq!(with("x", &[0], 0, None).0, "M007");
    assert_eq!(with("x", &[u64::MAX], 0, None).0, "M007");
    assert_eq!(with("x", &[1 << 62, 1 << 62], 0, None).0, "M007");
    assert_eq!(with("x", &[1 << 61, 4], 0, None).0, "M007");
    assert_eq!(with("x", &[1, 33], 3, None).0, "M007");
    assert_eq!(with("x", &[1, 128], 12, None).0, "M007");
    let (code, text) = with("x", &[4], 20, None);
    assert!(code == "M008" && text.contains("IQ4_NL") && text.contains("Q4_K"), "{text}");
    assert!(with("x", &[4], 4711, None).1.contains("unknown type 4711"));
    assert_eq!(with("x", &[4], 0, Some(33)).0, "M009", "misaligned");
    assert_eq!(with("x", &[4], 0, Some(1 << 40)).0, "M009", "out of range");
    assert_eq!(with("x", &[4], 0, Some(u64::MAX - 31)).0, "M009", "offset overflows");
    assert_eq!(with("x", &[1 << 20], 0, None).0, "M009", "longer than the file");
    let (code, text) = with("x", &[4], 0, Some(0));
    assert!(code == "M009" && text.contains("overlap") && text.contains("`w`"), "{text}");
}

#[test]
fn paths_that_are_no_files_are_refused() {
    for path in ["/no/such/file.gguf", "."] {
        let diag = Gguf::open(path).unwrap_err();
        assert!(diag.code == "M001" && diag.message.contains(path) && diag.help.is_some(), "{diag}");
    }
}

#[test]
fn the_real_model_opens() {
    let Some(path) = common::model(SMOLLM2) else { return };
    let g = Gguf::open(path).unwrap();
    assert_eq!((g.tensors().len(), g.len()), (272, 98_362_432));
    assert_eq!(g.meta().strings("tokenizer.ggml.tokens").unwrap().len(), 49152);
    let t = g.tensor("token_embd.weight").unwrap();
    assert_eq!((t.shape.as_slice(), t.storage), (&[49152, 576][..], Storage::Quant(QuantFormat::Q8_0)));
    // Offsets as the reference reader (gguf-py) gives them.
    assert_eq!(t.range.start, 1785664);
    assert_eq!(g.tensor("output_norm.weight").unwrap().range.start, 98360128);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Gguf::from_bytes(&bytes[..]);
        let mut f = b"GGUF\x03\0\0\0".to_vec();
        f.extend(bytes);
        let _ = Gguf::from_bytes(f);
    }

    #[test]
    fn damage_never_panics(edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut f = small().finish();
        for (at, bit) in edits {
            let at = at.index(f.len());
            f[at] ^= 1 << (bit % 8);
        }
        if let Ok(g) = Gguf::from_bytes(f) {
            for t in g.tensors() {
                let elements: usize = t.shape.iter().product();
                prop_assert_eq!(g.bytes(t).len(), elements / t.storage.block_elements() * t.storage.block_bytes());
            }
            for (key, _) in g.meta().iter() {
                let m = g.meta();
                let _ = (m.strings(key), m.ints(key), m.floats(key), m.uint(key), m.float(key), m.str(key));
            }
        }
    }

    #[test]
    fn random_words_never_panic(edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u64>()), 1..3)) {
        let mut f = small().finish();
        for (at, word) in edits {
            let at = at.index(f.len() - 8);
            f[at..at + 8].copy_from_slice(&word.to_le_bytes());
        }
        let _ = Gguf::from_bytes(f);
    }
}
