"""`maintenance`: moves the journal into the L2 store. JSON: `segments`, `objects`,
`bytes_written`, `elapsed_s`."""

from __future__ import annotations

from helios.cli.quantity import counted, duration, size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from helios.cli.arguments import Declarations
    from helios.cli.context import Context

DESCRIPTION = """\
Move what was committed from the journal into the L2 store. Commits start this themselves when
the journal has grown; by hand it is needed only to have it done now.
"""
EXAMPLES = """\
  helios-cli maintenance
"""


def add_arguments(parser: Declarations) -> None:
    del parser  # it has no arguments of its own


def run(context: Context) -> int:
    with context.open() as repository:
        with context.working(repository):
            done = repository.maintenance()
        if context.json:
            context.report(
                {
                    "segments": done.segments,
                    "objects": done.objects,
                    "bytes_written": done.bytes_written,
                    "elapsed_s": done.elapsed_s,
                }
            )
            return 0
    context.tell_warnings()
    if done.segments:
        context.say(
            f"Moved {counted(done.objects, 'object')} of {counted(done.segments, 'segment')} "
            f"into the L2 store: {size(done.bytes_written)} written in {duration(done.elapsed_s)}"
        )
    else:
        context.say("The journal is empty; there is nothing to move")
    return 0
