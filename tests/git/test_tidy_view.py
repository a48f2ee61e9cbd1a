"""What killed pushes have left in the view, beside pushes that live."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from helios.git.push import ARRIVING_S_MAX, tidy
from helios.git.view import View

LONG_AGO = -2 * ARRIVING_S_MAX


def arriving(view: View, name: str, age_s: float) -> Path:
    place = Path(view.directory, "objects", name)
    for directory in (place / "pack", place):
        directory.mkdir(parents=True, exist_ok=True)
        then = place.parent.stat().st_mtime + age_s
        os.utime(directory, (then, then))
    return place


def test_only_what_is_old_goes_and_what_vanishes_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = View(str(tmp_path), "sha1")
    old = [arriving(view, f"tmp_objdir-incoming-{number}", LONG_AGO) for number in range(3)]
    young = arriving(view, "tmp_objdir-incoming-young", 0)
    walk = os.walk

    def other_push_ends_first(top: str) -> Iterator[tuple[str, list[str], list[str]]]:
        if top == str(old[1]):
            shutil.rmtree(top)
        return walk(top)

    monkeypatch.setattr(os, "walk", other_push_ends_first)
    tidy(view)
    assert young.exists()
    assert not any(place.exists() for place in old)
