//! Times f32 matrix products on the first adapter for several register blocks: what the rows of the target table are chosen by.
//!
//! `cargo run -p girih-wgpu --example matmul`

#![allow(clippy::print_stdout, clippy::unwrap_used)]

use girih_base::{Bindings, Result};
use girih_driver::Target;
use girih_exec::{Command, Device, MemRef};
use girih_lower::TargetDesc;
use girih_wgpu::WgpuDevice;
use kernel::matmul;
use std::time::Instant;

#[path = "../tests/gpu/matmul.rs"]
mod kernel;

fn time(device: &mut WgpuDevice, n: u32, block: [u32; 2], tile: [u32; 2], depth: u32) -> Result<(f64, f64)> {
    let target = device.compiler();
    let desc = TargetDesc { dot_block: block, ..target.desc().clone() };
    let code = target.with_desc(desc).compile(&matmul(n, tile, depth))?;
    if std::env::var("GIRIH_PRINT").is_ok() {
        println!("{}", code.text);
    }
    let start = Instant::now();
    let kernel = device.load(&code)?;
    let bytes = n as u64 * n as u64 * 4;
    let data: Vec<u8> = (0..n * n).flat_map(|i| ((i % 13) as f32 - 6.0).to_le_bytes()).collect();
    let mut args = Vec::new();
    for _ in 0..3 {
        let buffer = device.allocate(bytes)?;
        device.write(buffer, 0, &data)?;
        args.push(MemRef { buffer, offset: 0, bytes });
    }
    let sizes = Bindings::new();
    let once = |device: &mut WgpuDevice| -> Result<f64> {
        let start = Instant::now();
        device.submit(&[Command::Launch { kernel, args: &args, bindings: &sizes }])?;
        device.synchronize()?;
        Ok(start.elapsed().as_secs_f64())
    };
    once(device)?;
    let first = start.elapsed().as_secs_f64();
    let mut best = f64::INFINITY;
    let rounds = if n > 512 { 4 } else { 12 };
    for _ in 0..rounds {
        best = best.min(once(device)?);
    }
    args.iter().for_each(|a| device.free(a.buffer));
    Ok((best * 1e3, first))
}

fn main() -> Result<()> {
    let mut device = WgpuDevice::open_default()?;
    println!("{}", device.name());
    for block in [[8, 8], [8, 16], [16, 8], [16, 16], [32, 8], [32, 16]] {
        for (tile, depth) in [([64, 64], 4), ([64, 128], 4), ([128, 128], 4)] {
            let mut line = format!("block {block:?} tile {tile:?} depth {depth}:");
            for n in [256, 512, 1024] {
                match time(&mut device, n, block, tile, depth) {
                    Ok((ms, first)) => {
                        line += &format!(
                            "  {n}: {ms:.1} ms ({:.2} GFLOP/s, first {first:.2} s)",
                            2e-6 * (n as f64).powi(3) / ms
                        )
                    }
                    Err(why) => line += &format!("  {n}: {}", why.message),
                }
            }
            println!("{line}");
        }
    }
    Ok(())
}
