//! The SIMT kernels of a GPU, run by the emulator: out-of-bounds accesses, races and divergent barriers are errors.

use crate::Rig;
use girih_base::DType;
use girih_emulator::{Emulator, EmulatorDevice};
use girih_lower::TargetDesc;

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
    let mut desc = TargetDesc::webgpu();
    desc.native.extend([DType::I64, DType::U64, DType::F64]);
    emulate_on(desc)
}

fn emulate_on(desc: TargetDesc) -> Rig {
    let target = Emulator::device(desc);
    let own = target.clone();
    Rig { name: "emulated", target: Box::new(target), device: Box::new(move || Box::new(EmulatorDevice::new(&own))) }
}
