//! Warps as subgroups, where those have exactly 32 threads.
#![allow(clippy::unwrap_used, clippy::panic)]

use girih_cpu::{CpuDevice, CpuTarget};
use girih_cuda::{LaunchShape, Module, caps};
use girih_driver::Target;
use girih_emulator::{Emulator, EmulatorDevice};
use girih_lower::TargetDesc;
use girih_tests::cuda::cases;
use girih_wgpu::WgpuTarget;
use std::path::Path;

/// A device whose subgroups have 32 threads.
fn with_subgroups() -> Emulator {
    Emulator::device(TargetDesc { subgroups: true, subgroup_size: [32, 32], ..Emulator::new(32).desc().clone() })
}

#[test]
fn the_suite_gives_the_same_with_native_warps() {
    let (mut wrong, mut native) = (Vec::new(), 0);
    for case in cases(&Path::new(env!("CARGO_MANIFEST_DIR")).join("cuda/suite")).unwrap() {
        let want = case.run(&CpuTarget::new(), &mut CpuDevice::new()).unwrap();
        let target = with_subgroups();
        let module = Module::parse(&case.source, &case.file, &|_, _| None).unwrap();
        let shape = LaunchShape { dynamic_shared: case.shared, ..LaunchShape::new(case.block, 3) };
        let text = |c: girih_cuda::Caps| Some(module.compile(&case.kernel, &shape, c).ok()?.kernel.to_string());
        let own = caps(&target);
        assert!(own.native);
        native += (text(own) != text(girih_cuda::Caps { native: false, ..own })) as u32;
        match case.run(&target, &mut EmulatorDevice::new(&target)) {
            Ok(got) => wrong.extend(
                want.iter()
                    .zip(&got)
                    .find_map(|(w, g)| w.differs(g, case.close))
                    .map(|d| format!("{}: {d}", case.name())),
            ),
            Err(d) => wrong.push(format!("{}: {d}", case.name())),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(native >= 5, "{native} kernels of the suite use warps");
}

const SUM: &str = r#"
__device__ float warp_sum(float x) {
  for (int n = 16; n > 0; n /= 2) x += __shfl_xor_sync(0xffffffff, x, n);
  return x;
}
__global__ void sum(const float* x, float* out, unsigned* votes, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  float s = warp_sum(i < n ? x[i] : 0.0f);
  unsigned positive = __ballot_sync(0xffffffff, s > 0.0f);
  if (threadIdx.x % 32 == 0) {
    out[i / 32] = s;
    votes[i / 32] = positive;
  }
}
"#;

#[test]
fn a_warp_sum_in_wgsl() {
    let shape = LaunchShape::new([128, 1, 1], 1);
    let module = Module::parse(SUM, "sum.cu", &|_, _| None).unwrap();
    let compile = |target: &WgpuTarget| {
        let compiled = module.compile("sum", &shape, caps(target)).unwrap();
        target.compile_simt(&compiled.kernel).unwrap().text
    };
    // Of another width, or of none that is known, lanes exchange words through workgroup memory.
    let exchanged = compile(&WgpuTarget::webgpu());
    assert!(exchanged.contains("var<workgroup> exchange") && !exchanged.contains("subgroupShuffle"));
    assert_eq!(compile(&WgpuTarget::webgpu().with_subgroups(64)), exchanged);
    let native = compile(&WgpuTarget::webgpu().with_subgroups(32));
    assert!(!native.contains("var<workgroup>") && !native.contains("Barrier"));
    insta::assert_snapshot!(native);
}
