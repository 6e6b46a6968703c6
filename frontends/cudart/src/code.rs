//! `cudaError_t`: numbers, names and descriptions of the errors that this library gives.

use girih_base::Diag;

/// An error as the CUDA runtime numbers it; 0 is success.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Code(pub i32);

macro_rules! codes {
    ($($constant:ident = $number:literal, $name:literal, $text:literal;)*) => {
        impl Code {
            $(#[doc = $text] pub const $constant: Code = Code($number);)*

            /// Number, name and description, each ending in a zero byte.
            pub const TABLE: &[(i32, &str, &str)] = &[$(($number, concat!($name, "\0"), concat!($text, "\0")),)*];
        }
    };
}

codes! {
    SUCCESS = 0, "cudaSuccess", "no error";
    INVALID_VALUE = 1, "cudaErrorInvalidValue", "invalid argument";
    MEMORY_ALLOCATION = 2, "cudaErrorMemoryAllocation", "out of memory";
    INITIALIZATION = 3, "cudaErrorInitializationError", "initialization error";
    INVALID_CONFIGURATION = 9, "cudaErrorInvalidConfiguration", "invalid configuration argument";
    INVALID_SYMBOL = 13, "cudaErrorInvalidSymbol", "invalid device symbol";
    INVALID_DEVICE_POINTER = 17, "cudaErrorInvalidDevicePointer", "invalid device pointer";
    INVALID_MEMCPY_DIRECTION = 21, "cudaErrorInvalidMemcpyDirection", "invalid copy direction for memcpy";
    INVALID_DEVICE_FUNCTION = 98, "cudaErrorInvalidDeviceFunction", "invalid device function";
    NO_DEVICE = 100, "cudaErrorNoDevice", "no device was found";
    INVALID_DEVICE = 101, "cudaErrorInvalidDevice", "invalid device ordinal";
    INVALID_KERNEL_IMAGE = 200, "cudaErrorInvalidKernelImage", "device kernel image is invalid";
    INVALID_HANDLE = 400, "cudaErrorInvalidResourceHandle", "invalid resource handle";
    NOT_READY = 600, "cudaErrorNotReady", "device not ready";
    ILLEGAL_ADDRESS = 700, "cudaErrorIllegalAddress", "an illegal memory access was encountered";
    PEER_ACCESS_UNSUPPORTED = 217, "cudaErrorPeerAccessUnsupported", "peer access is not supported between these two devices";
    ASSERT = 710, "cudaErrorAssert", "device-side assert triggered";
    MISALIGNED_ADDRESS = 716, "cudaErrorMisalignedAddress", "misaligned address";
    LAUNCH_FAILURE = 719, "cudaErrorLaunchFailure", "unspecified launch failure";
    NOT_SUPPORTED = 801, "cudaErrorNotSupported", "operation not supported";
    UNKNOWN = 999, "cudaErrorUnknown", "unknown error";
}

impl Code {
    /// The row of the table; that of `cudaErrorUnknown` for a number it does not have.
    pub fn row(self) -> &'static (i32, &'static str, &'static str) {
        let unknown = Code::TABLE.last().unwrap_or(&(999, "\0", "\0"));
        Code::TABLE.iter().find(|(n, ..)| *n == self.0).unwrap_or(unknown)
    }
}

/// Why a call fails: the number the program gets, and what is said on the standard error stream.
#[derive(Debug)]
pub struct Fault {
    /// What the program gets.
    pub code: Code,
    /// What is said.
    pub diag: Option<Box<Diag>>,
    /// Every later call fails too: memory may not hold what the program believes.
    pub lasting: bool,
}

impl Fault {
    /// A failure that leaves the program's memory as it believes it to be.
    pub fn said(code: Code, diag: Box<Diag>) -> Fault {
        Fault { code, diag: Some(diag), lasting: false }
    }

    /// A kernel that did not run, or not to its end.
    pub fn lasting(code: Code, diag: Box<Diag>) -> Fault {
        Fault { code, diag: Some(diag), lasting: true }
    }
}

impl From<Code> for Fault {
    fn from(code: Code) -> Fault {
        Fault { code, diag: None, lasting: false }
    }
}

/// What a call comes to.
pub type Outcome<T> = Result<T, Fault>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_names() {
        assert_eq!(Code::ILLEGAL_ADDRESS.row().1, "cudaErrorIllegalAddress\0");
        assert_eq!(Code(12345).row().0, 999);
        assert!(Code::TABLE.iter().all(|(_, name, text)| name.ends_with('\0') && text.ends_with('\0')));
    }
}
