"""Packet lines, in which git speaks to its peers and to hooks (gitprotocol-common(5))."""

from __future__ import annotations

from helios import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import IO

BYTES_MAX = 65520
"""Of a packet with its length."""
FLUSH = b"0000"


def read(stream: IO[bytes]) -> list[bytes]:
    """The packets up to the next flush packet, without their newlines.

    Raises `GitFailed` for what is no packet, or if the stream ends before.
    """
    lines: list[bytes] = []
    while True:
        head = stream.read(4)
        try:
            length = int(head, 16)
        except ValueError:
            length = -1
        if len(head) != 4 or not (length == 0 or 4 <= length <= BYTES_MAX):
            raise errors.GitFailed("git went away, or does not speak in packet lines")
        if length == 0:
            return lines
        line = stream.read(length - 4)
        if len(line) != length - 4:
            raise errors.GitFailed("git went away in the middle of a packet line")
        lines.append(line.removesuffix(b"\n"))


def write(stream: IO[bytes], lines: Iterable[bytes]) -> None:
    """Writes lines, one packet each, and a flush packet; what is too long is cut off."""
    for line in lines:
        cut = line[: BYTES_MAX - 4]
        stream.write(b"%04x%s" % (len(cut) + 4, cut))
    stream.write(FLUSH)
    stream.flush()
