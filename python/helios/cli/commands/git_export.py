"""`git export`: makes a git repository of a repository. JSON: `directory`, `created`, `references`,
`moved`."""

from __future__ import annotations

from helios.cli.quantity import counted
from helios.cli.quoting import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from helios.cli.arguments import Declarations
    from helios.cli.context import Context

DESCRIPTION = """\
Make a bare git repository that has every branch and tag, and every other ref that came from git.
What came from git is there byte for byte; each snapshot of Helios is one commit, which it stays.

Exporting again to the same directory brings it up to date, and removes what is gone here.
"""
EXAMPLES = """\
  helios-cli git export ../project.git
"""


def add_arguments(parser: Declarations) -> None:
    parser.add_argument("directory", help="new, empty, or exported to before")


def run(context: Context) -> int:
    from helios.git import export_repository

    with context.open() as repository, context.working(repository):
        done = export_repository(repository, context.absolute(context.arguments.directory))
    if context.json:
        context.report({name: getattr(done, name) for name in sorted(done.__slots__)})
        return 0
    context.tell_warnings()
    if done.created:
        context.say(f"Exported {counted(done.references, 'ref')} to {quoted(done.directory)}")
    else:
        context.say(
            f"Brought {quoted(done.directory)} up to date: "
            f"{counted(done.moved, 'ref')} of {done.references} moved"
        )
    return 0
