"""One run of the command line: finds the command, runs it, and turns what goes wrong into a
message and an exit code."""

from __future__ import annotations

import sys

from helios.cli.terminal import Terminal, abandon_output
from helios.errors import HeliosError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from helios.cli.failure import Failure


def run(arguments: list[str]) -> int:
    """Runs the command that the arguments ask for, and gives its exit code.

    Raises only `KeyboardInterrupt` and `BrokenPipeError`.
    """
    terminal = Terminal()
    try:
        code = _command(arguments, terminal)
        terminal.flush()
    except (KeyboardInterrupt, BrokenPipeError):
        raise
    except HeliosError as error:
        from helios.cli.failure import Failure

        failure = Failure(error.code, str(error), error.exit_code)
    except Exception as error:  # noqa: BLE001 - the last line of defence against a traceback
        from helios.cli.failure import unexpected

        failure = unexpected(error)
    else:
        return code
    _tell(failure, arguments, terminal)
    return failure.exit_code


def _command(arguments: list[str], terminal: Terminal) -> int:
    from helios.cli.arguments import parse

    try:
        module, values = parse(arguments)
    except SystemExit:
        # argparse has shown the help or the version.
        return 0
    from helios.cli.context import Context

    context = Context(values, terminal)
    try:
        code: int = module.run(context)
    except HeliosError:
        # They may say why it failed; where that is an object on standard error, it stands alone.
        if not context.json:
            context.tell_warnings()
        raise
    return code


def _tell(failure: Failure, arguments: list[str], terminal: Terminal) -> None:
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    try:
        terminal.flush()
    except OSError:
        # What is written to may be what failed: the message goes to standard error.
        abandon_output()
    if "--json" in options:
        from json import dumps

        about = {"code": failure.code, "message": failure.message}
        print(dumps({"error": about}), file=sys.stderr)
    else:
        terminal.problem("error", failure.message)
