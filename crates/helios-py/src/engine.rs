//! The engine of one repository, as `helios.repository` drives it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use helios_core::engine::commit::{now_us, CommitOptions};
use helios_core::engine::materialize::Selection;
use helios_core::engine::progress::Phase;
use helios_core::engine::{self, refs};
use helios_core::error::Error;
use helios_core::id::Id;
use helios_core::journal::frame::{Operation, RefChange};
use helios_core::journal::{Durability, Position};
use helios_core::merge::text::Labels;
use helios_core::metrics::Counter;
use helios_core::object::Kind;
use helios_core::store::RecordSource;
use helios_core::worktree::ScanOptions;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyList, PyString};

use crate::convert::{parse_id, text_to_python, Text};
use crate::diff::Diff;
use crate::errors::Failure;
use crate::gc::Collection;
use crate::maintenance::Maintenance;
use crate::merge::Merge;
use crate::snapshot::Snapshot;
use crate::store::PythonStore;
use crate::vst::Vst;
use crate::worktree::{warnings_to_python, Warned, Worktree};

/// Name, old and new value of a ref.
type Changed<'py> = (Bound<'py, PyString>, Option<String>, Option<String>);
/// Position and bytes of an operation.
type Encoded<'py> = (Position, Bound<'py, PyBytes>);
/// Time, actor, command, changes.
type Decoded<'py> = (i64, Bound<'py, PyString>, Bound<'py, PyString>, Vec<Changed<'py>>);

/// What an engine and its VSTs share.
pub struct Shared {
    pub engine: Arc<engine::Engine>,
    pub author: Vec<u8>,
    actor: String,
    /// What the operation log calls whatever is done; if empty, each call has its own name.
    command: String,
    /// Turns any name of a snapshot into a full id: a Python callable.
    resolver: PyOnceLock<Py<PyAny>>,
    maintenance: Option<Maintenance>,
}

impl Shared {
    pub fn waits_for_disk(&self) -> bool {
        self.engine.journal().durability() == Durability::Disk
    }

    /// Who acts now, as the operation log has it: also from which process, which may be a fork of
    /// the one that opened the repository, and in which worktree.
    pub fn actor(&self, worktree: Option<&str>) -> Vec<u8> {
        let mut actor = format!("{} pid={}", self.actor, std::process::id());
        if let Some(name) = worktree {
            actor.push_str(" worktree=");
            actor.push_str(name);
        }
        actor.into_bytes()
    }

    /// The command for the operation log, and notes, a line each.
    pub fn command(&self, name: &str, notes: &[String]) -> Vec<u8> {
        let command = if self.command.is_empty() { name } else { &self.command };
        let mut command = command.as_bytes().to_vec();
        for note in notes {
            command.push(b'\n');
            command.extend_from_slice(note.as_bytes());
        }
        command
    }

    /// The snapshot that a `Snapshot` or a string names.
    pub fn resolve(&self, py: Python<'_>, revision: &Bound<'_, PyAny>) -> PyResult<Id> {
        if let Ok(snapshot) = revision.cast::<Snapshot>() {
            return Ok(snapshot.get().core_id());
        }
        match self.resolver.get(py) {
            Some(resolver) => {
                let full: String = resolver.call1(py, (revision,))?.extract(py)?;
                Ok(parse_id(&full)?)
            }
            None => Ok(parse_id(&revision.str()?.to_string())?),
        }
    }

    /// The ref of a branch that must not exist, nor a tag of that name.
    pub fn new_branch(&self, py: Python<'_>, name: &str) -> PyResult<Vec<u8>> {
        let reference = refs::branch_ref(name).map_err(Failure::from)?;
        let tag = refs::tag_ref(name).map_err(Failure::from)?;
        for (kind, taken) in [("branch", &reference), ("tag", &tag)] {
            if self.engine.reference(taken).map_err(Failure::from)?.is_some() {
                let class = py.import("helios.errors")?.getattr("BranchExists")?;
                let message = format!("{kind} {name:?} exists already");
                return Err(PyErr::from_value(class.call1((message,))?));
            }
        }
        Ok(reference)
    }

