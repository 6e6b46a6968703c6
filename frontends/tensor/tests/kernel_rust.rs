//! Where Rust and Python mean different things, `#[kernel]` means Rust's.
#![allow(clippy::unwrap_used, clippy::panic)]

use girih::prelude::*;

fn devices() -> Vec<Device> {
    match Device::wgpu(0) {
        Ok(gpu) => vec![Device::cpu(), gpu],
        Err(why) if std::env::var("GIRIH_REQUIRE_WGPU").is_ok_and(|v| v == "1") => panic!("{why}"),
        Err(_) => vec![Device::cpu()],
    }
}

/// What a kernel stores, on every device.
fn gives(kernel: impl Fn() -> Tensor, want: &[i32]) {
    for device in devices() {
        device.scope(|| assert_eq!(kernel().to_vec::<i32>().unwrap(), want));
    }
}

/// Not, of constants, of integers and of tiles.
#[kernel]
fn negations<const CAUSAL: bool>(x: In<i32>, n: i32, y: Out<i32>) {
    let at = tl::arange(0, 4);
    let v = tl::load(x + at);
    let mut total = tl::zeros([4], i32);
    if !CAUSAL {
        total += 1;
    }
    if !(n < 3) {
        total += 2;
    }
    let small = !(v < 2);
    total += tl::r#where(small, 4, 0);
    tl::store(y + at, total + (!v) * 8 + !n * 1000);
}

#[test]
fn negation_is_of_truth_or_of_bits() {
    let x = Tensor::new(&[1i32, 2, 0, -1], [4]);
    let want = |causal: bool, n: i32| -> Vec<i32> {
        let base = i32::from(!causal) + if n < 3 { 0 } else { 2 } + !n * 1000;
        [1, 2, 0, -1].iter().map(|v| base + if *v < 2 { 0 } else { 4 } + !v * 8).collect()
    };
    gives(|| negations::<true>([1], &x, 5, [4]), &want(true, 5));
    gives(|| negations::<false>([1], &x, 2, [4]), &want(false, 2));
}

/// Variables of inner blocks, and a loop's, are not those outside.
#[kernel]
fn shadows<const TWICE: bool>(x: In<i32>, n: i32, y: Out<i32>) {
    let at = tl::arange(0, 4);
    let v = tl::load(x + at);
    let i = 100;
    let mut total = v;
    if TWICE {
        let v = v * 2;
        total += v;
    }
    for k in 0..n {
        let v = v + k;
        let v = v + 1;
        total += v;
    }
    for i in 0..3 {
        let at = i * 10;
        total += at;
    }
    if n > 100 {
        let v = 1.5;
        total += v as i32;
    } else {
        let v = tl::zeros([4], i32);
        total += v;
    }
    let v = v + 1000;
    tl::store(y + at, total + v + i);
}

#[test]
fn blocks_have_variables_of_their_own() {
    let x = Tensor::new(&[1i32, 2, 3, 4], [4]);
    let want = |twice: bool| -> Vec<i32> {
        [1, 2, 3, 4]
            .iter()
            .map(|v| {
                let loops: i32 = (0..5).map(|k| v + k + 1).sum();
                v + if twice { v * 2 } else { 0 } + loops + 30 + v + 1000 + 100
            })
            .collect()
    };
    gives(|| shadows::<true>([1], &x, 5, [4]), &want(true));
    gives(|| shadows::<false>([1], &x, 5, [4]), &want(false));
}

/// Remainders and quotients of constants, of tiles, and in place; numbers that are converted.
#[kernel]
fn remainders(x: In<i32>, n: i32, y: Out<i32>) {
    let at = tl::arange(0, 4);
    let v = tl::load(x + at);
    let mut w = v;
    w %= n;
    let half = 1 as f32 / 2.0;
    tl::store(y + at, v % 4 + w * 10 + (n % 4) * 100 + (-7 / 2) * 1000 + (half * 20000.0) as i32);
}

#[test]
fn remainders_have_the_sign_of_the_dividend() {
    let list = [-7i32, 7, -3, 12];
    let want: Vec<i32> = list.iter().map(|v| v % 4 + v % -7 * 10 + (-7 % 4) * 100 + (-7 / 2) * 1000 + 10000).collect();
    gives(|| remainders([1], &Tensor::new(&list, [4]), -7, [4]), &want);
}

mod first {
    use girih::prelude::*;

    #[kernel]
    pub fn change(v: Tile) -> Tile {
        v + 1
    }
}

mod second {
    use girih::prelude::*;

    #[kernel]
    pub fn change(v: Tile) -> Tile {
        v * 2
    }
}

#[kernel]
fn both(x: In<i32>, y: Out<i32>) {
    let at = tl::arange(0, 4);
    tl::store(y + at, first::change(tl::load(x + at)) + second::change(tl::load(x + at)));
}

#[test]
fn functions_of_one_name_are_refused() {
    let why = both([1], &Tensor::new(&[1i32, 2, 3, 4], [4]), [4]).to_vec::<i32>().unwrap_err().to_string();
    assert!(why.contains("two functions named `change`") && why.contains("kernel_rust.rs"), "{why}");
}
