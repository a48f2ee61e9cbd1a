"""Arguments: the commands' modules, and the parser of the one that is asked for.

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
    from types import ModuleType
    from typing import NoReturn

PROGRAM = "helios-cli"
DURABILITIES = ("disk", "process")
HELP_COLUMNS = 80


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Knows its width; argparse would import `shutil` for it, with each argument that is added."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=HELP_COLUMNS)


class Parser(argparse.ArgumentParser):
    """Raises `Usage` where argparse would print and exit."""

    def __init__(self, prog: str, module: ModuleType | None = None) -> None:
        super().__init__(
            prog=prog,
            description=module.DESCRIPTION if module else None,
            epilog=f"examples:\n{module.EXAMPLES}" if module else None,
            formatter_class=Formatter,
            # Abbreviations that work today would break scripts when an option is added.
            allow_abbrev=False,
        )
        if module is not None:
            module.add_arguments(self)
        _add_common(self)

    def error(self, message: str) -> NoReturn:
        """Raises `Usage` with the message and where to read on."""
        raise Usage(f"{message}; see `{self.prog} --help`")


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
    parser = Parser(f"{PROGRAM} {name}", module)
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
    parser = Parser(PROGRAM)
    parser.add_argument("-V", "--version", action="store_true", help="show the version")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, line in COMMANDS.items():
        commands.add_parser(name, help=line, module=command_module(name))
    return parser


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
