"""What a command works with: its arguments, where it runs, its repository, and where it prints.

`--json` output is one object, of `watch` one a line. It is ASCII; a path that is not UTF-8 has each
byte that does not decode as a lone surrogate, U+DC80 to U+DCFF, which is what `os.fsencode` takes
back (PEP 383).
Warnings are its `warnings`, a list of `{"path", "reason"}`; otherwise they go to standard error.
"""

from __future__ import annotations

import os

from helios.cli import environment
from helios.cli.quoting import command_line, quoted
from helios.errors import Refused, UnsafePath, Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractContextManager

    from helios import Repository
    from helios.cli.arguments import Values
    from helios.cli.progress import Shown
    from helios.cli.terminal import Terminal
    from helios.repository.options import Options

WARNINGS_SHOWN_MAX = 20


class Context:
    """One invocation of one command."""

    def __init__(self, arguments: Values, terminal: Terminal, words: list[str]) -> None:
        self.arguments = arguments
        # As they were typed: for the operation log.
        self._words = words
        self.terminal = terminal
        self.json = bool(arguments.json)
        self.quiet: bool = arguments.quiet
        # Where the command runs, as `cd` with each `-C` in turn would have it.
        self.directory = os.path.join(os.getcwd(), *(arguments.directories or ()))
        if not os.path.isdir(self.directory):
            raise Usage(f"-C: {quoted(self.directory)} is not a directory")
        self._warnings: list[tuple[str, str]] = []

    @property
    def command(self) -> str:
        """The command line, as the operation log has it."""
        return command_line(self._words)

    # The repository

    def open(self) -> Repository:
        """The repository of the directory or of the nearest one above it."""
        from helios import Repository
        from helios.cli.pickling import defer_pickle

        defer_pickle()
        repository = Repository.discover(self.directory, **self.settings())
        self._warn_of_damage(repository)
        return repository

    def init(self, directory: str, *, force: bool, bare: bool = False) -> Repository:
        """A repository in `directory`, made if it is not there yet.

        Raises `Refused` for the home directory and `/` unless `force`.
        """
        from helios import Repository

        home = environment.home()
        # The library knows the home directory of the account; `HOME` may name another.
        at_home = home is not None and os.path.realpath(home) == os.path.realpath(directory)
        if at_home and not force:
            raise Refused(
                f"{quoted(directory)} is your home directory; "
                "use a project's directory, or give --force"
            )
        repository = Repository.init(directory, force=force, bare=bare, **self.settings())
        self._warn_of_damage(repository)
        return repository

    def settings(self) -> Options:
        """How repositories are opened here."""
        settings: Options = {
            "durability": self.arguments.durability or environment.durability(),
            "author": environment.author(),
            "command": self.command,
            "excludes_file": environment.excludes_file(self.directory),
        }
        cache_bytes = environment.cache_bytes()
        if cache_bytes is not None:
            settings["cache_bytes"] = cache_bytes
        return settings

    def _warn_of_damage(self, repository: Repository) -> None:
        for segment, offset, length in repository.damage:
            self.warn(
                [
                    (
                        f".helios/journal segment {segment}",
                        f"{length} bytes from byte {offset} are damaged and were passed over",
                    )
                ]
            )

    def absolute(self, path: str) -> str:
        """A path of the command line, seen from where the command runs."""
        return os.path.normpath(os.path.join(self.directory, path))

    def tree_paths(self, repository: Repository) -> list[str] | None:
        """The paths of the command line as paths within the tree, None if all of it is meant.

        They are given from where the command runs, as everywhere in a shell. Raises `UnsafePath`
        for one outside the worktree.
        """
        paths: list[str] = self.arguments.paths
        if not paths or repository.root is None:
            return None
        root = os.path.realpath(repository.root)
        # Directories are resolved, the last name is not: it may be a symlink that is meant itself.
        within = []
        for path in paths:
            full = self.absolute(path)
            full = os.path.join(os.path.realpath(os.path.dirname(full)), os.path.basename(full))
            relative = os.path.relpath(full, root)
            if relative == os.curdir or os.path.realpath(full) == root:
                return None
            if relative.split(os.sep, 1)[0] == os.pardir:
                raise UnsafePath(f"{quoted(path)} is outside the worktree {quoted(root)}")
            within.append(relative)
        return within

    def working(self, repository: Repository) -> AbstractContextManager[object]:
        """Around a call that may take long: progress on a terminal, and Ctrl-C at once."""
        from helios.cli.progress import Working

        return Working(repository.progress if self._shows_progress else None)

    def showing(self, progress: Callable[[], tuple[str, int, int] | None]) -> Shown:
        """Progress on a terminal, around work that tidies up after Ctrl-C."""
        from helios.cli.progress import Shown

        return Shown(progress if self._shows_progress else None)

    @property
    def _shows_progress(self) -> bool:
        return self.terminal.error_is_terminal and not self.quiet

    # Output

    def warn(self, warnings: Iterable[tuple[str, str]]) -> None:
        """Tells of paths with which something was amiss, while the work went on."""
        self._warnings += warnings

    def report(self, data: dict[str, object]) -> None:
        """Prints the `--json` output."""
        from json import dumps

        told = [{"path": path, "reason": reason} for path, reason in self._warnings]
        indent = 2 if self.terminal.is_terminal else None
        self.terminal.line(dumps({**data, "warnings": told}, indent=indent))

    def report_line(
        self, data: dict[str, object], warnings: Iterable[tuple[str, str]] = ()
    ) -> None:
        """Prints one of many objects, on a line by itself, with its own warnings."""
        from json import dumps

        told = [{"path": path, "reason": reason} for path, reason in (*self._warnings, *warnings)]
        self._warnings.clear()
        self.terminal.line(dumps({**data, "warnings": told}))
        self.terminal.flush()

    def tell_warnings(self) -> None:
        """Prints the warnings for a person, once."""
        self.terminal.flush()
        for path, reason in self._warnings[:WARNINGS_SHOWN_MAX]:
            self.terminal.problem("warning", f"{quoted(path)}: {reason}")
        more = len(self._warnings) - WARNINGS_SHOWN_MAX
        if more > 0:
            self.terminal.problem("warning", f"and {more} more; --json lists all")
        self._warnings.clear()

    def say(self, text: str) -> None:
        """Prints what was done; not with `--quiet`."""
        if not self.quiet:
            self.terminal.line(text)

    def hint(self, text: str) -> None:
        """Prints what could be done next; not with `--quiet`."""
        if not self.quiet:
            self.terminal.line(self.terminal.paint(text, "dim"))
