//! Files: round trips, and everything a file can get wrong.
#![allow(clippy::unwrap_used)]

use girih::prelude::*;
use proptest::prelude::*;
use std::fs;

fn sample() -> Vec<(String, Tensor)> {
    let named = |n: &str, t: Tensor| (n.to_string(), t);
    vec![
        named("a", Tensor::new(&[1f32, -2.0, f32::INFINITY, 0.0, 3.5, 6.0], [2, 3])),
        named("b", Tensor::new(&[true, false], [2])),
        named("c", Tensor::new(&[-7i64], [])),
        named("d", Tensor::new::<u16>(&[], [0, 4])),
        named("e", Tensor::new(&[1f32, 2.0], [2]).cast(DType::F16)),
    ]
}

fn same(a: &Tensor, b: &Tensor) -> bool {
    let (a, b) = (a.data().unwrap(), b.data().unwrap());
    (a.dtype(), a.shape(), a.bytes().unwrap()) == (b.dtype(), b.shape(), b.bytes().unwrap())
}

#[test]
fn safetensors_round_trip() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.safetensors");
    let model: std::collections::BTreeMap<String, Tensor> = sample().into_iter().collect();
    io::save(&model, &path).unwrap();
    let back = io::load(&path).unwrap();
    assert_eq!(back.keys().collect::<Vec<_>>(), model.keys().collect::<Vec<_>>());
    for (name, t) in &model {
        assert!(same(t, &back[name]), "{name}");
    }
    assert_eq!(tree::paths(&io::load_into(&model, &path).unwrap()), tree::paths(&model));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn load_into_says_what_does_not_fit() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m");
    io::save(&(Tensor::ones(DType::F32, [2]),), &path).unwrap();
    let shape = io::load_into(&(Tensor::ones(DType::F32, [3]),), &path).unwrap_err().to_string();
    assert!(shape.contains("f32[2]") && shape.contains("f32[3]"), "{shape}");
    let ones = Tensor::ones(DType::F32, [2]);
    assert!(io::load_into(&(ones.clone(), ones), &path).unwrap_err().to_string().contains("no tensor `1`"));
}

#[test]
fn npy_round_trip() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.npy");
    for (name, t) in sample() {
        io::save_npy(&t, &path).unwrap();
        assert!(same(&t, &io::load_npy(&path).unwrap()), "{name}");
        assert_eq!(fs::read(&path).unwrap().len() % 64, t.data().unwrap().bytes().unwrap().len() % 64);
    }
    assert!(io::save_npy(&Tensor::ones(DType::Bf16, [1]), &path).unwrap_err().to_string().contains("bf16"));
}

/// `np.save` of `np.asfortranarray(np.arange(6, dtype='>i2').reshape(2, 3))`, header shortened.
#[test]
fn npy_in_fortran_order_and_big_endian() {
    let header = "{'descr': '>i2', 'fortran_order': True, 'shape': (2, 3), }\n";
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.bytes());
    [0i16, 3, 1, 4, 2, 5].iter().for_each(|v| bytes.extend(v.to_be_bytes()));
    let t = io::parse_npy(&bytes).unwrap();
    assert_eq!((t.dims::<2>().unwrap(), t.to_vec::<i16>().unwrap()), ([2, 3], vec![0, 1, 2, 3, 4, 5]));
}

#[test]
fn the_real_digits_file_reads() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/digits.npy");
    let digits = io::load_npy(path).unwrap();
    assert_eq!((digits.dims::<2>().unwrap(), digits.dtype()), ([1797, 65], DType::U8));
    assert_eq!(digits.slice(1, 64, 65).max(..).item::<u8>().unwrap(), 9);
}

#[test]
fn a_write_that_fails_leaves_the_old_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.npy");
    io::save_npy(&Tensor::ones(DType::F32, [2]), &path).unwrap();
    let before = fs::read(&path).unwrap();
    assert!(io::save_npy(&Tensor::new(&[1f32], [2]), &path).is_err());
    assert_eq!(fs::read(&path).unwrap(), before);
    let nowhere = dir.path().join("no/such/folder/x.npy");
    let text = io::save_npy(&Tensor::ones(DType::F32, [2]), &nowhere).unwrap_err().to_string();
    assert!(text.contains("cannot write") && text.contains("folder"), "{text}");
    assert!(io::load(&nowhere).unwrap_err().to_string().contains("cannot read"));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

/// `/dev/full` refuses every write with "no space left on device".
#[test]
#[cfg(target_os = "linux")]
fn a_device_that_is_full_is_one_clear_error() {
    let text = io::save_npy(&Tensor::ones(DType::F32, [2]), "/dev/full/x.npy").unwrap_err().to_string();
    assert!(text.starts_with("error[T030]: cannot write `/dev/full/x.npy`"), "{text}");
}

#[test]
fn hostile_headers_are_refused() {
    let npy = |header: &str| {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.bytes());
        io::parse_npy(&bytes).unwrap_err().to_string()
    };
    let shaped = |shape: &str| npy(&format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}"));
    assert!(shaped("(18446744073709551615, 4)").contains("more bytes than can be counted"));
    assert!(shaped("(1000000000000,)").contains("0 bytes of data"));
    assert!(shaped("(99999999999999999999,)").contains("no `shape`"));
    assert!(shaped("(-1,)").contains("no `shape`"));
    assert!(npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }").contains("`|O` is not supported"));
    assert!(npy("{'descr': 'é', 'fortran_order': False, 'shape': (1,), }").contains("T033"));
    assert!(npy("").contains("descr"));

    let header = br#"{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,16]}}"#;
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header);
    bytes.extend([0; 16]);
    assert!(io::parse(&bytes).unwrap_err().to_string().contains("T031"));
    assert!(io::parse(&u64::MAX.to_le_bytes()).is_err());
}

proptest! {
    #[test]
    fn no_bytes_make_the_readers_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = (io::parse(&bytes), io::parse_npy(&bytes));
    }

    #[test]
    fn no_damage_makes_the_readers_panic(at in 0usize..160, value in any::<u8>(), cut in 0usize..200) {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        let x = Tensor::new(&[1f32, 2.0, 3.0, 4.0, 5.0, 6.0], [2, 3]);
        io::save_npy(&x, &a).unwrap();
        io::save(&(x,), &b).unwrap();
        for path in [a, b] {
            let mut bytes = fs::read(path).unwrap();
            let n = bytes.len();
            bytes[at % n] = value;
            bytes.truncate(cut.max(1));
            if let Ok(t) = io::parse_npy(&bytes) {
                let _ = t.data();
            }
            let _ = io::parse(&bytes);
        }
    }
}
