"""The peer `dulwich`: git in Python, loose objects, without index."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from helios.bench.figure import Unmeasurable
from helios.bench.peers.peer import AUTHOR, EMAIL, FILE_MODE, TREE_MODE, Changes, Peer
from helios.bench.workbench import Workbench

MAIN = b"refs/heads/main"


class Dulwich(Peer):
    """A bare repository. A commit writes blobs, changed trees, the commit and the ref."""

    name = "dulwich"

    def __init__(self, bench: Workbench) -> None:
        """Raises `Unmeasurable` if dulwich is not installed."""
        try:
            self._repo: Any = import_module("dulwich.repo")
            self._objects: Any = import_module("dulwich.objects")
            self._diff_tree: Any = import_module("dulwich.diff_tree")
        except ImportError as error:
            raise Unmeasurable("dulwich is not installed") from error
        self._bench = bench
        self._repository: Any = None
        self._root = bench.directory
        self._head: Any = None
        self._commits = 0

    def load(self, contents: Changes) -> None:
        self._close()
        self._root = self._bench.fresh("peer-dulwich")
        self._repository = self._repo.Repo.init_bare(str(self._root), mkdir=True)
        self._head = None
        self.commit(contents)

    def prepare(self, changes: Changes) -> None:
        pass

    def commit(self, changes: Changes) -> None:
        store = self._repository.object_store
        tree = None if self._head is None else store[store[self._head].tree]
        commit = self._objects.Commit()
        commit.tree = self._written(store, tree, changes)
        commit.parents = [] if self._head is None else [self._head]
        commit.author = commit.committer = f"{AUTHOR} <{EMAIL}>".encode()
        self._commits += 1
        commit.author_time = commit.commit_time = self._commits
        commit.author_timezone = commit.commit_timezone = 0
        commit.message = b"edit"
        store.add_object(commit)
        self._head = commit.id
        self._repository.refs[MAIN] = commit.id

    def _written(self, store: Any, tree: Any, changes: Changes) -> Any:
        """The id of a tree with the changes in it; directories without any are not looked at."""
        changed = self._objects.Tree() if tree is None else tree.copy()
        below: dict[bytes, Changes] = {}
        for path, content in changes.items():
            folder, slash, rest = path.partition("/")
            if slash:
                below.setdefault(folder.encode(), {})[rest] = content
            else:
                blob = self._objects.Blob.from_string(content)
                store.add_object(blob)
                changed.add(path.encode(), FILE_MODE, blob.id)
        for folder_name, inner in below.items():
            lower = store[changed[folder_name][1]] if folder_name in changed else None
            changed.add(folder_name, TREE_MODE, self._written(store, lower, inner))
        store.add_object(changed)
        return changed.id

    def _tree(self) -> Any:
        store = self._repository.object_store
        return store[store[self._head].tree]

    def contents(self) -> Changes:
        store = self._repository.object_store
        return {
            entry.path.decode(): store[entry.sha].data
            for entry in store.iter_tree_contents(self._tree().id)
        }

    @property
    def place(self) -> Path | None:
        return self._root

    def branch(self, name: str) -> None:
        self._repository.refs[f"refs/heads/{name}".encode()] = self._head

    def branches(self) -> set[str]:
        return {name.decode() for name in self._repository.refs.as_dict(b"refs/heads")}

    def read(self, path: str) -> bytes:
        store = self._repository.object_store
        _, found = self._tree().lookup_path(store.__getitem__, path.encode())
        data: bytes = store[found].data
        return data

    def diff(self) -> list[str]:
        store = self._repository.object_store
        commit = store[self._head]
        older = store[commit.parents[0]].tree
        changes = self._diff_tree.tree_changes(store, older, commit.tree)
        return [change.new.path.decode() for change in changes]

    def _close(self) -> None:
        if self._repository is not None:
            self._repository.close()
            self._repository = None

    def __exit__(self, *_: object) -> None:
        self._close()
