"""Figures: which there are, that they outlive the process, and that Prometheus can read them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from helios import Repository
from repository import workers

COUNTS = {
    "l1": ["hits", "misses", "evictions", "size", "items"],
    "engine": ["commits", "new_objects", "new_bytes", "branch_conflicts", "bytes_written"],
    "journal": ["size", "objects", "bytes_written", "damaged_stretches"],
    "l2": ["size", "objects", "record_bytes", "bytes_written"],
    "objects": ["raw", "zstd", "splice", "chunks"],
}
LATENCIES = ["commit_latency_us_p50", "commit_latency_us_p95", "commit_latency_us_p99"]


def test_a_new_repository_has_all_figures_and_no_latency_yet(repo: Repository) -> None:
    stats = repo.stats()
    for part, names in COUNTS.items():
        for name in names:
            assert isinstance(stats[part][name], int), (part, name)
    assert [stats["engine"][name] for name in LATENCIES] == [None] * 3
    assert stats["engine"]["io_reduction_percent"] is None


def test_commits_are_counted_and_timed(repo: Repository) -> None:
    vst = repo.vst()
    for number in range(10):
        vst["a"] = b"%d" % number
        vst.commit()
    engine = repo.stats()["engine"]
    assert engine["commits"] == 10
    assert engine["new_objects"] == 30
    latencies = [engine[name] for name in LATENCIES]
    assert all(isinstance(latency, float) and latency > 0 for latency in latencies)
    assert latencies == sorted(latencies)  # type: ignore[type-var]
    assert isinstance(engine["io_reduction_percent"], float)
    assert engine["io_reduction_percent"] < 100
    # Nothing is in L2 yet, and there is no worktree's index.
    assert engine["bytes_written"] == repo.stats()["journal"]["bytes_written"]


def test_figures_add_up_over_processes(repo: Repository, place: Path) -> None:
    workers.run("commit_many", place, "one", 20)
    workers.run("commit_many", place, "two", 20)
    with Repository.open(place) as again:
        for each in (repo, again):
            assert each.stats()["engine"]["commits"] == 80
        assert again.stats()["journal"]["objects"]
        assert again.stats()["engine"]["commit_latency_us_p50"]


def test_a_conflict_is_counted(repo: Repository) -> None:
    one, two = repo.vst(), repo.vst()
    one.commit(allow_empty=True)
    with pytest.raises(Exception, match="moved"):
        two.commit("other")
    assert repo.stats()["engine"]["branch_conflicts"] == 1


def test_the_cache_counts_hits_misses_and_evictions_within_its_bound(place: Path) -> None:
    with Repository.init(place, cache_bytes=1 << 20) as repo:
        with repo.vst() as vst:
            for number in range(2000):
                vst[f"{number % 20}/{number}"] = b"%d" % number * 500
        vst = repo.vst()
        for number in range(2000):
            _ = vst[f"{number % 20}/{number}"]
        l1 = repo.stats()["l1"]
        assert 0 < l1["size"] <= 1 << 20  # type: ignore[operator]
        assert 0 < l1["items"] < 2000  # type: ignore[operator]
        assert l1["evictions"] > 0  # type: ignore[operator]
        assert l1["misses"] > 0  # type: ignore[operator]
        hits = l1["hits"]
        for _ in range(10):
            _ = vst["19/1999"]
        assert repo.stats()["l1"]["hits"] >= hits + 9  # type: ignore[operator]
    with Repository.open(place) as again:
        assert again.stats()["l1"]["evictions"] == l1["evictions"]


def test_maintenance_moves_sizes_from_the_journal_to_l2(repo: Repository) -> None:
    with repo.vst() as vst:
        for number in range(100):
            vst[f"{number}"] = b"%d" % number * 100
    before = repo.stats()
    assert before["l2"]["objects"] == before["l2"]["size"] == 0
    repo.maintenance()
    after = repo.stats()
    assert after["l2"]["objects"] == before["journal"]["objects"]
    assert after["l2"]["size"] > 0  # type: ignore[operator]
    assert after["l2"]["record_bytes"] > 0  # type: ignore[operator]
    assert after["l2"]["bytes_written"] > 0  # type: ignore[operator]
    assert after["journal"]["objects"] == 0
    assert after["journal"]["size"] < before["journal"]["size"]  # type: ignore[operator]
    assert after["journal"]["bytes_written"] == before["journal"]["bytes_written"]


@pytest.mark.parametrize("memory", [False, True])
def test_prometheus_text_is_well_formed(repo: Repository, memory: bool) -> None:
    if memory:
        repo = Repository.memory()
    with repo.vst() as vst:
        vst["a"] = b"1"
    text = repo.prometheus()
    assert text.endswith("\n")
    types: dict[str, str] = {}
    helped: set[str] = set()
    values: dict[str, float] = {}
    for line in text.splitlines():
        if described := re.fullmatch(r"# HELP (\w+) (\S.*)", line):
            assert described[1] not in helped, "described twice"
            helped.add(described[1])
        elif typed := re.fullmatch(r"# TYPE (\w+) (counter|gauge|summary)", line):
            assert typed[1] in helped
            types[typed[1]] = typed[2]
        else:
            sample = re.fullmatch(r'(\w+)(\{\w+="[^"]*"\})? (\S+)', line)
            assert sample, line
            base = sample[1].removesuffix("_count")
            assert sample[1] in types or types[base] == "summary", line
            values[sample[1] + (sample[2] or "")] = float(sample[3])
    assert all(re.fullmatch(r"[a-z_][a-z0-9_]*", name) for name in types)
    assert all(name.endswith("_total") for name, kind in types.items() if kind == "counter")
    assert values["helios_commits_total"] == 1
    assert values["helios_commit_latency_microseconds_count"] == 1
    assert values["helios_journal_objects"] == 3
    assert values['helios_commit_latency_microseconds{quantile="0.5"}'] > 0
    assert types["helios_l1_size"] == "gauge"


def test_a_damaged_file_of_figures_starts_over(repo: Repository, place: Path) -> None:
    with repo.vst() as vst:
        vst["a"] = b"1"
    (place / ".helios" / "metrics").unlink()
    for content in (b"", b"\xff" * 10, b"\xff" * 100_000):
        (place / ".helios" / "metrics").unlink(missing_ok=True)
        (place / ".helios" / "metrics").write_bytes(content)
        with Repository.open(place) as again:
            assert again.stats()["engine"]["commits"] == 0
            assert again.read("main", "a") == b"1"


def test_no_work_is_going_on_between_calls(repo: Repository) -> None:
    assert repo.progress() is None
    repo.worktree.status()
    assert repo.progress() is None
