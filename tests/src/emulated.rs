//! The SIMT kernels of a GPU, run by the strict emulator: out-of-bounds accesses, races and divergent barriers are errors.

use crate::Rig;
use girih_base::debug::Instances;
use girih_base::{DType, Diag, Result};
use girih_driver::Target;
use girih_exec::debug::DEBUG_BYTES;
use girih_exec::{BufferRef, Command, DebugLog, Device, DeviceId, KernelRef, MemRef, Prints, SharedBytes};
use girih_lower::{TargetDesc, distribute};
use girih_plan::{Arg, Format, KernelCode};
use girih_simt::emulate;
use girih_tile::{Access, Kernel};
use std::ops::Range;

const IDENTITY: &str = "emulated";

/// The emulated GPU as a rig.
pub fn emulated() -> Rig {
    emulate_on(TargetDesc::webgpu())
}

/// The same with subgroups of a known size.
pub fn emulated_subgroups() -> Rig {
    emulate_on(TargetDesc { threads: 128, subgroups: true, subgroup_size: [8, 8], ..TargetDesc::webgpu() })
}

/// The same with arithmetic of 64 bits.
pub fn emulated_wide() -> Rig {
    let mut desc = TargetDesc { wide_atomics: true, ..TargetDesc::webgpu() };
    desc.native.extend([DType::I64, DType::U64, DType::F64]);
    emulate_on(desc)
}

fn emulate_on(desc: TargetDesc) -> Rig {
    let own = desc.clone();
    Rig {
        name: IDENTITY,
        target: Box::new(Emulated { desc }),
        device: Box::new(move || Box::new(Machine::new(own.clone()))),
    }
}

/// Compiles by passing tile kernels on; they are distributed where they are loaded.
struct Emulated {
    desc: TargetDesc,
}

impl Target for Emulated {
    fn desc(&self) -> &TargetDesc {
        &self.desc
    }

    fn identity(&self) -> String {
        IDENTITY.into()
    }

    fn compile(&self, kernel: &Kernel) -> Result<KernelCode> {
        // A refusal belongs to compilation, not to loading.
        let simt = distribute(kernel, &self.desc)?;
        let debug = girih_simt::debug::instrument(&simt, girih_tile::debug::instances(kernel)).map(|(_, info)| info);
        Ok(KernelCode {
            name: kernel.name.clone(),
            format: Format::Tile,
            text: girih_tile::print_without_locs(kernel).into(),
            args: kernel
                .params
                .iter()
                .map(|p| Arg { written: p.access != Access::Read, read_only: p.constant })
                .collect(),
            uniforms: Vec::new(),
            grid: kernel.grid.clone(),
            flops: 0.into(),
            traffic: 0.into(),
            debug,
        })
    }

    fn compile_simt(&self, kernel: &girih_simt::Kernel) -> Result<KernelCode> {
        girih_simt::verify::verify(kernel)?;
        let instances = Instances::Threads { grid: vec![kernel.groups.clone()], block: kernel.workgroup };
        let (instrumented, debug) = girih_simt::debug::instrument(kernel, instances).unzip();
        Ok(KernelCode {
            name: kernel.name.clone(),
            format: Format::Simt,
            text: girih_simt::print_without_locs(instrumented.as_ref().unwrap_or(kernel)).into(),
            args: kernel.buffers.iter().map(|b| Arg { written: b.written, read_only: b.read_only }).collect(),
            uniforms: kernel.uniforms.clone(),
            grid: vec![kernel.groups.clone()],
            flops: 0.into(),
            traffic: 0.into(),
            debug,
        })
    }
}

struct Machine {
    id: DeviceId,
    desc: TargetDesc,
    buffers: Vec<Vec<u8>>,
    /// Every kernel with the text it came from.
    kernels: Vec<(girih_plan::KernelCode, girih_simt::Kernel)>,
    log: DebugLog,
}

impl Machine {
    fn new(desc: TargetDesc) -> Machine {
        Machine { id: DeviceId::next(), desc, buffers: Vec::new(), kernels: Vec::new(), log: DebugLog::default() }
    }

    fn bytes(&mut self, buffer: BufferRef, at: Range<usize>) -> Result<&mut [u8]> {
        let refuse = || Diag::error("X004", format!("bytes {at:?} are outside buffer {}", buffer.0));
        self.buffers.get_mut(buffer.0 as usize).and_then(|b| b.get_mut(at.clone())).ok_or_else(refuse)
    }

    fn part(&mut self, m: &MemRef) -> Result<&mut [u8]> {
        self.bytes(m.buffer, m.offset as usize..(m.offset + m.bytes) as usize)
    }

