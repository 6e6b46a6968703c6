//! The device of `--check`: kernels run in the emulator, which stops at the first access that is wrong.

use girih_base::{Bindings, DType, Diag, Result};
use girih_driver::Target;
use girih_exec::{BufferRef, Command, Device, KernelRef, MemRef, SharedBytes};
use girih_lower::{TargetDesc, distribute};
use girih_plan::{Arg, Format, KernelCode};
use girih_simt::emulate;
use girih_tile::Access;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

const IDENTITY: &str = "checker";

/// Kernels by number: the compiler puts them here with their source positions, and the device takes them out.
type Kernels = Arc<Mutex<Vec<Loaded>>>;

#[derive(Clone)]
struct Loaded {
    simt: Arc<girih_simt::Kernel>,
    /// Buffers whose elements are whole words, so that reading one says nothing about its neighbours.
    whole: u64,
}

/// A compiler and a device that check.
pub fn rig() -> crate::rig::Rig {
    let kernels = Kernels::default();
    let mut desc = TargetDesc { max_buffers: 64, workgroup_bytes: 65536, ..TargetDesc::webgpu() };
    desc.native.extend([DType::I64, DType::U64, DType::F64]);
    let target = Checker { desc, kernels: kernels.clone() };
    crate::rig::Rig { target: Box::new(target), device: Box::new(Machine { kernels, buffers: Vec::new() }) }
}

struct Checker {
    desc: TargetDesc,
    kernels: Kernels,
}

impl Checker {
    fn keep(&self, simt: girih_simt::Kernel, whole: u64, args: Vec<Arg>) -> Result<KernelCode> {
        girih_simt::verify::verify(&simt)?;
        let mut kernels = self.kernels.lock().unwrap_or_else(PoisonError::into_inner);
        let code = KernelCode {
            name: simt.name.clone(),
            format: Format::Simt,
            text: kernels.len().to_string().into(),
            args,
            uniforms: simt.uniforms.clone(),
            grid: vec![simt.groups.clone()],
            flops: 0.into(),
            traffic: 0.into(),
        };
        kernels.push(Loaded { simt: Arc::new(simt), whole });
        Ok(code)
    }
}

impl Target for Checker {
    fn desc(&self) -> &TargetDesc {
        &self.desc
    }

    fn identity(&self) -> String {
        IDENTITY.into()
    }

    fn compile(&self, kernel: &girih_tile::Kernel) -> Result<KernelCode> {
        let args = kernel.params.iter().map(|p| Arg { written: p.access != Access::Read, read_only: p.constant });
        let whole = bits(kernel.params.iter().map(|p| p.dtype.bits() >= 32));
        self.keep(distribute(kernel, &self.desc)?, whole, args.collect())
    }

    fn compile_simt(&self, kernel: &girih_simt::Kernel) -> Result<KernelCode> {
        let args = kernel.buffers.iter().map(|b| Arg { written: b.written, read_only: b.read_only });
        // Words of u32 may hold several narrow elements.
        let whole = bits(kernel.buffers.iter().map(|b| b.elem.dtype != DType::U32));
        self.keep(kernel.clone(), whole, args.collect())
    }
}

fn bits(flags: impl Iterator<Item = bool>) -> u64 {
    flags.take(64).enumerate().fold(0, |all, (i, set)| all | (set as u64) << i)
}

#[derive(Default)]
struct Buffer {
    bytes: Vec<u8>,
    /// Somebody put something there.
    written: bool,
}

struct Machine {
    kernels: Kernels,
    buffers: Vec<Buffer>,
}

impl Machine {
    fn bytes(&mut self, buffer: BufferRef, at: Range<usize>) -> Result<&mut [u8]> {
        let refuse = || Diag::error("C007", format!("bytes {at:?} are outside of buffer {}", buffer.0));
        let found = self.buffers.get_mut(buffer.0 as usize);
        found.and_then(|b| b.bytes.get_mut(at.clone())).ok_or_else(refuse)
    }

    fn part(&mut self, m: &MemRef) -> Result<&mut [u8]> {
        self.bytes(m.buffer, m.offset as usize..(m.offset + m.bytes) as usize)
    }

    fn launch(&mut self, kernel: KernelRef, args: &[MemRef], bindings: &Bindings) -> Result<()> {
        let all = self.kernels.lock().unwrap_or_else(PoisonError::into_inner);
        let loaded = all.get(kernel.0 as usize).cloned();
        drop(all);
        let Loaded { simt, whole } = loaded.ok_or_else(|| Diag::error("C007", "a kernel that was not compiled"))?;
        let mut memory = Vec::new();
        for (m, b) in args.iter().zip(&simt.buffers) {
            let mut bytes = self.part(m)?.to_vec();
            // Narrow elements come in words, the last of which may have room.
            let element = (b.elem.dtype.bits().max(32) / 8) as usize * b.elem.lanes as usize;
            bytes.resize(bytes.len().next_multiple_of(element), 0);
            memory.push(bytes);
        }
        let fresh = bits(args.iter().map(|m| self.buffers.get(m.buffer.0 as usize).is_some_and(|b| !b.written)));
        let options = emulate::Options { unwritten: fresh & whole, ..emulate::Options::default() };
        emulate::run_printing(&simt, &mut memory, bindings, options, &mut |line| crate::output::note(line))?;
        for ((m, bytes), b) in args.iter().zip(memory).zip(&simt.buffers) {
            if b.written {
                let n = m.bytes as usize;
                self.part(m)?.copy_from_slice(&bytes[..n]);
                self.buffers[m.buffer.0 as usize].written = true;
            }
        }
        Ok(())
    }
}

impl Device for Machine {
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
        self.buffers.push(Buffer { bytes: vec![0; bytes as usize], written: false });
        Ok(BufferRef(self.buffers.len() as u32 - 1))
    }

    fn adopt(&mut self, data: SharedBytes, range: Range<usize>) -> Result<BufferRef> {
        let bytes = (*data).as_ref().get(range).ok_or_else(|| Diag::error("C007", "adopted bytes are missing"))?;
        self.buffers.push(Buffer { bytes: bytes.to_vec(), written: true });
        Ok(BufferRef(self.buffers.len() as u32 - 1))
    }

    fn free(&mut self, buffer: BufferRef) {
        if let Some(b) = self.buffers.get_mut(buffer.0 as usize) {
            *b = Buffer::default();
        }
    }

    fn write(&mut self, buffer: BufferRef, offset: u64, data: &[u8]) -> Result<()> {
        let at = offset as usize..offset as usize + data.len();
        self.bytes(buffer, at)?.copy_from_slice(data);
        self.buffers[buffer.0 as usize].written = true;
        Ok(())
    }

    fn read(&mut self, buffer: BufferRef, offset: u64, data: &mut [u8]) -> Result<()> {
        data.copy_from_slice(self.bytes(buffer, offset as usize..offset as usize + data.len())?);
        Ok(())
    }

    fn load(&mut self, code: &KernelCode) -> Result<KernelRef> {
        let number = code.text.parse().map_err(|_| Diag::error("C007", "a kernel of another compiler"))?;
        Ok(KernelRef(number))
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
        Ok(())
    }
}
