"""Operations as data, and as lines for a person; and what undoing one did."""

from __future__ import annotations

from helios.cli.quantity import age, counted
from helios.cli.quoting import printable
from helios.cli.snapshots import short, utc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from helios import Operation, Repository
    from helios.cli.changes import Paint
    from helios.cli.context import Context
    from helios.repository.undo import Undone

SHOWN_CHANGES_MAX = 5


def as_data(operation: Operation) -> dict[str, object]:
    """The JSON form."""
    return {
        "operation_id": operation.id,
        "time": utc(operation.time_us),
        "time_us": operation.time_us,
        "user": operation.user,
        "process": operation.process,
        "worktree": operation.worktree,
        "command": operation.command,
        "verb": operation.verb,
        "of": operation.of,
        "changes": [
            {"ref": change.name, "old": change.old, "new": change.new}
            for change in operation.changes
        ],
    }


def lines(operations: Iterable[Operation], paint: Paint) -> Iterator[str]:
    """Id, age, who and command of each, and below it what it changed."""
    from time import time

    now_s = time()
    for operation in operations:
        when = age(operation.time_us / 1e6, now_s)
        who = printable(operation.user)
        if operation.process is not None:
            who += f" (process {operation.process})"
        yield f"{paint(short(operation.id), 'id')}  {when}  {paint(who, 'dim')}"
        yield f"    {printable(operation.command)}"
        if operation.verb is not None:
            yield f"    {operation.verb}" + (f" of {short(operation.of)}" if operation.of else "")
        for change in operation.changes[:SHOWN_CHANGES_MAX]:
            yield f"      {_change(change.name, change.old, change.new)}"
        more = len(operation.changes) - SHOWN_CHANGES_MAX
        if more > 0:
            yield f"      and {more:,} more; --json lists all"


def _change(name: str, old: str | None, new: str | None) -> str:
    shown = printable(name.removeprefix("heads/"))
    if name.startswith("worktrees/"):
        shown = f"files of worktree {printable(name.removeprefix('worktrees/'))}"
    if old is None or new is None:
        return (
            f"{shown}: {'made at' if old is None else 'deleted, was at'} {short(new or old or '')}"
        )
    return f"{shown}: {short(old)} -> {short(new)}"


def tell(context: Context, repository: Repository, done: Undone, verb: str) -> None:
    """Prints what `undo`, `redo` or `op restore` did."""
    context.warn(done.warnings)
    branch = repository.head
    at = repository.branch(branch)
    safety = done.safety
    if context.json:
        context.report(
            {
                "operation_id": done.operation,
                "of": as_data(done.of),
                "branch": branch,
                "snapshot_id": at,
                "safety_snapshot": safety and safety.id,
                "written": done.written,
                "deleted": done.deleted,
            }
        )
        return
    context.tell_warnings()
    if done.operation is None:
        context.say(f"Everything is as right after {short(done.of.id)} already")
        return
    context.say(f"{verb} {short(done.of.id)}: {printable(done.of.command)}")
    where = "has no snapshot now" if at is None else f"is at {short(at)}"
    context.say(f"Branch {printable(branch)} {where}")
    if done.written or done.deleted:
        written = counted(len(done.written), "path")
        context.say(f"{written} written, {len(done.deleted):,} deleted")
    if safety is not None:
        context.say(f"What was not committed is now {short(safety.id)}")
