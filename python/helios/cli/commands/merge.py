"""`merge`: brings another branch's changes into the worktree's.

JSON: `outcome` (`up-to-date`, `fast-forward`, `merged`, `conflicts`), `branch`, `merged` (the id of
what was merged), `snapshot_id` (null if nothing was merged), `safety_snapshot` (null if nothing was
uncommitted), `conflicts` (see `helios.cli.conflicts`), `written`, `deleted`, `dry_run`.
"""

from __future__ import annotations

from helios.cli.quantity import counted
from helios.cli.snapshots import short

TYPE_CHECKING = False
if TYPE_CHECKING:
    from helios.cli.arguments import Declarations
    from helios.cli.context import Context
    from helios.repository import Merged

DESCRIPTION = """\
Merge a branch or snapshot into the worktree's branch, and bring the files there. What is not
committed yet is committed first. If the sides conflict, nothing is done, the conflicts are
listed, and the exit code is 1.
"""
EXAMPLES = """\
  helios-cli merge attempt-2
  helios-cli merge attempt-2 --dry-run
  helios-cli merge attempt-2 --markers    (then edit the files, and commit)
"""
CONFLICTS = 1


def add_arguments(parser: Declarations) -> None:
    parser.add_argument("snapshot", help="a branch or snapshot")
    parser.add_argument(
        "-m", "--message", action="append", help="given twice or more: paragraphs of one message"
    )
    parser.add_argument("--author", help="default: HELIOS_AUTHOR, git's author, or user@host")
    parser.add_argument(
        "--markers",
        action="store_true",
        help="write files that conflict with both versions between markers, to resolve by hand",
    )
    parser.add_argument("--dry-run", action="store_true", help="write nothing, say what would be")


def run(context: Context) -> int:
    arguments = context.arguments
    with context.open() as repository:
        with context.working(repository):
            done = repository.worktree.merge(
                arguments.snapshot,
                "\n\n".join(arguments.message or ()),
                author=arguments.author,
                markers=arguments.markers,
                dry_run=arguments.dry_run,
            )
        context.warn(done.warnings)
        if context.json:
            context.report(_as_data(done, arguments.dry_run))
        else:
            context.tell_warnings()
            _tell(context, done)
    return CONFLICTS if done.merge.outcome == "conflicts" else 0


def _as_data(done: Merged, dry_run: bool) -> dict[str, object]:
    from helios.cli.conflicts import as_data

    return {
        "outcome": done.merge.outcome,
        "branch": done.branch,
        "merged": done.merge.theirs,
        "snapshot_id": done.snapshot and done.snapshot.id,
        "safety_snapshot": done.safety and done.safety.id,
        "conflicts": as_data(done.merge.conflicts),
        "written": done.written,
        "deleted": done.deleted,
        "dry_run": dry_run,
    }


def _tell(context: Context, done: Merged) -> None:
    arguments = context.arguments
    name, outcome = arguments.snapshot, done.merge.outcome
    if outcome == "up-to-date":
        context.say(f"Branch {done.branch} has all of {name} already")
        return
    if outcome == "conflicts":
        _tell_conflicts(context, done)
        return
    changed = f"{counted(len(done.written), 'path')} written, {len(done.deleted):,} deleted"
    if arguments.dry_run:
        context.say(f"Would merge {name} into {done.branch}: {changed}")
        return
    at = "" if done.snapshot is None else f" at {short(done.snapshot.id)}"
    verb = "Fast-forwarded" if outcome == "fast-forward" else f"Merged {name} into"
    context.say(f"{verb} {done.branch}{at}: {changed}")
    if done.safety is not None:
        context.say(f"What was not committed is now {short(done.safety.id)}")
    context.hint("undo: helios-cli undo")


def _tell_conflicts(context: Context, done: Merged) -> None:
    from helios.cli.conflicts import listing

    arguments = context.arguments
    conflicts = done.merge.conflicts
    for line in listing(conflicts, context.terminal.paint):
        context.terminal.line(line)
    told = counted(len(conflicts), "conflict")
    if not arguments.markers or arguments.dry_run:
        context.say(f"{told}; nothing was merged")
        context.hint(f"next: helios-cli merge {arguments.snapshot} --markers")
        return
    context.say(f"{told}, now in the files; {counted(len(done.written), 'path')} written")
    if done.safety is not None:
        context.say(f"What was not committed is now {short(done.safety.id)}")
    context.hint("next: edit them, then helios-cli commit")
    context.hint(f"give it up: helios-cli restore {short(done.merge.ours)}")