    /// What is due after a commit.
    pub fn after_commit(&self) {
        if let Some(maintenance) = &self.maintenance {
            maintenance.start_if_due(self.engine.journal(), self.engine.directory());
        }
    }
}

#[pyclass(frozen, module = "helios._core")]
pub struct Engine {
    shared: Arc<Shared>,
}

fn durability_of(name: &str) -> PyResult<Durability> {
    match name {
        "memory" => Ok(Durability::Memory),
        "process" => Ok(Durability::Process),
        "disk" => Ok(Durability::Disk),
        other => Err(PyValueError::new_err(format!(
            "durability is 'memory', 'process' or 'disk', not {other:?}"
        ))),
    }
}

fn source(store: Option<Py<PyAny>>) -> Option<Arc<dyn RecordSource>> {
    store.map(|store| Arc::new(PythonStore::new(store)) as Arc<dyn RecordSource>)
}

impl Engine {
    fn wrap(
        engine: engine::Engine,
        author: Text,
        (actor, command): (Text, Text),
        maintenance: Option<Vec<OsString>>,
    ) -> Engine {
        let author = author.0.into_bytes();
        // A line each in the operation log.
        let [actor, command] = [actor, command].map(|text| text.0.replace(['\n', '\r'], " "));
        let engine = Arc::new(engine);
        let resolver = PyOnceLock::new();
        Engine {
            shared: Arc::new(Shared {
                engine,
                author,
                actor,
                command,
                resolver,
                maintenance: maintenance.map(Maintenance::new),
            }),
        }
    }

    fn core(&self) -> &engine::Engine {
        &self.shared.engine
    }

    pub fn shared_core(&self) -> Arc<engine::Engine> {
        Arc::clone(&self.shared.engine)
    }
}

#[pymethods]
impl Engine {
    /// Makes the files of an empty repository.
    #[staticmethod]
    fn init(py: Python<'_>, directory: PathBuf) -> PyResult<()> {
        Ok(py.detach(|| engine::Engine::init(&directory).map_err(Failure::from))?)
    }

