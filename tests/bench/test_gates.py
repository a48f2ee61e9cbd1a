"""The gates: what is said of each outcome, and that nothing is taken for granted."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from helios.bench import gates, verdicts
from helios.bench.figure import HELIOS, Figure, Measured, Unmeasurable
from helios.bench.gates import Above, Below, Gate, Judged, Validation, Word
from helios.bench.inference import Interval
from helios.bench.noise import Noise
from helios.bench.page import page
from helios.bench.run import Settings, workbench
from helios.bench.workbench import SMOKE, Workbench

NAMES = ["licences", "coverage", "vulnerabilities"]
WHEN = "2026-11-22T12:00:00+00:00"


def written(root: Path, name: str, **data: Any) -> None:
    folder = root / ".compliance"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps({"checked_at": WHEN, "reason": "", **data}))


def judged(root: Path | None) -> dict[str, Judged]:
    bench = Workbench.__new__(Workbench)
    return {gate.name: gate.judge(gate, bench) for gate in gates.gates(root) if gate.name in NAMES}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for folder in ("python", "crates"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.py").write_text("")
    return tmp_path


@pytest.mark.parametrize(
    ("bound", "value", "interval", "word"),
    [
        (Below(70, 100), 60, Interval(55, 69.9), Word.GO),
        (Below(70, 100), 60, Interval(55, 70.1), Word.SHORT),
        (Below(70, 100), 99, Interval(95, 120), Word.SHORT),
        (Below(70, 100), 100, Interval(60, 120), Word.NO_GO),
        (Above(99, 90), 99.5, Interval(99.1, 99.8), Word.GO),
        (Above(99, 90), 99.5, Interval(98.9, 99.8), Word.SHORT),
        (Above(99, 90), 90, Interval(80, 99.8), Word.NO_GO),
    ],
)
def test_the_whole_interval_decides(
    bound: Below | Above, value: float, interval: Interval, word: Word
) -> None:
    assert bound.word(value, interval) is word


def test_without_files_everything_is_unknown(root: Path) -> None:
    for where in (root, None):
        found = judged(where)
        assert {each.word for each in found.values()} == {Word.UNKNOWN}
    assert "run `make cover`" in judged(root)["coverage"].notes[0]


def test_a_check_that_could_not_tell_is_unknown(root: Path) -> None:
    for name in ("licenses", "coverage", "audit"):
        written(root, name, status="unknown", reason="the database is out of reach")
    found = judged(root)
    assert {each.word for each in found.values()} == {Word.UNKNOWN}
    assert "out of reach" in found["vulnerabilities"].notes[0]
    (root / ".compliance" / "audit.json").write_text("{")
    assert judged(root)["vulnerabilities"].word is Word.UNKNOWN


@pytest.mark.parametrize(
    ("python", "rust", "status", "word"),
    [
        (92.0, 85.0, "pass", Word.GO),
        (84.9, 99.0, "fail", Word.NO_GO),
        (92.0, 84.0, "pass", Word.NO_GO),
        (92.0, 90.0, "fail", Word.NO_GO),
        (92.0, None, "pass", Word.UNKNOWN),
    ],
)
def test_coverage(root: Path, python: float, rust: float | None, status: str, word: Word) -> None:
    written(root, "coverage", status=status, python_percent=python, rust_percent=rust)
    assert judged(root)["coverage"].word is word


def test_licences(root: Path) -> None:
    counts = {"allowed": 3, "unknown": 0, "denied": 0}
    written(root, "licenses", status="pass", packages=3, verdicts=counts)
    good = judged(root)["licences"]
    assert (good.word, good.measured) == (Word.GO, "3 packages, 0 denied")
    assert "sources have changed since" in good.notes[-1]
    written(root, "licenses", status="fail", packages=3, verdicts=counts, reason="a document")
    assert judged(root)["licences"].word is Word.NO_GO
    written(root, "licenses", status="pass", packages=3, verdicts={**counts, "denied": 1})
    assert judged(root)["licences"].word is Word.NO_GO


@pytest.mark.parametrize(("count", "word"), [(0, Word.GO), (1, Word.NO_GO)])
def test_an_unrated_vulnerability_counts_as_critical(root: Path, count: int, word: Word) -> None:
    of = {"severities": {"unrated": count}}
    written(root, "audit", status="fail" if count else "pass", python=of, rust=of)
    assert judged(root)["vulnerabilities"].word is word


def gate_of(measured: Measured | Exception) -> Judged:
    def measure(_: Workbench) -> Measured:
        if isinstance(measured, Exception):
            raise measured
        return measured

    figure = Figure("figure", "us", measure)
    gate = Gate("gate", "< 70 us", partial(gates.timed, figure, Below(70, 100)))
    bench = Workbench.__new__(Workbench)
    bench.sizes, bench.seed, bench.say = SMOKE, 1, lambda _: None
    return gate.judge(gate, bench)


def test_a_timed_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    quiet = Noise(0.0, 0.0, 0.0, 1.0, 40.0)
    monkeypatch.setattr("helios.bench.noise.Listening.end", lambda _: quiet)
    good = Measured.of("p50", {HELIOS: [[20.0, 21.0, 22.0, 23.0, 24.0, 25.0] * 10]})
    assert gate_of(good).word is Word.GO
    few = Measured.of("p50", {HELIOS: [[20.0, 21.0]]})
    assert gate_of(few).word is Word.UNKNOWN
    assert gate_of(Unmeasurable("no clock")).word is Word.UNKNOWN
    assert gate_of(OSError("full")).word is Word.UNKNOWN


def test_a_noisy_machine_gets_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    noisy = Noise(9.0, 0.0, 0.0, 1.0, 40.0)
    monkeypatch.setattr("helios.bench.noise.Listening.end", lambda _: noisy)
    found = gate_of(Measured.of("p50", {HELIOS: [[20.0, 21.0, 22.0] * 10]}))
    assert found.word is Word.REFUSED
    assert "steal time 9.0% (at most 5)" in found.notes
    assert "measured 3 times, because the machine was noisy; the last counts" in found.notes


def test_only_if_all_gates_hold_it_is_go() -> None:
    def one(word: Word) -> Judged:
        return Judged(f"gate {word.value}", "", "", word)

    assert Validation([one(Word.GO)]).go
    assert Validation([one(Word.GO)]).verdict == "go"
    for word in (Word.SHORT, Word.UNKNOWN, Word.REFUSED):
        found = Validation([one(Word.GO), one(word)])
        assert not found.go
        assert found.verdict == f"not go: gate {word.value}"
    assert Validation([one(Word.NO_GO), one(Word.UNKNOWN)]).verdict == "no-go"
    assert not Validation([one(Word.GO)], "interrupted").go


def test_all_gates_are_measured_at_smoke_size(root: Path) -> None:
    with workbench(Settings(smoke=True, directory=root), 0, lambda _: None) as bench:
        done = gates.validate(bench, lambda _: None, root)
        data = verdicts.as_data(bench, done, "0")
        assert len(done.judged) == 9
        for each in done.judged:
            if each.name not in NAMES:
                assert each.result is not None, each
                assert each.result.measured is not None, each
    said = "\n".join(line for each in done.judged for line in verdicts.lines_of(each))
    assert "I/O reduction against git" in said
    assert done.verdict in "\n".join(verdicts.lines_of_end(done))
    assert not done.go
    shown = page(json.loads(json.dumps(data)))
    assert "vulnerabilities" in shown
    assert done.verdict.split(":")[0] in shown
