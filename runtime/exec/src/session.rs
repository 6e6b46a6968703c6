//! A device shared by many owners, and arrays that stay on it between runs.

use crate::debug::Prints;
use crate::device::{BufferRef, Command, Device, KernelRef, MemRef, SharedBytes};
use crate::engine::{Engine, ProgramId};
use crate::group::Weight;
use girih_base::{Bindings, Diag, Result};
use girih_plan::{KernelCode, Plan};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Memory of dropped results that is kept for the next ones, in bytes.
const MOST_IDLE: u64 = 256 << 20;

/// An engine that several owners share. Cloning copies a pointer; the device closes with the last owner.
#[derive(Clone)]
pub struct Session(Arc<Shared>);

struct Shared {
    engine: Mutex<Engine>,
    /// What was dropped since the engine was last used: dropping must not wait for it.
    dropped: Mutex<Dropped>,
    idle: Mutex<Idle>,
}

#[derive(Default)]
struct Dropped {
    results: Vec<(BufferRef, u64)>,
    adopted: Vec<BufferRef>,
    programs: Vec<ProgramId>,
    kernels: Vec<KernelRef>,
}

/// Memory of results nobody holds any more, by size in bytes.
#[derive(Default)]
struct Idle {
    buffers: BTreeMap<u64, Vec<BufferRef>>,
    bytes: u64,
}

/// Bytes on a session's device. Cloning copies a pointer; the memory is given back with the last one.
#[derive(Clone)]
pub struct Array(Arc<Owned>);

struct Owned {
    session: Session,
    buffer: BufferRef,
    bytes: u64,
    /// Host memory that the device may use in place: not to be written, and not reused.
    adopted: bool,
}

/// A plan loaded into a session; unloaded when dropped.
pub struct Program {
    session: Session,
    id: ProgramId,
}

/// A kernel loaded into a session; unloaded when dropped.
pub struct Kernel {
    session: Session,
    id: KernelRef,
    code: KernelCode,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Session {
    /// Shares a device.
    pub fn new(device: Box<dyn Device>) -> Session {
        let engine = Mutex::new(Engine::new(device, Vec::new()));
        Session(Arc::new(Shared { engine, dropped: Mutex::default(), idle: Mutex::default() }))
    }

    /// Name of the device, for people.
    pub fn name(&self) -> String {
        self.engine().device().name()
    }

    /// Whether the two share one device.
    pub fn is(&self, other: &Session) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// An array of zeroed bytes.
    pub fn zeros(&self, bytes: u64) -> Result<Array> {
        let buffer = self.engine().device().allocate(bytes.max(4))?;
        Ok(self.array(buffer, bytes, false))
    }

    /// An array with a copy of host bytes.
    pub fn upload(&self, data: &[u8]) -> Result<Array> {
        let array = Array(Arc::new(self.result(&mut self.engine(), data.len() as u64)?));
        array.write(data)?;
        Ok(array)
    }

    /// An array of host bytes that a device may use in place: it can be read by kernels, not written.
    pub fn adopt(&self, data: SharedBytes, range: Range<usize>) -> Result<Array> {
        let bytes = range.len() as u64;
        let buffer = self.engine().device().adopt(data, range)?;
        Ok(self.array(buffer, bytes, true))
    }

    /// Loads a plan with weights of its own, in port order.
    ///
    /// # Errors
    /// Those of [`Engine::load_into`].
    pub fn load(&self, plan: Plan, weights: Vec<Weight>) -> Result<Program> {
        let mut engine = self.engine();
        let group = if weights.is_empty() { Engine::FIRST } else { engine.add_group(weights) };
        let id = engine.load_into(group, plan)?;
        Ok(Program { session: self.clone(), id })
    }

    /// Loads a single kernel.
    pub fn load_kernel(&self, code: KernelCode) -> Result<Kernel> {
        let id = self.engine().device().load(&code)?;
        Ok(Kernel { session: self.clone(), id, code })
    }

    /// Waits until everything submitted is done.
    pub fn synchronize(&self) -> Result<()> {
        self.engine().device().synchronize()
    }

    /// The lines that kernels printed since the last call.
    pub fn take_prints(&self) -> Prints {
        self.engine().device().take_prints()
    }

    /// The engine, after what was dropped meanwhile is given back.
    fn engine(&self) -> MutexGuard<'_, Engine> {
        let mut engine = lock(&self.0.engine);
        let dropped = std::mem::take(&mut *lock(&self.0.dropped));
        dropped.programs.into_iter().for_each(|p| engine.unload(p));
        dropped.kernels.into_iter().for_each(|k| engine.device().unload(k));
        dropped.adopted.into_iter().for_each(|b| engine.device().free(b));
        let mut idle = lock(&self.0.idle);
        for (buffer, bytes) in dropped.results {
            if idle.bytes + bytes > MOST_IDLE {
                engine.device().free(buffer);
            } else {
                idle.bytes += bytes;
                idle.buffers.entry(bytes).or_default().push(buffer);
            }
        }
        engine
    }

    fn array(&self, buffer: BufferRef, bytes: u64, adopted: bool) -> Array {
        Array(Arc::new(Owned { session: self.clone(), buffer, bytes, adopted }))
    }

