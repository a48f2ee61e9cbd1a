"""One run of the command line: finds the command, runs it, and turns what goes wrong into a
message and an exit code."""

from __future__ import annotations

import sys

from helios.cli.commands import FAMILIES
from helios.cli.terminal import Terminal, abandon_output
from helios.errors import HeliosError, Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from helios.cli.failure import Failure

_WITH_VALUE = frozenset({"-C", "--durability"})


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
    name, options = _name(arguments)
    if name == "help":
        name, options = _name([*options, "--help"])
    if not name or name in FAMILIES:
        if "-h" in options or "--help" in options:
            if name:
                from helios.cli.overview import overview_of

                terminal.write(overview_of(name))
                return 0
            from helios.cli.overview import overview

            terminal.write(overview())
            return 0
        if "-V" in options or "--version" in options:
            from helios import __version__

            terminal.line(f"helios-cli {__version__}")
            return 0
        whole = f"helios-cli {name}".rstrip()
        raise Usage(f"which command? `{whole} --help` lists them")
    from helios.cli.arguments import command_module, parse

    module = command_module(name)
    try:
        values = parse(name, module, options)
    except SystemExit:
        # argparse has shown the help of the command.
        return 0
    from helios.cli.context import Context

    context = Context(values, terminal, arguments)
    try:
        code: int = module.run(context)
    except HeliosError:
        # They may say why it failed; where that is an object on standard error, it stands alone.
        if not context.json:
            context.tell_warnings()
        raise
    return code


def _name(arguments: list[str]) -> tuple[str, list[str]]:
    """The command's name, empty if there is none, and the arguments without it."""
    rest = list(arguments)
    name = ""
    while not name or name in FAMILIES:
        position = _command_position(rest)
        if position is None:
            break
        name = f"{name} {rest.pop(position)}".lstrip()
    return name, rest


def _command_position(arguments: list[str]) -> int | None:
    """Where the command's name stands; None if options are all there is."""
    position = 0
    while position < len(arguments) and arguments[position] != "--":
        if not arguments[position].startswith("-"):
            return position
        position += 2 if arguments[position] in _WITH_VALUE else 1
    return None


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
