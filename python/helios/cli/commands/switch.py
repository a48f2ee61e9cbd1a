"""`switch`: puts the worktree on another branch. JSON: `branch`, `snapshot_id`, `created`,
`safety_snapshot` (null if nothing was uncommitted), `written`, `deleted`."""

from __future__ import annotations

from helios.cli.quantity import counted
from helios.cli.snapshots import short

TYPE_CHECKING = False
if TYPE_CHECKING:
    from helios.cli.arguments import Declarations
    from helios.cli.context import Context

DESCRIPTION = """\
Put the worktree on another branch: files become those of its last snapshot. What is not
committed yet is committed to the old branch first, so nothing is lost.
"""
EXAMPLES = """\
  helios-cli switch main
  helios-cli switch -c attempt-2
"""


def add_arguments(parser: Declarations) -> None:
    parser.add_argument("branch")
    parser.add_argument("-c", "--create", action="store_true", help="make the branch first")


def run(context: Context) -> int:
    arguments = context.arguments
    with context.open() as repository:
        before = repository.worktree.branch
        with context.working(repository):
            switched = repository.worktree.switch(arguments.branch, create=arguments.create)
        context.warn(switched.warnings)
        safety = switched.safety
        if context.json:
            context.report(
                {
                    "branch": switched.branch,
                    "snapshot_id": switched.snapshot and switched.snapshot.id,
                    "created": arguments.create,
                    "safety_snapshot": safety and safety.id,
                    "written": switched.written,
                    "deleted": switched.deleted,
                }
            )
            return 0
        context.tell_warnings()
        at = "" if switched.snapshot is None else f" at {short(switched.snapshot.id)}"
        verb = "Made and switched to" if arguments.create else "Switched to"
        context.say(f"{verb} branch {switched.branch}{at}")
        if switched.written or switched.deleted:
            written = counted(len(switched.written), "path")
            context.say(f"{written} written, {len(switched.deleted):,} deleted")
        if safety is not None:
            context.say(f"What was not committed is now {short(safety.id)} on branch {before}")
    return 0