    #[staticmethod]
    #[pyo3(signature = (
        directory, *, durability, cache_bytes, store, author, actor, command, maintenance
    ))]
    #[allow(clippy::too_many_arguments)]
    fn open(
        py: Python<'_>,
        directory: PathBuf,
        durability: &str,
        cache_bytes: usize,
        store: Option<Py<PyAny>>,
        author: Text,
        actor: Text,
        command: Text,
        maintenance: Option<Vec<OsString>>,
    ) -> PyResult<Engine> {
        let durability = durability_of(durability)?;
        let store = source(store);
        let engine = py.detach(|| {
            engine::Engine::open(&directory, durability, cache_bytes, store).map_err(Failure::from)
        })?;
        Ok(Engine::wrap(engine, author, (actor, command), maintenance))
    }

    #[staticmethod]
    #[pyo3(signature = (*, cache_bytes, store, author, actor))]
    fn memory(cache_bytes: usize, store: Option<Py<PyAny>>, author: Text, actor: Text) -> Engine {
        let engine = engine::Engine::in_memory(cache_bytes, source(store));
        Engine::wrap(engine, author, (actor, Text::default()), None)
    }

    /// Says how names of snapshots are turned into full ids; once.
    fn set_resolver(&self, py: Python<'_>, resolver: Py<PyAny>) {
        // A second call changes nothing.
        let _ = self.shared.resolver.set(py, resolver);
    }

    /// A VST over a branch; an unborn one is empty.
    fn vst_of_branch(&self, name: Text) -> PyResult<Vst> {
        let vst = self.core().vst_of_branch(&name.0).map_err(Failure::from)?;
        Ok(Vst::new(Arc::clone(&self.shared), vst))
    }

    /// A VST over a snapshot; commits move no branch.
    fn vst_of_snapshot(&self, id: &str) -> PyResult<Vst> {
        let vst = self.core().vst(Some(parse_id(id)?), None).map_err(Failure::from)?;
        Ok(Vst::new(Arc::clone(&self.shared), vst))
    }

    fn snapshot(&self, id: &str) -> PyResult<Snapshot> {
        let id = parse_id(id)?;
        Ok(Snapshot::new(id, self.core().snapshot(&id).map_err(Failure::from)?))
    }

    /// Many snapshots, in order.
    fn snapshots(&self, ids: Vec<String>) -> PyResult<Vec<Snapshot>> {
        let ids = ids.iter().map(|id| parse_id(id)).collect::<Result<Vec<Id>, Failure>>()?;
        let found = self.core().snapshots(&ids).map_err(Failure::from)?;
        Ok(ids.into_iter().zip(found).map(|(id, found)| Snapshot::new(id, found)).collect())
    }

    /// The snapshot id of a branch.
    fn branch(&self, name: Text) -> PyResult<Option<String>> {
        let reference = refs::branch_ref(&name.0).map_err(Failure::from)?;
        let id = self.core().reference(&reference).map_err(Failure::from)?;
        Ok(id.map(|id| id.to_hex()))
    }

    /// The snapshot id of a tag.
    fn tag(&self, name: Text) -> PyResult<Option<String>> {
        let reference = refs::tag_ref(&name.0).map_err(Failure::from)?;
        let id = self.core().reference(&reference).map_err(Failure::from)?;
        Ok(id.map(|id| id.to_hex()))
    }

    /// The snapshot id of any ref, by its full name.
    fn reference(&self, name: &str) -> PyResult<Option<String>> {
        let id = self.core().reference(name.as_bytes()).map_err(Failure::from)?;
        Ok(id.map(|id| id.to_hex()))
    }

    /// Refs whose names begin with `prefix`, by the rest of their names: the first `limit`.
    #[pyo3(signature = (prefix, limit = None))]
    fn references<'py>(
        &self,
        py: Python<'py>,
        prefix: &str,
        limit: Option<usize>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let limit = limit.unwrap_or(usize::MAX);
        let found = self.core().references(prefix.as_bytes(), limit).map_err(Failure::from)?;
        let references = PyDict::new(py);
        for (name, id) in found {
            references.set_item(text_to_python(py, &name), id.to_hex())?;
        }
        Ok(references)
    }

    /// Changes refs (full name, old, new; `None` is "does not exist"), all of them or none, and
    /// gives the operation's id. `notes` are lines about it beside the command.
    #[pyo3(signature = (changes, command, *, notes, worktree))]
    fn operate(
        &self,
        changes: Vec<(String, Option<String>, Option<String>)>,
        command: &str,
        notes: Vec<String>,
        worktree: Option<&str>,
    ) -> PyResult<String> {
        let id = |text: Option<String>| text.map(|text| parse_id(&text)).transpose();
        let changes: Result<Vec<RefChange>, Failure> = changes
            .into_iter()
            .map(|(name, old, new)| {
                Ok(RefChange { name: name.into_bytes(), old: id(old)?, new: id(new)? })
            })
            .collect();
        let operation = Operation {
            time_us: now_us(),
            actor: self.shared.actor(worktree),
            command: self.shared.command(command, &notes),
            changes: changes?,
        };
        Ok(self.core().operate(operation).map_err(Failure::from)?)
    }

    /// Numbers of the journal's segments, oldest first.
    fn journal_segments(&self) -> PyResult<Vec<u64>> {
        self.core().refresh().map_err(Failure::from)?;
        Ok(self.core().journal().segment_numbers())
    }

    /// Positions and bytes of the operations in a segment of the journal, oldest first.
    fn journal_operations<'py>(
        &self,
        py: Python<'py>,
        segment: u64,
    ) -> PyResult<Vec<Encoded<'py>>> {
        let journal = self.core().journal();
        let found = py.detach(|| journal.operations(segment).map_err(Failure::from))?;
        Ok(found
            .into_iter()
            .map(|(position, bytes)| (position, PyBytes::new(py, &bytes)))
            .collect())
    }

    /// The id of an operation at a position in the journal.
    #[staticmethod]
    fn operation_id(position: (u64, u64), operation: &[u8]) -> String {
        refs::operation_id(position, operation)
    }

    /// An operation's time in microseconds, actor, command, and changes: name, old, new.
    #[staticmethod]
    fn decode_operation<'py>(py: Python<'py>, operation: &[u8]) -> PyResult<Decoded<'py>> {
        let operation = Operation::decode(operation).map_err(Failure::from)?;
        let changes = operation.changes.into_iter().map(|change| {
            let hex = |id: Option<Id>| id.map(|id| id.to_hex());
            (text_to_python(py, &change.name), hex(change.old), hex(change.new))
        });
        Ok((
            operation.time_us,
            text_to_python(py, &operation.actor),
            text_to_python(py, &operation.command),
            changes.collect(),
        ))
    }

    /// Makes a snapshot of a tree that is stored already, and moves no branch there.
    fn store_snapshot(&self, tree: &str, parents: Vec<String>, message: Text) -> PyResult<String> {
        let parents: Result<Vec<Id>, Failure> =
            parents.iter().map(|parent| parse_id(parent)).collect();
        let options = CommitOptions {
            message: message.0.into(),
            author: self.shared.author.clone(),
            ..CommitOptions::default()
        };
        let stored = self.core().store_snapshot(parse_id(tree)?, parents?, &options);
        Ok(stored.map_err(Failure::from)?.to_hex())
    }

    /// Gives the content of a blob to `write` in pieces. Raises `CorruptObject` behind the last
    /// one if they are not the blob.
    fn write_blob(&self, py: Python<'_>, id: &str, write: &Bound<'_, PyAny>) -> PyResult<()> {
        let mut failed = None;
        let given = self.core().each_piece(&parse_id(id)?, &mut |piece| {
            write.call1((PyBytes::new(py, piece),)).map(drop).map_err(|error| {
                let message = error.to_string();
                failed = Some(error);
                Error::Store(message)
            })
        });
        match failed {
            Some(error) => Err(error),
            None => Ok(given.map_err(Failure::from)?),
        }
    }

    /// Full ids of the snapshots in the journal that begin with `prefix` (lower-case digits).
    fn snapshots_with_prefix(&self, prefix: &str) -> PyResult<Vec<String>> {
        self.core().refresh().map_err(Failure::from)?;
        let ids = self.core().journal().ids_with_prefix(prefix, Kind::Snapshot);
        Ok(ids.iter().map(Id::to_hex).collect())
    }

    fn diff(&self, py: Python<'_>, old: Option<&str>, new: &str) -> PyResult<Diff> {
        let old = old.map(parse_id).transpose()?;
        let new = parse_id(new)?;
        let engine = self.core();
        let changes = py.detach(|| -> Result<_, Failure> {
            let old = match old {
                Some(id) => engine.tree(&id)?,
                None => helios_core::tree::Tree::default(),
            };
            Ok(engine.diff(&old, &engine.tree(&new)?)?)
        })?;
        Diff::new(py, Arc::clone(&self.shared.engine), changes)
    }

    /// The merge of two snapshots; a commit of it moves `branch`. Names stand in markers.
    fn merge(
        &self,
        py: Python<'_>,
        ours: &str,
        theirs: &str,
        branch: Option<Text>,
        names: (Text, Text),
    ) -> PyResult<Merge> {
        let ids = (parse_id(ours)?, parse_id(theirs)?);
        let labels = Labels { ours: &names.0 .0, theirs: &names.1 .0 };
        let branch = branch.as_ref().map(|branch| &branch.0[..]);
        Merge::of_snapshots(py, Arc::clone(&self.shared), ids, branch, labels)
    }

    /// The merge of the trees of two snapshots by that of a third (None: by nothing).
    fn merge_trees(
        &self,
        py: Python<'_>,
        base: Option<&str>,
        ours: &str,
        theirs: &str,
        names: (Text, Text),
    ) -> PyResult<Merge> {
        let base = base.map(parse_id).transpose()?;
        let ids = (base, parse_id(ours)?, parse_id(theirs)?);
        let labels = Labels { ours: &names.0 .0, theirs: &names.1 .0 };
        Merge::of_trees(py, Arc::clone(&self.shared), ids, labels)
    }

    /// The directory `root` as a worktree; `directory` holds its index and lock, and `main` is the
    /// root of the main worktree if this is a linked one. `name` is what the operation log calls
    /// it; without one, what is done there is not noted as done in the worktree.
    fn worktree(
        &self,
        name: Option<String>,
        root: PathBuf,
        directory: PathBuf,
        excludes_file: Option<PathBuf>,
        main: Option<PathBuf>,
    ) -> Worktree {
        let options = ScanOptions { excludes_file, main, threads: 0 };
        Worktree::new(Arc::clone(&self.shared), name, root, directory, options)
    }

    /// Writes a snapshot's files to a directory: files, bytes, entries that the file system did not
    /// take, warnings.
    fn materialize<'py>(
        &self,
        py: Python<'py>,
        snapshot: &str,
        out: PathBuf,
        include: Vec<String>,
        exclude: Vec<String>,
        paths: Option<Vec<Vec<u8>>>,
    ) -> PyResult<(u64, u64, u64, Vec<Warned<'py>>)> {
        let id = parse_id(snapshot)?;
        let selection = Selection { include, exclude, paths };
        let engine = self.core();
        let result = py.detach(|| engine.materialize(&id, &out, &selection));
        engine.progress().begin(Phase::Idle, 0);
        let written = result.map_err(Failure::from)?;
        let warnings = warnings_to_python(py, written.warnings)?;
        Ok((written.files, written.bytes, written.failed, warnings))
    }

    /// How far a long call in another thread has got: phase, done, total.
    fn progress(&self) -> Option<(&'static str, u64, u64)> {
        self.core().progress().get().map(|(phase, done, total)| (phase.name(), done, total))
    }

    #[getter]
    fn writable(&self) -> bool {
        self.core().journal().is_writable()
    }

    /// Counters, by label; gauges of this process are brought up to date.
    fn counters(&self) -> BTreeMap<&'static str, u64> {
        let metrics = self.core().metrics();
        Counter::ALL.iter().map(|counter| (counter.label(), metrics.get(*counter))).collect()
    }

    /// What each counter means.
    #[staticmethod]
    fn counter_help() -> BTreeMap<&'static str, &'static str> {
        Counter::ALL.iter().map(|counter| (counter.label(), counter.help())).collect()
    }

    /// Adds to a counter that Python keeps: `l2_bytes_written`.
    fn count_l2_bytes(&self, bytes: u64) {
        self.core().metrics().add(Counter::StoreBytes, bytes);
    }

    /// The commit latency that a share `quantile` of all commits stayed below, in microseconds.
    fn commit_latency_us(&self, quantile: f64) -> Option<f64> {
        self.core().metrics().commit_latency_us(quantile)
    }

    /// Bytes and objects in the journal.
    fn journal_size(&self) -> (u64, usize) {
        self.core().journal().size()
    }

    /// Stretches of the journal that cannot be read: segment, offset, length.
    fn journal_damage(&self) -> Vec<(u64, u64, u64)> {
        let damage = self.core().journal().damage();
        damage.into_iter().map(|damage| (damage.segment, damage.offset, damage.len)).collect()
    }

    /// Makes the repository one of today's format, before L2 holds what older ones cannot read.
    fn raise_format(&self, py: Python<'_>) -> PyResult<()> {
        Ok(py.detach(|| self.core().raise_format().map_err(Failure::from))?)
    }

    /// Seals the active segment, so that all that is committed now can move to L2; the numbers of
    /// the sealed segments.
    fn seal_journal(&self, py: Python<'_>) -> PyResult<Vec<u64>> {
        let journal = self.core().journal();
        py.detach(|| journal.seal().map_err(Failure::from))?;
        Ok(journal.sealed_segments())
    }

    /// The frames of a sealed segment: position, records by id, operation or None.
    fn sealed_frames<'py>(&self, py: Python<'py>, segment: u64) -> PyResult<Bound<'py, PyList>> {
        let journal = self.core().journal();
        let frames = py.detach(|| journal.sealed_frames(segment).map_err(Failure::from))?;
        let list = PyList::empty(py);
        for frame in frames {
            let records = PyList::empty(py);
            for (id, record) in &frame.objects {
                records.append((PyBytes::new(py, id.as_bytes()), PyBytes::new(py, record)))?;
            }
            let operation = frame.operation.map(|bytes| PyBytes::new(py, &bytes));
            list.append((frame.position, records, operation))?;
        }
        Ok(list)
    }

    /// The ref changes of an operation's bytes: name and new value.
    #[staticmethod]
    fn operation_changes<'py>(py: Python<'py>, operation: &[u8]) -> PyResult<Bound<'py, PyDict>> {
        let operation = Operation::decode(operation);
        let changes = PyDict::new(py);
        for change in operation.map_err(Failure::from)?.changes {
            let new = change.new.map(|id| PyBytes::new(py, id.as_bytes()));
            changes.set_item(PyBytes::new(py, &change.name), new)?;
        }
        Ok(changes)
    }

    /// Deletes sealed segments up to `segment`, which L2 now holds.
    fn discard_journal(&self, py: Python<'_>, segment: u64) -> PyResult<()> {
        let journal = self.core().journal();
        Ok(py.detach(|| journal.discard(segment).map_err(Failure::from))?)
    }

    /// Begins a gc that holds at most so many bytes of live ids in memory, the rest in `scratch`.
    fn collect(
        &self,
        py: Python<'_>,
        memory_bytes: usize,
        scratch: Option<PathBuf>,
    ) -> PyResult<Collection> {
        Collection::begin(py, &self.shared.engine, memory_bytes, scratch)
    }

    /// An operation's time in microseconds, and all snapshots that it names.
    #[staticmethod]
    fn operation_values<'py>(
        py: Python<'py>,
        operation: &[u8],
    ) -> PyResult<(i64, Vec<Bound<'py, PyBytes>>)> {
        let operation = helios_core::journal::frame::Operation::decode(operation);
        let operation = operation.map_err(Failure::from)?;
        let values = operation.snapshots().map(|id| PyBytes::new(py, id.as_bytes()));
        Ok((operation.time_us, values.collect()))
    }

    /// The trees that worktrees' indexes describe.
    #[staticmethod]
    fn indexed_trees<'py>(py: Python<'py>, indexes: Vec<PathBuf>) -> Vec<Bound<'py, PyBytes>> {
        let trees = engine::gc::indexed(&indexes);
        trees.iter().map(|id| PyBytes::new(py, id.as_bytes())).collect()
    }

    /// Of a parent that gc has dropped: its nearest kept ancestor, itself if there is none.
    fn dropped(&self, id: &str) -> PyResult<Option<String>> {
        let next = self.core().dropped(&parse_id(id)?).map_err(Failure::from)?;
        Ok(next.map(|id| id.to_hex()))
    }

    /// Says how far a long operation that Python does has got; an unknown phase is none.
    fn begin_phase(&self, phase: &str, total: u64) {
        self.core().progress().begin(Phase::named(phase).unwrap_or(Phase::Idle), total);
    }

    fn step(&self, count: u64) {
        self.core().progress().step(count);
    }

    fn refresh(&self) -> PyResult<()> {
        Ok(self.core().refresh().map_err(Failure::from)?)
    }
}
