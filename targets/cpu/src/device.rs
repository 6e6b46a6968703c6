//! The CPU as a device.

use crate::debug::Debug;
use crate::exec::Worker;
use crate::exec::report::Reports;
use crate::memory::{ALIGNMENT, Aligned, Buffer, Mem};
use crate::pool::Pool;
use crate::program::Program;
use crate::simd::isa::{ISA_VARIABLE, Isa};
use crate::simt::{SimtProgram, SimtWorker};
use crate::{compile, launch, simt};
use girih_base::{Diag, Result};
use girih_exec::{BufferRef, Command, Device, DeviceId, KernelRef, MemRef, Prints, SharedBytes};
use girih_plan::{Format, KernelCode};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Mutex;

/// Identity of the target whose plans this device runs.
pub const TARGET: &str = "cpu";

/// Names how many neighbouring instances of a kernel run together wherever they can, instead of a number that follows from the
/// size of tiles; 1 for none. For tests: results may only differ in rounding.
pub const GROUP_VARIABLE: &str = "GIRIH_CPU_GROUP";

/// Runs Tile IR and SIMT IR kernels on the processor, in host memory.
pub struct CpuDevice {
    id: DeviceId,
    buffers: Vec<Option<Buffer>>,
    kernels: BTreeMap<KernelRef, Loaded>,
    /// The code of kernels that print or assert.
    speaking: BTreeMap<KernelRef, KernelCode>,
    debug: Debug,
    /// Number of kernels loaded so far: one that was given back is never taken for a later one.
    loaded: u32,
    pool: Pool,
    workers: Vec<Mutex<Worker>>,
    simt_workers: Vec<Mutex<SimtWorker>>,
    /// The instruction set of its loops, or why there is none.
    isa: Result<Isa>,
    /// How many instances of a kernel run together; by the size of tiles if none.
    group: Option<u32>,
}

/// A kernel of either level.
enum Loaded {
    Tile(Program),
    Simt(SimtProgram),
}

impl Default for CpuDevice {
    fn default() -> CpuDevice {
        CpuDevice::new()
    }
}

impl CpuDevice {
    /// A device that uses every processor the process may run on.
    pub fn new() -> CpuDevice {
        CpuDevice::with_threads(default_threads())
    }

    /// A device that uses this many threads (at least one). Results do not depend on the number.
    ///
    /// `GIRIH_CPU_ISA` chooses its instruction set; where it names none that this machine has, loading a kernel and
    /// allocating memory are refused (`X010`).
    pub fn with_threads(threads: usize) -> CpuDevice {
        CpuDevice::make(threads, Isa::chosen())
    }

    /// A device of this many threads whose loops use this instruction set.
    ///
    /// # Errors
    /// `X010` when this machine lacks it.
    pub fn with_isa(threads: usize, isa: Isa) -> Result<CpuDevice> {
        Ok(CpuDevice::make(threads, Ok(isa.check()?)))
    }

    fn make(threads: usize, isa: Result<Isa>) -> CpuDevice {
        let pool = Pool::new(threads.max(1));
        let workers = (0..pool.threads()).map(|_| Mutex::default()).collect();
        let simt_workers = (0..pool.threads()).map(|_| Mutex::default()).collect();
        CpuDevice {
            id: DeviceId::next(),
            buffers: Vec::new(),
            kernels: BTreeMap::new(),
            speaking: BTreeMap::new(),
            debug: Debug::default(),
            loaded: 0,
            pool,
            workers,
            simt_workers,
            isa,
            group: grouping(),
        }
    }

    /// The device with this many neighbouring instances of a kernel running together wherever they can; 1 for none. Without it,
    /// the number follows from the size of tiles. Counts for kernels loaded from now on.
    pub fn with_group(mut self, instances: u32) -> CpuDevice {
        self.group = Some(instances);
        self
    }

    fn insert(&mut self, buffer: Buffer) -> BufferRef {
        let free = self.buffers.iter().position(Option::is_none);
        let at = free.unwrap_or(self.buffers.len());
        if at == self.buffers.len() {
            self.buffers.push(None);
        }
        self.buffers[at] = Some(buffer);
        BufferRef(at as u32)
    }

