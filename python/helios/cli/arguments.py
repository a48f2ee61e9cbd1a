"""Arguments: argparse reads all of them, writes all help, and finds all mistakes.

First come the options before the command's name, then what follows it, with the parser of that one
command: building the parsers of all would cost more than most commands do. Options for every
command are known to both. What follows `--` is paths, whatever they look like.
"""

from __future__ import annotations

import argparse
from importlib import import_module

from helios.cli.commands import COMMANDS
from helios.cli.environment import DURABILITIES
from helios.errors import Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import NoReturn

PROGRAM = "helios-cli"
HELP_COLUMNS = 90


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Has one width everywhere; argparse would import `shutil` for each argument to find one."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=HELP_COLUMNS)


class Parser(argparse.ArgumentParser):
    """Reads the arguments of a command or, without one, those before its name.

    Raises `Usage` where argparse would print and exit.
    """

    def __init__(self, prog: str, module: ModuleType | None = None) -> None:
        super().__init__(
            prog=prog,
            description=module.DESCRIPTION if module else None,
            epilog=f"examples:\n{module.EXAMPLES}" if module else None,
            formatter_class=Formatter,
            # Abbreviations that work today would break scripts when an option is added.
            allow_abbrev=False,
        )
        self._has_command = module is not None
        if module is not None:
            module.add_arguments(self)
        else:
            from helios import __version__

            self.add_argument(
                "-V",
                "--version",
                action="version",
                version=f"{PROGRAM} {__version__}",
                help="show the version",
            )
        common = self.add_argument_group("options for every command")
        common.add_argument(
            "-C",
            dest="directories",
            metavar="DIR",
            action="append",
            help="run as if started in DIR",
        )
        common.add_argument("--json", action="store_true", help="print one JSON object")
        common.add_argument(
            "-q", "--quiet", action="store_true", help="say nothing about success; no progress"
        )
        common.add_argument(
            "--durability", choices=DURABILITIES, help="what a commit survives (default: disk)"
        )

    def format_help(self) -> str:
        """The help of the command, or the overview of all."""
        if self._has_command:
            return super().format_help()
        from helios.cli.overview import overview

        return overview()

    def error(self, message: str) -> NoReturn:
        """Raises `Usage` with the message and where to read on."""
        raise Usage(f"{message}; see `{self.prog} --help`")


def parse(arguments: list[str]) -> tuple[ModuleType, argparse.Namespace]:
    """The module of the command that is asked for, and the values of all arguments.

    Raises `Usage`, and `SystemExit` when help or the version was asked for and shown.
    """
    mark = arguments.index("--") if "--" in arguments else len(arguments)
    outer = Parser(PROGRAM)
    outer.add_argument("words", nargs=argparse.REMAINDER)
    values = outer.parse_args(arguments[:mark])
    words: list[str] = values.words
    del values.words
    if words[:1] == ["help"]:
        words = [*words[1:2], "--help"]
    if words == ["--help"]:
        outer.print_help()
        outer.exit()
    if not words:
        raise Usage(f"which command? `{PROGRAM} --help` lists them")
    name, *rest = words
    module = command_module(name)
    parser = Parser(f"{PROGRAM} {name}", module)
    parser.parse_intermixed_args(rest, values)
    if mark < len(arguments):
        if "paths" not in values:
            parser.error("no paths are expected after `--`")
        values.paths = [*values.paths, *arguments[mark + 1 :]]
    if "" in getattr(values, "paths", ()):
        parser.error("a path is empty")
    return module, values


def command_module(name: str) -> ModuleType:
    """The module of a command. Raises `Usage`, with a guess at what was meant."""
    if name not in COMMANDS:
        from difflib import get_close_matches

        close = get_close_matches(name, COMMANDS, n=1)
        guess = f"did you mean `{close[0]}`?" if close else f"`{PROGRAM} --help` lists them"
        raise Usage(f"there is no command {name!r}; {guess}")
    return import_module(f"helios.cli.commands.{name}")


def parser_of_all() -> Parser:
    """All commands in one parser, as completion scripts need it."""
    parser = Parser(PROGRAM)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, line in COMMANDS.items():
        commands.add_parser(name, help=line, module=command_module(name))
    return parser


def whole_number(text: str) -> int:
    """The type of an argument that counts something."""
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)
