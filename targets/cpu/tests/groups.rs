//! Kernels whose instances run together give the bits that they give one by one.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::*;
use girih_base::Bindings;
use girih_cpu::CpuDevice;
use girih_exec::{Command, Device, MemRef};
use girih_plan::{Format, KernelCode};
use girih_tile::{group, parse, print, verify};

/// Elements of each buffer: `x` and `i` are read (random floats, integers from 0 to 63), `y` and `z` are read and written.
const LEN: usize = 8192;

const HEADER: &str = "kernel k
sym n 0..100000
sym gx 0..100000
param x f32[8192] read
param i i32[8192] read
param y f32[8192] readwrite
param z i32[8192] readwrite
grid 2, gx
";

/// A body for instances `p` (`%p`, 0 to 66) of a line `%q` (0 or 1), and whether it can run in groups.
const BODIES: &[(&str, &str, bool)] = &[
    (
        "blocks one after the other, the last one short",
        "%2: i32 = const 48 %3: i32 = mul %1, %2
         %4: f32[48] = load x view(0; n:1) at(%3) other 0.5
         %5: f32[48] = exp %4
         store y view(0; n:1) at(%3) %5",
        true,
    ),
    (
        "rows with a stride, a fold, and a result for each",
        "%2: i32 = const 0
         %3: f32[1,100] = load x view(7; 100000:101!, 93:1) at(%1, %2) other 0xfff0000000000000
         %4: f32[100] = reshape %3 %5: f32 = reduce max axis 0 (%4)
         %6: f32[100] = splat %5 %7: f32[100] = sub %4, %6 %8: f32[100] = exp %7 %9: f32 = reduce add axis 0 (%8)
         %10: f32[1] = reshape %9
         store y view(4000; gx:1) at(%1) %10",
        true,
    ),
    (
        "rows from the end to the start",
        "%2: i32 = size gx %3: i32 = const 1 %4: i32 = sub %2, %3 %5: i32 = sub %4, %1 %6: i32 = const 0
         %7: f32[1,20] = load x view(0; 100000:20!, 20:1!) at(%5, %6) other 0.0
         %8: f32[1,20] = neg %7
         store y view(0; 100000:20!, 20:1!) at(%1, %6) %8",
        true,
    ),
    (
        "a mask with holes",
        "%2: i32 = const 50 %3: i32 = mul %1, %2 %4: f32[50] = load x view(0; 8192:1) at(%3) other 0.0
         %5: f32 = const 0.25 %6: f32[50] = splat %5 %7: bool[50] = lt %4, %6
         %8: f32[50] = load x view(1; 8000:1) at(%3) mask %7 other 3.0
         store y view(0; 8000:1) at(%3) %8 mask %7",
        true,
    ),
    (
        "blocks that leave gaps, with an end among them",
        "%2: i32 = const 60 %3: i32 = mul %1, %2 %4: f32[40] = load x view(0; n:1) at(%3) other 9.0
         store y view(0; n:1) at(%3) %4",
        true,
    ),
    (
        "blocks of rows and columns with ends in both directions",
        "%2: i32 = const 3 %3: i32 = mul %1, %2 %4: i32 = const 5
         %5: f32[3,20] = load x view(0; 155:30, 22:1) at(%3, %4) other 1.5
         %6: f32[3,20] = mul %5, %5 %7: f32[3] = reduce add axis 1 (%6)
         %8: f32[3,20] = broadcast %7 (0) %9: f32[3,20] = add %6, %8
         store y view(0; 155:30, 22:1) at(%3, %4) %9",
        true,
    ),
    (
        "columns that come before the instance's axis",
        "%2: i32 = const 0
         %3: f32[4,1] = load x view(0; 4:100, gx:1) at(%2, %1) other 0.0
         store y view(0; 4:100, gx:1) at(%2, %1) %3",
        true,
    ),
    (
        "gather and scatter",
        "%2: i32 = const 16 %3: i32 = mul %1, %2 %4: i32[16] = load i view(0; 8192:1) at(%3) other 0
         %5: i32[16] = splat %3 %6: i32[16] = add %4, %5 %7: bool[16] = lt %4, %5
         %8: f32[16] = load_at x %6 mask %7 other 2.0
         %9: i32[16] = arange 0 %10: i32[16] = add %5, %9
         store_at y %10 %8",
        true,
    ),
    (
        "a number of rounds that some instances share",
        "%2: i32 = const 10 %3: i32 = div %1, %2 %4: i32 = const 0 %5: f32[70] = const 0.0 %6: i32 = const 70
         %9: f32[70] = for %4, %3 step 1 init(%5) (%7: i32, %8: f32[70]) {
           %10: i32 = mul %7, %6 %11: f32[70] = load x view(0; 8192:1) at(%10) other 0.0
           %12: f32[70] = load x view(3; 8000:1) at(%1) other 0.0
           %13: f32[70] = mul %11, %12 %14: f32[70] = add %8, %13
           yield %14
         }
         %15: i32 = mul %1, %6
         store y view(0; 8192:1) at(%15) %9",
        true,
    ),
    (
        "rows apart by the size of the grid, as many as there are",
        "%2: i32 = const 0 %3: i32 = const 100 %4: i32 = sub %3, %1 %5: i32 = size gx %6: i32 = add %4, %5
         %7: i32 = const 1 %8: i32 = sub %6, %7 %9: i32 = div %8, %5
         for %2, %9 step 1 init() (%10: i32) {
           %11: f32[1,1,64] = load x view(0; 100000:64!, 100000:64*gx!, 60:1) at(%1, %10, %2) other 0.0
           %12: f32[64] = reshape %11 %13: f32 = reduce add axis 0 (%12) %14: f32[64] = splat %13
           %15: f32[64] = sub %12, %14 %16: f32[1,1,64] = reshape %15
           store y view(0; 100000:64!, 100000:64*gx!, 60:1) at(%1, %10, %2) %16
         }",
        true,
    ),
    (
        "offsets that are carried",
        "%2: i32 = const 0 %3: i32 = const 4 %4: i32 = const 20 %5: i32 = mul %1, %4 %6: f32[20] = const 0.0 %7: i32 = const 5
         %8: i32, %9: f32[20] = for %2, %3 step 1 init(%5, %6) (%10: i32, %11: i32, %12: f32[20]) {
           %13: f32[20] = load x view(0; 1900:1) at(%11) other 1.0
           %14: f32[20] = add %12, %13 %15: i32 = add %11, %7
           yield %15, %14
         }
         store y view(0; 8192:1) at(%8) %9",
        true,
    ),
    (
        "carried tiles change places",
        "%2: i32 = const 0 %3: i32 = const 3 %4: i32 = const 64 %5: i32 = mul %1, %4
         %6: f32[64] = load x view(0; 8192:1) at(%5) other 0.0 %7: f32[64] = const 1.0
         %8: f32[64], %9: f32[64] = for %2, %3 step 1 init(%6, %7) (%10: i32, %11: f32[64], %12: f32[64]) {
           %13: f32[64] = exp %12 %14: f32[64] = add %11, %7
           yield %13, %14
         }
         %15: f32[64] = sub %8, %9
         store y view(0; 8192:1) at(%5) %15",
        true,
    ),
    (
        "a loop that ends when all are done",
        "%2: i32 = const 30 %3: i32 = mul %1, %2 %4: i32 = const 0 %5: f32[30] = load x view(0; 8192:1) at(%3) other 0.0 %6: i32 = const 1
         %7: i32, %8: f32[30] = while init(%4, %5) (%9: i32, %10: f32[30]) {
           %11: i32 = const 3 %12: bool = lt %9, %11 yield %12
         } do (%13: i32, %14: f32[30]) {
           %15: i32 = add %13, %6 %16: f32[30] = mul %14, %14 yield %15, %16
         }
         store y view(0; 8192:1) at(%3) %8",
        true,
    ),
    (
        "a loop that each ends for itself",
        "%2: i32 = const 0 %3: i32 = const 2
         %4: i32 = while init(%1) (%5: i32) {
           %6: bool = gt %5, %3 yield %6
         } do (%7: i32) {
           %8: i32 = div %7, %3 yield %8
         }
         %9: i32[1] = reshape %4
         store z view(0; 8192:1) at(%1) %9",
        false,
    ),
    (
        "a branch on the instance",
        "%2: i32 = const 20 %3: bool = lt %1, %2 %4: i32 = const 64 %5: i32 = mul %1, %4
         %6: f32[64] = load x view(0; 8192:1) at(%5) other 0.0
         %7: f32[64] = if %3 { %8: f32[64] = neg %6 yield %8 } else { %9: f32[64] = exp %6 yield %9 }
         store y view(0; 8192:1) at(%5) %7",
        true,
    ),
    (
        "in place, then a branch: instances cannot start again",
        "%2: i32 = const 20 %3: bool = lt %1, %2 %4: i32 = const 64 %5: i32 = mul %1, %4
         %6: f32[64] = load y view(0; 8192:1) at(%5) other 0.0 %10: f32[64] = exp %6
         store y view(0; 8192:1) at(%5) %10
         %7: f32[64] = if %3 { %8: f32[64] = neg %10 yield %8 } else { %9: f32[64] = mul %10, %10 yield %9 }
         store y view(0; 8192:1) at(%5) %7",
        false,
    ),
    (
        "a branch, then in place",
        "%2: i32 = const 20 %3: bool = lt %1, %2 %4: i32 = const 64 %5: i32 = mul %1, %4
         %6: f32[64] = load y view(0; 8192:1) at(%5) other 0.0
         %7: f32[64] = if %3 { %8: f32[64] = neg %6 yield %8 } else { %9: f32[64] = exp %6 yield %9 }
         store y view(0; 8192:1) at(%5) %7",
        true,
    ),
    (
        "updates that everybody makes at one place",
        "%2: i32 = const 5 %3: i32 = const 3 %4: i32 = atomic add z %2 %3
         %5: i32[4] = arange 0 %6: i32[4] = splat %1 %7: i32[4] = add %5, %6 %8: i32[4] = atomic max z %7 %6",
        true,
    ),
    (
        "a store that all make alike",
        "%2: i32 = const 0 %3: f32[10] = load x view(0; 10:1) at(%2) other 0.0
         store y view(0; 10:1) at(%2) %3
         %4: i32 = const 10 %5: i32 = mul %1, %4
         store y view(10; 8000:1) at(%5) %3",
        true,
    ),
    (
        "different values for one place",
        "%2: i32 = const 66 %3: bool = eq %1, %2 %4: bool[1] = reshape %3 %5: i32 = const 0 %6: i32[1] = reshape %1
         store z view(0; 10:1) at(%5) %6 mask %4",
        false,
    ),
    (
        "folds with a body, scans and sorts",
        "%2: i32 = const 40 %3: i32 = mul %1, %2 %4: f32[5,8] = const 0.0
         %5: f32[40] = load x view(0; 8192:1) at(%3) other 0.0 %6: f32[5,8] = reshape %5
         %7: f32[5,8] = scan add axis 0 (%6)
         %8: f32[5,8] = sort axis 1 keys 1 descending (%7)
         %9: f32[8] = reduce body axis 0 (%8) (%10: f32, %11: f32) { %12: f32 = mul %10, %11 %13: f32 = add %12, %11 yield %13 }
         %14: f32[8,5] = permute %8 (1, 0) %15: f32[8,5] = broadcast %9 (0) %16: f32[8,5] = add %14, %15
         %17: f32[40] = reshape %16
         store y view(0; 8192:1) at(%3) %17",
        true,
    ),
    (
        "coordinates beyond 32 bits wrap as they do one by one",
        "%2: i32 = const 100000000 %3: i32 = mul %1, %2 %4: i32 = const 0
         %5: f32[8] = load x view(0; 2000000000:0) at(%3) other 7.0
         %6: f32[1,8] = reshape %5
         store y view(0; 100000:8!, 8:1!) at(%1, %4) %6",
        true,
    ),
    (
        "an instance's number that is divided",
        "%2: i32 = const 3 %3: i32 = div %1, %2 %4: i32 = const 16 %5: i32 = mul %3, %4
         %6: f32[16] = load x view(0; 8192:1) at(%5) other 0.0 %7: i32 = mul %1, %4
         store y view(0; 8192:1) at(%7) %6",
        false,
    ),
    (
        "the line counts, too",
        "%2: i32 = const 0 %3: f32[1,1,16] = load x view(0; 2:4000!, 100000:16!, 16:1!) at(%0, %1, %2) other 0.0
         %4: f32[1,1,16] = exp %3
         store y view(0; 2:4000!, 100000:16!, 16:1!) at(%0, %1, %2) %4",
        true,
    ),
];

