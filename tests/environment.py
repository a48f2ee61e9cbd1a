"""The environment of child processes whose imports or system calls a test counts."""

from __future__ import annotations

import os


def unmeasured() -> dict[str, str]:
    """This process's, without coverage: that imports modules and writes files of its own."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
