"""`branch`: lists, makes and deletes branches.

JSON: of the list `branches` (each `name`, `snapshot_id`, `current`) and `current`; of the others
`created` or `deleted`, and `snapshot_id`.
"""

from __future__ import annotations

from time import time

from helios.cli.quoting import printable
from helios.cli.snapshots import line, short
from helios.errors import Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from helios import Repository
    from helios.cli.arguments import Declarations
    from helios.cli.context import Context

DESCRIPTION = """\
List branches, make one, or delete one. Deleting a branch keeps its snapshots: `branch NAME ID`
makes it again.
"""
EXAMPLES = """\
  helios-cli branch
  helios-cli branch attempt-2 main~3
  helios-cli branch -d attempt-1
"""


def add_arguments(parser: Declarations) -> None:
    parser.add_argument("name", nargs="?", help="the branch to make; without it, list all")
    parser.add_argument(
        "start", nargs="?", default="@", help="the snapshot to make it at (default: @)"
    )
    parser.add_argument("-d", "--delete", metavar="NAME", help="delete this branch")


def run(context: Context) -> int:
    arguments = context.arguments
    if arguments.delete is not None and arguments.name is not None:
        raise Usage("a branch to make and one to delete are two commands; give one")
    with context.open() as repository:
        if not context.json:
            context.tell_warnings()
        if arguments.delete is not None:
            _delete(context, repository, arguments.delete)
        elif arguments.name is not None:
            _create(context, repository, arguments.name, arguments.start)
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


def _create(context: Context, repository: Repository, name: str, start: str) -> None:
    found = repository.create_branch(name, start)
    if context.json:
        context.report({"created": name, "snapshot_id": found})
        return
    context.say(f"Made branch {name} at {short(found)}")
    context.hint(f"next: helios-cli switch {name}")


def _list(context: Context, repository: Repository) -> None:
    branches = repository.branches()
    current = repository.worktree.branch
    if context.json:
        listed = [
            {"name": name, "snapshot_id": found, "current": name == current}
            for name, found in branches.items()
        ]
        context.report({"branches": listed, "current": current})
        return
    paint = context.terminal.paint
    width = max(map(len, [*branches, current]))
    if current not in branches:
        context.terminal.line(f"* {printable(current):<{width}}  (no snapshot yet)")
    now_s = time()
    for name, found in branches.items():
        shown = f"{printable(name):<{width}}"
        mark, shown = ("*", paint(shown, "added")) if name == current else (" ", shown)
        about = line(repository.snapshot(found), [], now_s, paint)
        context.terminal.line(f"{mark} {shown}  {about}")
