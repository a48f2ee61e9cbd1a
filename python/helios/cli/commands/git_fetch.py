"""`git fetch`: brings what is new from a git repository elsewhere. JSON: `fetched`, a list of
`ref`, `old` and `new` (git's ids, null where there is none) and `snapshot_id` (null if it is no
commit).
"""

from __future__ import annotations

from helios.cli.quoting import printable
from helios.cli.snapshots import short

TYPE_CHECKING = False
if TYPE_CHECKING:
    from helios.cli.arguments import Declarations
    from helios.cli.context import Context

DESCRIPTION = """\
Bring what is new from a git repository elsewhere. No branch is moved: what came is listed with the
snapshots that it is here, which `helios-cli merge` and all others take. Tags become tags.
"""
EXAMPLES = """\
  helios-cli git fetch
  helios-cli git fetch origin --prune
  helios-cli git fetch origin refs/pull/7/head:refs/pull/7/head
"""


def add_arguments(parser: Declarations) -> None:
    parser.add_argument("remote", nargs="?", help="default: the only one, or origin")
    parser.add_argument(
        "refs", nargs="*", default=[], help="git's refspecs (default: all branches)"
    )
    parser.add_argument("--prune", action="store_true", help="forget what is gone there")


def run(context: Context) -> int:
    from helios.git import remotes

    arguments = context.arguments
    with context.open() as repository, context.working(repository):
        fetched = remotes.fetch(
            repository,
            arguments.remote,
            arguments.refs,
            prune=arguments.prune,
            command=context.command,
        )
    if context.json:
        listed = [
            {"ref": each.name, "old": each.old, "new": each.new, "snapshot_id": each.snapshot}
            for each in fetched
        ]
        context.report({"fetched": listed})
        return 0
    context.tell_warnings()
    for each in fetched:
        name = printable(each.name.removeprefix("refs/remotes/").removeprefix("refs/"))
        if each.new is None:
            context.say(f"gone                {name}")
        else:
            found = "no snapshot " if each.snapshot is None else short(each.snapshot)
            context.say(f"{'new    ' if each.old is None else 'changed'}  {found}  {name}")
    if not fetched:
        context.say("Nothing is new")
    return 0
