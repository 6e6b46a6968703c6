//! The device's half: memory that knows whether anybody wrote it, and launches in the emulator.

use crate::target::Emulator;
use girih_base::{Bindings, DType, Diag, Loc, Result};
use girih_exec::debug::DEBUG_BYTES;
use girih_exec::{BufferRef, Command, DebugLog, Device, DeviceId, KernelRef, MemRef, Printed, Prints, SharedBytes};
use girih_lower::distribute;
use girih_plan::{Format, KernelCode};
use girih_simt::emulate;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// Memory and kernels of the checker, or of an emulated device.
pub struct EmulatorDevice {
    id: DeviceId,
    target: Emulator,
    kernels: Vec<Option<Loaded>>,
    buffers: Vec<Buffer>,
    prints: Prints,
    /// What kernels wrote into their debug buffers.
    log: DebugLog,
    launches: u64,
    exchanges: Exchanges,
}

/// Where launches had operations across subgroups, each with a hash of its results; shared with the device that notes them.
pub type Exchanges = Arc<Mutex<Vec<(Loc, u64)>>>;

struct Loaded {
    code: KernelCode,
    simt: girih_simt::Kernel,
    /// Buffers whose elements are whole words, so that reading one says nothing about its neighbours.
    whole: u64,
}

#[derive(Default)]
struct Buffer {
    bytes: Vec<u8>,
    /// Somebody put something there.
    written: bool,
}

fn wrong(what: impl Into<String>) -> Box<Diag> {
    Diag::error("S111", what)
}

fn bits(flags: impl Iterator<Item = bool>) -> u64 {
    flags.take(64).enumerate().fold(0, |all, (i, set)| all | (set as u64) << i)
}

impl EmulatorDevice {
    /// A device for what this target compiles.
    pub fn new(target: &Emulator) -> EmulatorDevice {
        EmulatorDevice {
            id: DeviceId::next(),
            target: target.clone(),
            kernels: Vec::new(),
            buffers: Vec::new(),
            prints: Prints::default(),
            log: DebugLog::default(),
            launches: 0,
            exchanges: Exchanges::default(),
        }
    }

    /// What operations across subgroups give in the launches to come; see [`crate::differs`].
    pub fn exchanges(&self) -> Exchanges {
        self.exchanges.clone()
    }

    fn bytes(&mut self, buffer: BufferRef, at: Range<usize>) -> Result<&mut [u8]> {
        let refuse = || wrong(format!("bytes {at:?} are outside of buffer {}", buffer.0));
        let found = self.buffers.get_mut(buffer.0 as usize);
        found.and_then(|b| b.bytes.get_mut(at.clone())).ok_or_else(refuse)
    }

    fn part(&mut self, m: &MemRef) -> Result<&mut [u8]> {
        self.bytes(m.buffer, m.offset as usize..(m.offset + m.bytes) as usize)
    }

    fn launch(&mut self, kernel: KernelRef, args: &[MemRef], bindings: &Bindings) -> Result<()> {
        let kernel = kernel.0 as usize;
        // Taken out, so that memory can be reached beside it.
        let loaded = self.kernels.get_mut(kernel).and_then(Option::take).ok_or_else(|| wrong("no such kernel"))?;
        let done = self.run(&loaded, args, bindings);
        self.kernels[kernel] = Some(loaded);
        done
    }

    fn run(&mut self, Loaded { code, simt, whole }: &Loaded, args: &[MemRef], bindings: &Bindings) -> Result<()> {
        let mut memory = Vec::new();
        for (m, b) in args.iter().zip(&simt.buffers) {
            let mut bytes = self.part(m)?.to_vec();
            // Narrow elements come in words, the last of which may have room.
            let element = (b.elem.dtype.bits().max(32) / 8) as usize * b.elem.lanes as usize;
            // Devices bind no empty buffers; what lies behind the data there is nobody's.
            let (unit, least, fill) = if self.target.device { (16, 16, 0xa5) } else { (element, 0, 0) };
            bytes.resize(bytes.len().next_multiple_of(unit).max(least), fill);
            memory.push(bytes);
        }
        if let Some(info) = &code.debug {
            let header = DebugLog::header(info, DEBUG_BYTES);
            let mut bytes: Vec<u8> = header.iter().flat_map(|w| w.to_le_bytes()).collect();
            bytes.resize(DEBUG_BYTES as usize, 0);
            memory.push(bytes);
        }
        let checks = !self.target.device;
        let fresh = bits(args.iter().map(|m| self.buffers.get(m.buffer.0 as usize).is_some_and(|b| !b.written)));
        let subgroup = self.target.desc.subgroup_size[0];
        let unwritten = if checks { fresh & whole } else { 0 };
        let options = emulate::Options { subgroup, unwritten, strict: checks, ..emulate::Options::default() };
        let (mut lines, launch, kernel) = (Vec::new(), self.launches, Arc::<str>::from(simt.name.as_str()));
        self.launches += 1;
        let mut print = |line: emulate::Line<'_>| {
            let order = if line.keys.is_empty() { vec![line.thread] } else { line.keys.to_vec() };
            let (group, thread) = (line.group, if line.keys.is_empty() { line.thread } else { 0 });
            let (text, kernel, loc) = (line.text.to_string(), kernel.clone(), line.loc.clone());
            lines.push((group, order, Printed { text, kernel, launch, group, thread, loc }));
        };
        let traced = emulate::run_tracing(simt, &mut memory, bindings, options, &mut print);
        // As every device orders them; those before an error, too.
        lines.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        self.prints.lines.extend(lines.into_iter().map(|(.., line)| line));
        let trace = traced?;
        if let Some(info) = &code.debug {
            let raw = memory.pop().unwrap_or_default();
            let words: Vec<u32> = raw.chunks_exact(4).map(|w| u32::from_le_bytes([w[0], w[1], w[2], w[3]])).collect();
            self.log.collect(code, &words[..DebugLog::used(info, &words)], bindings);
        }
        self.exchanges.lock().unwrap_or_else(PoisonError::into_inner).extend(trace.exchanges);
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

impl Device for EmulatorDevice {
    fn id(&self) -> DeviceId {
        self.id
    }

