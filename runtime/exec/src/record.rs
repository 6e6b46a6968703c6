//! Steps become commands, submitted together until the host has to look at a result.

use crate::device::{Command, Device, KernelRef, MemRef};
use crate::loaded::{Loaded, size};
use girih_base::{Bindings, Diag, Result};
use girih_plan::Step;
use std::sync::Arc;

/// Commands waiting to be submitted together.
#[derive(Default)]
pub struct Batch {
    items: Vec<Item>,
}

enum Item {
    Launch(KernelRef, Vec<MemRef>, Arc<Bindings>),
    Copy(MemRef, MemRef),
}

impl Batch {
    /// Submits what is waiting.
    pub fn flush(&mut self, device: &mut dyn Device) -> Result<()> {
        let commands: Vec<Command<'_>> = self
            .items
            .iter()
            .map(|i| match i {
                Item::Launch(kernel, args, bindings) => Command::Launch { kernel: *kernel, args, bindings },
                Item::Copy(from, to) => Command::Copy { from: *from, to: *to },
            })
            .collect();
        if !commands.is_empty() {
            device.submit(&commands)?;
        }
        self.items.clear();
        Ok(())
    }
}

/// Adds a step to the batch.
pub fn record(
    loaded: &Loaded,
    step: &Step,
    bindings: &mut Arc<Bindings>,
    device: &mut dyn Device,
    batch: &mut Batch,
) -> Result<()> {
    match step {
        Step::Launch { kernel, args } => {
            let code = &loaded.plan.kernels[*kernel as usize];
            for g in &code.grid {
                if size(g, bindings)? == 0 {
                    return Ok(());
                }
            }
            let args = args.iter().map(|a| loaded.memory(a.0 as usize, bindings)).collect::<Result<Vec<_>>>()?;
            batch.items.push(Item::Launch(loaded.kernels[*kernel as usize], args, bindings.clone()));
        }
        Step::Copy { from, from_offset, to, to_offset, bytes } => {
            let bytes = size(bytes, bindings)?;
            if bytes == 0 {
                return Ok(());
            }
            let part = |b: u32, offset| -> Result<MemRef> {
                let m = loaded.memory(b as usize, bindings)?;
                let start = size(offset, bindings)?;
                if start + bytes > m.bytes {
                    return Err(Diag::error(
                        "X008",
                        format!("a copy reaches past the end of `{}`", loaded.plan.buffers[b as usize].label),
                    ));
                }
                Ok(MemRef { buffer: m.buffer, offset: m.offset + start, bytes })
            };
            let (from, to) = (part(from.0, from_offset)?, part(to.0, to_offset)?);
            batch.items.push(Item::Copy(from, to));
        }
        Step::Repeat { symbol, count, body } => {
            let count = size(count, bindings)?;
            let outer = bindings.get(symbol).copied();
            for round in 0..count {
                Arc::make_mut(bindings).insert(symbol.clone(), round as i64);
                for s in body {
                    record(loaded, s, bindings, device, batch)?;
                }
            }
            match outer {
                Some(v) => Arc::make_mut(bindings).insert(symbol.clone(), v),
                None => Arc::make_mut(bindings).remove(symbol),
            };
        }
        Step::While { test, flag, body } => loop {
            for s in test {
                record(loaded, s, bindings, device, batch)?;
            }
            batch.flush(device)?;
            let m = loaded.memory(flag.0 as usize, bindings)?;
            let mut value = [0u8];
            device.read(m.buffer, m.offset, &mut value)?;
            if value[0] == 0 {
                break;
            }
            for s in body {
                record(loaded, s, bindings, device, batch)?;
            }
        },
        Step::Branch { choice, is_bool, branches } => {
            batch.flush(device)?;
            let m = loaded.memory(choice.0 as usize, bindings)?;
            let mut value = [0u8; 4];
            device.read(m.buffer, m.offset, &mut value[..if *is_bool { 1 } else { 4 }])?;
            let top = branches.len() as i32 - 1;
            let chosen = i32::from_le_bytes(value).clamp(0, top.max(0)) as usize;
            for s in branches.get(chosen).into_iter().flatten() {
                record(loaded, s, bindings, device, batch)?;
            }
        }
    }
    Ok(())
}
