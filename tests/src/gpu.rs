//! Whatever adapter wgpu finds (a software one counts).

use crate::Rig;
use girih_exec::Device;
use girih_wgpu::{Options, WgpuDevice};

/// The GPU as a rig; nothing where there is no adapter, unless `GIRIH_REQUIRE_WGPU=1` demands one.
///
/// # Panics
/// When an adapter is demanded and missing, or vanishes between two graphs.
pub fn gpu() -> Option<Rig> {
    gpu_with(Options::default())
}

/// [`gpu`], opened in some way.
///
/// # Panics
/// As [`gpu`].
#[allow(clippy::panic, reason = "a test without the device it was asked to use has failed")]
pub fn gpu_with(options: Options) -> Option<Rig> {
    let open = move || WgpuDevice::open(None, options.clone());
    match open() {
        Ok(device) => Some(Rig {
            name: "wgpu",
            target: Box::new(device.compiler()),
            device: Box::new(move || match open() {
                Ok(device) => Box::new(device) as Box<dyn Device>,
                Err(why) => panic!("the adapter is gone: {why}"),
            }),
        }),
        Err(why) if std::env::var("GIRIH_REQUIRE_WGPU").is_ok_and(|v| v == "1") => panic!("{why}"),
        Err(_) => None,
    }
}