    fn buffer(&mut self, buffer: BufferRef) -> Result<Mem> {
        match self.buffers.get_mut(buffer.0 as usize) {
            Some(Some(b)) => Ok(b.mem()),
            _ => {
                Err(Diag::error("X104", format!("no buffer {}", buffer.0)).note("it was never allocated, or was freed"))
            }
        }
    }

    /// A range of a buffer to the end of its last word, as SIMT kernels see it: there narrow elements come in words. (What we
    /// allocate has whole words, and ranges of it start at [`ALIGNMENT`].)
    fn words(&mut self, m: &MemRef) -> Result<Mem> {
        let mem = self.range(m.buffer, m.offset, m.bytes)?;
        let whole = mem.bytes.next_multiple_of(4);
        match self.buffers.get(m.buffer.0 as usize) {
            Some(Some(Buffer::Owned { memory, .. })) if m.offset as usize + whole <= memory.len() => {
                Ok(Mem { bytes: whole, ..mem })
            }
            _ => Ok(mem),
        }
    }

    /// A range of a buffer, checked.
    fn range(&mut self, buffer: BufferRef, offset: u64, bytes: u64) -> Result<Mem> {
        let mem = self.buffer(buffer)?;
        if offset.checked_add(bytes).is_none_or(|end| end > mem.bytes as u64) {
            let have = mem.bytes;
            return Err(Diag::error("X104", format!("bytes {offset}.. ({bytes} of them) of a buffer of {have} bytes")));
        }
        Ok(Mem { ptr: mem.ptr.wrapping_add(offset as usize), bytes: bytes as usize, writable: mem.writable })
    }
}

/// Instruction set and number of threads, for the list of devices: `AVX-512, 2 threads`, or
/// `AVX2 + FMA by GIRIH_CPU_ISA, 2 threads`.
///
/// # Errors
/// `X010` when `GIRIH_CPU_ISA` names no instruction set of this machine.
pub fn describe() -> Result<String> {
    Ok(words(Isa::chosen()?, default_threads()))
}

fn words(isa: Isa, threads: usize) -> String {
    let by = if std::env::var_os(ISA_VARIABLE).is_some() { format!(" by {ISA_VARIABLE}") } else { String::new() };
    format!("{}{by}, {threads} {}", isa.name(), if threads == 1 { "thread" } else { "threads" })
}

pub(crate) fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// What [`GROUP_VARIABLE`] says.
fn grouping() -> Option<u32> {
    std::env::var(GROUP_VARIABLE).ok()?.parse().ok()
}

fn read_only() -> Box<Diag> {
    Diag::error("X104", "this buffer is read-only: it shares its memory with whoever provided it")
}

impl Device for CpuDevice {
    fn id(&self) -> DeviceId {
        self.id
    }

    fn name(&self) -> String {
        let isa = self.isa.as_ref().map_or(Isa::Baseline, |isa| *isa);
        format!("CPU ({})", words(isa, self.pool.threads()))
    }

    fn target(&self) -> String {
        TARGET.into()
    }

    fn alignment(&self) -> u64 {
        ALIGNMENT as u64
    }

    fn allocate(&mut self, bytes: u64) -> Result<BufferRef> {
        self.isa.clone()?;
        let bytes = usize::try_from(bytes).map_err(|_| Diag::error("X101", format!("{bytes} bytes are too many")))?;
        let memory = Aligned::zeroed(bytes)?;
        Ok(self.insert(Buffer::Owned { memory, bytes }))
    }

    fn adopt(&mut self, data: SharedBytes, range: Range<usize>) -> Result<BufferRef> {
        let all = (*data).as_ref();
        let Some(part) = all.get(range.clone()) else {
            return Err(Diag::error("X104", format!("bytes {range:?} of {} bytes", all.len())));
        };
        // Elements are read in place, so they must be aligned for the widest dtype.
        if (part.as_ptr() as usize).is_multiple_of(8) {
            return Ok(self.insert(Buffer::Shared { data, range }));
        }
        let buffer = self.allocate(part.len() as u64)?;
        self.write(buffer, 0, part)?;
        Ok(buffer)
    }

    fn free(&mut self, buffer: BufferRef) {
        if let Some(slot) = self.buffers.get_mut(buffer.0 as usize) {
            *slot = None;
        }
    }

