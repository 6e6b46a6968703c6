//! The compiled half of the Python package `girih`: devices, bytes on them, programs, language models.
//!
//! What people import is in `python/girih`; it gives these classes shapes, dtypes and names.

#![forbid(unsafe_code)]

mod buffer;
mod cuda;
mod device;
mod fault;
mod gguf;
mod graph;
mod prints;
mod triton;

use girih_base::{DType, codec};
use pyo3::prelude::*;

/// The extension module.
#[pymodule]
mod _girih {
    use super::*;

    #[pymodule_export]
    use crate::buffer::Buffer;
    #[pymodule_export]
    use crate::cuda::{CudaKernel, CudaModule};
    #[pymodule_export]
    use crate::device::{auto, devices, open, synchronize};
    #[pymodule_export]
    use crate::gguf::{Answer, Model};
    #[pymodule_export]
    use crate::graph::Program;
    #[pymodule_export]
    use crate::triton::{TritonKernel, TritonModule};

    /// Version of the package.
    #[pymodule_export]
    const VERSION: &str = env!("CARGO_PKG_VERSION");

    /// What kernels can be printed as.
    #[pymodule_export]
    const TARGETS: [&str; 6] = crate::triton::TARGETS;

    /// Every dtype as name, bits and class, in table order.
    #[pyfunction]
    fn dtypes() -> Vec<(&'static str, u32, String)> {
        DType::ALL.iter().map(|d| (d.name(), d.bits(), format!("{:?}", d.class()).to_lowercase())).collect()
    }

    /// Elements in another dtype; rounds to nearest even, and to infinity what is too large for a float.
    #[pyfunction]
    fn convert<'py>(
        py: Python<'py>,
        data: pyo3::buffer::PyBuffer<u8>,
        from: &str,
        to: &str,
    ) -> PyResult<Bound<'py, pyo3::types::PyByteArray>> {
        let (from, to) = (fault::dtype(from)?, fault::dtype(to)?);
        let data = data.to_vec(py)?;
        let done = py.detach(|| {
            let count = data.len() as u64 * 8 / from.bits() as u64;
            let values = codec::decode_slice(from, &data, count as usize)?;
            let cast: Vec<_> = values.into_iter().map(|v| codec::cast(v, to)).collect();
            Ok(codec::encode_slice(to, &cast))
        });
        Ok(pyo3::types::PyByteArray::new(py, &fault::raise(done)?))
    }
}
