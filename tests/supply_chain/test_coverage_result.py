"""The result file of `make cover` says what its two reports say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from compliance.__main__ import main

LCOV = "SF:a.rs\nDA:1,1\nLF:10\nLH:9\nend_of_record\nSF:b.rs\nLF:30\nLH:27\nend_of_record\n"


def run(root: Path, lcov: str, percent: object) -> int:
    (root / "lcov.info").write_text(lcov)
    (root / "coverage.json").write_text(json.dumps({"totals": {"percent_covered": percent}}))
    reports = [str(root / "lcov.info"), str(root / "coverage.json"), "85"]
    return main(["--root", str(root), "coverage", *reports])


@pytest.mark.parametrize(("python", "status"), [(91.234, "pass"), (85, "pass"), (84.9, "fail")])
def test_the_lower_of_both_decides(tmp_path: Path, python: float, status: str) -> None:
    assert run(tmp_path, LCOV, python) == 0
    result = json.loads((tmp_path / ".compliance" / "coverage.json").read_text())
    assert result["status"] == status
    assert result["rust_percent"] == 90
    assert result["python_percent"] == round(python, 2)
    assert result["percent_min"] == 85


@pytest.mark.parametrize(("lcov", "python"), [("", 90), (LCOV, None), (LCOV, "many")])
def test_a_report_that_says_nothing_is_unknown(tmp_path: Path, lcov: str, python: object) -> None:
    assert run(tmp_path, lcov, python) == 3
    result = json.loads((tmp_path / ".compliance" / "coverage.json").read_text())
    assert result["status"] == "unknown"
