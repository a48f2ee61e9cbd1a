"""Undo, redo, and going back to an operation: each is a new operation that reverts others.

Nothing is taken out of the log, so each can be undone itself. Refs move by compare-and-swap: where
somebody else has moved one since, nothing is changed, and the error names both operations. An
operation that changed the disk of this worktree is reverted on disk as well; what is there and not
committed is made a snapshot first, which the new operation names, so that `redo` brings it back.

The new operation is recorded before the disk is touched: if the process dies in between, the log
knows the snapshot of what was on disk.
"""

from __future__ import annotations

from helios import errors
from helios.repository.operation import (
    BRANCHES,
    REPAIR,
    TAGS,
    WORKTREES,
    Operation,
    find,
    operations,
)
from helios.repository.result import Result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from helios._core import Engine, Snapshot
    from helios.repository.worktree import PathWarning, Worktree
    from helios.store import Store

SHOWN_DIGITS = 12


class Undone(Result):
    """What `undo`, `redo` or `restore_operation` did.

    `operation` is the new one's id, None if there was nothing to change; `of` is the one that was
    undone, redone or gone back to. `safety` is the snapshot of what was on disk and not committed.
    """

    __slots__ = ("deleted", "of", "operation", "safety", "warnings", "written")

    def __init__(
        self,
        operation: str | None,
        of: Operation,
        safety: Snapshot | None = None,
        written: list[str] | None = None,
        deleted: list[str] | None = None,
        warnings: list[PathWarning] | None = None,
    ) -> None:
        self.operation = operation
        self.of = of
        self.safety = safety
        self.written = written or []
        self.deleted = deleted or []
        self.warnings = warnings or []


class _Plan:
    """What is to become of refs, of the disk, and of the worktree's note of where it is."""

    def __init__(self, head: tuple[str, str | None] | None, merging: str | None) -> None:
        # By name: what the ref is now, and what it is to be.
        self.changes: dict[str, tuple[str | None, str | None]] = {}
        self.disk: str | None = None
        self.head = head
        self.merging = merging


