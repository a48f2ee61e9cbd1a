"""The benchmark at smoke size: every figure is measured, and what was measured is right.

Nothing here looks at a time.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from environment import LIMIT_S
from helios import Repository
from helios.bench import commits, machine, report
from helios.bench.committer import committer
from helios.bench.companion import companion
from helios.bench.corpus import Corpus, Edits
from helios.bench.figure import (
    FLOOR,
    GIT,
    HELIOS,
    Figure,
    Limit,
    Measured,
    Result,
    Unmeasurable,
    Verdict,
)
from helios.bench.latencies import Rounds, percentile, statistic_of
from helios.bench.noise import Listening, Noise
from helios.bench.run import Settings, measure, run, workbench
from helios.bench.run import names as names_of
from helios.bench.suites import SUITES, chosen
from helios.bench.workbench import SMOKE, Workbench
from helios.bench.written import counted
from helios.errors import StorageError, Usage


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The results of one run of every suite at smoke size, without the floor program."""
    place = tmp_path_factory.mktemp("bench")
    settings = Settings(smoke=True, directory=place)
    suites = chosen([], replayed=False)
    rows: list[Result] = []
    with workbench(settings, 0, lambda _: None) as bench:
        done = run(bench, suites, rows.append)
        assert done.results == rows
        data = report.as_data(done)
    assert not list(place.iterdir())
    # As a file would have it.
    loaded: dict[str, Any] = json.loads(json.dumps(data))
    return loaded


def test_every_figure_is_measured(ran: dict[str, Any]) -> None:
    unmeasured = {
        figure["name"]: figure["failure"] or figure["unknown"]
        for figure in ran["figures"]
        if figure["value"] is None
    }
    # Device counters are missing on a file system in memory.
    unmeasured.pop("bytes at the device per commit, durability disk", None)
    assert not unmeasured
    assert {figure["suite"] for figure in ran["figures"]} == set(SUITES)
    assert len(ran["figures"]) == len(names())
    assert not ran["partial"]


def test_a_value_is_the_statistic_of_its_samples(ran: dict[str, Any]) -> None:
    sampled = [figure for figure in ran["figures"] if figure["samples"]]
    assert len(sampled) > 25
    for figure in sampled:
        value = statistic_of(figure["samples"][HELIOS], figure["statistic"])
        assert figure["value"] == pytest.approx(value, rel=1e-3, abs=1e-3), figure["name"]
        for name, series in figure["samples"].items():
            if name != HELIOS:
                reference = statistic_of(series, figure["statistic"])
                assert figure["references"][name] == pytest.approx(reference, rel=1e-3, abs=1e-3)


def test_what_is_missing_is_said_and_not_judged(ran: dict[str, Any]) -> None:
    [commit] = [figure for figure in ran["figures"] if figure["name"] == "commit p95"]
    assert FLOOR not in commit["references"]
    assert commit["aim_verdict"] == "unknown"
    assert any("floor unknown" in note for note in commit["notes"])


def test_git_is_measured_beside_helios(ran: dict[str, Any]) -> None:
    beside_git = [figure for figure in ran["figures"] if GIT in figure["references"]]
    assert len(beside_git) >= 15
    assert all(figure["references"][GIT] > 0 for figure in beside_git)


def test_the_run_names_its_circumstances(ran: dict[str, Any]) -> None:
    for name in ("machine", "load before", "load after", "directory", "python", "git", "seed"):
        assert ran[name]
    assert ran["noise"]["loop_us"] > 0


def test_the_same_seed_makes_the_same_content(ran: dict[str, Any], tmp_path: Path) -> None:
    bench = Workbench(SMOKE, 1, tmp_path, None)
    assert run(bench, {"commit": (commits.ALONE,)}, lambda _: None).partial == ""
    bench.close()
    assert bench.contents
    for name, content in bench.contents.items():
        assert ran["contents"][name] == content


def test_edits_reach_the_repository(tmp_path: Path) -> None:
    bench = Workbench(SMOKE, 7, tmp_path, None)
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


def test_a_percentile_is_of_all_samples_and_a_disturbed_round_is_seen() -> None:
    rounds = Rounds()
    for samples in ([1000] * 9, [2000] * 9, [900_000] * 9):
        rounds.add(samples)
    assert rounds.percentile_us(0.5) == 2.0
    assert rounds.percentile_us(0.95) == 900.0
    assert "p95 of the rounds 1.0 to 900.0" in rounds.describe()
    assert statistic_of(rounds.us, "mean") == pytest.approx(301)


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
    bench = Workbench(SMOKE, 1, tmp_path, None)
    unknown = measure(fails(Unmeasurable("no such program")), bench)
    broken = measure(fails(OSError("disk full")), bench)
    assert (unknown.must, unknown.passed) == (Verdict.UNKNOWN, True)
    assert (broken.must, broken.passed) == (Verdict.UNKNOWN, False)
    assert "no such program" in "\n".join(report.lines_of(unknown))
    assert "disk full" in "\n".join(report.lines_of(broken))
    missed = replace(unknown, measured=Measured(2.0), unknown="", noise=None)
    assert not missed.passed


