//! Core errors become the exceptions of `helios.errors`.

use helios_core::error::Error;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyModule};

static ERRORS: PyOnceLock<Py<PyModule>> = PyOnceLock::new();

/// A core error that knows how to become a Python exception; `?` converts.
pub struct Failure(Error);

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure(error)
    }
}

impl From<Failure> for PyErr {
    fn from(failure: Failure) -> PyErr {
        let error = match failure.0 {
            Error::Raised(raised) => match raised.downcast::<PyErr>() {
                Ok(raised) => return *raised,
                Err(other) => Error::Raised(other),
            },
            error => error,
        };
        // Making it runs Python, where a signal's handler may have its turn: what that raises, such
        // as `KeyboardInterrupt`, is not to be lost.
        Python::attach(|py| exception(py, &error).unwrap_or_else(|raised| raised))
    }
}

fn exception(py: Python<'_>, error: &Error) -> PyResult<PyErr> {
    let module = ERRORS.get_or_try_init(py, || py.import("helios.errors").map(Bound::unbind))?;
    let class = module.bind(py).getattr(error.name())?;
    let details = PyDict::new(py);
    match error {
        Error::BranchMoved(moved) => {
            details.set_item("branch", &moved.branch)?;
            details.set_item("expected", moved.expected.map(|id| id.to_hex()))?;
            details.set_item("actual", moved.actual.map(|id| id.to_hex()))?;
            details.set_item("snapshot", moved.yours.map(|id| id.to_hex()))?;
        }
        Error::Io { source, .. } | Error::NotOnDisk { source, .. } => {
            details.set_item("errno", source.raw_os_error())?;
        }
        _ => {}
    }
    let raised = class.call((error.to_string(),), Some(&details))?;
    Ok(PyErr::from_value(raised))
}

/// The other way: an exception on its way through the core, which an L2 store in Python raised, or
/// the handler of a signal that came meanwhile.
pub fn from_python(py: Python<'_>, error: PyErr) -> Error {
    let message = error.value(py).to_string();
    let is_a = |name: &str| {
        let class = py.import("helios.errors").and_then(|module| module.getattr(name));
        class.is_ok_and(|class| error.matches(py, class).unwrap_or(false))
    };
    if is_a("Corruption") {
        Error::CorruptStore(message)
    } else if is_a("GitNotFound") {
        Error::GitNotFound(message)
    } else if is_a("GitError") {
        Error::GitFailed(message)
    } else if is_a("HeliosError") {
        Error::Store(message)
    } else {
        Error::Raised(Box::new(error))
    }
}
