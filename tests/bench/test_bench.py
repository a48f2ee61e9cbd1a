"""The benchmark at smoke size: every figure is measured, and what was measured is right.

Nothing here looks at a time.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from helios import Repository
from helios.bench import __main__ as program
from helios.bench import machine, report
from helios.bench.committer import committer
from helios.bench.corpus import Corpus, Edits
from helios.bench.figure import FLOOR, GIT, Figure, Limit, Measured, Result, Unmeasurable, Verdict
from helios.bench.latencies import Rounds, percentile
from helios.bench.workbench import QUICK, Workbench
from helios.bench.written import counted


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The results of one quick run, without the floor program."""
    directory = tmp_path_factory.mktemp("bench")
    file = directory / "results.json"
    code = program.main(["--quick", "--dir", str(directory), "--json", str(file)])
    assert code in {0, 1}
    assert sorted(path.name for path in directory.iterdir()) == ["results.json"]
    data = json.loads(file.read_text())
    assert isinstance(data, dict)
    return data


def test_every_figure_is_measured(ran: dict[str, Any]) -> None:
    unmeasured = {
        figure["name"]: figure["failure"] or figure["unknown"]
        for figure in ran["figures"]
        if figure["value"] is None
    }
    # Device counters are missing on a file system in memory.
    unmeasured.pop("bytes at the device per commit, durability disk", None)
    assert not unmeasured
    assert len(ran["figures"]) == len(program.FIGURES)


def test_what_is_missing_is_said_and_not_judged(ran: dict[str, Any]) -> None:
    [commit] = [figure for figure in ran["figures"] if figure["name"] == "commit p95"]
    assert FLOOR not in commit["references"]
    assert commit["aim_verdict"] == "unknown"
    assert any("floor unknown" in note for note in commit["notes"])


def test_git_is_measured_beside_helios(ran: dict[str, Any]) -> None:
    beside_git = [figure for figure in ran["figures"] if GIT in figure["references"]]
    assert len(beside_git) >= 6
    assert all(figure["references"][GIT] > 0 for figure in beside_git)


def test_the_run_names_its_circumstances(ran: dict[str, Any]) -> None:
    for name in ("machine", "load before", "load after", "directory", "python", "git", "seed"):
        assert ran[name]


def test_the_same_seed_makes_the_same_content(ran: dict[str, Any], tmp_path: Path) -> None:
    bench = Workbench(QUICK, program.SEED, tmp_path, None)
    figures = [each for each in program.FIGURES if each.name == "commit p95"]
    assert program.run(bench, figures, None) in {0, 1}
    bench.close()
    for name, content in bench.contents.items():
        assert ran["contents"][name] == content


def test_edits_reach_the_repository(tmp_path: Path) -> None:
    bench = Workbench(QUICK, 7, tmp_path, None)
    contents = Corpus("seed", 20, 4).contents
    worker = committer(bench, "edits", contents)
    assert len(worker.run(10)) == 10
    edits = Edits(f"{bench.seed} edits", contents)
    expected = dict(contents)
    for _ in range(10):
        path, content = next(edits)
        assert len(content) > len(expected[path])
        expected[path] = content
    bench.close()
    with Repository.open(worker.root) as repository:
        vst = repository.vst(worker.head)
        assert {path: vst[path] for path in vst} == expected
        assert len(list(repository.log("main"))) == 11


def test_a_corpus_is_text_of_1_to_4_kib() -> None:
    corpus = Corpus("seed", 50, 10)
    assert corpus.contents == Corpus("seed", 50, 10).contents
    assert corpus.contents != Corpus("other", 50, 10).contents
    assert len({path.split("/")[0] for path in corpus.contents}) == 10
    assert all(1024 <= len(text) <= 4096 for text in corpus.contents.values())
    assert all(text.decode().endswith("\n") for text in corpus.contents.values())


def test_percentiles_are_nearest_ranks() -> None:
    samples = list(range(1, 101))
    assert percentile(samples, 0.5) == 50
    assert percentile(samples, 0.95) == 95
    assert percentile(samples, 1) == 100
    assert percentile([3], 0.001) == 3


