"""Random histories of a repository, on disk and in memory, checked against plain dicts."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from helios import VST, Repository, Snapshot, errors
from vst.tree_model import TreeModel

NAMES = st.sampled_from([b"a", b"b", b"c", b"a.b", b"\xff"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(b"/".join)
CONTENT = st.one_of(
    st.binary(max_size=20),
    st.integers(0, 60).map(lambda n: b"".join(b"line %d\n" % (i * (i != n)) for i in range(60))),
    st.integers(0, 3).map(lambda n: bytes([n]) * 1_200_000),
)
BRANCHES = st.sampled_from(["main", "x", "y/z"])


class Work:
    """A VST and what it must hold."""

    def __init__(self, vst: VST, model: TreeModel, sources: tuple[str | None, ...] = ()) -> None:
        self.vst = vst
        self.model = model
        # Snapshots that its content may be loaded from.
        self.sources = (vst.base, *sources)


class RepositoryMachine(RuleBasedStateMachine):
    """One repository, several VSTs of it; every snapshot ever made stays as it was."""

    def open(self) -> Repository:
        raise NotImplementedError

    works = Bundle("works")

    @initialize()
    def begin(self) -> None:
        self.repo = self.open()
        self.snapshots: dict[str, TreeModel] = {}
        self.parents: dict[str, list[str]] = {}
        self.branches: dict[str, str] = {}
        # The same history gives the same ids, so that Hypothesis can repeat it.
        self.time_us = 0

    @rule(target=works, branch=BRANCHES)
    def vst_of_branch(self, branch: str) -> Work:
        if branch not in self.branches and branch != "main":
            try:
                self.repo.vst(branch)
            except errors.UnknownRevision:
                branch = "main"
        head = self.branches.get(branch)
        model = self.snapshots[head].copy() if head else TreeModel()
        return Work(self.repo.vst(branch), model)

    @rule(target=works, data=st.data())
    def vst_of_an_old_snapshot(self, data: st.DataObject) -> Work:
        if not self.snapshots:
            return Work(self.repo.vst(), TreeModel())
        snapshot = data.draw(st.sampled_from(sorted(self.snapshots)))
        return Work(self.repo.vst(snapshot), self.snapshots[snapshot].copy())

    @rule(target=works, work=works, branch=st.none() | BRANCHES)
    def fork(self, work: Work, branch: str | None) -> Work:
        if branch in self.branches:
            try:
                work.vst.fork(branch)
            except errors.BranchExists:
                branch = None
        return Work(work.vst.fork(branch), work.model.copy(), work.sources)

    def may_be_gone(self, work: Work) -> bool:
        """Whether gc has dropped what the VST has not loaded yet."""
        return any(source not in self.snapshots for source in work.sources if source)

    def edit(self, work: Work, name: str, *arguments: bytes) -> None:
        if self.may_be_gone(work):
            return
        outcomes: list[type[Exception] | None] = []
        for target in (work.model, work.vst):
            try:
                getattr(target, name)(*arguments)
                outcomes.append(None)
            except errors.HeliosError as error:
                outcomes.append(type(error))
        assert outcomes[0] is outcomes[1]

    @rule(work=works, path=PATHS, content=CONTENT)
    def write(self, work: Work, path: bytes, content: bytes) -> None:
        self.edit(work, "write", path, content)

    @rule(work=works, path=PATHS)
    def delete(self, work: Work, path: bytes) -> None:
        self.edit(work, "delete", path)

    @rule(work=works, old=PATHS, new=PATHS)
    def rename(self, work: Work, old: bytes, new: bytes) -> None:
        self.edit(work, "rename", old, new)

    @rule(work=works, path=PATHS)
    def mkdir(self, work: Work, path: bytes) -> None:
        self.edit(work, "mkdir", path)

    @rule(work=works, data=st.data())
    def restore(self, work: Work, data: st.DataObject) -> None:
        if self.snapshots:
            snapshot = data.draw(st.sampled_from(sorted(self.snapshots)))
            work.vst.restore(snapshot)
            work.sources = (*work.sources, snapshot)
            work.model = self.snapshots[snapshot].copy()

    @rule(work=works, allow_empty=st.booleans())
    def commit(self, work: Work, allow_empty: bool) -> None:
        base, branch = work.vst.base, work.vst.branch
        try:
            self.time_us += 1
            made = work.vst.commit(allow_empty=allow_empty, time_us=self.time_us)
        except errors.Collected:
            assert self.may_be_gone(work)
            return
        except errors.BranchMoved as error:
            assert error.branch == branch
            assert error.actual == self.branches.get(error.branch) != error.expected
            assert error.expected in (base, None)
            assert error.snapshot is not None
            self.keep(self.repo.snapshot(error.snapshot), work, base)
            assert work.vst.base == base
            return
        if made.stats is None:
            assert made.id == base
            return
        self.keep(made, work, base)
        # All that it holds is stored now, whatever it came from.
        work.sources = (made.id,)
        assert work.vst.base == made.id
        if branch is not None:
            assert self.branches.get(branch) in (base, None)
            self.branches[branch] = made.id

    def keep(self, made: Snapshot, work: Work, base: str | None) -> None:
        assert made.parents == ([base] if base else [])
        self.snapshots[made.id] = work.model.copy()
        self.parents[made.id] = made.parents

    @rule(work=consumes(works))
    def a_vst_shows_its_model(self, work: Work) -> None:
        if not self.may_be_gone(work):
            work.model.check(work.vst)

    @rule(branch=BRANCHES, data=st.data())
    def create_branch(self, branch: str, data: st.DataObject) -> None:
        if not self.snapshots:
            return
        start = data.draw(st.sampled_from(sorted(self.snapshots)))
        try:
            self.repo.create_branch(branch, start[:40])
        except errors.BranchExists:
            assert branch in self.branches
        else:
            assert branch not in self.branches
            self.branches[branch] = start

    @rule(branch=st.sampled_from(["x", "y/z"]))
    def delete_branch(self, branch: str) -> None:
        if branch in self.branches:
            assert self.repo.delete_branch(branch) == self.branches.pop(branch)

    @rule()
    def maintenance(self) -> None:
        self.repo.maintenance()

    @rule(data=st.data())
    def old_snapshots_are_as_they_were(self, data: st.DataObject) -> None:
        if self.snapshots:
            snapshot = data.draw(st.sampled_from(sorted(self.snapshots)))
            self.snapshots[snapshot].check(self.repo.vst(snapshot))
            assert self.repo.snapshot(snapshot).parents == self.parents[snapshot]

    @rule(data=st.data())
    def a_diff_lists_what_differs(self, data: st.DataObject) -> None:
        if not self.snapshots:
            return
        ids = st.sampled_from(sorted(self.snapshots))
        old, new = data.draw(ids), data.draw(ids)
        before, after = self.snapshots[old].files, self.snapshots[new].files
        diff = self.repo.diff(old, new)
        files = [change for change in diff.added if change.new_kind != "directory"]
        gone = [change for change in diff.deleted if change.old_kind != "directory"]
        added = {c.path_bytes for c in files} | {path_bytes(r.path) for r in diff.renamed}
        deleted = {c.path_bytes for c in gone} | {path_bytes(r.old_path) for r in diff.renamed}
        assert added == after.keys() - before.keys()
        assert deleted == before.keys() - after.keys()
        assert {c.path_bytes for c in diff.changed} == {
            path for path in before.keys() & after.keys() if before[path] != after[path]
        }
        for rename in diff.renamed:
            assert before[path_bytes(rename.old_path)] == after[path_bytes(rename.path)]

    @invariant()
    def branches_are_where_they_were_put(self) -> None:
        assert self.repo.branches() == self.branches

    def teardown(self) -> None:
        self.repo.close()


def path_bytes(path: str) -> bytes:
    import os

    return os.fsencode(path)


class DiskMachine(RepositoryMachine):
    """On disk there is also opening anew, and another handle on the same files."""

    def open(self) -> Repository:
        self.directory = Path(tempfile.mkdtemp(prefix="helios-model-"))
        self.earlier: list[Repository] = []
        return Repository.init(self.directory, cache_bytes=100_000)

    @rule()
    def reopen(self) -> None:
        # VSTs of the earlier handle go on with it, as those of another process would.
        self.earlier.append(self.repo)
        self.repo = Repository.open(self.directory, cache_bytes=100_000)

    @rule(last=st.none() | st.integers(1, 3))
    def another_handle_collects(self, last: int | None) -> None:
        """VSTs that are held meanwhile commit whole, or not at all."""
        rules = "" if last is None else f"keep-last = {last}\n"
        config = self.directory / ".helios" / "config"
        config.write_text(f'[retention]\ngrace = "0s"\nundo = "0s"\n{rules}')
        with Repository.open(self.directory) as other:
            other.gc()
            for snapshot in list(self.snapshots):
                try:
                    other.snapshot(snapshot)
                except errors.RevisionError:
                    del self.snapshots[snapshot]
            for branch, head in self.branches.items():
                assert head in self.snapshots, branch
                if last is None:
                    kept = {found.id for found in other.log(branch)}
                    assert kept <= self.snapshots.keys()

    @rule()
    def another_handle_does_maintenance(self) -> None:
        with Repository.open(self.directory) as other:
            other.maintenance()

    @rule(branch=BRANCHES)
    def another_handle_sees_the_same(self, branch: str) -> None:
        with Repository.open(self.directory) as other:
            assert other.branches() == self.branches
            if branch in self.branches:
                self.snapshots[self.branches[branch]].check(other.vst(branch))

    def teardown(self) -> None:
        if hasattr(self, "repo"):
            super().teardown()
            for repo in self.earlier:
                repo.close()
            shutil.rmtree(self.directory)


class MemoryMachine(RepositoryMachine):
    def open(self) -> Repository:
        return Repository.memory(cache_bytes=100_000)


DiskMachine.TestCase.settings = settings(max_examples=30, stateful_step_count=40, deadline=None)
MemoryMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
TestOnDisk = DiskMachine.TestCase
TestInMemory = MemoryMachine.TestCase