def test_written_bytes_include_those_of_children(tmp_path: Path) -> None:
    bench = Workbench(SMOKE, 1, tmp_path, None)
    try:
        with counted() as written:
            (tmp_path / "own").write_bytes(bytes(1000))
            script = f"open({str(tmp_path / 'child')!r}, 'wb').write(bytes(5000))"
            bench.programs.run(bench.programs.python("-c", script), tmp_path)
    except Unmeasurable as reason:
        pytest.skip(str(reason))
    assert 6000 <= written.asked < 7000


def test_git_runs_without_the_users_configuration(tmp_path: Path) -> None:
    programs = Workbench(SMOKE, 1, tmp_path, None).programs
    listed = programs.run(programs.git("config", "--list", "--show-scope"), tmp_path).decode()
    assert {line.split("\t")[0] for line in listed.splitlines()} == {"command"}
    assert not [name for name in programs.environment if name in {"GIT_DIR", "GIT_INDEX_FILE"}]


def test_the_machine_is_described(tmp_path: Path) -> None:
    assert f"{machine.cores()} cores" in machine.describe()
    assert machine.load_average()
    assert machine.file_system(tmp_path)


def names() -> list[str]:
    return [name for _, name in names_of([*SUITES])]


def test_each_figure_has_a_name_of_its_own() -> None:
    assert len(set(names())) == len(names())


def test_suites_and_figures_are_chosen_by_name() -> None:
    assert chosen(["gc"], False) == {"gc": SUITES["gc"]}
    [(suite, [figure])] = chosen(["fork at"], False).items()
    assert (suite, figure.name) == ("branch", "fork at 1,000,000 files")
    with pytest.raises(Usage, match="no suite is called 'nothing such'"):
        chosen(["nothing such"], False)


NOISY = Noise(0.0, 60.0, 1.0, 1.1, 40.0)


def test_no_verdict_is_given_on_what_was_timed_while_it_was_noisy() -> None:
    measured = Measured(1.0)
    timed = Result(Figure("figure", "us", lambda _: measured, Limit(70)), measured, 0.0)
    counted_bytes = replace(timed, figure=replace(timed.figure, unit="B"), noise=NOISY)
    assert timed.must is Verdict.MET
    assert replace(timed, noise=NOISY).must is Verdict.REFUSED
    assert counted_bytes.must is Verdict.MET
    said = "\n".join(report.lines_of(replace(timed, noise=NOISY)))
    assert "other processes 60.0% of the processors (at most 15)" in said


def test_an_interrupted_run_keeps_what_it_has_and_says_so(tmp_path: Path) -> None:
    def interrupt(_: Workbench) -> Measured:
        raise KeyboardInterrupt

    good = Figure("good", "B", lambda _: Measured(1.0), Limit(2))
    figures = (good, Figure("cut", "B", interrupt), Figure("never", "B", interrupt))
    settings = Settings(smoke=True, directory=tmp_path)
    with workbench(settings, 0, lambda _: None) as bench:
        done = run(bench, {"suite": figures}, lambda _: None)
        data = report.as_data(done)
        said = "\n".join(report.lines_of_end(done))
    assert [result.figure.name for result in done.results] == ["good"]
    assert not done.passed
    assert (data["partial"], data["unmeasured"]) == ("interrupted", ["cut", "never"])
    assert "PARTIAL:     interrupted; not measured: cut; never" in said
    assert not list(tmp_path.iterdir())


def test_an_interrupt_while_files_are_deleted_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupts = [KeyboardInterrupt()]
    rmtree = shutil.rmtree

    def interrupted(place: Path, *, ignore_errors: bool) -> None:
        if interrupts:
            raise interrupts.pop()
        rmtree(place, ignore_errors=ignore_errors)

    monkeypatch.setattr("helios.bench.run.shutil.rmtree", interrupted)
    settings = Settings(smoke=True, directory=tmp_path)
    with pytest.raises(KeyboardInterrupt), workbench(settings, 0, lambda _: None):
        pass
    assert not interrupts
    assert not list(tmp_path.iterdir())


def test_an_interrupt_while_a_thread_starts_leaves_it_not_running(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[Thread] = []
    start = Thread.start

    def interrupted(thread: Thread) -> None:
        start(thread)
        started.append(thread)
        raise KeyboardInterrupt

    monkeypatch.setattr(Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt), companion(commits.run_python):
        pytest.fail("it was entered")
    started[0].join(LIMIT_S)
    assert not started[0].is_alive()


def test_too_small_a_disk_is_said_before_anything_is_written(tmp_path: Path) -> None:
    settings = Settings(smoke=True, directory=tmp_path)
    with (
        pytest.raises(StorageError, match="MiB free, and this takes up to"),
        workbench(settings, 1 << 60, lambda _: None),
    ):
        pytest.fail("it was begun")
    assert not list(tmp_path.iterdir())


def test_others_at_work_are_heard_however_short_the_figure_is() -> None:
    if not Path("/proc/stat").exists():
        pytest.skip("this system does not tell")
    noise = Listening(0.2).end()
    assert noise.steal_percent is not None
    assert noise.others_percent is not None
    assert 0 <= noise.others_percent <= 100
