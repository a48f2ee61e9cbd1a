"""The report: every number in it is one that was measured, and nothing in it is code."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from helios.bench import page, svg
from helios.bench.chart import Chart
from helios.bench.figure import FLOOR, HELIOS, Figure, Limit, Measured, Unmeasurable
from helios.bench.report import as_data
from helios.bench.run import Settings, run, workbench
from helios.bench.storage import kept
from helios.bench.workbench import Workbench

NASTY = "<script>alert('1')</script>"


def data_of(tmp_path: Path, *figures: Figure) -> dict[str, Any]:
    with workbench(Settings(smoke=True, directory=tmp_path), 0, lambda _: None) as bench:
        loaded: dict[str, Any] = json.loads(
            json.dumps(as_data(run(bench, {"suite": figures}, lambda _: None)))
        )
        return loaded


def test_a_page_shows_what_was_measured_and_what_was_not(tmp_path: Path) -> None:
    samples = {HELIOS: [[20.0, 21.0, 22.5, 24.0, 23.0] * 4], FLOOR: [[6.0, 6.5, 7.0, 6.2, 6.1] * 4]}
    band: dict[str, list[tuple[float, float]]] = {"maintenance": [(1.0, 2.0)]}
    over_time = Chart("Over time", "s", "1/s", {HELIOS: [(0.0, 5.0), (3.0, 9.0)]}, bands=band)
    bars = Chart("Bytes", "", "B", {"a": [(0.0, 10.0)], "b": [(0.0, 9e6)]}, "bars", log_y=True)

    def unmeasurable(_: Workbench) -> Measured:
        raise Unmeasurable(NASTY)

    measured = Measured.of("p95", samples, (NASTY,), (over_time, bars))
    text = page.page(
        data_of(
            tmp_path,
            Figure("fast", "us", lambda _: measured, Limit(70)),
            Figure(f"odd {NASTY}", "us", unmeasurable, Limit(1)),
        )
    )
    assert NASTY not in text
    assert "&lt;script&gt;" in text
    assert "24.00 us" in text
    assert 'class="band"' in text
    assert "<title>maintenance</title>" in text
    assert "Bytes (logarithmic scale)" in text
    assert "9,000,000 B" in text
    assert text.count("<svg") == 3


def test_a_distribution_keeps_its_ends() -> None:
    values = [float(n % 977) for n in range(20_000)] + [1e6]
    points = page.ecdf(values)
    assert len(points) < 300
    assert points[0] == (0.0, 1 / 20_001)
    assert points[-1] == (1e6, 1.0)
    assert [share for _, share in points] == sorted(share for _, share in points)
    assert page.ecdf([3.0, 1.0]) == [(1.0, 0.5), (3.0, 1.0)]


@pytest.mark.parametrize(
    ("low", "high", "log"),
    [(1, 10, True), (3, 4, True), (1, 1e6, True), (0, 1, False), (5, 5, False), (5, 5, True)],
)
def test_an_axis_names_values_that_are_on_it(low: float, high: float, log: bool) -> None:
    axis = svg.Axis([low, high], 0, 100, log=log)
    ticks = axis.ticks()
    assert 2 <= len(ticks) <= 12
    assert all(axis.low - 1e-9 <= tick <= axis.high + 1e-9 for tick in ticks)
    assert (axis.at(axis.low), axis.at(axis.high)) == (0, 100)
    assert axis.at(axis.high * 10) == 100


def test_an_axis_of_nothing_can_be_drawn() -> None:
    assert svg.lines({}, "x", "y").startswith("<svg")
    assert svg.lines({"a": [(0.0, 0.0)]}, "x", "y", log_x=True, log_y=True).endswith("</svg>")


def test_ticks_have_short_names() -> None:
    assert [svg.label(each) for each in (0.03, 1, 1500, 2e6, 3e9)] == [
        "0.03",
        "1",
        "1.5 k",
        "2 M",
        "3 G",
    ]


def test_a_chart_survives_json() -> None:
    chart = Chart("Title", "x", "y", {"a": [(1.0, 2.0)]})
    assert json.loads(json.dumps(asdict(chart)))["lines"] == {"a": [[1.0, 2.0]]}


def test_what_is_kept_counts_each_file_once(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "a").write_bytes(bytes(5000))
    os_link = tmp_path / "b"
    os_link.hardlink_to(tmp_path / "below" / "a")
    with open(tmp_path / "sparse", "wb") as file:
        file.truncate(1 << 20)
    found = kept(tmp_path)
    assert found.apparent == 5000 + (1 << 20)
    assert found.allocated < 1 << 17
