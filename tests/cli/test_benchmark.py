"""`helios-cli benchmark`: its options, what it writes, its exit codes, and how it ends."""

from __future__ import annotations

import json
import re
import signal
import sys
from html.parser import HTMLParser
from pathlib import Path
from time import sleep
from typing import Any

import pytest

from cli.conftest import Process, Run
from environment import unmeasured
from helios.bench.figure import Figure, Limit, Measured
from helios.bench.peers import PEERS
from helios.bench.suites import SUITES
from helios.bench.workbench import Workbench


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where the temporary directory is made; empty again after every run."""
    directory = tmp_path / "place"
    directory.mkdir()
    return directory


class Page(HTMLParser):
    """Tags that are open at the end, and everything that a page would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loaded: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in {"meta", "br"}:
            self.open.append(tag)
        if tag in {"script", "link", "img", "iframe"}:
            self.loaded.append(tag)
        self.loaded += [f"{name}={value}" for name, value in attrs if name == "src"]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_everything_is_listed(run: Run) -> None:
    result = run("benchmark", "--list")
    assert result.code == 0
    for suite, figures in SUITES.items():
        assert f"\n{suite}\n" in f"\n{result.out}"
        assert all(f"  {figure.name}\n" in result.out for figure in figures)
    assert result.out.endswith(f"peers: {', '.join(PEERS)}\n")


def test_a_run_is_shown_and_written(run: Run, project: Path, place: Path) -> None:
    result = run(
        *("benchmark", "read", "fork at", "--smoke", "--peers", "git", "--dir", str(place)),
        *("--files", "40", "--changes", "2", "--json", "run.json", "--html", "run.html"),
    )
    assert result.code in {0, 1}
    assert not list(place.iterdir())
    assert "VST read of 1 KiB" in result.out
    assert "95% confidence" in result.out
    data = json.loads((project / "run.json").read_text())
    assert "files 40," in data["sizes"]
    assert [figure["suite"] for figure in data["figures"]] == ["read", "read", "branch"]
    beside = data["figures"][1]["samples"]
    assert set(beside) == {"helios", "git"}
    text = (project / "run.html").read_text()
    page = Page(text)
    assert not page.open
    assert not page.loaded
    assert not re.findall(r"https?:|url\(", text)
    assert "read of a file, beside peers" in text
    assert text.count("<svg") == text.count("</svg>") >= 2


def test_json_alone_goes_to_standard_output(run: Run, place: Path) -> None:
    arguments = ("--smoke", "--dir", str(place), "--peers", "git", "--json", "-")
    result = run("benchmark", "read of a file", *arguments)
    assert [figure["suite"] for figure in result.json["figures"]] == ["read"]


def test_a_saved_run_is_a_baseline(run: Run, place: Path) -> None:
    common = ("benchmark", "fork at", "--smoke", "--dir", str(place))
    run(*common, "--json", "old.json")
    result = run(*common, "--baseline", "old.json", "--json", "new.json")
    assert "fork at 1,000,000 files" in result.out
    assert re.search(r"\d worse, \d better", result.out)
    compared = run("benchmark", "compare", "old.json", "new.json")
    assert compared.code in {0, 1}
    assert re.search(r"\d worse, \d better", compared.out)
    again = run("benchmark", "compare", "old.json", "old.json", "--json", "-")
    assert again.code == 0
    assert again.json["worse"] is False


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing such"], "no suite is called 'nothing such'"),
        (["--peers", "svn"], "no peer is called 'svn'"),
        (["--phase0-validation", "commit"], "give it alone"),
        (["--phase0-validation", "--baseline", "x"], "give it alone"),
        (["compare", "one"], "takes two files"),
        (["--dir", "missing"], "--dir: 'missing' is not a directory"),
        (["--replay", "missing"], "--replay: 'missing' is not a directory"),
        (["--floor", "missing"], "--floor: 'missing' is not a file"),
        (["--json", "missing/run.json"], "is no writable directory"),
        (["--html", "missing/run.html"], "is no writable directory"),
        (["--files", "0"], "it must be 1 or more"),
        (["--seconds", "soon"], "is not a number of seconds"),
    ],
)
def test_wrong_usage_is_said_before_anything_is_measured(
    run: Run, arguments: list[str], said: str
) -> None:
    result = run("benchmark", *arguments)
    assert (result.code, result.out) == (2, "")
    assert said in result.err


