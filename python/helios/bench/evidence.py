"""What other checks have found, read from the files that they wrote: `.compliance/*.json`.

Nothing is assumed: without a file, or with one that says `unknown`, the answer is unknown.
docs/COMPLIANCE.md has the fields.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import helios
from helios.bench.figure import Unmeasurable

FOLDER = ".compliance"
SOURCES = ("python", "crates")


@dataclass(frozen=True)
class Evidence:
    """What one check wrote: its outcome and all of its fields."""

    status: str
    data: dict[str, Any]
    changed_since: bool
    """Whether a source is newer than the check."""

    @property
    def when(self) -> str:
        """`checked 2026-11-22T20:47:00+00:00`."""
        said = f"checked {self.data.get('checked_at', 'at an unknown time')}"
        return f"{said}; sources have changed since" if self.changed_since else said


def checkout() -> Path | None:
    """The root of the sources that this Helios runs from; None if it was installed without."""
    root = Path(helios.__file__).resolve().parents[2]
    return root if (root / "pyproject.toml").is_file() and (root / "crates").is_dir() else None


def evidence(root: Path | None, name: str, command: str) -> Evidence:
    """What the last run of `command` wrote. Raises `Unmeasurable` if nobody knows."""
    if root is None:
        raise Unmeasurable(f"this Helios does not run from a checkout, where `{command}` writes it")
    path = root / FOLDER / f"{name}.json"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        status = str(data["status"])
    except FileNotFoundError:
        raise Unmeasurable(f"there is no {FOLDER}/{name}.json; run `{command}`") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Unmeasurable(f"{FOLDER}/{name}.json cannot be read: {error!r}") from error
    if status not in {"pass", "fail"}:
        raise Unmeasurable(f"`{command}` could not tell: {data.get('reason', 'no reason given')}")
    return Evidence(status, data, _changed_since(root, str(data.get("checked_at", ""))))


def _changed_since(root: Path, checked_at: str) -> bool:
    try:
        checked = datetime.fromisoformat(checked_at).timestamp()
    except ValueError:
        return True
    newest = max(
        path.stat().st_mtime
        for folder in SOURCES
        for pattern in ("*.py", "*.rs")
        for path in (root / folder).rglob(pattern)
    )
    return newest > checked
