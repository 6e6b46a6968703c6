//! Headers of CUDA, C and C++ whose device-side contents are built in.

use crate::source::{Kind, Token};

const PREFIXES: &[&str] = &[
    "cuda",
    "cooperative_groups",
    "device_",
    "vector_",
    "math",
    "host_",
    "sm_",
    "driver_",
    "cub",
    "cublas",
    "curand",
    "nv",
    "cooperative",
    "mma",
    "texture_",
    "surface_",
    "channel_",
    "builtin_types",
    "thrust",
    "sys/",
    "bits/",
    "cute/",
    "cutlass/",
];

const NAMES: &[&str] = &[
    "algorithm",
    "array",
    "assert.h",
    "atomic",
    "cassert",
    "cctype",
    "cerrno",
    "cfloat",
    "chrono",
    "climits",
    "cmath",
    "complex",
    "cstddef",
    "cstdint",
    "cstdio",
    "cstdlib",
    "cstring",
    "ctime",
    "ctype.h",
    "errno.h",
    "exception",
    "float.h",
    "fstream",
    "functional",
    "initializer_list",
    "inttypes.h",
    "iomanip",
    "iostream",
    "iterator",
    "limits",
    "limits.h",
    "list",
    "malloc.h",
    "map",
    "memory",
    "memory.h",
    "mutex",
    "numeric",
    "omp.h",
    "ostream",
    "optional",
    "pthread.h",
    "queue",
    "random",
    "set",
    "sstream",
    "stdarg.h",
    "stdbool.h",
    "stddef.h",
    "stdexcept",
    "stdint.h",
    "stdio.h",
    "stdlib.h",
    "string",
    "string.h",
    "strings.h",
    "thread",
    "time.h",
    "tuple",
    "type_traits",
    "typeinfo",
    "unistd.h",
    "unordered_map",
    "unordered_set",
    "utility",
    "vector",
    "crt/host_defines.h",
    "new",
    "cinttypes",
    "dirent.h",
    "fcntl.h",
    "signal.h",
    "stack",
    "deque",
    "mpi.h",
    "getopt.h",
    "windows.h",
];

/// A built-in header in CUDA C++: its functions are inlined as the program's own are.
pub struct Header {
    /// Name in messages.
    pub file: &'static str,
    /// The text.
    pub text: &'static str,
    /// A program that has one of these names gets it.
    names: &'static [&'static str],
    /// It declares types, which the program's text needs before it; else it comes last, and the program's own functions win.
    pub first: bool,
}

const WRITTEN: &[Header] = &[
    Header {
        file: "texture.cuh",
        text: include_str!("include/texture.cuh"),
        names: &["cudaTextureObject_t", "cudaSurfaceObject_t"],
        first: true,
    },
    Header {
        file: "curand.cuh",
        text: include_str!("include/curand.cuh"),
        names: &[
            "curandState",
            "curandState_t",
            "curandStateXORWOW",
            "curandStateXORWOW_t",
            "curandStatePhilox4_32_10",
            "curandStatePhilox4_32_10_t",
        ],
        first: true,
    },
    Header {
        file: "math.cuh",
        text: include_str!("include/math.cuh"),
        names: &["frexp", "frexpf", "ldexp", "ldexpf", "scalbn", "scalbnf"],
        first: false,
    },
];

/// The built-in headers that a program's names ask for.
pub fn needed(tokens: &[Token]) -> Vec<&'static Header> {
    let used = |names: &[&str]| tokens.iter().any(|t| t.kind == Kind::Name && names.contains(&&*t.text));
    WRITTEN.iter().filter(|h| used(h.names)).collect()
}

/// Whether a built-in header has a function of that name.
pub fn written(name: &str) -> bool {
    WRITTEN.iter().any(|h| h.names.contains(&name))
}

/// Whether the header is known, so that its absence is no reason to worry.
pub fn known(name: &str) -> bool {
    NAMES.contains(&name) || PREFIXES.iter().any(|p| name.starts_with(p))
}