def test_a_baseline_that_is_no_run_is_refused_before_anything_is_measured(
    run: Run, project: Path
) -> None:
    (project / "old.json").write_text("[]")
    result = run("benchmark", "--smoke", "--baseline", "old.json")
    assert (result.code, result.out) == (2, "")
    assert "is no run of" in result.err


def one_figure(monkeypatch: pytest.MonkeyPatch, value: float, must: float) -> None:
    figure = Figure("made up", "B", lambda _: Measured(value), Limit(must))
    monkeypatch.setattr("helios.bench.suites.SUITES", {"gc": (figure,)})


@pytest.mark.parametrize(("value", "code"), [(1.0, 0), (3.0, 1)])
def test_the_exit_code_says_whether_figures_are_what_they_must_be(
    run: Run, place: Path, monkeypatch: pytest.MonkeyPatch, value: float, code: int
) -> None:
    one_figure(monkeypatch, value, must=2.0)
    assert run("benchmark", "--smoke", "--dir", str(place)).code == code


def test_too_small_a_disk(run: Run, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("helios.bench.run.shutil.disk_usage", lambda _: FullDisk())
    result = run("benchmark", "--smoke", "--dir", str(place))
    assert (result.code, result.out) == (10, "")
    assert "has 0 MiB free, and this takes up to" in result.err


class FullDisk:
    free = 1000


def test_ctrl_c_leaves_what_was_measured(
    run: Run, project: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: Workbench) -> Measured:
        raise KeyboardInterrupt

    figures = (
        Figure("good", "B", lambda _: Measured(1.0)),
        Figure("cut", "B", interrupt),
    )
    monkeypatch.setattr("helios.bench.suites.SUITES", {"gc": figures})
    files = ("--json", "run.json", "--html", "run.html")
    result = run("benchmark", "--smoke", "--dir", str(place), *files)
    assert result.code == 130
    assert "PARTIAL:     interrupted; not measured: cut" in result.out
    assert not list(place.iterdir())
    data: dict[str, Any] = json.loads((project / "run.json").read_text())
    assert (data["partial"], data["unmeasured"]) == ("interrupted", ["cut"])
    assert (
        "This run is partial: interrupted; not measured: cut" in (project / "run.html").read_text()
    )


@pytest.mark.skipif(sys.platform != "linux", reason="signals as Linux has them")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_run_and_leaves_no_files(
    process: Process, project: Path, place: Path, number: signal.Signals
) -> None:
    running = process(
        *("benchmark", "commit", "storage", "gc", "--smoke", "--dir", str(place)),
        *("--json", "run.json"),
        # What the signal raises could be raised in coverage's tracer, which then never gives back
        # the lock that it holds.
        env=unmeasured(),
    )
    assert running.stdout is not None
    while not running.stdout.readline().startswith(b"-----"):
        assert running.poll() is None
    # It measures for many seconds; before it has begun there is nothing partial.
    sleep(1)
    running.send_signal(number)
    out, _ = running.communicate(timeout=60)
    assert running.returncode == 130
    assert b"PARTIAL:     interrupted" in out
    assert not list(place.iterdir())
    assert json.loads((project / "run.json").read_text())["partial"] == "interrupted"


def test_a_gate_that_is_unknown_makes_it_not_go(
    run: Run, project: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(_root: object) -> tuple[()]:
        return ()

    monkeypatch.setattr("helios.bench.gates.gates", none)
    arguments = ("benchmark", "--phase0-validation", "--smoke", "--dir", str(place))
    assert run(*arguments).code == 0
    monkeypatch.undo()
    monkeypatch.chdir(project)
    monkeypatch.setattr("helios.bench.gates.checkout", lambda: None)
    result = run(*arguments, "--json", "gates.json")
    assert result.code == 1
    data = json.loads((project / "gates.json").read_text())
    words = {gate["name"]: gate["verdict"] for gate in data["gates"]}
    assert words["coverage"] == words["vulnerabilities"] == words["licences"] == "unknown"
    assert data["verdict"] != "go"
    assert f"verdict:     {data['verdict']}" in result.out
