"""What the tests of the benchmark share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from helios.bench.programs import Programs


@pytest.fixture(autouse=True)
def counters_where_they_belong(monkeypatch: pytest.MonkeyPatch) -> None:
    """An instrumented build writes its counters where it is told, or into what is measured."""
    name = "LLVM_PROFILE_FILE"
    if name in os.environ:
        made = Programs.__init__

        def init(self: Programs, home: Path, floor: Path | None) -> None:
            made(self, home, floor)
            self.environment[name] = os.environ[name]

        monkeypatch.setattr(Programs, "__init__", init)
