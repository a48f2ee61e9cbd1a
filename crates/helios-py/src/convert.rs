//! Paths, ids and times between Python and the core.

use helios_core::error::Error;
use helios_core::id::Id;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyModule, PyString};

use crate::errors::Failure;

static OS: PyOnceLock<Py<PyModule>> = PyOnceLock::new();

fn os(py: Python<'_>) -> PyResult<&Bound<'_, PyModule>> {
    OS.get_or_try_init(py, || py.import("os").map(Bound::unbind)).map(|os| os.bind(py))
}

/// A path inside a tree: bytes, str or os.PathLike. `str` is encoded as `os.fsencode` does.
pub struct TreePath(pub Vec<u8>);

impl<'a, 'py> FromPyObject<'a, 'py> for TreePath {
    type Error = PyErr;

    fn extract(path: Borrowed<'a, 'py, PyAny>) -> PyResult<TreePath> {
        if let Ok(text) = path.cast::<PyString>() {
            if let Ok(text) = text.to_str() {
                return Ok(TreePath(text.as_bytes().to_vec()));
            }
        } else if let Ok(bytes) = path.cast::<PyBytes>() {
            return Ok(TreePath(bytes.as_bytes().to_vec()));
        }
        let encoded = os(path.py())?.call_method1("fsencode", (path,)).map_err(|_| {
            PyTypeError::new_err(format!(
                "a path is str, bytes or os.PathLike, not {}",
                path.get_type()
            ))
        })?;
        Ok(TreePath(encoded.cast::<PyBytes>()?.as_bytes().to_vec()))
    }
}

/// Path bytes as `str`, as `os.fsdecode` does.
pub fn path_to_python<'py>(py: Python<'py>, path: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    match std::str::from_utf8(path) {
        Ok(text) => Ok(PyString::new(py, text).into_any()),
        Err(_) => os(py)?.call_method1("fsdecode", (PyBytes::new(py, path),)),
    }
}

/// Content: bytes, or str as UTF-8, or whatever offers a buffer by `bytes()`.
pub struct Content(pub std::sync::Arc<[u8]>);

impl<'a, 'py> FromPyObject<'a, 'py> for Content {
    type Error = PyErr;

    fn extract(content: Borrowed<'a, 'py, PyAny>) -> PyResult<Content> {
        if let Ok(bytes) = content.cast::<PyBytes>() {
            return Ok(Content(bytes.as_bytes().into()));
        }
        if let Ok(text) = content.cast::<PyString>() {
            return Ok(Content(utf8(&text)?.as_bytes().into()));
        }
        let view = content.py().import("builtins")?.call_method1("memoryview", (content,));
        let bytes = view.and_then(|view| view.call_method0("tobytes")).map_err(|_| {
            PyTypeError::new_err(format!("content is bytes or str, not {}", content.get_type()))
        })?;
        Ok(Content(bytes.cast::<PyBytes>()?.as_bytes().into()))
    }
}

/// Text, which a `str` is unless it holds a lone surrogate. Such are the bytes of an argument on
/// the command line that is not UTF-8.
#[derive(Clone, Default)]
pub struct Text(pub String);

impl<'a, 'py> FromPyObject<'a, 'py> for Text {
    type Error = PyErr;

    fn extract(text: Borrowed<'a, 'py, PyAny>) -> PyResult<Text> {
        Ok(Text(utf8(&*text.cast::<PyString>()?)?.to_owned()))
    }
}

fn utf8<'a>(text: &'a Bound<'_, PyString>) -> PyResult<&'a str> {
    text.to_str().or_else(|_| {
        let class = text.py().import("helios.errors")?.getattr("InvalidText")?;
        let shown = text.repr()?;
        let message = format!("{shown} is not text: UTF-8 cannot express a lone surrogate");
        Err(PyErr::from_value(class.call1((message,))?))
    })
}

/// A full id in hexadecimal.
pub fn parse_id(text: &str) -> Result<Id, Failure> {
    Ok(Id::from_hex(text)?)
}

/// Checks that an id of 32 bytes came back from a Python store.
pub fn id_from_store(bytes: &[u8]) -> Result<Id, Error> {
    Id::from_slice(bytes)
}

/// A store's bytes that may hold text in any encoding.
pub fn text_to_python<'py>(py: Python<'py>, bytes: &[u8]) -> Bound<'py, PyString> {
    PyString::new(py, &String::from_utf8_lossy(bytes))
}
