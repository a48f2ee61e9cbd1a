"""Random work in a worktree, with undo and redo, checked against a list of states."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from helios import Repository

NAMES = st.sampled_from(["a", "b", "c"])
TEXTS = st.sampled_from(["", "1", "22", "333"])
BRANCHES = st.sampled_from(["main", "x", "y"])
TAGS = st.sampled_from(["t", "u"])


class State:
    """Refs, the branch of the worktree, and its files."""

    def __init__(self, refs: dict[str, str], branch: str, disk: dict[str, str]) -> None:
        self.refs = refs
        self.branch = branch
        self.disk = disk

    def copy(self) -> State:
        return State(dict(self.refs), self.branch, dict(self.disk))


class Step:
    """An operation: what was before it and after it, and whether it changed the files."""

    def __init__(self, before: State, after: State) -> None:
        self.before = before
        self.after = after
        self.changed_disk = before.disk != after.disk


class UndoMachine(RuleBasedStateMachine):
    """One worktree. An agent commits to a branch of its own meanwhile, which nothing disturbs."""

    @initialize()
    def begin(self) -> None:
        self.place = Path(tempfile.mkdtemp())
        self.repo = Repository.init(self.place / "repo")
        self.now = State({}, "main", {})
        self.snapshots: dict[str, dict[str, str]] = {}
        self.done: list[Step] = []
        self.undone: list[Step] = []
        self.agent = self.repo.vst("main").fork("agent")
        self.agent["n"] = "0"
        self.agent.commit()
        self.edit("a", "1")
        self.commit()

    def teardown(self) -> None:
        if hasattr(self, "place"):
            self.repo.close()
            shutil.rmtree(self.place)

    # What changes nothing but the files

    @rule(name=NAMES, text=TEXTS)
    def edit(self, name: str, text: str) -> None:
        (self.place / "repo" / name).write_text(text)
        self.now.disk[name] = text

    @rule(name=NAMES)
    def remove(self, name: str) -> None:
        (self.place / "repo" / name).unlink(missing_ok=True)
        self.now.disk.pop(name, None)

    # Operations

    def record(self, before: State) -> None:
        self.done.append(Step(before, self.now.copy()))
        self.undone.clear()

    def secure(self) -> None:
        """What `restore` and `switch` do first: an operation of its own."""
        head = self.now.refs.get(self.now.branch)
        if head is None or self.snapshots[head] != self.now.disk:
            before = self.now.copy()
            name = f"heads/{self.now.branch}"
            log = self.repo.operations()
            found = next(
                change.new
                for operation in log
                for change in operation.changes
                if change.name == name and change.new is not None
            )
            self.snapshots[found] = dict(self.now.disk)
            self.now.refs[self.now.branch] = found
            self.record(before)

    @rule()
    def commit(self) -> None:
        before = self.now.copy()
        made = self.repo.worktree.commit()
        if made.snapshot.stats is not None:
            self.snapshots[made.snapshot.id] = dict(self.now.disk)
            self.now.refs[self.now.branch] = made.snapshot.id
            self.record(before)
        else:
            assert self.snapshots[made.snapshot.id] == self.now.disk

    @rule(data=st.data())
    def restore(self, data: st.DataObject) -> None:
        target = data.draw(st.sampled_from(list(self.snapshots)))
        self.repo.restore(target)
        self.secure()
        before = self.now.copy()
        self.now.disk = dict(self.snapshots[target])
        if before.disk != self.now.disk:
            self.record(before)

    @rule(branch=BRANCHES)
    def switch(self, branch: str) -> None:
        create = branch not in self.now.refs
        if create and branch == self.now.branch:
            return
        self.repo.worktree.switch(branch, create=create)
        self.secure()
        before = self.now.copy()
        if create:
            self.now.refs[branch] = self.now.refs[self.now.branch]
        else:
            self.now.disk = dict(self.snapshots[self.now.refs[branch]])
        self.now.branch = branch
        if create or before.branch != branch:
            self.record(before)

    @rule(branch=BRANCHES)
    def make_or_delete_branch(self, branch: str) -> None:
        if branch == self.now.branch or self.now.branch not in self.now.refs:
            return
        before = self.now.copy()
        if branch in self.now.refs:
            self.repo.delete_branch(branch)
            del self.now.refs[branch]
        else:
            self.now.refs[branch] = self.repo.create_branch(branch)
        self.record(before)

    @rule(new=BRANCHES)
    def rename_branch(self, new: str) -> None:
        old = self.now.branch
        if new in self.now.refs or old not in self.now.refs:
            return
        before = self.now.copy()
        self.repo.rename_branch(old, new)
        self.now.refs[new] = self.now.refs.pop(old)
        self.now.branch = new
        self.record(before)

    @rule(tag=TAGS)
    def make_or_delete_tag(self, tag: str) -> None:
        name = f"tag {tag}"
        if self.now.branch not in self.now.refs:
            return
        before = self.now.copy()
        if name in self.now.refs:
            self.repo.delete_tag(tag)
            del self.now.refs[name]
        else:
            self.now.refs[name] = self.repo.create_tag(tag)
        self.record(before)

    @rule(number=st.integers(1, 9))
    def work_elsewhere(self, number: int) -> None:
        self.agent["n"] = str(number)
        self.agent.commit(allow_empty=True)

    @rule()
    def maintain(self) -> None:
        self.repo.maintenance()

    # Back and forth

    def turn_back(self, step: Step) -> Step:
        before = self.now.copy()
        self.now.refs = dict(step.before.refs)
        self.now.branch = step.before.branch
        if step.changed_disk:
            self.now.disk = dict(step.before.disk)
        made = Step(before, self.now.copy())
        made.changed_disk = step.changed_disk
        return made

    @precondition(lambda self: self.done)
    @rule()
    def undo(self) -> None:
        done = self.repo.undo()
        if done.safety is not None:
            self.snapshots[done.safety.id] = dict(self.now.disk)
        self.undone.append(self.turn_back(self.done.pop()))

    @precondition(lambda self: self.undone)
    @rule()
    def redo(self) -> None:
        done = self.repo.redo()
        if done.safety is not None:
            self.snapshots[done.safety.id] = dict(self.now.disk)
        self.done.append(self.turn_back(self.undone.pop()))

    @precondition(lambda self: self.done)
    @rule()
    def undo_and_redo_all(self) -> None:
        """Far back and all the way forward again is where it began, files and all."""
        count = len(self.done)
        for _ in range(count):
            self.undo()
        for _ in range(count):
            self.redo()

    # What must hold

    @invariant()
    def agrees(self) -> None:
        if not hasattr(self, "place"):
            return
        with Repository.open(self.place / "repo") as other:
            for repo in (self.repo, other):
                refs = repo.branches() | {f"tag {k}": v for k, v in repo.tags().items()}
                assert refs.pop("agent") == self.agent.base
                assert refs == self.now.refs
                head = self.now.refs.get(self.now.branch)
                assert repo.worktree.head() == (self.now.branch, head)
        on_disk = {
            path.name: path.read_text()
            for path in (self.place / "repo").iterdir()
            if path.is_file()
        }
        assert on_disk == self.now.disk


TestUndo = UndoMachine.TestCase
TestUndo.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
