//! What a launch wrote, in one line or as a file, and what a check found.

use super::argument::Elements;
use super::launch::{Prepared, Written};
use crate::kernel::Source;
use girih::{Data, Tensor};
use girih_base::{Diag, Result, codec};

/// Elements that are shown.
const FIRST: usize = 4;

/// Numbers of an array.
struct Summary {
    min: f64,
    max: f64,
    mean: f64,
    nans: usize,
    first: Vec<f64>,
}

fn summary(e: &Elements) -> Summary {
    let count = e.shape.iter().product();
    let all = codec::decode_floats(e.dtype, e.bytes.as_deref().unwrap_or_default(), count).unwrap_or_default();
    let numbers = || all.iter().copied().filter(|v| !v.is_nan());
    let n = numbers().count();
    Summary {
        min: numbers().fold(f64::INFINITY, f64::min),
        max: numbers().fold(f64::NEG_INFINITY, f64::max),
        mean: numbers().sum::<f64>() / n as f64,
        nans: all.len() - n,
        first: all.into_iter().take(FIRST).collect(),
    }
}

/// `y f32[4, 128]: 0 to 1, mean 0.25; 0, 0.5, 1, ...`
pub fn line(b: &Written) -> String {
    let (s, ty) = (summary(&b.elements), b.elements.ty());
    // Nobody needs more digits than f32 has to see what an array is.
    let show = |v: f64| (v as f32).to_string();
    let first: Vec<String> = s.first.iter().map(|v| show(*v)).collect();
    let more = if b.elements.shape.iter().product::<usize>() > FIRST { ", ..." } else { "" };
    let range = match s.min <= s.max {
        true => format!("{} to {}, mean {}", show(s.min), show(s.max), show(s.mean)),
        false => "no numbers".to_string(),
    };
    let nans = if s.nans > 0 { format!(", {} NaN", s.nans) } else { String::new() };
    format!("{} {ty}: {range}{nans}; {}{more}", b.name, first.join(", "))
}

/// The same for scripts.
pub fn json(b: &Written) -> serde_json::Value {
    let s = summary(&b.elements);
    serde_json::json!({
        "name": b.name,
        "dtype": b.elements.dtype.name(),
        "shape": b.elements.shape,
        "min": s.min,
        "max": s.max,
        "mean": s.mean,
        "nan": s.nans,
        "first": s.first,
    })
}

/// Saves an array; the file is the old one or the whole new one.
///
/// # Errors
/// `T030` and `T033`.
pub fn save(e: &Elements, path: &str) -> Result<()> {
    let data = Data::new(e.dtype, e.shape.clone(), e.bytes.clone().unwrap_or_default())?;
    girih::io::save_npy(&Tensor::from_data(data), path)
}

/// Adds what a finding of the emulator means in the kernel's language.
pub fn explain(mut diag: Box<Diag>, p: &Prepared) -> Box<Diag> {
    let triton = matches!(p.file.source, Source::Triton(_));
    if diag.code.starts_with('S') && p.grid[1..] != [1, 1] {
        let [x, y, _] = p.grid;
        diag = diag.note(format!("workgroup x + {x} * y + {} * z is the program (x, y, z)", x as u64 * y as u64));
    }
    let help = match (diag.code.strip_prefix('S'), triton) {
        (Some("101"), true) => "mask what lies outside: `mask=offsets < n`; check strides against the array's shape",
        (Some("101"), false) => "guard what lies outside: `if (i < n)`; check strides against the array's size",
        (Some("102"), true) => "let each element be written by one program only, or use an atomic operation",
        (Some("102"), false) => "put `__syncthreads()` between the two, or use an atomic operation",
        (Some("103"), _) => "write it first; arrays of `zeros:` hold zeroes, those of `empty:` nothing",
        _ => return diag,
    };
    if diag.help.is_none() { diag.help(help) } else { diag }
}
