"""`stats`: figures of the repository. JSON: the parts of `Repository.stats()`, `repository`, and
`damage`, a list of `{"segment", "offset", "length"}`."""

from __future__ import annotations

from helios.cli.quantity import duration, size
from helios.errors import Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from helios.cli.arguments import Declarations
    from helios.cli.context import Context

DESCRIPTION = """\
Show commit latencies, sizes, cache hits, and the bytes written compared with git. The figures are
those of all processes since the repository was made.
"""
EXAMPLES = """\
  helios-cli stats
  helios-cli stats --format prometheus
"""
_TITLES = {
    "l1": "L1 cache",
    "engine": "Engine",
    "journal": "Journal",
    "l2": "L2 store",
    "objects": "Objects by stored form",
}


def add_arguments(parser: Declarations) -> None:
    parser.add_argument(
        "--format",
        choices=("human", "json", "prometheus"),
        help="default: human; `--json` is short for `--format json`",
    )


def run(context: Context) -> int:
    form = context.arguments.format
    if context.json and form not in (None, "json"):
        raise Usage(f"--json and --format {form} exclude each other; give one")
    with context.open() as repository:
        if form == "prometheus":
            context.terminal.write(repository.prometheus())
            return 0
        figures = repository.stats()
        if context.json or form == "json":
            damage = [
                {"segment": segment, "offset": offset, "length": length}
                for segment, offset, length in repository.damage
            ]
            context.report({"repository": repository.directory, **figures, "damage": damage})
            return 0
    context.tell_warnings()
    for line in _lines(figures, context):
        context.terminal.line(line)
    return 0


def _lines(figures: dict[str, dict[str, int | float | None]], context: Context) -> Iterator[str]:
    width = max(len(name) for part in figures.values() for name in part)
    shown = {
        part: {name: _shown(name, value) for name, value in values.items()}
        for part, values in figures.items()
    }
    value_width = max(len(value) for values in shown.values() for value in values.values())
    for index, (part, values) in enumerate(shown.items()):
        if index:
            yield ""
        yield context.terminal.paint(_TITLES.get(part, part), "heading")
        for name, value in values.items():
            yield f"  {name.replace('_', ' '):<{width}}  {value:>{value_width}}"


def _shown(name: str, value: float | None) -> str:
    """A figure in the unit that its name tells."""
    if value is None:
        return "-"
    if "_us" in name:
        return duration(value / 1e6)
    if name == "size" or "bytes" in name:
        return size(value)
    if name.endswith("_percent"):
        return f"{value:.2f} %"
    return f"{value:,}"
