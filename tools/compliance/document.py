"""`docs/LICENSES.md`: every package with its version, its licence and how that was found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from compliance.graph import Graph
from compliance.package import Scope
from compliance.policy import Finding

HEAD = """\
# Licences

Written by `make licenses` from the lock files; do not edit. [COMPLIANCE.md](COMPLIANCE.md) says how
licences are found and judged, and by which policy. *Taken* is what Helios relies on where a package
offers a choice.
"""
ABOUT = {
    Scope.WHEEL: "Compiled into the library. Their texts are in `THIRD_PARTY_LICENSES.txt`.",
    Scope.BESIDE: "Installed by pip next to Helios, each with its own texts.",
    Scope.BUILD: "Used to build; not in what is installed.",
    Scope.DEVELOPMENT: "Used to test and check; not in what is installed.",
}


def document(graph: Graph) -> str:
    """The text of the document."""
    return "\n".join([HEAD, *_counts(graph), *_sections(graph)])


def _counts(graph: Graph) -> Iterator[str]:
    counts = Counter(licence for finding in graph.findings for licence in finding.taken)
    yield "| taken | packages |"
    yield "| --- | ---: |"
    for licence, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        yield f"| {licence} | {count} |"
    yield ""


def _sections(graph: Graph) -> Iterator[str]:
    for scope in Scope:
        found = graph.of(scope)
        if found:
            yield f"## {scope[0].upper()}{scope[1:]}\n\n{ABOUT[scope]}\n"
            yield "| package | version | licence | taken | how found |"
            yield "| --- | --- | --- | --- | --- |"
            yield from map(_row, found)
            yield ""


def _row(finding: Finding) -> str:
    package = finding.package
    taken = " AND ".join(finding.taken)
    name = f"{package.name}, within {package.within}" if package.within else package.slug
    cells = (
        name,
        package.version,
        package.licence or "unknown",
        "" if taken == package.licence else taken,
        package.found,
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
