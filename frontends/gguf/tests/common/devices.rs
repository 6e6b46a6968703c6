//! Every device there is, and how far its logits are from the forward pass in f64.

use girih_cpu::{CpuDevice, CpuTarget};
use girih_driver::Target;
use girih_exec::Device;
use girih_wgpu::WgpuDevice;

fn wgpu() -> Option<WgpuDevice> {
    match WgpuDevice::open_default() {
        Ok(device) => Some(device),
        Err(why) if std::env::var("GIRIH_REQUIRE_WGPU").is_ok_and(|v| v == "1") => panic!("{why}"),
        Err(why) => {
            eprintln!("skipped on wgpu: {why}");
            None
        }
    }
}

pub fn devices() -> Vec<(Box<dyn Target>, Box<dyn Device>)> {
    let mut all: Vec<(Box<dyn Target>, Box<dyn Device>)> =
        vec![(Box::new(CpuTarget::new()), Box::new(CpuDevice::new()))];
    if let Some(device) = wgpu() {
        all.push((Box::new(device.compiler()), Box::new(device)));
    }
    all
}

/// Squared error over squared size.
pub fn nmse(got: &[f32], want: &[Vec<f64>]) -> f64 {
    assert_eq!(got.len(), want.iter().map(Vec::len).sum::<usize>());
    let pairs = got.iter().zip(want.iter().flatten());
    let error: f64 = pairs.map(|(g, w)| (*g as f64 - w).powi(2)).sum();
    error / want.iter().flatten().map(|w| w * w).sum::<f64>()
}

/// How far the likeliest of the logits is above that of `token`.
pub fn margin(row: &[f64], token: u32) -> f64 {
    row.iter().copied().fold(f64::NEG_INFINITY, f64::max) - row[token as usize]
}
