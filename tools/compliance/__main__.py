"""`python -m compliance CHECK`: what `make licenses`, `make sbom` and `make audit` run.

Exit code 0: all is well, or it could not be found out; 1: something is refused, or a file was out
of date and has been written anew; 2: wrong usage; 3: the check could not be made.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from compliance import covered, document, notices, result, vulnerabilities
from compliance.bill import bill
from compliance.errors import Unusable
from compliance.expression import Verdict
from compliance.graph import Graph, graph
from compliance.policy import Policy
from compliance.result import Status

ROOT = Path(__file__).resolve().parents[2]
POLICY = "compliance.toml"
BILL = "helios.cdx.json"


def licences(root: Path, policy: Policy, site: list[str] | None) -> int:
    """Judges all packages and writes the documents about them."""
    found = graph(root, policy, site)
    texts, missing = notices.texts(found)
    problems = [*found.problems, *missing]
    stale: list[str] = []
    if not problems:
        stale = _written(
            root,
            {
                "docs/LICENSES.md": document.document(found),
                "NOTICE": notices.notice(found),
                notices.TEXTS_NAME: texts,
            },
        )
    verdicts = Counter(one.verdict for one in (*found.findings, *found.unlocked))
    status = Status.FAIL if problems or stale else Status.PASS
    reason = "every licence is allowed"
    if problems:
        reason = f"{len(problems)} problems; the first: {problems[0]}"
    elif stale:
        reason = f"out of date, and written anew: {', '.join(stale)}; commit them"
    result.write(
        root,
        "licenses",
        status,
        "cargo metadata, license-expression",
        reason,
        packages=len(found.findings),
        packages_unlocked=len(found.unlocked),
        verdicts={verdict.name.lower(): verdicts[verdict] for verdict in Verdict},
        problems=problems,
        stale=stale,
    )
    for problem in problems:
        print(f"licenses: refused: {problem}", file=sys.stderr)
    print(f"licenses: {status}: {_counted(found)}: {reason}")
    return int(status is Status.FAIL)


def _counted(found: Graph) -> str:
    counts = Counter(one.package.ecosystem.value for one in found.findings)
    listed = ", ".join(f"{count} {ecosystem}" for ecosystem, count in sorted(counts.items()))
    return f"{listed}, {len(found.unlocked)} installed but not locked"


def _written(root: Path, files: dict[str, str]) -> list[str]:
    """Writes those files that are not yet as they should be; their names."""
    stale = []
    for name, text in files.items():
        path = root / name
        if not path.exists() or path.read_bytes() != text.encode():
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(text.encode())
            stale.append(name)
    return stale


def sbom(root: Path, policy: Policy, site: list[str] | None) -> int:
    """Writes the bill of materials, of what is there: it judges nothing."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    text = bill(graph(root, policy, site), project["name"], project["license"])
    path = root / result.FOLDER / BILL
    path.parent.mkdir(exist_ok=True)
    path.write_text(text + "\n", encoding="utf-8")
    print(f"sbom: {path}")
    return 0


def audit(root: Path, policy: Policy) -> int:
    """Looks the locked packages up in the databases of vulnerabilities."""
    parts = {
        "python": vulnerabilities.python(root, policy),
        "rust": vulnerabilities.rust(root, policy),
    }
    status = result.worst([part.status for part in parts.values()])
    result.write(
        root,
        "audit",
        status,
        ", ".join(part.tool for part in parts.values()),
        "; ".join(f"{name}: {part.reason}" for name, part in parts.items()),
        **{name: part.summary() for name, part in parts.items()},
    )
    for name, part in parts.items():
        print(f"audit: {name}: {part.status}: {part.tool}: {part.reason}")
    return int(status is Status.FAIL)


def coverage(root: Path, lcov: Path, report: Path, percent_min: float) -> int:
    """Records what `make cover` measured; its own exit code is what fails it."""
    measured = covered.rust(lcov), covered.python(report)
    status, reason = covered.judged(*measured, percent_min)
    result.write(
        root,
        "coverage",
        status,
        "cargo-tarpaulin, coverage.py",
        reason,
        rust_percent=measured[0],
        python_percent=measured[1],
        percent_min=percent_min,
    )
    return 0


def main(given: list[str]) -> int:
    """Runs a check."""
    parser = argparse.ArgumentParser(prog="compliance", description=__doc__)
    parser.add_argument("--root", type=Path, default=ROOT, help="the project (this checkout)")
    parser.add_argument(
        "--site", action="append", help="look for Python packages here (in this environment)"
    )
    checks = parser.add_subparsers(dest="check", required=True)
    checks.add_parser("licenses", help="judge every licence; write docs/LICENSES.md and NOTICE")
    checks.add_parser("sbom", help="write the bill of materials")
    checks.add_parser("audit", help="look for known vulnerabilities")
    cover = checks.add_parser("coverage", help="record what make cover has measured")
    cover.add_argument("lcov", type=Path, help="the report of the Rust lines")
    cover.add_argument("report", type=Path, help="the JSON report of the Python lines")
    cover.add_argument("percent_min", type=float, help="what is asked for")
    arguments = parser.parse_args(given)
    try:
        if arguments.check == "coverage":
            return coverage(arguments.root, arguments.lcov, arguments.report, arguments.percent_min)
        policy = Policy.read(arguments.root / POLICY, datetime.now(UTC).date())
        if arguments.check == "audit":
            return audit(arguments.root, policy)
        run = licences if arguments.check == "licenses" else sbom
        return run(arguments.root, policy, arguments.site)
    except Unusable as error:
        print(f"compliance: {error}", file=sys.stderr)
        if arguments.check != "sbom" and arguments.root.is_dir():
            # An earlier outcome must not stand for this one.
            name, tool = arguments.check, "compliance"
            result.write(arguments.root, name, Status.UNKNOWN, tool, str(error))
        return 3


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