    fn write(&mut self, buffer: BufferRef, offset: u64, data: &[u8]) -> Result<()> {
        let mem = self.range(buffer, offset, data.len() as u64)?;
        if !mem.writable {
            return Err(read_only());
        }
        // SAFETY: the range was checked, and `data` is borrowed from outside the device.
        unsafe { std::ptr::copy_nonoverlapping(data.as_ptr(), mem.ptr, data.len()) };
        Ok(())
    }

    fn read(&mut self, buffer: BufferRef, offset: u64, data: &mut [u8]) -> Result<()> {
        self.debug.log.check()?;
        let mem = self.range(buffer, offset, data.len() as u64)?;
        // SAFETY: the range was checked, and `data` is borrowed from outside the device.
        unsafe { std::ptr::copy_nonoverlapping(mem.ptr, data.as_mut_ptr(), data.len()) };
        Ok(())
    }

    fn load(&mut self, code: &KernelCode) -> Result<KernelRef> {
        self.isa.clone()?;
        let kernel = match code.format {
            Format::Tile => Loaded::Tile(compile::compile(&girih_tile::parse(&code.text)?, self.group)?),
            Format::Simt => Loaded::Simt(simt::compile(&girih_simt::parse(&code.text)?)?),
            Format::Wgsl => {
                return Err(Diag::error("X104", format!("kernel `{}` is a shader", code.name))
                    .note("the plan was compiled for another target")
                    .help("compile the graph again for the cpu target"));
            }
        };
        let id = KernelRef(self.loaded);
        self.loaded += 1;
        self.kernels.insert(id, kernel);
        if code.debug.is_some() {
            self.speaking.insert(id, code.clone());
        }
        Ok(id)
    }

    fn unload(&mut self, kernel: KernelRef) {
        self.kernels.remove(&kernel);
        self.speaking.remove(&kernel);
    }

    fn submit(&mut self, commands: &[Command<'_>]) -> Result<()> {
        let isa = self.isa.clone()?;
        for command in commands {
            match command {
                Command::Launch { kernel, args, bindings } => {
                    let simt = matches!(self.kernels.get(kernel), Some(Loaded::Simt(_)));
                    let range = |m: &MemRef| match simt {
                        true => self.words(m),
                        false => self.range(m.buffer, m.offset, m.bytes),
                    };
                    let mut args = args.iter().map(range).collect::<Result<Vec<_>>>()?;
                    let (pool, debug) = (&mut self.pool, &mut self.debug);
                    let code = self.speaking.get(kernel);
                    let speaks = code.and_then(|c| Some((c, c.debug.as_ref()?)));
                    // What was printed before a launch went wrong is told, too.
                    match self.kernels.get(kernel) {
                        Some(Loaded::Tile(p)) => {
                            let reports = Reports::default();
                            let done = launch::launch(p, args, bindings, pool, &self.workers, isa, &reports);
                            if let Some((code, info)) = speaks {
                                debug.reported(code, info, &reports.take(), bindings);
                            }
                            done?;
                        }
                        Some(Loaded::Simt(p)) => {
                            if let Some((_, info)) = speaks {
                                args.push(debug.prepare(info)?);
                            }
                            let done = simt::launch(p, args, bindings, pool, &self.simt_workers, isa);
                            if let Some((code, info)) = speaks {
                                debug.collect(code, info, bindings);
                            }
                            done?;
                        }
                        None => return Err(Diag::error("X104", format!("no kernel {}", kernel.0))),
                    }
                }
                Command::Copy { from, to } => self.copy(from, to)?,
            }
        }
        Ok(())
    }

    fn synchronize(&mut self) -> Result<()> {
        self.debug.log.check()
    }

    fn take_prints(&mut self) -> Prints {
        self.debug.log.take()
    }
}

impl CpuDevice {
    fn copy(&mut self, from: &MemRef, to: &MemRef) -> Result<()> {
        let (src, dst) =
            (self.range(from.buffer, from.offset, from.bytes)?, self.range(to.buffer, to.offset, to.bytes)?);
        if src.bytes != dst.bytes {
            return Err(Diag::error("X104", format!("a copy of {} bytes to {}", src.bytes, dst.bytes)));
        }
        if !dst.writable {
            return Err(read_only());
        }
        // SAFETY: both ranges were checked; `copy` allows overlap.
        unsafe { std::ptr::copy(src.ptr, dst.ptr, src.bytes) };
        Ok(())
    }
}
