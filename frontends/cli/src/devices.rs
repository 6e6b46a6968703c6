//! `girih devices`: what programs can run on here.

use crate::Context;
use crate::output::{Done, Out};
use crate::rig::{self, DeviceSpec};
use serde_json::json;

/// Arguments of `girih devices`.
#[derive(clap::Args)]
pub struct Devices {}

impl Devices {
    /// Lists the CPU and every adapter; a star marks what `auto` takes.
    pub fn run(self, context: &Context, out: Out) -> Done {
        let (all, auto, processor) = (rig::all(), rig::auto(), girih_cpu::describe()?);
        if context.json {
            let rows: Vec<_> = all
                .iter()
                .map(|(spec, info)| match info {
                    None => json!({ "device": spec.to_string(), "name": processor, "kind": "cpu", "auto": *spec == auto }),
                    Some(i) => json!({
                        "device": spec.to_string(), "name": i.name, "kind": i.kind, "backend": i.backend, "driver": i.driver,
                        "auto": *spec == auto,
                    }),
                })
                .collect();
            serde_json::to_writer_pretty(&mut *out, &rows)?;
            return Ok(writeln!(out)?);
        }
        for (spec, info) in &all {
            let mark = if *spec == auto { '*' } else { ' ' };
            let what = info.as_ref().map_or_else(|| format!("this processor ({processor})"), |i| i.to_string());
            writeln!(out, "{mark} {:8} {what}", spec.to_string())?;
        }
        if all.len() == 1 {
            writeln!(
                out,
                "\nNo graphics adapter was found. On Linux, the package mesa-vulkan-drivers has a driver for every machine."
            )?;
        }
        debug_assert!(all.iter().any(|(spec, _)| *spec == DeviceSpec::Cpu));
        Ok(())
    }
}
