"""`materialize`: writes a snapshot elsewhere. JSON: `materialized` (the snapshot's id), `out`,
`files`, `bytes`, `failed` (entries that the file system did not take)."""

from __future__ import annotations

from helios.cli.quantity import counted, size
from helios.cli.quoting import quoted
from helios.cli.snapshots import short
from helios.errors import StorageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from helios.cli.arguments import Declarations
    from helios.cli.context import Context
    from helios.repository.materialized import Materialized

DESCRIPTION = """\
Write the files of a snapshot to a directory that is new or empty. The repository and the
worktree are not touched. Patterns are those of .gitignore.
"""
EXAMPLES = """\
  helios-cli materialize main~1 /tmp/before
  helios-cli materialize main /tmp/sources --include '*.py' --exclude tests/
  helios-cli materialize main /tmp/docs -- docs README.md
"""


def add_arguments(parser: Declarations) -> None:
    parser.add_argument("snapshot")
    parser.add_argument("out", help="a directory that is new or empty")
    parser.add_argument(
        "paths", nargs="*", default=[], metavar="path", help="only these files and directories"
    )
    parser.add_argument(
        "--include", metavar="PATTERN", action="append", help="only paths that match one of these"
    )
    parser.add_argument(
        "--exclude", metavar="PATTERN", action="append", help="no paths that match one of these"
    )


def run(context: Context) -> int:
    arguments = context.arguments
    with context.open() as repository:
        paths = context.tree_paths(repository)
        out = context.absolute(arguments.out)
        with context.working(repository):
            materialized = repository.materialize(
                arguments.snapshot,
                out,
                include=arguments.include,
                exclude=arguments.exclude,
                paths=paths,
            )
        context.warn(materialized.warnings)
        if context.json:
            context.report(
                {
                    "materialized": materialized.snapshot,
                    "out": out,
                    "files": materialized.files,
                    "bytes": materialized.bytes,
                    "failed": materialized.failed,
                }
            )
            return _code(materialized)
        context.tell_warnings()
        shown = context.terminal.paint(short(materialized.snapshot), "id")
        context.say(
            f"Wrote {shown} to {quoted(out)}: "
            f"{counted(materialized.files, 'file')}, {size(materialized.bytes)}"
        )
    return _code(materialized)


def _code(materialized: Materialized) -> int:
    """Not 0 if something is missing that the snapshot holds and the file system does not take."""
    return StorageError.exit_code if materialized.failed else 0
