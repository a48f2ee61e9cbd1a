"""The peer `helios`: the Python API, durability `process`."""

from __future__ import annotations

from pathlib import Path

from helios import VST, Repository
from helios.bench.figure import HELIOS
from helios.bench.peers.peer import AUTHOR, Changes, Peer
from helios.bench.workbench import Workbench


class Helios(Peer):
    """A repository on disk; each commit writes one frame of its journal."""

    name = HELIOS

    def __init__(self, bench: Workbench) -> None:
        """Nothing is made yet."""
        self._bench = bench
        self.repository: Repository | None = None
        self._vst: VST | None = None

    def load(self, contents: Changes) -> None:
        self._close()
        root = self._bench.fresh("peer-helios")
        self.repository = Repository.init(root, author=AUTHOR)
        self._vst = self.repository.vst("main")
        for path, content in contents.items():
            self._vst.write(path, content)
        self._vst.commit("base")
        self._bench.programs.run(self._bench.programs.maintenance(root), self._bench.directory)

    def prepare(self, changes: Changes) -> None:
        pass

    def commit(self, changes: Changes) -> None:
        vst = self._live()
        for path, content in changes.items():
            vst.write(path, content)
        vst.commit("edit")

    def contents(self) -> Changes:
        vst = self._opened().vst("main")
        return {path: vst.read(path) for path in vst.walk()}

    @property
    def place(self) -> Path | None:
        root = self._opened().root
        return None if root is None else Path(root)

    def branch(self, name: str) -> None:
        self._opened().create_branch(name, "main")

    def branches(self) -> set[str]:
        return set(self._opened().branches())

    def read(self, path: str) -> bytes:
        return self._live().read(path)

    def diff(self) -> list[str]:
        return [change.path for change in self._opened().diff("main~1", "main").changed]

    def _opened(self) -> Repository:
        assert self.repository is not None, "load comes first"  # noqa: S101
        return self.repository

    def _live(self) -> VST:
        assert self._vst is not None, "load comes first"  # noqa: S101
        return self._vst

    def _close(self) -> None:
        if self.repository is not None:
            self.repository.close()
            self.repository = self._vst = None

    def __exit__(self, *_: object) -> None:
        self._close()