    fn name(&self) -> String {
        self.target.name().into()
    }

    fn target(&self) -> String {
        self.target.name().into()
    }

    fn alignment(&self) -> u64 {
        256
    }

    fn allocate(&mut self, bytes: u64) -> Result<BufferRef> {
        let bytes = usize::try_from(bytes).ok().and_then(|n| {
            let mut all = Vec::new();
            all.try_reserve_exact(n).ok()?;
            all.resize(n, 0);
            Some(all)
        });
        let bytes = bytes.ok_or_else(|| wrong("there is not as much memory"))?;
        self.buffers.push(Buffer { bytes, written: false });
        Ok(BufferRef(self.buffers.len() as u32 - 1))
    }

    fn adopt(&mut self, data: SharedBytes, range: Range<usize>) -> Result<BufferRef> {
        let bytes = (*data).as_ref().get(range).ok_or_else(|| wrong("adopted bytes are missing"))?;
        self.buffers.push(Buffer { bytes: bytes.to_vec(), written: true });
        Ok(BufferRef(self.buffers.len() as u32 - 1))
    }

    fn free(&mut self, buffer: BufferRef) {
        if let Some(b) = self.buffers.get_mut(buffer.0 as usize) {
            *b = Buffer::default();
        }
    }

    fn write(&mut self, buffer: BufferRef, offset: u64, data: &[u8]) -> Result<()> {
        let at = offset as usize..(offset as usize).saturating_add(data.len());
        self.bytes(buffer, at)?.copy_from_slice(data);
        self.buffers[buffer.0 as usize].written = true;
        Ok(())
    }

    fn read(&mut self, buffer: BufferRef, offset: u64, data: &mut [u8]) -> Result<()> {
        let at = offset as usize..(offset as usize).saturating_add(data.len());
        data.copy_from_slice(self.bytes(buffer, at)?);
        Ok(())
    }

    fn load(&mut self, code: &KernelCode) -> Result<KernelRef> {
        let (simt, whole) = match code.format {
            Format::Tile => {
                let tile = girih_tile::parse(&code.text)?;
                girih_tile::verify(&tile)?;
                let simt = distribute(&tile, &self.target.desc)?;
                let instances = girih_tile::debug::instances(&tile);
                let instrumented = code.debug.as_ref().and_then(|_| girih_simt::debug::instrument(&simt, instances));
                (instrumented.map_or(simt, |(simt, _)| simt), bits(tile.params.iter().map(|p| p.dtype.bits() >= 32)))
            }
            Format::Simt => {
                let simt = girih_simt::parse(&code.text)?;
                // Words of u32 may hold several narrow elements.
                let whole = bits(simt.buffers.iter().map(|b| b.elem.dtype != DType::U32));
                (simt, whole)
            }
            Format::Wgsl => return Err(wrong("a kernel of another compiler")),
        };
        girih_simt::verify::verify(&simt)?;
        self.kernels.push(Some(Loaded { code: code.clone(), simt, whole }));
        Ok(KernelRef(self.kernels.len() as u32 - 1))
    }

    fn unload(&mut self, kernel: KernelRef) {
        if let Some(loaded) = self.kernels.get_mut(kernel.0 as usize) {
            *loaded = None;
        }
    }

    fn submit(&mut self, commands: &[Command<'_>]) -> Result<()> {
        commands.iter().try_for_each(|c| match c {
            Command::Launch { kernel, args, bindings } => self.launch(*kernel, args, bindings),
            Command::Copy { from, to } => {
                let (bytes, written) = (self.part(from)?.to_vec(), self.buffers[from.buffer.0 as usize].written);
                self.part(to)?.copy_from_slice(&bytes);
                self.buffers[to.buffer.0 as usize].written |= written;
                Ok(())
            }
        })
    }

    fn synchronize(&mut self) -> Result<()> {
        self.log.check()
    }

    fn take_prints(&mut self) -> Prints {
        if self.target.device { self.log.take() } else { std::mem::take(&mut self.prints) }
    }
}
