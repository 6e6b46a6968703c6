//! The checker as a device: kernels of every door run in the emulator of SIMT IR, which stops at the first access that is wrong.
//!
//! An [`Emulator`] compiles and an [`EmulatorDevice`] runs, like any other target; what they find are the errors `S101` (out of
//! bounds), `S102` (a data race), `S103` (a read of what nobody wrote), `S104` (a barrier that not every thread reaches), `S107` (a
//! failed assertion), `S108` (a misaligned access), `S109` (an index that wrapped around) and `S110` (a subgroup operation that
//! counts on lanes which take no part), with the positions of both sides.
//!
//! ```
//! use girih_base::Bindings;
//! use girih_driver::Target;
//! use girih_emulator::{Emulator, EmulatorDevice};
//! use girih_exec::{Command, Device, MemRef};
//!
//! let text = "kernel @k workgroup [4, 1, 1] groups 1 {\n  buffer x: u32 written\n  %0 = 0 : u32\n  %1 = local_index : u32\n  store x[%0] = %1\n}\n";
//! let emulator = Emulator::new(32);
//! let mut device = EmulatorDevice::new(&emulator);
//! let kernel = device.load(&emulator.compile_simt(&girih_simt::parse(text)?)?)?;
//! let x = MemRef { buffer: device.allocate(16)?, offset: 0, bytes: 16 };
//! let launch = Command::Launch { kernel, args: &[x], bindings: &Bindings::new() };
//! assert_eq!(device.submit(&[launch]).unwrap_err().code, "S102");
//! # Ok::<(), Box<girih_base::Diag>>(())
//! ```
//!
//! Results that differ with the width of the hardware's subgroups show by running with several: see [`SUBGROUPS`],
//! [`first_difference`] and [`differs`].
#![forbid(unsafe_code)]

mod compare;
mod device;
mod target;

pub use compare::{SUBGROUPS, differs, first_difference};
pub use device::{EmulatorDevice, Exchanges};
pub use target::{Emulator, IDENTITY};
