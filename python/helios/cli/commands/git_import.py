"""`git import`: makes a repository of a git repository. JSON: `repository`, `branch`, `objects`,
`references`, `left`, `operation`."""

from __future__ import annotations

import os

from helios.cli.quantity import counted
from helios.cli.quoting import printable, quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from helios.cli.arguments import Declarations
    from helios.cli.context import Context

DESCRIPTION = """\
Make a Helios repository with all that a git repository has: every object stays as it is, byte for
byte; its branches and tags become those of Helios, and the files of its HEAD are written. With
--mirror every ref of git comes along, and there is no worktree.

Importing again from the same place brings what is new; `undo` takes it back.
"""
EXAMPLES = """\
  helios-cli git import https://example.org/project.git
  helios-cli git import ~/project project-in-helios
  helios-cli git import --mirror ~/project project.helios
"""


def add_arguments(parser: Declarations) -> None:
    parser.add_argument("source", help="a path, or an URL that git takes")
    parser.add_argument("directory", nargs="?", help="default: the last part of the source")
    parser.add_argument("--mirror", action="store_true", help="all refs of git, and no worktree")


def run(context: Context) -> int:
    from helios.git import import_repository

    arguments = context.arguments
    source: str = arguments.source
    if os.path.exists(context.absolute(source)):
        source = context.absolute(source)
    directory = context.absolute(arguments.directory or _name_of(source))
    state: list[tuple[str, int, int]] = []

    def report(phase: str, count: int, total: int) -> None:
        state[:] = [(phase, count, total)]

    with context.showing(lambda: state[0] if state else None):
        done = import_repository(
            source, directory, mirror=arguments.mirror, report=report, **context.settings()
        )
    context.warn((warning[0], warning[1]) for warning in done.warnings)
    if context.json:
        context.report(
            {
                "repository": done.directory,
                "branch": done.branch,
                "objects": done.objects,
                "references": len(done.taken.changes),
                "left": done.taken.left,
                "operation": done.taken.operation,
            }
        )
        return 0
    context.tell_warnings()
    context.say(
        f"Imported {counted(done.objects, 'object')} into {quoted(done.directory)}; "
        f"{counted(len(done.taken.changes), 'branch or tag', 'branches and tags')} moved"
    )
    if done.branch is not None:
        context.say(f"On branch {printable(done.branch)}")
    if done.taken.left:
        context.say(f"{counted(len(done.taken.left), 'ref')} of git alone")
    return 0


def _name_of(source: str) -> str:
    """What git would call the directory."""
    name = source.rstrip("/").removesuffix("/.git")
    return name.rpartition("/")[2].rpartition(":")[2].removesuffix(".git") or "imported"