def test_a_disturbed_round_does_not_decide() -> None:
    rounds = Rounds()
    for samples in ([1000] * 9, [2000] * 9, [900_000] * 9):
        rounds.add(samples)
    assert rounds.percentile_us(0.95) == 2.0
    assert rounds.pooled_us(0.95) == 900.0


@pytest.mark.parametrize(
    ("limit", "value", "expected"),
    [
        (Limit(70), 69.9, Verdict.MET),
        (Limit(70), 70.0, Verdict.MISSED),
        (Limit(2, FLOOR), 19.9, Verdict.MET),
        (Limit(2, FLOOR), 20.1, Verdict.MISSED),
        (Limit(2, FLOOR, "start-up"), 22.9, Verdict.MET),
        (Limit(1, GIT), 1.0, Verdict.UNKNOWN),
        (None, 1.0, Verdict.NONE),
    ],
)
def test_a_limit_is_judged(limit: Limit | None, value: float, expected: Verdict) -> None:
    figure = Figure("figure", "us", lambda _: measured, limit)
    measured = Measured(value, {FLOOR: 10.0, "start-up": 3.0})
    assert Result(figure, measured, 0.0).must is expected


def test_limits_are_put_in_words() -> None:
    assert Limit(70).text("us") == "< 70 us"
    assert Limit(1, GIT).text("ms") == "< git"
    assert Limit(1.5, FLOOR, "start-up").text("ms") == "< 1.5 x floor + start-up"


def fails(error: Exception) -> Figure:
    def measure(_: Workbench) -> Measured:
        raise error

    return Figure("figure", "us", measure, Limit(1))


def test_what_cannot_be_measured_is_unknown_and_what_breaks_is_a_failure(tmp_path: Path) -> None:
    bench = Workbench(QUICK, 1, tmp_path, None)
    unknown = program.measure(fails(Unmeasurable("no such program")), bench)
    broken = program.measure(fails(OSError("disk full")), bench)
    assert (unknown.must, unknown.passed) == (Verdict.UNKNOWN, True)
    assert (broken.must, broken.passed) == (Verdict.UNKNOWN, False)
    assert "no such program" in "\n".join(report.lines_of(unknown))
    assert "disk full" in "\n".join(report.lines_of(broken))
    missed = replace(unknown, measured=Measured(2.0), unknown="")
    assert not missed.passed


def test_written_bytes_include_those_of_children(tmp_path: Path) -> None:
    bench = Workbench(QUICK, 1, tmp_path, None)
    try:
        with counted() as written:
            (tmp_path / "own").write_bytes(bytes(1000))
            script = f"open({str(tmp_path / 'child')!r}, 'wb').write(bytes(5000))"
            bench.programs.run(bench.programs.python("-c", script), tmp_path)
    except Unmeasurable as reason:
        pytest.skip(str(reason))
    assert 6000 <= written.asked < 7000


def test_git_runs_without_the_users_configuration(tmp_path: Path) -> None:
    programs = Workbench(QUICK, 1, tmp_path, None).programs
    listed = programs.run(programs.git("config", "--list", "--show-scope"), tmp_path).decode()
    assert {line.split("\t")[0] for line in listed.splitlines()} == {"command"}
    assert not [name for name in programs.environment if name in {"GIT_DIR", "GIT_INDEX_FILE"}]


def test_the_machine_is_described(tmp_path: Path) -> None:
    assert f"{machine.cores()} cores" in machine.describe()
    assert machine.load_average()
    assert machine.file_system(tmp_path)


def test_figures_are_chosen_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["--list", "--only", "fork"]) == 0
    assert capsys.readouterr().out == "fork at 1,000,000 files\n"
    assert program.main(["--only", "no such figure"]) == 2


@cache
def names() -> list[str]:
    return [figure.name for figure in program.FIGURES]


def test_each_figure_has_a_name_of_its_own() -> None:
    assert len(set(names())) == len(names())
