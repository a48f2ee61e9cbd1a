"""`branch`: lists, makes, renames and deletes branches.

JSON: of the list `branches` (each `name`, `snapshot_id`, `current`) and `current`; of the others
`created` or `deleted`, or `renamed` and `to`; and `snapshot_id`.
"""

from __future__ import annotations

from helios.cli.quoting import printable
from helios.cli.snapshots import short
from helios.errors import Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from helios import Repository
    from helios.cli.arguments import Declarations
    from helios.cli.context import Context

DESCRIPTION = """\
List branches, make one, rename one, or delete one. Deleting a branch keeps its snapshots: `undo`,
or `branch NAME ID`, makes it again. Of more than 1,000 branches the first are listed; --json
lists all.
"""
EXAMPLES = """\
  helios-cli branch
  helios-cli branch attempt-2 main~3
  helios-cli branch -m attempt-1 works
  helios-cli branch -d attempt-2
"""


def add_arguments(parser: Declarations) -> None:
    parser.add_argument("name", nargs="?", help="the branch to make; without it, list all")
    parser.add_argument("start", nargs="?", help="the snapshot to make it at (default: @)")
    change = parser.add_mutually_exclusive_group()
    change.add_argument("-d", "--delete", metavar="NAME", help="delete this branch")
    change.add_argument(
        "-m",
        "--move",
        action="store_true",
        help="rename: `-m OLD NEW`, or `-m NEW` for the branch of the worktree",
    )


def run(context: Context) -> int:
    arguments = context.arguments
    if arguments.delete is not None and arguments.name is not None:
        raise Usage("a branch to make and one to delete are two commands; give one")
    if arguments.move and arguments.name is None:
        raise Usage("-m renames a branch: give its new name, or the old one and the new one")
    with context.open() as repository:
        if not context.json:
            context.tell_warnings()
        if arguments.move:
            _rename(context, repository)
        elif arguments.delete is not None:
            _delete(context, repository, arguments.delete)
        elif arguments.name is not None:
            start = "@" if arguments.start is None else arguments.start
            _create(context, repository, arguments.name, start)
        else:
            _list(context, repository)
    return 0


def _delete(context: Context, repository: Repository, name: str) -> None:
    found = repository.delete_branch(name)
    if context.json:
        context.report({"deleted": name, "snapshot_id": found})
        return
    context.say(f"Deleted branch {name}, which was at {short(found)}")
    context.hint(f"undo: helios-cli branch {name} {short(found)}")


def _rename(context: Context, repository: Repository) -> None:
    old, new = context.arguments.name, context.arguments.start
    if new is None:
        old, new = repository.head, old
    found = repository.rename_branch(old, new)
    if context.json:
        context.report({"renamed": old, "to": new, "snapshot_id": found})
        return
    context.say(f"Renamed branch {old} to {new}, at {short(found)}")


def _create(context: Context, repository: Repository, name: str, start: str) -> None:
    found = repository.create_branch(name, start)
    if context.json:
        context.report({"created": name, "snapshot_id": found})
        return
    context.say(f"Made branch {name} at {short(found)}")
    context.hint(f"next: helios-cli switch {name}")


def _list(context: Context, repository: Repository) -> None:
    current = repository.head
    if context.json:
        branches = repository.branches()
        listed = [
            {"name": name, "snapshot_id": found, "current": name == current}
            for name, found in branches.items()
        ]
        context.report({"branches": listed, "current": current})
        return
    from helios.cli.references import LISTED_MAX, listing

    branches = repository.branches(LISTED_MAX + 1)
    at = repository.branch(current)
    if at is None:
        context.terminal.line(f"* {printable(current)}  (no snapshot yet)")
    elif len(branches) > LISTED_MAX:
        # It need not be among the first: it comes before them.
        branches.pop(current, None)
        branches = {current: at, **branches}
    for line in listing(repository, branches, context.terminal.paint, current):
        context.terminal.line(line)
