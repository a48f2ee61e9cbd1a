"""`restore`: brings the worktree back to a snapshot. JSON: `restored` (the snapshot's id),
`safety_snapshot` (null if nothing was uncommitted), `written`, `deleted`, `dry_run`, `conflicts`
(of `--merge`; see `helios.cli.conflicts`)."""

from __future__ import annotations

from helios.cli.quantity import counted
from helios.cli.quoting import quoted
from helios.cli.snapshots import short

TYPE_CHECKING = False
if TYPE_CHECKING:
    from helios.cli.arguments import Declarations
    from helios.cli.context import Context

DESCRIPTION = """\
Bring the worktree, or only some paths of it, to the state of a snapshot. What is not committed
yet is committed first, so a restore can be undone. Ignored files are never touched. The branch
stays where it is: the next `commit` records the result. With --merge, what has changed on disk
since the last snapshot is kept; if that conflicts, nothing is done and the exit code is 1.
"""
EXAMPLES = """\
  helios-cli restore @~1
  helios-cli restore 3f2a9c1d --dry-run
  helios-cli restore main -- src/a.py docs
  helios-cli restore @~1 --merge    (undo the last snapshot, keep the edits since)
"""
CONFLICTS = 1


def add_arguments(parser: Declarations) -> None:
    parser.add_argument("snapshot")
    parser.add_argument(
        "paths", nargs="*", default=[], metavar="path", help="only these files and directories"
    )
    parser.add_argument("--dry-run", action="store_true", help="write nothing, say what would be")
    parser.add_argument(
        "--merge", action="store_true", help="keep what has changed since the last snapshot"
    )
    parser.add_argument(
        "--since", metavar="SNAPSHOT", help="with --merge: keep what has changed since this one"
    )


def run(context: Context) -> int:
    arguments = context.arguments
    with context.open() as repository:
        paths = context.tree_paths(repository)
        with context.working(repository):
            restored = repository.worktree.restore(
                arguments.snapshot,
                paths=paths,
                dry_run=arguments.dry_run,
                merge=arguments.merge,
                since=arguments.since,
            )
        context.warn(restored.warnings)
        safety = restored.safety
        if context.json:
            from helios.cli.conflicts import as_data

            context.report(
                {
                    "restored": restored.snapshot.id,
                    "safety_snapshot": safety and safety.id,
                    "written": restored.written,
                    "deleted": restored.deleted,
                    "dry_run": arguments.dry_run,
                    "conflicts": as_data(restored.conflicts),
                }
            )
            return CONFLICTS if restored.conflicts else 0
        context.tell_warnings()
        if restored.conflicts:
            from helios.cli.conflicts import listing

            for line in listing(restored.conflicts, context.terminal.paint):
                context.terminal.line(line)
            context.say(f"{counted(len(restored.conflicts), 'conflict')}; nothing was restored")
            return CONFLICTS
        written, deleted = restored.written, restored.deleted
        if arguments.dry_run:
            _list(context, written, deleted)
        shown = short(restored.snapshot.id)
        if not written and not deleted:
            context.say(f"Everything is as in {shown} already")
            return 0
        verb = "Would restore" if arguments.dry_run else "Restored"
        context.say(
            f"{verb} {shown}: {counted(len(written), 'path')} written, {len(deleted):,} deleted"
        )
        if arguments.dry_run:
            return 0
        if safety is not None:
            context.say(f"What was not committed is now {short(safety.id)}")
        context.hint("undo: helios-cli undo")
    return 0


def _list(context: Context, written: list[str], deleted: list[str]) -> None:
    paint = context.terminal.paint
    for path in written:
        context.terminal.line(f"  {paint('write', 'changed')}   {quoted(path)}")
    for path in deleted:
        context.terminal.line(f"  {paint('delete', 'deleted')}  {quoted(path)}")
