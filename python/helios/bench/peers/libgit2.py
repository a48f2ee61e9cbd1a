"""The peers `libgit2` and `libgit2-memory`: libgit2 in this process, through pygit2, without index.

pygit2 is never a dependency of Helios (its licence is GPL-2.0 with a linking exception): it is used
where somebody has installed it.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from helios.bench.figure import Unmeasurable
from helios.bench.peers.peer import AUTHOR, EMAIL, FILE_MODE, TREE_MODE, Changes, Peer
from helios.bench.workbench import Workbench

MAIN = "refs/heads/main"


class Libgit2(Peer):
    """A bare repository with loose objects. A commit writes blobs, changed trees, and the ref."""

    name = "libgit2"

    def __init__(self, bench: Workbench) -> None:
        """Raises `Unmeasurable` if pygit2 is not installed."""
        try:
            self._pygit2: Any = import_module("pygit2")
        except ImportError as error:
            raise Unmeasurable("pygit2 is not installed") from error
        self._bench = bench
        self._repository: Any = None
        self._head: Any = None
        self._who: Any = None

    def _new(self) -> Any:
        return self._pygit2.init_repository(str(self._bench.fresh("peer-libgit2")), bare=True)

    def load(self, contents: Changes) -> None:
        self._repository = self._new()
        self._who = self._pygit2.Signature(AUTHOR, EMAIL)
        self._head = None
        self.commit(contents)

    def prepare(self, changes: Changes) -> None:
        pass

    def commit(self, changes: Changes) -> None:
        repository = self._repository
        parents = [] if self._head is None else [self._head]
        tree = None if self._head is None else repository[self._head].tree
        root = self._written(tree, changes)
        made = repository.create_commit(None, self._who, self._who, "edit", root, parents)
        self._set_head(made)

    def _set_head(self, commit: Any) -> None:
        self._repository.references.create(MAIN, commit, force=True)
        self._head = commit

    def _written(self, tree: Any, changes: Changes) -> Any:
        """The id of a tree with the changes in it; directories without any are not looked at."""
        repository = self._repository
        builder = repository.TreeBuilder() if tree is None else repository.TreeBuilder(tree)
        below: dict[str, Changes] = {}
        for path, content in changes.items():
            folder, slash, rest = path.partition("/")
            if slash:
                below.setdefault(folder, {})[rest] = content
            else:
                builder.insert(path, repository.create_blob(content), FILE_MODE)
        for folder, inner in below.items():
            lower = tree[folder] if tree is not None and folder in tree else None
            builder.insert(folder, self._written(lower, inner), TREE_MODE)
        return builder.write()

    def contents(self) -> Changes:
        found: Changes = {}

        def walk(tree: Any, prefix: str) -> None:
            for entry in tree:
                if entry.type_str == "tree":
                    walk(entry, f"{prefix}{entry.name}/")
                else:
                    found[f"{prefix}{entry.name}"] = entry.data

        walk(self._repository[self._head].tree, "")
        return found

    @property
    def place(self) -> Path | None:
        return Path(self._repository.path)

    def branch(self, name: str) -> None:
        self._repository.references.create(f"refs/heads/{name}", self._head)

    def branches(self) -> set[str]:
        return set(self._repository.branches.local)

    def read(self, path: str) -> bytes:
        data: bytes = self._repository[self._head].tree[path].data
        return data

    def diff(self) -> list[str]:
        commit = self._repository[self._head]
        diff = self._repository.diff(commit.parents[0], commit)
        return [delta.new_file.path for delta in diff.deltas]

    def __exit__(self, *_: object) -> None:
        self._repository = None


def _memory(pygit2: Any) -> Any:
    """An object database in memory: a dict behind libgit2's interface for backends."""

    class Memory(pygit2.OdbBackend):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self._objects: dict[Any, tuple[int, bytes]] = {}

        def read_cb(self, oid: Any) -> tuple[int, bytes]:
            return self._objects[oid]

        def read_prefix_cb(self, prefix: Any) -> tuple[int, bytes, Any]:
            [oid] = [each for each in self._objects if str(each).startswith(str(prefix))]
            return *self._objects[oid], oid

        def read_header_cb(self, oid: Any) -> tuple[int, int]:
            kind, data = self._objects[oid]
            return kind, len(data)

        def write_cb(self, oid: Any, data: bytes, kind: int) -> None:
            self._objects[oid] = (kind, data)

        def exists_cb(self, oid: Any) -> bool:
            return oid in self._objects

        def refresh_cb(self) -> None:
            pass

    odb = pygit2.Odb()
    odb.add_backend(Memory(), 1)
    return odb


class Libgit2InMemory(Libgit2):
    """Objects in memory. The branch is not named anywhere, and nothing reaches a disk."""

    name = "libgit2-memory"
    branch = branches = None  # type: ignore[assignment]

    def _new(self) -> Any:
        repository = self._pygit2.Repository()
        repository.set_odb(_memory(self._pygit2))
        return repository

    def _set_head(self, commit: Any) -> None:
        self._head = commit

    @property
    def place(self) -> Path | None:
        return None
