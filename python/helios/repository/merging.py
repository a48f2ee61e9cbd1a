"""Merging into a worktree: what is on disk and somebody else's snapshot become one, or conflict.

Each is one operation of the log: the branch, the disk and what the disk held before it.
"""

from __future__ import annotations

from helios import errors
from helios.repository.operation import BRANCHES
from helios.repository.result import Result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from helios._core import Engine, Merge, Snapshot
    from helios.repository.worktree import PathWarning, Restored, Worktree

    Moves = list[tuple[str, str | None, str | None]]


ID_DIGITS = 64
LABEL_DIGITS = 12


class Merged(Result):
    """What a merge into the worktree did, or would do.

    `merge` holds the outcome and the conflicts; `snapshot` is where the branch is now, None if
    nothing was merged; `safety` is what was on disk before, if it was new.
    """

    __slots__ = ("branch", "deleted", "merge", "safety", "snapshot", "warnings", "written")

    def __init__(
        self,
        branch: str,
        merge: Merge,
        snapshot: Snapshot | None,
        safety: Snapshot | None,
        written: list[str],
        deleted: list[str],
        warnings: list[PathWarning],
    ) -> None:
        self.branch = branch
        self.merge = merge
        self.snapshot = snapshot
        self.safety = safety
        self.written = written
        self.deleted = deleted
        self.warnings = warnings


def merge(
    engine: Engine,
    worktree: Worktree,
    theirs: Snapshot,
    name: str,
    message: str,
    author: str | None,
    markers: bool,
    dry_run: bool,
) -> Merged:
    """See `Worktree.merge`; `name` is what the caller calls `theirs`. The caller has the turn."""
    branch, base = _settled(engine, worktree)
    name = theirs.id[:12] if name == theirs.id else name
    command = f"merge {name}"
    disk, warned = (None, []) if dry_run else worktree.keep(base, command)
    ours = base if disk is None else disk.id
    # It moves no branch by itself: that goes with the disk.
    found = engine.merge(ours, theirs.id, None, (branch, name))
    conflicted = found.outcome == "conflicts"
    if dry_run and not conflicted:
        diff = found.vst().diff(ours)
        written = [each.path for each in [*diff.added, *diff.changed]]
        written += [each.path for each in diff.renamed]
        deleted = [each.path for each in diff.deleted]
        deleted += [each.old_path for each in diff.renamed]
        return Merged(branch, found, None, None, sorted(written), sorted(deleted), [])
    if dry_run or found.outcome == "up-to-date" or (conflicted and not markers):
        return Merged(branch, found, None, None, [], [], warned)
    held = engine.snapshot(ours)
    if conflicted:
        # It only says what the disk is to be; the branch has what was on disk.
        marked = found.vst(markers=True).commit(command)
        moves = _moves(branch, base, ours)
        head = (branch, ours)
        done = worktree.carry_out(
            held, marked, disk, command, head=head, moves=moves, merging=theirs.id
        )
        return Merged(branch, found, None, disk, done[0], done[1], warned + done[2])
    snapshot = found.commit(message or f"merge {name} into {branch}", author=author)
    moves = _moves(branch, base, snapshot.id)
    head = (branch, snapshot.id)
    done = worktree.carry_out(held, snapshot, disk, command, head=head, moves=moves)
    return Merged(branch, found, snapshot, disk, done[0], done[1], warned + done[2])


def restore_merged(
    engine: Engine,
    worktree: Worktree,
    target: Snapshot,
    since: str | None,
    paths: list[bytes] | None,
) -> Restored:
    """See `Worktree.restore` with `merge`. The caller has the turn."""
    from helios.repository.worktree import Restored

    command = f"restore --merge {target.id[:12]}"
    branch, base = _settled(engine, worktree)
    disk, warned = worktree.keep(base, command)
    ours = base if disk is None else disk.id
    names = ("disk", target.id[:12])
    found = engine.merge_trees(base if since is None else since, ours, target.id, names)
    if found.conflicts:
        return Restored(target, None, [], [], warned, found.conflicts)
    done = worktree.carry_out(
        engine.snapshot(ours),
        found.commit(command),
        disk,
        command,
        paths=paths,
        head=(branch, ours),
        moves=_moves(branch, base, ours),
    )
    return Restored(target, disk, done[0], done[1], warned + done[2])


def _moves(branch: str, old: str, new: str) -> Moves:
    return [] if old == new else [(BRANCHES + branch, old, new)]


def _settled(engine: Engine, worktree: Worktree) -> tuple[str, str]:
    """The branch and its snapshot, which the disk must have come from."""
    branch, base = worktree.head()
    merging = worktree.merging
    if merging is not None:
        raise errors.Refused(
            f"the merge of {merging[:12]} is not finished: `commit` concludes it, "
            f"`restore {branch}` gives it up"
        )
    head = engine.branch(branch)
    if head is None:
        raise errors.UnknownRevision(
            f"branch {branch!r} has no snapshot yet; make one with `commit`"
        )
    if base is None or base != head:
        raise errors.BranchMoved(
            f"branch {branch!r} has moved since the disk was brought to it; "
            f"`switch {branch}` takes over what is there",
            branch=branch,
            expected=base,
            actual=head,
            snapshot=None,
        )
    return branch, base


def label(revision: str | Snapshot) -> str:
    """What stands in conflict markers: the name as given, or the first digits of an id."""
    text = str(revision)
    return text if len(text) < ID_DIGITS else text[:LABEL_DIGITS]
