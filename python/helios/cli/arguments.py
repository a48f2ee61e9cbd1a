"""Arguments: which command is asked for, and the parser of that one command.

Options for every command may stand before or after its name. What follows `--` is paths,
whatever they look like.
"""

from __future__ import annotations

import argparse
from importlib import import_module

from helios.cli.commands import COMMANDS
from helios.errors import Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType
    from typing import NoReturn

PROGRAM = "helios-cli"
DURABILITIES = ("disk", "process")
_WITH_VALUE = frozenset({"-C", "--durability"})


class Parser(argparse.ArgumentParser):
    """Raises `Usage` where argparse would print and exit."""

    def error(self, message: str) -> NoReturn:
        """Raises `Usage` with the message and where to read on."""
        raise Usage(f"{message}; see `{self.prog} --help`")


def command_position(arguments: list[str]) -> int | None:
    """Where the command's name stands; None if options are all there is."""
    position = 0
    while position < len(arguments) and arguments[position] != "--":
        if not arguments[position].startswith("-"):
            return position
        position += 2 if arguments[position] in _WITH_VALUE else 1
    return None


def command_module(name: str) -> ModuleType:
    """The module of a command. Raises `Usage`, with a guess at what was meant."""
    if name not in COMMANDS:
        from difflib import get_close_matches

        close = get_close_matches(name, COMMANDS, n=1)
        guess = f"did you mean `{close[0]}`?" if close else f"`{PROGRAM} --help` lists them"
        raise Usage(f"there is no command {name!r}; {guess}")
    return import_module(f"helios.cli.commands.{name}")


def parse(name: str, module: ModuleType, arguments: list[str]) -> argparse.Namespace:
    """The values of a command's arguments, without its name. Raises `Usage`."""
    parser = Parser(prog=f"{PROGRAM} {name}", **_texts(module))
    _add(parser, module)
    after: list[str] | None = None
    if "--" in arguments:
        mark = arguments.index("--")
        arguments, after = arguments[:mark], arguments[mark + 1 :]
    values = parser.parse_intermixed_args(arguments)
    if after is not None:
        if not hasattr(values, "paths"):
            parser.error("no paths are expected after `--`")
        values.paths = [*values.paths, *after]
    if "" in getattr(values, "paths", ()):
        parser.error("a path is empty")
    return values


def parser_of_all() -> argparse.ArgumentParser:
    """All commands in one parser, as completion scripts need it."""
    parser = Parser(prog=PROGRAM, allow_abbrev=False)
    parser.add_argument("-V", "--version", action="store_true", help="show the version")
    _add_common(parser)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, line in COMMANDS.items():
        module = command_module(name)
        _add(commands.add_parser(name, help=line, **_texts(module)), module)
    return parser


def _texts(module: ModuleType) -> dict[str, object]:
    return {
        "description": module.DESCRIPTION,
        "epilog": f"examples:\n{module.EXAMPLES}",
        "formatter_class": argparse.RawDescriptionHelpFormatter,
        # Abbreviations that work today would break scripts when an option is added.
        "allow_abbrev": False,
    }


def _add(parser: argparse.ArgumentParser, module: ModuleType) -> None:
    module.add_arguments(parser)
    _add_common(parser)


def _add_common(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("options for every command")
    group.add_argument(
        "-C", dest="directories", metavar="DIR", action="append", help="run as if started in DIR"
    )
    group.add_argument("--json", action="store_true", help="print one JSON object")
    group.add_argument(
        "-q", "--quiet", action="store_true", help="say nothing about success; no progress"
    )
    group.add_argument(
        "--durability", choices=DURABILITIES, help="what a commit survives (default: disk)"
    )


def whole_number(text: str) -> int:
    """The type of an argument that counts something."""
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


def only_one(names: Iterable[str]) -> str:
    """For the message about options that exclude each other."""
    return f"give only one of {', '.join(names)}"
