"""The report of a run to look at: one HTML file that needs no network, no script and no other file.

It is made from the data that `--json` writes, so it shows what was measured and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from typing import Any

from helios.bench import svg
from helios.bench.chart import Point
from helios.bench.figure import FLOOR, GIT, HELIOS
from helios.bench.latencies import Series, percentile
from helios.bench.report import number

ECDF_POINTS = 240
TAIL_POINTS = 40
WIDE = 8.0
"""Where the largest is so many times the smallest, an axis is logarithmic."""
PERCENTILES = (0.5, 0.95, 0.99)
BADGES = {
    "go": "good",
    "met": "good",
    "short": "bad",
    "missed": "bad",
    "no-go": "bad",
    "unknown": "open",
    "refused": "open",
}
ABOUT = (
    "machine",
    "machine_class",
    "directory",
    "helios",
    "python",
    "git",
    "seed",
    "sizes",
    "load before",
    "load after",
    "intervals",
    "content_hash",
)
STYLE = """\
body{font:15px/1.5 system-ui,sans-serif;color:#1b1f24;margin:0 auto;max-width:1360px;padding:1.5em}
h1{font-size:1.7em;margin:0}h2{margin:2em 0 .4em;border-bottom:2px solid #d8dee4}
h3{margin:1.6em 0 .3em;font-size:1.05em}
table{border-collapse:collapse;margin:.6em 0;font-variant-numeric:tabular-nums}
th,td{padding:.25em .7em;text-align:left;border-bottom:1px solid #e6e9ed;vertical-align:top}
td.n,th.n{text-align:right;white-space:nowrap}
.badge{border-radius:.8em;padding:.05em .6em;font-weight:600;white-space:nowrap}
.good{background:#d7f2df;color:#0b5a27}.bad{background:#fbdcd9;color:#8c1812}
.open{background:#fcefc7;color:#6b4e00}.verdict{font-size:1.4em;margin:.7em 0}
.partial{background:#fbdcd9;padding:.6em 1em;border-left:5px solid #8c1812}
.charts{display:flex;flex-wrap:wrap;gap:1.2em}figure{margin:0}figcaption{font-weight:600}
svg{font:12px system-ui,sans-serif;max-width:100%;height:auto;background:#fff}
svg text{fill:#3a424b}.grid{stroke:#e6e9ed}.band{fill:#f6d98a;opacity:.55}
polyline{fill:none;stroke-width:1.8}
.key{margin:.1em 0 .3em;font-size:.9em}.key i{display:inline-block;width:.8em;height:.8em;
margin:0 .3em 0 .9em}.notes{color:#57606a;font-size:.9em;margin:.3em 0;padding-left:1.2em}
.small{color:#57606a;font-size:.9em}
"""
METHOD = """\
<p class="small">All that is compared was measured in one run, latencies in turns and after a
warm-up. Values are of all samples: none was removed, and percentiles are nearest ranks, not of
buckets. Intervals have 95% confidence, by a bootstrap of blocks of neighbouring samples. A ratio
below 1 means that Helios took less. No verdict is given on what was timed while the machine was
noisier than a fixed bound. docs/BENCHMARKS.md tells the rest.</p>"""


def page(data: dict[str, Any]) -> str:
    """The whole file."""
    title = "Helios benchmark"
    parts = [
        "<!doctype html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>{title}</title>',
        f"<style>{STYLE}</style></head><body><h1>{title}</h1>",
        f'<p class="small">{escape(str(data["machine"]))}</p>',
        *_verdict(data),
        *_overview(data),
        "<h2>What was measured</h2>",
        *(part for figure in data["figures"] for part in _figure(figure)),
        *_about(data),
        "</body></html>",
    ]
    return "\n".join(parts) + "\n"


def badge(word: str) -> str:
    """A verdict in its colour."""
    kind = BADGES.get(word, "bad" if word.startswith("not go") else "")
    return f'<span class="badge {kind}">{escape(word)}</span>' if word != "-" else ""


def table(titles: Iterable[str], rows: Iterable[Iterable[str]], numeric: set[int]) -> str:
    """Cells are HTML; the numeric columns stand to the right."""

    def cells(row: Iterable[str], tag: str) -> str:
        return "".join(
            f"<{tag}{' class=n' if at in numeric else ''}>{cell}</{tag}>"
            for at, cell in enumerate(row)
        )

    body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
    return f"<table><thead><tr>{cells(titles, 'th')}</tr></thead><tbody>{body}</tbody></table>"


def notes(lines: Iterable[str]) -> str:
    """Remarks, one below the other."""
    items = "".join(f"<li>{escape(line)}</li>" for line in lines if line)
    return f'<ul class="notes">{items}</ul>' if items else ""


def _verdict(data: dict[str, Any]) -> Iterator[str]:
    if data["partial"]:
        missing = ", ".join(data.get("unmeasured", ()))
        said = f"{data['partial']}{f'; not measured: {missing}' if missing else ''}"
        yield f'<p class="partial">This run is partial: {escape(said)}</p>'
    if "gates" in data:
        yield f'<p class="verdict">Verdict: {badge(data["verdict"])}</p>'
        yield table(
            ("gate", "target", "measured, with 95% confidence", "verdict", ""),
            (
                (
                    escape(gate["name"]),
                    escape(gate["target"]),
                    escape(gate["measured"]),
                    badge(gate["verdict"]),
                    notes(gate["notes"]),
                )
                for gate in data["gates"]
            ),
            set(),
        )
    else:
        words = [figure["must_verdict"] for figure in data["figures"]]
        counts = ", ".join(
            f"{words.count(word)} {word}" for word in ("met", "missed", "unknown", "refused")
        )
        failed = sum(1 for figure in data["figures"] if figure["failure"])
        yield f'<p class="verdict">Of what must be: {counts}; {failed} failed</p>'


def _overview(data: dict[str, Any]) -> Iterator[str]:
    if "gates" not in data:
        rows = [
            (
                f'<a href="#{_anchor(figure)}">{escape(figure["name"])}</a>',
                _value(figure),
                _range(figure),
                escape(figure["must"] or ""),
                badge(figure["must_verdict"]),
                escape(figure["aim"] or ""),
                badge(figure["aim_verdict"]),
                _reference(figure, FLOOR),
                _reference(figure, GIT),
            )
            for figure in data["figures"]
        ]
        titles = ("figure", "measured", "95% confidence", "must", "", "aim", "", FLOOR, GIT)
        yield table(titles, rows, {1, 2, 7, 8})
    yield METHOD
    shown = [chart for figure in data["figures"] for chart in figure["charts"]]
    if shown:
        yield "<h2>Cost against size, bytes, and over time</h2>"
        yield f'<div class="charts">{"".join(map(_chart, shown))}</div>'


def _anchor(figure: dict[str, Any]) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in figure["name"])


def _value(figure: dict[str, Any]) -> str:
    if figure["value"] is None:
        return badge("unknown")
    return f"{number(figure['value'])} {escape(figure['unit'])}"


def _range(figure: dict[str, Any], name: str = HELIOS) -> str:
    interval = figure.get("intervals", {}).get(name)
    return f"{number(interval['low'])} to {number(interval['high'])}" if interval else ""


def _reference(figure: dict[str, Any], name: str) -> str:
    found = figure["references"].get(name)
    return "" if found is None else number(found)


def _figure(figure: dict[str, Any]) -> Iterator[str]:
    suite = f"{figure['suite']}: " if figure["suite"] else ""
    yield f'<h3 id="{_anchor(figure)}">{escape(suite + figure["name"])}</h3>'
    for word in ("unknown", "failure"):
        if figure[word]:
            yield f"<p>{badge('unknown')} {escape(figure[word])}</p>"
    if figure["refusal"] and (figure["must"] or figure["aim"]):
        said = f"no verdict, the machine was too noisy: {figure['refusal']}"
        yield f"<p>{badge('refused')} {escape(said)}</p>"
    samples: dict[str, Series] = figure["samples"]
    flat = {name: [each for part in series for each in part] for name, series in samples.items()}
    if flat:
        yield _distributions(figure, flat)
    elif figure["value"] is not None:
        rows = [(HELIOS, _value(figure))]
        rows += [
            (escape(name), f"{number(value)} {escape(figure['unit'])}")
            for name, value in figure["references"].items()
        ]
        yield table(("", "value"), rows, {1})
    yield notes(figure["notes"])


def _distributions(figure: dict[str, Any], flat: dict[str, list[float]]) -> str:
    unit = figure["unit"]
    rows = []
    for name, values in flat.items():
        ratio = figure.get("ratios", {}).get(name)
        outliers = figure.get("outliers", {}).get(name)
        rows.append(
            (
                escape(name),
                str(len(values)),
                *(number(percentile(values, fraction)) for fraction in PERCENTILES),
                number(max(values)),
                str(outliers["count"]) if outliers else "",
                _range(figure, name),
                _ratio(ratio),
                "" if not ratio or ratio["superiority"] is None else f"{ratio['superiority']:.2f}",
            )
        )
    titles = (
        unit,
        "samples",
        "p50",
        "p95",
        "p99",
        "worst",
        "outliers",
        f"{figure['statistic']}, 95% confidence",
        f"helios / it, {figure['statistic']}",
        "P(helios below)",
    )
    shown = table(titles, rows, set(range(1, len(titles))))
    enough = {name: values for name, values in flat.items() if len(values) > 1}
    if not enough:
        return shown
    smallest = min(min(values) for values in enough.values())
    wide = smallest > 0 and max(max(values) for values in enough.values()) > WIDE * smallest
    drawing = svg.lines(
        {name: ecdf(values) for name, values in enough.items()},
        unit,
        "share of samples",
        log_x=wide,
    )
    caption = "Share of samples that took at most so long"
    if unit not in {"us", "ms", "s"}:
        caption = "Share of samples that are at most so large"
    return f"{shown}<figure><figcaption>{caption}</figcaption>{_key(enough)}{drawing}</figure>"


def _ratio(ratio: dict[str, Any] | None) -> str:
    if not ratio:
        return ""
    interval = ratio["interval"]
    sure = f" ({number(interval['low'])} to {number(interval['high'])})" if interval else ""
    return f"{number(ratio['value'])}{sure}"


def ecdf(values: list[float]) -> list[Point]:
    """The share of samples up to each value, thinned out to what can be seen; the ends are kept."""
    ordered = sorted(values)
    count = len(ordered)
    if count <= ECDF_POINTS:
        ranks = set(range(count))
    else:
        ranks = {round(n * (count - 1) / (ECDF_POINTS - 1)) for n in range(ECDF_POINTS)}
        # The tail is what people look for: it is drawn sample by sample.
        ranks |= set(range(count - TAIL_POINTS, count))
    return [(ordered[rank], (rank + 1) / count) for rank in sorted(ranks)]


def _key(names: Iterable[str], bands: Iterable[str] = ()) -> str:
    items = [
        f'<i style="background:{svg.colour(at)}"></i>{escape(name)}'
        for at, name in enumerate(names)
    ]
    items += [f'<i style="background:#f6d98a"></i>{escape(name)}' for name in bands]
    return f'<div class="key">{"".join(items)}</div>'


def _chart(chart: dict[str, Any]) -> str:
    series = {name: [(at, value) for at, value in line] for name, line in chart["lines"].items()}
    if chart["kind"] == "bars":
        values = {name: line[0][1] for name, line in series.items()}
        drawing, key = svg.bars(values, chart["y"], log=chart["log_y"]), ""
    else:
        drawing = svg.lines(
            series,
            chart["x"],
            chart["y"],
            log_x=chart["log_x"],
            log_y=chart["log_y"],
            bands=chart["bands"],
            dots=len(next(iter(series.values()), [])) <= 2 * svg.TICKS,
        )
        key = _key(series, chart["bands"])
    title = escape(chart["title"])
    if chart["kind"] == "bars" and chart["log_y"]:
        title += " (logarithmic scale)"
    return f"<figure><figcaption>{title}</figcaption>{key}{drawing}</figure>"


def _about(data: dict[str, Any]) -> Iterator[str]:
    yield "<h2>Where it was measured</h2>"
    rows = [(escape(name), escape(str(data[name]))) for name in ABOUT if name in data]
    noise = data["noise"]
    if noise:
        said = ", ".join(f"{name} {_shown(value)}" for name, value in noise.items())
        rows.append(("noise, the worst of all figures", escape(said)))
    yield table(("", ""), rows, set())


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.2f}"
    if isinstance(value, list):
        return "; ".join(map(str, value)) or "none"
    return "unknown" if value is None else str(value)