class History:
    """The operation log of a repository, seen from its worktree, if it has one."""

    def __init__(self, engine: Engine, store: Store | None, worktree: Worktree | None) -> None:
        self._engine = engine
        self._store = store
        self._worktree = worktree

    def undo(self, name: str | None) -> Undone:
        """Reverts an operation; without a name, the last one of this worktree that stands."""
        return self._in_turn(lambda: self._undo(name))

    def redo(self) -> Undone:
        """Reverts the last undo, unless something was done since."""
        return self._in_turn(self._redo)

    def restore(self, name: str) -> Undone:
        """Brings all refs to what they were right after an operation."""
        return self._in_turn(lambda: self._restore(name))

    def _in_turn(self, body: Callable[[], Undone]) -> Undone:
        if self._worktree is None:
            return body()
        with self._worktree.turn():
            return body()

    def _undo(self, name: str | None) -> Undone:
        last = self._last("undo")
        if name is None:
            if last is None:
                raise errors.NothingToUndo(
                    "there is nothing to undo; `op log` lists what was done, also elsewhere"
                )
            return self._revert(last, "undo")
        chosen = find(name, self._engine, self._store)
        if chosen.verb == REPAIR:
            raise errors.Refused(
                f"operation {_shown(chosen)} only made refs and log agree; "
                "`branch NAME ID` names a snapshot that it tells of"
            )
        is_last = last is not None and last.id == chosen.id
        return self._revert(chosen, "undo" if is_last else "revert")

    def _redo(self) -> Undone:
        last = self._last("redo")
        if last is None or last.verb != "undo":
            raise errors.NothingToUndo(
                "there is nothing to redo: what was done last here is not an undo; "
                "`op restore` goes to any operation"
            )
        return self._revert(last, "redo")

    def _last(self, verb: str) -> Operation | None:
        """The last operation that is not undone (or, for `redo`, redone) already."""
        behind: str | None = None
        for operation in operations(self._engine, self._store):
            if behind is not None:
                # Between an undo and what it undid lies only what was undone before.
                behind = None if operation.id == behind else behind
            elif self._made_worktree(operation):
                # What is before was done in another worktree that had this name.
                return None
            elif operation.verb != REPAIR and self._concerns(operation):
                if operation.verb != verb:
                    return operation
                behind = operation.of
        return None

    def _made_worktree(self, operation: Operation) -> bool:
        mine = self._worktree
        return mine is not None and any(
            change.name == mine.reference and change.old is None for change in operation.changes
        )

    def _concerns(self, operation: Operation) -> bool:
        """Whether it was done in this worktree, or to its files or its branch. What others do to
        their own branches, meanwhile and perhaps all the time, is not this one's to undo."""
        worktree = self._worktree
        return (
            worktree is None
            or operation.worktree == worktree.name
            or operation.changes_ref(worktree.reference)
            or operation.changes_ref(BRANCHES + worktree.branch)
        )

    def _revert(self, operation: Operation, verb: str) -> Undone:
        plan = self._begin()
        for change in operation.changes:
            now = self._engine.reference(change.name)
            is_there = now == change.new
            if change.name.startswith(WORKTREES):
                self._require_here(operation, change.name.removeprefix(WORKTREES))
                # In turn, whatever the disk holds is what came of it, perhaps edited since, and
                # made a snapshot under another id.
                is_there = verb != "revert" or self._tree(now) == self._tree(change.new)
            if not is_there:
                raise self._moved(operation, change.name, change.new, change.old)
        head = operation.head
        if head is not None:
            self._require_here(operation, head.worktree)
            if plan.head is not None and plan.head[0] != head.new[0]:
                raise errors.Refused(
                    f"operation {_shown(operation)} put the worktree on branch {head.new[0]!r}, "
                    f"and it is on {plan.head[0]!r} now: `switch` instead"
                )
        self._add(plan, operation)
        return self._perform(plan, operation, verb)

    def _tree(self, snapshot: str | None) -> str | None:
        return None if snapshot is None else self._engine.snapshot(snapshot).tree_id

    def _restore(self, name: str) -> Undone:
        target = find(name, self._engine, self._store)
        plan = self._begin()
        for operation in operations(self._engine, self._store):
            if operation.id == target.id:
                break
            self._add(plan, operation)
        for ref, (expected, wanted) in list(plan.changes.items()):
            if expected == wanted:
                del plan.changes[ref]
        return self._perform(plan, target, "restore")

    def _begin(self) -> _Plan:
        if self._worktree is None:
            return _Plan(None, None)
        return _Plan(self._worktree.head(), self._worktree.merging)

    def _require_here(self, operation: Operation, name: str) -> None:
        if self._worktree is None or name != self._worktree.name:
            raise errors.Refused(
                f"operation {_shown(operation)} was done to worktree {name!r}: undo it there"
            )

    def _add(self, plan: _Plan, operation: Operation) -> None:
        """Takes back one more operation, the one before those that the plan takes back already.

        The disks of other worktrees stay as they are: they will find that their branch has moved.
        Refs that are neither branches nor tags are no person's, and stay, too.
        """
        if operation.verb == REPAIR:
            return
        mine = self._worktree
        head = operation.head
        if self._made_worktree(operation):
            raise errors.Refused(
                f"operation {_shown(operation)} made this worktree; `worktree remove` takes it away"
            )
        if plan.head and mine and head and head.worktree == mine.name:
            same_base = head.old[1] == head.new[1]
            plan.head = (head.old[0], plan.head[1] if same_base else head.old[1])
        if mine and operation.merging and operation.merging.worktree == mine.name:
            plan.merging = operation.merging.old
        for change in operation.changes:
            if change.name.startswith((BRANCHES, TAGS)):
                expected = plan.changes.get(change.name)
                now = self._engine.reference(change.name) if expected is None else expected[0]
                plan.changes[change.name] = (now, change.old)
            elif mine is not None and change.name == mine.reference:
                plan.disk = change.old
            if plan.head is not None and change.name == BRANCHES + plan.head[0]:
                branch, base = plan.head
                # The files stay, and what they came from is the snapshot before.
                plan.head = (branch, change.old if base == change.new else base)

    def _perform(self, plan: _Plan, of: Operation, verb: str) -> Undone:
        worktree = self._worktree
        changes = [(name, old, new) for name, (old, new) in plan.changes.items()]
        command = "op restore" if verb == "restore" else verb.replace("revert", "undo")
        notes = [f"{verb} {of.id}"]
        try:
            if worktree is None:
                if not changes:
                    return Undone(None, of)
                return Undone(
                    self._engine.operate(changes, command, notes=notes, worktree=None), of
                )
            is_there = (plan.head, plan.merging) == (worktree.head(), worktree.merging)
            if plan.head is None or (not changes and plan.disk is None and is_there):
                return Undone(None, of)
            worktree.require_branches_of_others(
                [name for name, _, new in changes if new is None and name.startswith(BRANCHES)]
            )
            if plan.disk is None:
                done = worktree.record(changes, command, notes, plan.head, plan.merging)
                return Undone(done, of)
            held, safety, warned = worktree.hold(command)
            changes.append((worktree.reference, held, plan.disk))
            done = worktree.record(changes, command, notes, plan.head, plan.merging)
        except errors.BranchMoved as error:
            # Another process was faster by a moment.
            raise self._moved(
                of, _ref(error.branch, changes), error.expected, error.snapshot
            ) from (error)
        written, deleted, warnings = worktree.bring(plan.disk, safety)
        return Undone(done, of, safety, written, deleted, [*warned, *warnings])

    def _moved(
        self, operation: Operation, name: str, expected: str | None, wanted: str | None
    ) -> errors.BranchMoved:
        """The error for a ref that is not what the operation left."""
        since = "is not what it left"
        for other in operations(self._engine, self._store):
            if other.id == operation.id:
                break
            if other.changes_ref(name):
                since = f"was changed since by operation {_shown(other)}"
                break
        shown = name.removeprefix(BRANCHES)
        return errors.BranchMoved(
            f"operation {_shown(operation)} cannot be undone: {shown} {since}; "
            "undo that first, or `op restore` to before both",
            branch=shown,
            expected=expected,
            actual=self._engine.reference(name),
            snapshot=wanted,
        )


def _ref(branch: str, changes: Iterable[tuple[str, str | None, str | None]]) -> str:
    """The full name of the ref that a `BranchMoved` names."""
    names = [name for name, _, _ in changes]
    return branch if branch in names else BRANCHES + branch


def _shown(operation: Operation) -> str:
    return f"{operation.id[:SHOWN_DIGITS]} ({operation.command})"
