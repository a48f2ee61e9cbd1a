//! The map of git's objects and Helios', and what is derived by it.

use std::path::PathBuf;
use std::sync::Arc;

use helios_core::error::{Error, Result};
use helios_core::git::ingest::Ingest;
use helios_core::git::map::Map;
use helios_core::git::oid::{Format, Oid};
use helios_core::git::read;
use helios_core::git::row::{Role, Row, RowId};
use helios_core::git::write::Writer;
use helios_core::id::Id;
use helios_core::object::Kind;
use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::convert::{id_from_store, parse_id};
use crate::engine::Engine;
use crate::errors::Failure;

/// Git id, kind, role, whether it is mixed, size, Helios id or its first 24 digits.
type Listed = (String, u8, u8, bool, u64, String);

/// Ids and records.
type Records<'py> = Vec<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)>;

#[pyclass(frozen, module = "helios._core")]
pub struct GitMap {
    map: Arc<Map>,
}

fn hex(oid: &Oid, format: Format) -> String {
    let mut digits = Vec::with_capacity(2 * format.id_bytes());
    oid.put_hex(format, &mut digits);
    String::from_utf8_lossy(&digits).into_owned()
}

fn oid_of(text: &str, format: Format) -> Result<Oid> {
    Oid::from_hex(text.as_bytes(), format).ok_or_else(|| {
        Error::InvalidId(format!("{text:?} is no git id of {} bytes", format.id_bytes()))
    })
}

fn listed(row: &Row, format: Format) -> Listed {
    let Row { oid, role, kind, is_mixed, size, id } = row;
    (hex(oid, format), *kind as u8, *role as u8, *is_mixed, *size, id.to_hex())
}

impl GitMap {
    pub fn shared(&self) -> Arc<Map> {
        Arc::clone(&self.map)
    }
}

#[pymethods]
impl GitMap {
    #[new]
    fn new(directory: PathBuf, packs: PathBuf, id_bytes: usize) -> PyResult<GitMap> {
        let format = Format::of_len(id_bytes).map_err(Failure::from)?;
        let map = Map::open(&directory, &packs, format).map_err(Failure::from)?;
        Ok(GitMap { map: Arc::new(map) })
    }

    /// Takes in what other processes have added.
    fn refresh(&self) -> PyResult<()> {
        Ok(self.map.refresh().map_err(Failure::from)?)
    }

    /// Raises `CorruptObject` if a segment is not as it was written.
    fn check(&self, py: Python<'_>) -> PyResult<()> {
        Ok(py.detach(|| self.map.check().map_err(Failure::from))?)
    }

    fn __len__(&self) -> usize {
        self.map.len()
    }

    /// The row of each git id; `None` where the map has none.
    fn find(&self, oids: Vec<String>) -> PyResult<Vec<Option<Listed>>> {
        let format = self.map.format();
        let find = |text: &String| {
            let row = self.map.find(&oid_of(text, format)?)?;
            Ok(row.map(|row| listed(&row, format)))
        };
        Ok(oids.iter().map(find).collect::<Result<_>>().map_err(Failure::from)?)
    }

    /// The rows of each Helios id: those that it is derived from, or else all.
    fn origins(&self, ids: Vec<Bound<'_, PyBytes>>, derived: bool) -> PyResult<Vec<Vec<Listed>>> {
        let format = self.map.format();
        let find = |id: &Bound<'_, PyBytes>| {
            let rows = self.map.origins(&id_from_store(id.as_bytes())?, derived)?;
            Ok(rows.iter().map(|row| listed(row, format)).collect())
        };
        Ok(ids.iter().map(find).collect::<Result<_>>().map_err(Failure::from)?)
    }

    /// The rows of derived objects of a kind whose ids lie between two ids.
    fn rows_between(&self, low: &[u8], high: &[u8], kind: u8) -> PyResult<Vec<Listed>> {
        let found = Kind::from_byte(kind)
            .and_then(|kind| {
                self.map.rows_between(&id_from_store(low)?, &id_from_store(high)?, kind)
            })
            .map_err(Failure::from)?;
        Ok(found.iter().map(|row| listed(row, self.map.format())).collect())
    }

    /// Whether rows are about a pack that git has lost.
    fn is_orphaned(&self) -> bool {
        self.map.is_orphaned()
    }

    /// Of these git objects, what was read was not what their rows are about, unless they have
    /// been derived: the rows count as none.
    fn give_up(&self, oids: Vec<String>) -> PyResult<()> {
        for text in &oids {
            self.map.give_up(&oid_of(text, self.map.format()).map_err(Failure::from)?);
        }
        Ok(())
    }

    /// Id and record of what is derived from a git object; of a tree, of each node. Or none, and
    /// the git objects that have to be derived before.
    fn derive<'py>(
        &self,
        py: Python<'py>,
        oid: &str,
        kind: u8,
        content: &[u8],
    ) -> PyResult<(Records<'py>, Vec<String>)> {
        let (found, unlearned) = oid_of(oid, self.map.format())
            .and_then(|oid| read::records(&self.map, &oid, Kind::from_byte(kind)?, content))
            .map_err(Failure::from)?;
        let pair = |(id, record): (Id, Vec<u8>)| {
            (PyBytes::new(py, id.as_bytes()), PyBytes::new(py, &record))
        };
        let unlearned = unlearned.iter().map(|oid| hex(oid, self.map.format())).collect();
        Ok((found.into_iter().map(pair).collect(), unlearned))
    }

    /// Rows from a place on, at most `limit`, and the place to go on with.
    fn page(&self, start: (usize, usize), limit: usize) -> PyResult<(Vec<Listed>, (usize, usize))> {
        let format = self.map.format();
        let (rows, next) = self.map.page(start, limit).map_err(Failure::from)?;
        Ok((rows.iter().map(|row| listed(row, format)).collect(), next))
    }

    /// Adds rows, durably.
    fn add(&self, py: Python<'_>, rows: Vec<Listed>) -> PyResult<()> {
        let format = self.map.format();
        let row = |(oid, kind, role, is_mixed, size, id): Listed| {
            let role = match role {
                0 => Role::Derived,
                1 => Role::Written,
                2 => Role::Inner,
                other => return Err(Failure::from(Error::malformed(format!("role {other}")))),
            };
            let (oid, kind) = (oid_of(&oid, format)?, Kind::from_byte(kind)?);
            Ok(Row { oid, role, kind, is_mixed, size, id: RowId::Whole(parse_id(&id)?) })
        };
        let rows: Vec<Row> = rows.into_iter().map(row).collect::<std::result::Result<_, _>>()?;
        Ok(py.detach(|| self.map.add(rows).map_err(Failure::from))?)
    }
}

