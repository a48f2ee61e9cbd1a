"""`cat`: writes the content of a file of a snapshot. There is no JSON of it."""

from __future__ import annotations

from helios.errors import Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from helios.cli.arguments import Declarations
    from helios.cli.context import Context

DESCRIPTION = """\
Write the content of a file in a snapshot to standard output, byte for byte; of a symbolic link,
its target. The path is seen from the root of the snapshot, wherever the command runs.
"""
EXAMPLES = """\
  helios-cli cat main~2:src/app.py
  helios-cli cat @:logo.png > logo.png
"""


def add_arguments(parser: Declarations) -> None:
    parser.add_argument("file", metavar="SNAPSHOT:PATH")


def run(context: Context) -> int:
    revision, colon, path = context.arguments.file.partition(":")
    if not colon or not revision or not path:
        raise Usage("cat takes a snapshot and a path in it, as in `main:src/app.py`")
    if context.json:
        raise Usage("the content of a file is no JSON; leave --json out")
    with context.open() as repository:
        context.tell_warnings()
        repository.copy(revision, path, context.terminal.data)
    return 0
