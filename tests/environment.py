"""Processes beside a test: their environment, if what they import is counted, and their end."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep

LIMIT_S = 120


def unmeasured() -> dict[str, str]:
    """This process's, without coverage: that imports modules and writes files of its own."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}


def is_running(number: int) -> bool:
    """Whether a process has not ended; one that has may wait for its parent to notice."""
    try:
        fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return fields[0] != "Z"


def until(condition: Callable[[], bool]) -> None:
    """Waits for something that another process does."""
    end = monotonic() + LIMIT_S
    while not condition():
        assert monotonic() < end
        sleep(0.01)
