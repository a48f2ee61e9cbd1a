"""Throughput of several writers, from what each of them noted."""

from __future__ import annotations

from helios.bench.writers import BATCH, Written, seconds_per_commit


def written(begun: int, *batches: int, commits: int) -> Written:
    return Written([begun, *batches], [1] * commits)


def test_what_one_writer_did_counts_as_a_whole() -> None:
    writer = written(1_000, 2_000, 3_500, commits=BATCH + 3)
    assert seconds_per_commit([writer]) == 2_500e-9 / (BATCH + 3)


def test_the_tail_of_fewer_writers_does_not_count() -> None:
    first = written(0, 1_000, 2_000, commits=2 * BATCH)
    second = written(500, 1_900, 2_001, 2_400, commits=3 * BATCH)
    assert seconds_per_commit([first, second]) == 2_000e-9 / (3 * BATCH)