    fn launch(&mut self, kernel: KernelRef, args: &[MemRef], bindings: &girih_base::Bindings) -> Result<()> {
        let Some((code, simt)) = self.kernels.get(kernel.0 as usize).cloned() else {
            return Err(Diag::error("X004", "no such kernel"));
        };
        let mut memory = Vec::new();
        let header = code.debug.as_ref().map(|info| DebugLog::header(info, DEBUG_BYTES));
        for m in args {
            // Buffers end at whole words; what lies behind the data is nobody's.
            let mut bytes = self.part(m)?.to_vec();
            bytes.resize(bytes.len().next_multiple_of(16).max(16), 0xa5);
            memory.push(bytes);
        }
        if let Some(header) = &header {
            let mut bytes: Vec<u8> = header.iter().flat_map(|w| w.to_le_bytes()).collect();
            bytes.resize(DEBUG_BYTES as usize, 0);
            memory.push(bytes);
        }
        let options = emulate::Options { subgroup: self.desc.subgroup_size[0], ..Default::default() };
        emulate::run(&simt, &mut memory, bindings, options).map_err(|d| d.note(code.text.to_string()))?;
        if let Some(info) = &code.debug {
            let raw = memory.pop().unwrap_or_default();
            let words: Vec<u32> = raw.chunks_exact(4).map(|w| u32::from_le_bytes([w[0], w[1], w[2], w[3]])).collect();
            self.log.collect(&code, &words[..DebugLog::used(info, &words)], bindings);
        }
        for ((m, bytes), arg) in args.iter().zip(memory).zip(&code.args) {
            if arg.written {
                self.part(m)?.copy_from_slice(&bytes[..m.bytes as usize]);
            }
        }
        Ok(())
    }
}

impl Device for Machine {
    fn id(&self) -> DeviceId {
        self.id
    }

    fn name(&self) -> String {
        IDENTITY.into()
    }

    fn target(&self) -> String {
        IDENTITY.into()
    }

    fn alignment(&self) -> u64 {
        256
    }

    fn allocate(&mut self, bytes: u64) -> Result<BufferRef> {
        self.buffers.push(vec![0; bytes as usize]);
        Ok(BufferRef(self.buffers.len() as u32 - 1))
    }

    fn adopt(&mut self, data: SharedBytes, range: Range<usize>) -> Result<BufferRef> {
        let bytes = (*data).as_ref().get(range).ok_or_else(|| Diag::error("X004", "adopted bytes are missing"))?;
        self.buffers.push(bytes.to_vec());
        Ok(BufferRef(self.buffers.len() as u32 - 1))
    }

    fn free(&mut self, buffer: BufferRef) {
        if let Some(b) = self.buffers.get_mut(buffer.0 as usize) {
            *b = Vec::new();
        }
    }

    fn write(&mut self, buffer: BufferRef, offset: u64, data: &[u8]) -> Result<()> {
        self.bytes(buffer, offset as usize..offset as usize + data.len())?.copy_from_slice(data);
        Ok(())
    }

    fn read(&mut self, buffer: BufferRef, offset: u64, data: &mut [u8]) -> Result<()> {
        data.copy_from_slice(self.bytes(buffer, offset as usize..offset as usize + data.len())?);
        Ok(())
    }

    fn load(&mut self, code: &KernelCode) -> Result<KernelRef> {
        let simt = match code.format {
            Format::Tile => {
                let tile = girih_tile::parse(&code.text)?;
                girih_tile::verify(&tile)?;
                let simt = distribute(&tile, &self.desc)?;
                let instances = girih_tile::debug::instances(&tile);
                girih_simt::debug::instrument(&simt, instances).map_or(simt, |(simt, _)| simt)
            }
            _ => girih_simt::parse(&code.text)?,
        };
        girih_simt::verify::verify(&simt)?;
        self.kernels.push((code.clone(), simt));
        Ok(KernelRef(self.kernels.len() as u32 - 1))
    }

    fn unload(&mut self, _: KernelRef) {}

    fn submit(&mut self, commands: &[Command<'_>]) -> Result<()> {
        commands.iter().try_for_each(|c| match c {
            Command::Launch { kernel, args, bindings } => self.launch(*kernel, args, bindings),
            Command::Copy { from, to } => {
                let bytes = self.part(from)?.to_vec();
                self.part(to)?.copy_from_slice(&bytes);
                Ok(())
            }
        })
    }

    fn synchronize(&mut self) -> Result<()> {
        self.log.check()
    }

    fn take_prints(&mut self) -> Prints {
        self.log.take()
    }
}
