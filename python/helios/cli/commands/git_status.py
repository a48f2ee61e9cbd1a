"""`git status`: what differs between branches and their git counterparts. JSON: `branches`, a list
of `branch`, `counterpart`, `ours`, `theirs` (git's ids, null where there is none), `ahead`,
`behind` and `paths`.
"""

from __future__ import annotations

from helios.cli.quantity import counted
from helios.cli.quoting import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from helios.cli.arguments import Declarations
    from helios.cli.context import Context
    from helios.git.standing import Standing

DESCRIPTION = """\
Show what differs between branches and their git counterparts: the branches of that name at the
remotes, as they were fetched last, and in the git checkout beside the worktree (`checkout/...`).
"""
EXAMPLES = """\
  helios-cli git status
  helios-cli git status main --json
"""


def add_arguments(parser: Declarations) -> None:
    parser.add_argument("branch", nargs="?", help="only this one")


def run(context: Context) -> int:
    from helios.git.standing import standings

    with context.open() as repository, context.working(repository):
        found = standings(repository, context.arguments.branch)
    if context.json:
        listed = [
            {
                "branch": each.branch,
                "counterpart": each.counterpart,
                "ours": each.ours,
                "theirs": each.theirs,
                "ahead": each.ahead,
                "behind": each.behind,
                "paths": each.paths,
            }
            for each in found
        ]
        context.report({"branches": listed})
        return 0
    context.tell_warnings()
    width = max((len(printable(each.branch)) for each in found), default=0)
    for each in found:
        name = printable(each.branch)
        context.terminal.line(f"{name:<{width}}  {printable(each.counterpart)}: {_said(each)}")
    if not found:
        context.say("No remote is known, and no git checkout is here")
    return 0


def _said(standing: Standing) -> str:
    if standing.equal:
        return "the same"
    if standing.ours is None:
        return "only there"
    if standing.theirs is None:
        return "only here"
    parts = []
    if standing.ahead:
        parts.append(f"{standing.ahead:,} ahead")
    if standing.behind:
        parts.append(f"{standing.behind:,} behind")
    return f"{', '.join(parts)}; {counted(standing.paths, 'path')} differ"
