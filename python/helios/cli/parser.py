"""The parsers that argparse makes of the commands' declarations: for help, for mistakes, and for
completion scripts. `helios.cli.arguments` reads what is plain without them."""

from __future__ import annotations

import argparse

from helios.cli.arguments import PROGRAM, add_common, command_module
from helios.cli.commands import COMMANDS
from helios.errors import Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import NoReturn

HELP_COLUMNS = 90


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Has one width everywhere; argparse would import `shutil` for each argument to find one."""

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
        add_common(self.add_argument_group("options for every command"), module)

    def error(self, message: str) -> NoReturn:
        """Raises `Usage` with the message and where to read on."""
        raise Usage(f"{message}; see `{self.prog} --help`")


def parser_of_all() -> argparse.ArgumentParser:
    """All commands in one parser, as completion scripts need it."""
    parser = Parser(PROGRAM)
    parser.add_argument("-V", "--version", action="store_true", help="show the version")
    families = {"": parser.add_subparsers(dest="command", metavar="COMMAND")}
    for name, line in COMMANDS.items():
        family, _, last = name.rpartition(" ")
        if family not in families:
            within = families[""].add_parser(family, help=f"commands of {family}")
            families[family] = within.add_subparsers(dest=family, metavar="COMMAND")
        families[family].add_parser(last, help=line, module=command_module(name))
    return parser
