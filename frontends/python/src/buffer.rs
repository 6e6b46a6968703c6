//! Bytes on a device.

use crate::device::{Rig, rig};
use crate::fault::raise;
use girih_base::{Diag, Result};
use girih_exec::Array;
use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;
use pyo3::types::PyByteArray;
use std::sync::Arc;

/// Bytes on a device; `girih.Array` gives them a shape and a dtype.
#[pyclass(frozen, module = "girih._girih")]
pub struct Buffer {
    /// Where they are.
    pub rig: Arc<Rig>,
    /// The bytes.
    pub array: Array,
}

#[pymethods]
impl Buffer {
    /// A copy of host bytes.
    #[staticmethod]
    fn upload(py: Python<'_>, device: &str, data: PyBuffer<u8>) -> PyResult<Buffer> {
        let data = data.to_vec(py)?;
        raise(py.detach(|| {
            let rig = rig(device)?;
            let array = rig.session.upload(&data)?;
            Ok(Buffer { rig, array })
        }))
    }

    /// A copy of host bytes that kernels only read: a device that shares the host's memory does not copy them again.
    #[staticmethod]
    fn constant(py: Python<'_>, device: &str, data: PyBuffer<u8>) -> PyResult<Buffer> {
        let data = data.to_vec(py)?;
        raise(py.detach(|| {
            let rig = rig(device)?;
            let bytes = data.len();
            let array = if bytes == 0 { rig.session.zeros(0)? } else { rig.session.adopt(Arc::new(data), 0..bytes)? };
            Ok(Buffer { rig, array })
        }))
    }

    /// Zeros.
    #[staticmethod]
    fn zeros(py: Python<'_>, device: &str, nbytes: u64) -> PyResult<Buffer> {
        raise(py.detach(|| {
            let rig = rig(device)?;
            let array = rig.session.zeros(nbytes)?;
            Ok(Buffer { rig, array })
        }))
    }

    /// Number of bytes.
    #[getter]
    fn nbytes(&self) -> u64 {
        self.array.bytes()
    }

    /// Name of the device.
    #[getter]
    fn device(&self) -> &str {
        &self.rig.name
    }

    /// The bytes, once everything submitted before is done.
    fn read<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyByteArray>> {
        let bytes = raise(host_size(self.array.bytes()))?;
        PyByteArray::new_with(py, bytes, |data| raise(py.detach(|| self.array.read_into(data))))
    }

    /// Overwrites all bytes.
    fn write(&self, py: Python<'_>, data: PyBuffer<u8>) -> PyResult<()> {
        let data = data.to_vec(py)?;
        raise(py.detach(|| self.array.write(&data)))
    }
}

fn host_size(bytes: u64) -> Result<usize> {
    usize::try_from(bytes).map_err(|_| Diag::error("Y007", format!("{bytes} bytes are too many")))
}
