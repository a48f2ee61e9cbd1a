"""Standard output and standard error: colour, and text that is safe to show.

Colour goes to a terminal only, and never with `NO_COLOR` or `TERM=dumb`. A file's name or a
message may hold anything; here it gets no control character past the terminal.
"""

from __future__ import annotations

import os
import sys

from helios.cli import environment
from helios.cli.quoting import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

STYLES = {
    "added": "32",
    "changed": "33",
    "deleted": "31",
    "renamed": "36",
    "id": "33",
    "heading": "1",
    "hunk": "36",
    "dim": "2",
    "error": "1;31",
    "warning": "1;33",
}
COLUMNS = 80


class Terminal:
    """Where one run of the command line writes to."""

    def __init__(self) -> None:
        for stream in (sys.stdout, sys.stderr):
            # A terminal that cannot show a character gets its escape, not an error.
            reconfigure = getattr(stream, "reconfigure", None)
            if reconfigure is not None:
                reconfigure(errors="backslashreplace")
        color = environment.allows_color()
        self.is_terminal = _is_terminal(sys.stdout)
        self.error_is_terminal = _is_terminal(sys.stderr)
        self._color = color and self.is_terminal
        self._error_color = color and self.error_is_terminal

    def paint(self, text: str, style: str) -> str:
        """The text in a style, where standard output shows colours."""
        return _painted(text, style) if self._color else text

    @property
    def columns(self) -> int:
        """The width of the terminal; 80 where there is none."""
        if self.is_terminal:
            try:
                return os.get_terminal_size(sys.stdout.fileno()).columns or COLUMNS
            except OSError:
                return COLUMNS
        return COLUMNS

    def write(self, text: str) -> None:
        """Writes to standard output."""
        if sys.stdout is not None:
            sys.stdout.write(text)

    def line(self, text: str = "") -> None:
        """Writes a line to standard output."""
        self.write(f"{text}\n")

    def data(self, data: bytes) -> None:
        """Writes bytes as they are, behind what is written already."""
        if sys.stdout is not None:
            sys.stdout.flush()
            rest = memoryview(data)
            while rest:
                # With PYTHONUNBUFFERED a write may take only a part.
                rest = rest[sys.stdout.buffer.write(rest) :]

    def problem(self, kind: str, message: str) -> None:
        """Writes an error or a warning, in one line, to standard error."""
        if sys.stderr is not None:
            shown = _painted(f"{kind}:", kind) if self._error_color else f"{kind}:"
            print(f"helios-cli: {shown} {printable(message)}", file=sys.stderr)

    def flush(self) -> None:
        """Raises what a full disk or a closed pipe has to say."""
        if sys.stdout is not None:
            sys.stdout.flush()


def abandon_output() -> None:
    """Sends what is left for standard output nowhere, so that the end of the process is quiet."""
    if sys.stdout is None:
        return
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    except (OSError, ValueError):
        # Not a file of the system's: nothing of it is flushed at the end.
        return


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and stream.isatty()


def _painted(text: str, style: str) -> str:
    return f"\x1b[{STYLES[style]}m{text}\x1b[0m"
