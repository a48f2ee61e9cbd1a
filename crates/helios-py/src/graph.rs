//! Graphs of snapshots as text, drawn by `sapling-renderdag`.

use parking_lot::Mutex;
use pyo3::prelude::*;
use renderdag::{Ancestor, AsciiRenderer, GraphRowRenderer, Renderer};

type Rows = AsciiRenderer<String, GraphRowRenderer<String>>;

/// Draws a graph from top to bottom, a node at a time.
#[pyclass(frozen, module = "helios._core")]
pub struct Graph {
    rows: Mutex<Rows>,
}

#[pymethods]
impl Graph {
    #[new]
    fn new() -> Graph {
        let rows = GraphRowRenderer::<String>::new().output().with_min_row_height(1);
        Graph { rows: Mutex::new(rows.build_ascii()) }
    }

    /// The lines of a node, with the text beside it. Children come before their parents.
    fn draw(&self, id: String, parents: Vec<String>, mark: String, text: String) -> String {
        let parents = parents.into_iter().map(Ancestor::Parent).collect();
        self.rows.lock().next_row(id, parents, mark, text)
    }
}
