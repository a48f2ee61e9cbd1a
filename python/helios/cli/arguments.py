"""Arguments: the command that is asked for, and the values of its options and words.

Commands declare their arguments as for `argparse`, which is the authority on what they mean and
writes all help and all messages. But importing it and building a parser costs a third of a small
command's time. So what is well-formed and plain is read here, from the same declarations, and
everything else (a mistake, an abbreviation, `--help`, a value that begins with a dash) is left to
`helios.cli.parser`. `tests/cli/test_arguments.py` holds one against the other.

Options for every command may stand before or after its name. What follows `--` is paths,
whatever they look like.
"""

from __future__ import annotations

import sys

from helios.cli.commands import ALIASES, COMMANDS
from helios.errors import Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any, Protocol

    class Declarations(Protocol):
        """The part of `argparse.ArgumentParser` with which commands declare their arguments."""

        def add_argument(self, *names: str, **about: Any) -> Any:
            """Declares an option or a word."""

        def add_mutually_exclusive_group(self) -> Any:
            """Begins options of which one may be given."""

        def set_defaults(self, **values: Any) -> None:
            """Sets values that no argument sets."""


PROGRAM = "helios-cli"
DURABILITIES = ("disk", "process")


class Values:
    """The values of all arguments, by name."""

    def __init__(self, **values: Any) -> None:
        self.__dict__.update(values)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)


def command_module(name: str) -> ModuleType:
    """The module of a command. Raises `Usage`, with a guess at what was meant."""
    name = ALIASES.get(name, name)
    if name not in COMMANDS:
        from difflib import get_close_matches

        close = get_close_matches(name, COMMANDS, n=1)
        guess = f"did you mean `{close[0]}`?" if close else f"`{PROGRAM} --help` lists them"
        raise Usage(f"there is no command {name!r}; {guess}")
    # `importlib.import_module` would do the same after half a millisecond of imports of its own.
    module = f"helios.cli.commands.{name.replace(' ', '_')}"
    __import__(module)
    return sys.modules[module]


def parse(name: str, module: ModuleType, arguments: list[str]) -> Values:
    """The values of a command's arguments, without its name.

    Raises `Usage`, and `SystemExit` when help was asked for and shown.
    """
    after: list[str] | None = None
    before = arguments
    if "--" in arguments:
        mark = arguments.index("--")
        before, after = arguments[:mark], arguments[mark + 1 :]
    found = read(module, before)
    if found is None:
        from helios.cli.parser import Parser

        found = vars(Parser(f"{PROGRAM} {name}", module).parse_intermixed_args(before))
    if after is not None:
        if "paths" not in found:
            raise Usage(f"no paths are expected after `--`; see `{PROGRAM} {name} --help`")
        found["paths"] = [*found["paths"], *after]
    if "" in found.get("paths", ()):
        raise Usage(f"a path is empty; see `{PROGRAM} {name} --help`")
    return Values(**found)


def add_common(parser: Declarations, module: ModuleType | None = None) -> None:
    """Declares the options for every command, as `module` takes them."""
    parser.add_argument(
        "-C", dest="directories", metavar="DIR", action="append", help="run as if started in DIR"
    )
    if getattr(module, "JSON_TAKES_FILE", False):
        parser.add_argument("--json", metavar="FILE", help="write one JSON object there")
    else:
        parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "-q", "--quiet", action="store_true", help="say nothing about success; no progress"
    )
    parser.add_argument(
        "--durability", choices=DURABILITIES, help="what a commit survives (default: disk)"
    )


def whole_number(text: str) -> int:
    """The type of an argument that counts something."""
    if not (text.isascii() and text.isdigit()):
        from argparse import ArgumentTypeError

        raise ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


def read(module: ModuleType, arguments: list[str]) -> dict[str, Any] | None:
    """The values of well-formed arguments; None for what argparse should look at."""
    declared = _Declared()
    module.add_arguments(declared)
    add_common(declared, module)
    words: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if not argument.startswith("-"):
            words.append(argument)
        elif argument == "-" or not declared.take_option(argument, rest):
            return None
    return declared.values if declared.take_words(words) else None


class _Option:
    def __init__(self, dest: str, about: dict[str, Any], group: object) -> None:
        self.dest = dest
        self.action: str = about.get("action", "store")
        self.choices: tuple[str, ...] | None = about.get("choices")
        self.type: Callable[[str], object] | None = about.get("type")
        self.nargs: str | None = about.get("nargs")
        self.group = group

    @property
    def is_flag(self) -> bool:
        return self.action == "store_true"


class _Declared:
    """Collects declarations, and then the values."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self._options: dict[str, _Option] = {}
        self._words: list[_Option] = []
        self._group: object = None
        self._groups_taken: dict[object, str] = {}

    def add_argument(self, *names: str, **about: Any) -> None:
        long = [name for name in names if name.startswith("--")]
        dest: str = about.get("dest") or (long or names)[0].lstrip("-").replace("-", "_")
        option = _Option(dest, about, self._group)
        self.values[dest] = about.get("default", False if option.is_flag else None)
        if names[0].startswith("-"):
            for name in names:
                self._options[name] = option
        else:
            self._words.append(option)

    def add_mutually_exclusive_group(self) -> _Group:
        return _Group(self)

    def set_defaults(self, **values: Any) -> None:
        self.values.update(values)

    def add_to_group(self, group: object, names: tuple[str, ...], about: dict[str, Any]) -> None:
        self._group = group
        self.add_argument(*names, **about)
        self._group = None

    def take_option(self, argument: str, rest: Any) -> bool:
        """Takes an option, and its value from `rest`; false if argparse should look at it."""
        if argument.startswith("--"):
            name, equals, value = argument.partition("=")
            option = self._options.get(name)
            if option is None or (option.is_flag and equals):
                return False
            return self._set(option, value if equals else None, rest)
        # Short options may share a dash; the last may have its value attached.
        position = 1
        while position < len(argument):
            option = self._options.get(f"-{argument[position]}")
            position += 1
            if option is None:
                return False
            if not option.is_flag:
                return self._set(option, argument[position:] or None, rest)
            if not self._set(option, None, rest):
                return False
        return True

    def _set(self, option: _Option, value: str | None, rest: Any) -> bool:
        if option.group is not None:
            taken = self._groups_taken.setdefault(option.group, option.dest)
            if taken != option.dest:
                return False
        if option.is_flag:
            self.values[option.dest] = True
            return True
        if value is None:
            value = next(rest, None)
            if value is None or value.startswith("-"):
                return False
        if value.startswith("=") or (option.choices is not None and value not in option.choices):
            return False
        converted: object = value
        if option.type is not None:
            try:
                converted = option.type(value)
            except Exception:  # noqa: BLE001 - whatever it is, argparse says it
                return False
        if option.action == "append":
            converted = [*(self.values[option.dest] or ()), converted]
        self.values[option.dest] = converted
        return True

    def take_words(self, words: list[str]) -> bool:
        for option in self._words:
            if option.nargs == "*":
                if words:
                    self.values[option.dest], words = words, []
            elif words:
                if option.choices is not None and words[0] not in option.choices:
                    return False
                self.values[option.dest], words = words[0], words[1:]
            elif option.nargs is None:
                return False
        return not words


class _Group:
    def __init__(self, declared: _Declared) -> None:
        self._declared = declared

    def add_argument(self, *names: str, **about: Any) -> None:
        self._declared.add_to_group(self, names, about)