/// What `git cat-file` prints, on its way into the map.
#[pyclass(frozen, module = "helios._core")]
pub struct GitIngest {
    map: Arc<Map>,
    ingest: Mutex<Option<Ingest>>,
}

impl GitIngest {
    fn with<T: Send>(
        &self,
        py: Python<'_>,
        body: impl FnOnce(&mut Ingest) -> Result<T> + Send,
    ) -> PyResult<T> {
        let done = py.detach(|| match self.ingest.lock().as_mut() {
            Some(ingest) => body(ingest),
            None => Err(Error::malformed("what was ingested is in the map already")),
        });
        Ok(done.map_err(Failure::from)?)
    }
}

#[pymethods]
impl GitIngest {
    #[new]
    fn new(map: &GitMap) -> GitIngest {
        let ingest = Mutex::new(Some(Ingest::new(map.shared())));
        GitIngest { map: map.shared(), ingest }
    }

    /// Objects that were derived.
    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        self.with(py, |ingest| Ok(ingest.len()))
    }

    /// Takes in lines `<id> <type>` of objects that are there: whole lines.
    fn list(&self, py: Python<'_>, lines: &[u8]) -> PyResult<()> {
        self.with(py, |ingest| ingest.list(lines))
    }

    /// As `list`, of what all packs hold; false if that is not all that git has.
    fn list_packs(&self, py: Python<'_>, objects: PathBuf) -> PyResult<bool> {
        self.with(py, |ingest| ingest.list_packs(&objects))
    }

    /// What was listed and is not in the map, of one kind, as lines for `git cat-file`.
    #[pyo3(signature = (kind, *, reversed))]
    fn wanted<'py>(
        &self,
        py: Python<'py>,
        kind: u8,
        reversed: bool,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let kind = Kind::from_byte(kind).map_err(Failure::from)?;
        let lines = self.with(py, |ingest| Ok(ingest.wanted(kind, reversed)))?;
        Ok(PyBytes::new(py, &lines))
    }

    /// Takes in a piece of what `git cat-file --batch` prints.
    fn feed(&self, py: Python<'_>, piece: &[u8]) -> PyResult<()> {
        self.with(py, |ingest| ingest.feed(piece))
    }

    /// What is waited for and in the map, but has to be derived before its whole id is known.
    fn unlearned(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        let found = self.with(py, |ingest| ingest.unlearned())?;
        Ok(found.iter().map(|oid| hex(oid, self.map.format())).collect())
    }

    /// Goes on with what has waited for these.
    fn retry(&self, py: Python<'_>, learned: Vec<String>) -> PyResult<()> {
        let oids = learned.iter().map(|text| oid_of(text, self.map.format()));
        let oids = oids.collect::<Result<Vec<Oid>>>().map_err(Failure::from)?;
        self.with(py, |ingest| ingest.retry(oids))
    }

    /// Takes over the blobs that another one has found beside this one, which is done then.
    fn absorb(&self, py: Python<'_>, other: &GitIngest) -> PyResult<()> {
        let taken = other.ingest.lock().take();
        self.with(py, |ingest| taken.map_or(Ok(()), |other| ingest.absorb(other)))
    }

    /// Puts what was found into the map, and gives the number of rows.
    fn finish(&self, py: Python<'_>) -> PyResult<usize> {
        let Some(ingest) = self.ingest.lock().take() else {
            return Ok(0);
        };
        let done = py.detach(|| {
            let (rows, short) = ingest.finish()?;
            let count = rows.len();
            self.map.add_derived(rows, &short).map(|()| count)
        });
        Ok(done.map_err(Failure::from)?)
    }
}

/// The git commit of each snapshot; those that git does not have are written, with all that they
/// reach, into the directory `packs`.
#[pyfunction]
pub fn write_git(
    py: Python<'_>,
    engine: &Engine,
    map: &GitMap,
    packs: PathBuf,
    snapshots: Vec<String>,
) -> PyResult<Vec<String>> {
    let ids: std::result::Result<Vec<Id>, Failure> =
        snapshots.iter().map(|text| parse_id(text)).collect();
    let (ids, map, engine) = (ids?, map.shared(), engine.shared_core());
    let write = || -> Result<Vec<String>> {
        let mut writer = Writer::new(&*engine, &map, &packs)?;
        let dropped = |id: &Id| engine.dropped(id);
        let written = ids.iter().map(|id| writer.commit(*id, &dropped)).collect::<Result<_>>();
        let oids: Vec<Oid> = written?;
        writer.finish()?;
        Ok(oids.iter().map(|oid| hex(oid, map.format())).collect())
    };
    Ok(py.detach(write).map_err(Failure::from)?)
}
