"""Bytes written: as processes ask for them, and as a block device receives them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from helios.bench.figure import Unmeasurable

SECTOR_BYTES = 512
SECTORS_WRITTEN = 6
"""The column of a device's `stat` file (Linux, Documentation/block/stat.rst)."""


@dataclass
class Written:
    """Bytes written by this process and the children that it has waited for (Linux proc(5)).

    `asked` is what was passed to write(2) and its kin; `dirtied` counts pages of 4 KiB, once each
    until they reach the disk; `calls` counts write(2) and its kin. A child counts as soon as it has
    been waited for.
    """

    asked: float = 0
    dirtied: float = 0
    calls: float = 0

    def per(self, count: int) -> Written:
        """The same for each of so many."""
        return Written(self.asked / count, self.dirtied / count, self.calls / count)


def _counters() -> Written:
    try:
        text = Path("/proc/self/io").read_text(encoding="ascii")
    except OSError as error:
        raise Unmeasurable(f"this system does not count written bytes: {error}") from error
    values = dict(line.split(": ") for line in text.splitlines())
    return Written(int(values["wchar"]), int(values["write_bytes"]), int(values["syscw"]))


@contextmanager
def counted() -> Iterator[Written]:
    """What is written inside of the block; complete when the block has ended."""
    written = Written()
    before = _counters()
    yield written
    after = _counters()
    written.asked = after.asked - before.asked
    written.dirtied = after.dirtied - before.dirtied
    written.calls = after.calls - before.calls


def at_device(directory: Path) -> int:
    """Bytes that the device below `directory` has received since it started, from everybody."""
    device = directory.stat().st_dev
    path = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/stat")
    os.sync()
    try:
        return int(path.read_text(encoding="ascii").split()[SECTORS_WRITTEN]) * SECTOR_BYTES
    except OSError as error:
        raise Unmeasurable(f"no block device below {directory}: {error}") from error
