"""`status`: what has changed on disk. JSON: `branch`, `snapshot_id` (null before the first),
`root`, `clean`, and the lists of `helios.cli.changes`."""

from __future__ import annotations

from time import time

from helios.cli.changes import Changes, as_data, listing, summary
from helios.cli.quoting import printable, subject
from helios.cli.snapshots import age_of, short

TYPE_CHECKING = False
if TYPE_CHECKING:
    from helios import Repository
    from helios.cli.arguments import Declarations
    from helios.cli.context import Context

DESCRIPTION = """\
Show how the files on disk differ from the branch's last snapshot. Paths are relative to the
root of the worktree. Exits with 0, unless --exit-code asks for 1 where something differs.
"""
EXAMPLES = """\
  helios-cli status
  helios-cli status --exit-code --quiet || helios-cli commit
"""


def add_arguments(parser: Declarations) -> None:
    parser.add_argument("--exit-code", action="store_true", help="exit with 1 if anything differs")


def run(context: Context) -> int:
    with context.open() as repository:
        with context.working(repository):
            status = repository.worktree.status()
        context.warn(status.warnings)
        changes = Changes(status.diff)
        if context.json:
            context.report(
                {
                    "branch": status.branch,
                    "snapshot_id": status.base,
                    "head": status.head,
                    "root": repository.root,
                    "clean": not changes,
                    **as_data(changes),
                }
            )
        else:
            context.say(_head(context, repository, status.branch, status.base))
            if status.head is not None and status.head != status.base:
                branch = printable(status.branch)
                context.say(
                    f"{branch} has moved to {status.head[:12]}; "
                    f"`helios-cli switch {branch}` takes that over"
                )
            _tell(context, changes, unborn=status.base is None)
            context.tell_warnings()
    return 1 if changes and context.arguments.exit_code else 0


def _head(context: Context, repository: Repository, branch: str, base: str | None) -> str:
    paint = context.terminal.paint
    named = paint(printable(branch), "heading")
    if base is None:
        return f"On branch {named}, which has no snapshot yet"
    snapshot = repository.snapshot(base)
    about = f"{age_of(snapshot, time())}: {subject(snapshot.message)}"
    return f"On branch {named} at {paint(short(base), 'id')}, {about}"


def _tell(context: Context, changes: Changes, *, unborn: bool) -> None:
    if not changes:
        context.say("There is nothing to commit" if unborn else "Nothing has changed since")
        return
    for line in listing(changes, context.terminal.paint):
        context.terminal.line(line)
    context.hint(f"{summary(changes)}; `helios-cli commit` snapshots this")
