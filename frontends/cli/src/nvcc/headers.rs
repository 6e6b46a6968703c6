//! The headers of CUDA that programs include, in our own words. They are written once into the cache folder.

use girih_base::Result;
use girih_driver::cache;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;

macro_rules! headers {
    ($($name:literal),* $(,)?) => { &[$(($name, include_str!(concat!("include/", $name)))),*] };
}

/// Name and text of each.
const HEADERS: &[(&str, &str)] = headers![
    "builtin_types.h",
    "cooperative_groups.h",
    "cooperative_groups/memcpy_async.h",
    "cooperative_groups/reduce.h",
    "cooperative_groups/scan.h",
    "cublasLt.h",
    "cublas_v2.h",
    "cuda.h",
    "cuda_bf16.h",
    "cuda_fp16.h",
    "cuda_profiler_api.h",
    "cuda_runtime.h",
    "cuda_runtime_api.h",
    "curand_kernel.h",
    "device_atomic_functions.h",
    "device_functions.h",
    "device_launch_parameters.h",
    "driver_types.h",
    "fallback/omp.h",
    "host_defines.h",
    "math_constants.h",
    "math_functions.h",
    "mma.h",
    "sm_60_atomic_functions.h",
    "texture_types.h",
    "vector_functions.h",
    "vector_types.h",
];

/// Libraries that are written in CUDA: the translator reads them too.
const LIBRARIES: &[&str] = &["cublas_v2.h", "cublasLt.h"];

/// The text of a header that the translator does not have built in.
pub fn for_devices(name: &str) -> Option<&'static str> {
    HEADERS.iter().find(|(n, _)| *n == name && LIBRARIES.contains(n)).map(|(_, text)| *text)
}

/// The folder that holds them, named by what is in it.
///
/// # Errors
/// `P006` where it cannot be written.
pub fn folder() -> Result<PathBuf> {
    let mut hash = DefaultHasher::new();
    HEADERS.hash(&mut hash);
    let base = cache::folder().unwrap_or_else(|| std::env::temp_dir().join("girih"));
    let folder = base.join(format!("cuda-{:016x}", hash.finish()));
    for (name, text) in HEADERS {
        let path = folder.join(name);
        // Written whole or not at all, so that a file that is there is right unless somebody changed it.
        if std::fs::read(&path).ok().as_deref() != Some(text.as_bytes()) {
            cache::keep(&path, text.as_bytes())?;
        }
    }
    Ok(folder)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_header_is_in_the_list() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/nvcc/include");
        let mut found = Vec::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
                match entry.path() {
                    path if path.is_dir() => folders.push(path),
                    path => found.push(path.strip_prefix(&root).unwrap().display().to_string()),
                }
            }
        }
        found.sort();
        assert_eq!(found, HEADERS.iter().map(|(n, _)| n.to_string()).collect::<Vec<_>>());
    }
}
