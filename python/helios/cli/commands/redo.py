"""`redo`: reverts the last undo. JSON: as `undo`."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from helios.cli.arguments import Declarations
    from helios.cli.context import Context

DESCRIPTION = """\
Take back the last undo; once more, the one before. What was on disk when it was undone, committed
or not, is there again. Anything else that is done here ends this: then `op restore` helps.
"""
EXAMPLES = """\
  helios-cli redo
"""


def add_arguments(parser: Declarations) -> None:
    """There are none."""


def run(context: Context) -> int:
    from helios.cli.operations import tell

    with context.open() as repository:
        with context.working(repository):
            done = repository.redo()
        tell(context, repository, done, "Redid")
    return 0
