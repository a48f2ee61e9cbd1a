"""`watch`: snapshots the worktree whenever it changes.

JSON: one object a line and snapshot: `snapshot_id`, `branch`, `time_us`, `created` (false of the
first, if nothing had changed), `counts` (of added, changed, deleted and renamed paths), `polls`
(null, or why the system does not report changes), `warnings`.
"""

from __future__ import annotations

from time import localtime, strftime

from helios.cli.quoting import quoted
from helios.cli.snapshots import short

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from helios import Repository
    from helios.cli.arguments import Declarations
    from helios.cli.changes import Changes
    from helios.cli.context import Context
    from helios.repository import Committed
    from helios.repository.watch import Watch

DESCRIPTION = """\
Snapshot the worktree whenever something in it changes, until Ctrl-C, whoever changes it. The
snapshots go to a branch of their own, `watch/` and the worktree's branch; that branch, `status` and
`commit` are as if nobody watched. Ignored files are left out, as always.
"""
EXAMPLES = """\
  helios-cli watch
  helios-cli watch --json --settle 2 --max-wait 30
  helios-cli log watch/main
  helios-cli restore watch/main~1 -- src
"""


def seconds(text: str) -> float:
    """The type of an argument that is a time."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        from argparse import ArgumentTypeError

        raise ArgumentTypeError(f"{text!r} is not a number of seconds")
    return value


def add_arguments(parser: Declarations) -> None:
    parser.add_argument(
        "--branch", metavar="NAME", help="where snapshots go (default: watch/ and the branch)"
    )
    parser.add_argument(
        "--settle",
        metavar="SECONDS",
        type=seconds,
        default=0.5,
        help="snapshot when nothing has changed for so long (default: 0.5)",
    )
    parser.add_argument(
        "--max-wait",
        metavar="SECONDS",
        type=seconds,
        default=5.0,
        help="or when something has been changing for so long (default: 5)",
    )


def run(context: Context) -> int:
    import gc

    # Other commands end before it matters.
    gc.enable()
    arguments = context.arguments
    with (
        context.open() as repository,
        repository.worktree.watch(
            arguments.branch, settle_s=arguments.settle, wait_s_max=arguments.max_wait
        ) as watch,
    ):
        _stop_on_signals(watch)
        if not context.json:
            root = quoted(repository.root or "")
            context.say(f"Watching {root}; snapshots go to branch {watch.branch}; Ctrl-C ends it")
            context.terminal.flush()
        told = None
        for done in watch:
            if watch.polls != told and not context.json:
                context.terminal.problem("warning", str(watch.polls))
            told = watch.polls
            _tell(context, repository, watch, done)
    return 0


def _stop_on_signals(watch: Watch) -> None:
    """The first signal asks for an end, with a last snapshot; a second one ends at once."""
    import signal

    def stop(number: int, _frame: Any) -> None:
        signal.signal(number, signal.SIG_DFL)
        watch.stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)


def _tell(context: Context, repository: Repository, watch: Watch, done: Committed) -> None:
    from helios.cli.changes import PARTS, Changes, summary

    snapshot = done.snapshot
    is_new = snapshot.stats is not None
    changes: Changes | None = None
    if is_new and snapshot.parents:
        changes = Changes(repository.diff(snapshot.parents[0], snapshot))
    if context.json:
        counts = changes and {part: len(getattr(changes, part)) for part in PARTS}
        context.report_line(
            {
                "snapshot_id": snapshot.id,
                "branch": watch.branch,
                "time_us": snapshot.time_us,
                "created": is_new,
                "counts": counts,
                "polls": watch.polls,
            },
            done.warnings,
        )
        return
    context.warn(done.warnings)
    context.tell_warnings()
    if changes is not None:
        what = summary(changes)
    else:
        what = "the first" if is_new else "as it was at the start"
    when = strftime("%H:%M:%S", localtime(snapshot.time_us / 1e6 if is_new else None))
    context.say(f"{when}  {context.terminal.paint(short(snapshot.id), 'id')}  {what}")
    context.terminal.flush()