    /// Memory for a result, with whatever was there before.
    fn result(&self, engine: &mut Engine, bytes: u64) -> Result<Owned> {
        let mut idle = lock(&self.0.idle);
        let reused = idle.buffers.get_mut(&bytes).and_then(Vec::pop);
        let buffer = match reused {
            Some(buffer) => {
                idle.bytes -= bytes;
                buffer
            }
            None => engine.device().allocate(bytes.max(4))?,
        };
        Ok(Owned { session: self.clone(), buffer, bytes, adopted: false })
    }

    fn owns(&self, arrays: &[&Array]) -> Result<()> {
        if arrays.iter().all(|a| a.0.session.is(self)) {
            return Ok(());
        }
        Err(Diag::error("X011", "an array of another device").help("read it and upload it to this device first"))
    }
}

impl Array {
    /// Size in bytes.
    pub fn bytes(&self) -> u64 {
        self.0.bytes
    }

    /// The session whose device holds it.
    pub fn session(&self) -> &Session {
        &self.0.session
    }

    /// The bytes, once everything that was submitted before is done.
    pub fn read(&self) -> Result<Vec<u8>> {
        let mut data = vec![0; self.0.bytes as usize];
        self.read_into(&mut data)?;
        Ok(data)
    }

    /// Reads into host memory of the same size.
    pub fn read_into(&self, data: &mut [u8]) -> Result<()> {
        self.fits(data.len())?;
        if data.is_empty() {
            return Ok(());
        }
        self.0.session.engine().device().read(self.0.buffer, 0, data)
    }

    /// Overwrites all bytes.
    pub fn write(&self, data: &[u8]) -> Result<()> {
        self.fits(data.len())?;
        if data.is_empty() {
            return Ok(());
        }
        self.0.session.engine().device().write(self.0.buffer, 0, data)
    }

    fn fits(&self, bytes: usize) -> Result<()> {
        if bytes as u64 == self.0.bytes {
            return Ok(());
        }
        Err(Diag::error("X006", format!("{bytes} bytes for an array of {} bytes", self.0.bytes)))
    }
}

impl Program {
    /// Runs the plan on arrays, in port order; gives new arrays. Returns when the work is submitted.
    ///
    /// # Errors
    /// `X006` for another number or size of inputs, `X011` for arrays of another session, and what the device refuses.
    pub fn run(&self, inputs: &[&Array], bindings: &Bindings) -> Result<Vec<Array>> {
        self.session.owns(inputs)?;
        let mut engine = self.session.engine();
        let (wanted, sizes) = engine.port_bytes(self.id, bindings)?;
        if let Some((i, (array, want))) =
            inputs.iter().zip(&wanted).enumerate().find(|(_, (a, want))| **want > 0 && a.bytes() != **want)
        {
            return Err(Diag::error("X006", format!("input {i} has {} bytes, the plan takes {want}", array.bytes())));
        }
        let results = sizes.into_iter().map(|b| self.session.result(&mut engine, b)).collect::<Result<Vec<_>>>()?;
        let memory = |owned: &Owned| owned.buffer;
        let from: Vec<BufferRef> = inputs.iter().map(|a| memory(&a.0)).collect();
        let to: Vec<BufferRef> = results.iter().map(memory).collect();
        engine.run_on(self.id, &from, &to, bindings)?;
        Ok(results.into_iter().map(|owned| Array(Arc::new(owned))).collect())
    }
}

impl Kernel {
    /// What was loaded.
    pub fn code(&self) -> &KernelCode {
        &self.code
    }

    /// Launches the kernel over whole arrays, one for each argument. Returns when the work is submitted.
    ///
    /// # Errors
    /// `X006` for another number of arguments or an array that is only read, `X011` for arrays of another session, and
    /// what the device refuses.
    pub fn launch(&self, args: &[&Array], bindings: &Bindings) -> Result<()> {
        self.session.owns(args)?;
        if args.len() != self.code.args.len() {
            let (name, want) = (&self.code.name, self.code.args.len());
            return Err(Diag::error("X006", format!("kernel `{name}` takes {want} arrays, got {}", args.len())));
        }
        if let Some(i) = args.iter().zip(&self.code.args).position(|(a, used)| used.written && a.0.adopted) {
            let name = &self.code.name;
            return Err(Diag::error("X006", format!("kernel `{name}` writes argument {i}, which is only to be read"))
                .help("upload a copy of it"));
        }
        let range = |a: &&Array| MemRef { buffer: a.0.buffer, offset: 0, bytes: a.0.bytes };
        let args: Vec<MemRef> = args.iter().map(range).collect();
        let command = Command::Launch { kernel: self.id, args: &args, bindings };
        self.session.engine().device().submit(&[command])
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        let mut dropped = lock(&self.session.0.dropped);
        match self.adopted {
            true => dropped.adopted.push(self.buffer),
            false => dropped.results.push((self.buffer, self.bytes)),
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        lock(&self.session.0.dropped).programs.push(self.id);
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        lock(&self.session.0.dropped).kernels.push(self.id);
    }
}
