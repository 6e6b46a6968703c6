//! Diagnostics as Python exceptions.

use girih_base::{DType, Diag, Result};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// The result for Python: an error becomes a `girih.Error` with the parts of the diagnostic as attributes.
pub fn raise<T>(result: Result<T>) -> PyResult<T> {
    result.map_err(|diag| Python::attach(|py| exception(py, &diag).unwrap_or_else(|other| other)))
}

/// The dtype of that name.
pub fn dtype(name: &str) -> PyResult<DType> {
    raise(DType::from_name(name).ok_or_else(|| {
        let names: Vec<&str> = DType::ALL.iter().map(|d| d.name()).collect();
        Diag::error("Y003", format!("there is no dtype `{name}`")).help(format!("known: {}", names.join(", ")))
    }))
}

fn exception(py: Python<'_>, diag: &Diag) -> PyResult<PyErr> {
    let parts = PyDict::new(py);
    let labels: Vec<_> = diag
        .labels
        .iter()
        .map(|label| {
            let (file, line, column) = label.loc.position().unwrap_or_default();
            (file.to_string(), line, column, label.text.clone())
        })
        .collect();
    parts.set_item("labels", labels)?;
    parts.set_item("notes", &diag.notes)?;
    parts.set_item("help", diag.help.as_deref())?;
    parts.set_item("rendered", diag.to_string())?;
    let class = py.import("girih._errors")?.getattr("Error")?;
    Ok(PyErr::from_value(class.call((diag.code, &diag.message), Some(&parts))?))
}