/// `y` and `z` after a launch of `gx` instances in each of two lines (the second does nothing where it is not used).
fn after(text: &str, gx: i64, count: u32, threads: usize) -> Result<(Vec<u8>, Vec<u8>), String> {
    let kernel = parse(text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    verify(&kernel).unwrap_or_else(|e| panic!("{e}\n{text}"));
    let mut device = CpuDevice::with_threads(threads).with_group(count);
    let code = KernelCode {
        name: kernel.name.clone(),
        format: Format::Tile,
        text: text.into(),
        args: Vec::new(),
        uniforms: Vec::new(),
        grid: kernel.grid.clone(),
        flops: 0.into(),
        traffic: 0.into(),
        debug: None,
    };
    let loaded = device.load(&code).unwrap();
    let mut r = Random(7);
    let ints = |r: &mut Random| (0..LEN).flat_map(|_| ((r.bits() % 64) as i32).to_le_bytes()).collect::<Vec<_>>();
    let data = [f32s(&r.floats(LEN)), ints(&mut r), f32s(&r.floats(LEN)), ints(&mut r)];
    let args = data.each_ref().map(|bytes| {
        let buffer = device.allocate(bytes.len() as u64).unwrap();
        device.write(buffer, 0, bytes).unwrap();
        MemRef { buffer, offset: 0, bytes: bytes.len() as u64 }
    });
    let bindings = Bindings::from([("n".into(), 3001), ("gx".into(), gx)]);
    device
        .submit(&[Command::Launch { kernel: loaded, args: &args, bindings: &bindings }])
        .map_err(|e| e.to_string())?;
    let mut out = (vec![0; LEN * 4], vec![0; LEN * 4]);
    device.read(args[2].buffer, 0, &mut out.0).unwrap();
    device.read(args[3].buffer, 0, &mut out.1).unwrap();
    Ok(out)
}

/// The whole kernel. Bodies that do not use the line do their work in the first one only, so that no two instances write the
/// same place.
fn whole(body: &str) -> String {
    let header = if body.contains("%0") { HEADER.into() } else { HEADER.replace("grid 2", "grid 1") };
    format!("{header}{{\n%0: i32 = program_id 0\n%1: i32 = program_id 1\n{body}\n}}\n")
}

#[test]
fn the_same_bits_in_groups() {
    for (what, body, groups) in BODIES {
        let text = whole(body);
        let kernel = parse(&text).unwrap_or_else(|e| panic!("{what}: {e}"));
        for count in [2, 3, 8, 64] {
            let grouped = group(&kernel, count);
            assert_eq!(grouped.is_some(), *groups, "{what} in groups of {count}");
            if let Some(g) = grouped {
                verify(&g.kernel).unwrap_or_else(|e| panic!("{what}: {e}\n{}", print(&g.kernel)));
                assert_eq!(parse(&print(&g.kernel)).unwrap(), g.kernel);
            }
        }
        for gx in [1, 8, 67] {
            let want = after(&text, gx, 1, 1).unwrap_or_else(|e| panic!("{what}: {e}"));
            for (count, threads) in [(2, 1), (3, 2), (8, 1), (64, 2)] {
                let got = after(&text, gx, count, threads).unwrap_or_else(|e| panic!("{what}: {e}"));
                assert!(got == want, "{what}: {gx} instances in groups of {count}");
            }
        }
    }
}

#[test]
fn mistakes_are_told_as_they_are_one_by_one() {
    // The last instance reaches beyond the end.
    let text = whole(
        "%2: i32 = const 128 %3: i32 = mul %1, %2 %4: f32[128] = load x view(0; 100000:1!) at(%3) other 0.0
         store y view(0; 8192:1) at(%3) %4",
    );
    for count in [1, 2, 8] {
        let error = after(&text, 66, count, 1).unwrap_err();
        assert!(error.contains("X103") && error.contains("`x`"), "{error}");
    }
    // What cannot start again finds out in time.
    let text = whole(
        "%2: i32 = const 64 %3: i32 = mul %1, %2 %4: f32[64] = load y view(0; 8192:1) at(%3) other 0.0
         store y view(0; 8192:1) at(%3) %4
         %5: i32 = const 40000000 %6: i32 = mul %1, %5
         %7: f32[64] = load x view(0; 2000000000:0) at(%6) other 7.0
         store y view(0; 8192:1) at(%3) %7",
    );
    assert!(group(&parse(&text).unwrap(), 8).is_none());
}
