//! The SIMT kernels that graphs become for GPUs, run on the CPU.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

use girih_base::{DType, Result};
use girih_cpu::{CpuDevice, CpuTarget};
use girih_driver::Target;
use girih_exec::{BufferRef, Command, Device, DeviceId, KernelRef, MemRef, SharedBytes};
use girih_graph::testing::Config;
use girih_lower::{TargetDesc, distribute};
use girih_plan::KernelCode;
use girih_tests::Rig;
use girih_tests::fuzz::{fuzz, setting};
use std::ops::Range;

/// Distributes tile kernels over threads, then lets the CPU run them.
struct Distributed {
    cpu: CpuTarget,
    desc: TargetDesc,
}

impl Target for Distributed {
    fn desc(&self) -> &TargetDesc {
        &self.desc
    }

    fn identity(&self) -> String {
        self.cpu.identity()
    }

    fn compile(&self, kernel: &girih_tile::Kernel) -> Result<KernelCode> {
        self.compile_simt(&distribute(kernel, &self.desc)?)
    }

    fn compile_simt(&self, kernel: &girih_simt::Kernel) -> Result<KernelCode> {
        self.cpu.compile_simt(kernel)
    }
}

/// The CPU device with memory in units of 16 bytes: GPUs round buffers up, and kernels that graphs become look at what lies
/// behind the last element (and then do without it). The CPU itself lets SIMT kernels see whole words only.
struct Padded(CpuDevice);

fn padded(bytes: u64) -> u64 {
    bytes.next_multiple_of(16).max(16)
}

impl Device for Padded {
    fn id(&self) -> DeviceId {
        self.0.id()
    }

    fn name(&self) -> String {
        self.0.name()
    }

    fn target(&self) -> String {
        self.0.target()
    }

    fn alignment(&self) -> u64 {
        self.0.alignment()
    }

    fn allocate(&mut self, bytes: u64) -> Result<BufferRef> {
        self.0.allocate(padded(bytes))
    }

    fn adopt(&mut self, data: SharedBytes, range: Range<usize>) -> Result<BufferRef> {
        let buffer = self.allocate(range.len() as u64)?;
        self.0.write(buffer, 0, &(*data).as_ref()[range])?;
        Ok(buffer)
    }

    fn free(&mut self, buffer: BufferRef) {
        self.0.free(buffer);
    }

    fn write(&mut self, buffer: BufferRef, offset: u64, data: &[u8]) -> Result<()> {
        self.0.write(buffer, offset, data)
    }

    fn read(&mut self, buffer: BufferRef, offset: u64, data: &mut [u8]) -> Result<()> {
        self.0.read(buffer, offset, data)
    }

    fn load(&mut self, code: &KernelCode) -> Result<KernelRef> {
        self.0.load(code)
    }

    fn unload(&mut self, kernel: KernelRef) {
        self.0.unload(kernel);
    }

    fn submit(&mut self, commands: &[Command<'_>]) -> Result<()> {
        for command in commands {
            match command {
                Command::Launch { kernel, args, bindings } => {
                    let args: Vec<MemRef> = args.iter().map(|m| MemRef { bytes: padded(m.bytes), ..*m }).collect();
                    self.0.submit(&[Command::Launch { kernel: *kernel, args: &args, bindings }])?;
                }
                copy => self.0.submit(std::slice::from_ref(copy))?,
            }
        }
        Ok(())
    }

    fn synchronize(&mut self) -> Result<()> {
        self.0.synchronize()
    }
}

fn rig(desc: TargetDesc) -> Rig {
    Rig {
        name: "simt on cpu",
        target: Box::new(Distributed { cpu: CpuTarget::new(), desc }),
        device: Box::new(|| Box::new(Padded(CpuDevice::new()))),
    }
}

fn check(desc: TargetDesc, dtypes: &[DType]) {
    let config = Config { nodes: 8, max_elements: 512, dtypes: dtypes.to_vec(), ..Config::default() };
    let (first, count) = (setting("GIRIH_FUZZ_FIRST", 0), setting("GIRIH_FUZZ_GRAPHS", 300));
    // Refused by name: dtypes the described GPU lacks, and tiles that need more workgroup memory than there is.
    let report = fuzz(&rig(desc), &config, first, count, |d| matches!(d.code, "L202" | "L203" | "L206"));
    println!("{}", report.text());
    assert!(report.wrong.is_empty(), "{}", report.text());
    assert!(report.compared as u64 * 10 > count * 9, "{}", report.text());
}

#[test]
fn random_graphs() {
    use DType::*;
    check(TargetDesc::webgpu(), &[Bool, I8, U8, I16, U16, I32, U32, F16, Bf16, F32]);
}

#[test]
fn random_graphs_with_subgroups() {
    use DType::*;
    let desc = TargetDesc { threads: 128, subgroups: true, subgroup_size: [32, 32], ..TargetDesc::webgpu() };
    check(desc, &[Bool, I32, U32, F16, F32, F32]);
}

#[test]
fn random_graphs_of_wide_numbers() {
    use DType::*;
    let webgpu = TargetDesc::webgpu();
    let native = webgpu.native.iter().copied().chain([I64, U64, F64]).collect();
    check(TargetDesc { native, ..webgpu }, &[Bool, I32, I64, U64, F32, F64]);
}
