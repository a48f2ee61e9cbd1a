"""Result files: what a check found, as JSON for programs. `docs/COMPLIANCE.md` has the fields."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

FOLDER = ".compliance"


class Status(StrEnum):
    """The outcome of a check."""

    PASS = "pass"  # noqa: S105
    FAIL = "fail"
    UNKNOWN = "unknown"
    """It could not be made: neither good nor bad."""


def worst(statuses: list[Status]) -> Status:
    """The outcome of several checks: one that fails fails all."""
    for status in (Status.FAIL, Status.UNKNOWN):
        if status in statuses:
            return status
    return Status.PASS


def write(root: Path, name: str, status: Status, tool: str, reason: str, **more: object) -> Path:
    """Writes `.compliance/NAME.json`; where it is."""
    folder = root / FOLDER
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.json"
    data = {
        "status": status,
        "checked_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "tool": tool,
        "reason": reason,
        **more,
    }
    path.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    return path
