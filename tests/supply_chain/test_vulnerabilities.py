"""What the audit tools say is read for what it means: silence is not a clean bill."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from compliance.policy import AcceptedAdvisory, Policy
from compliance.result import Status, worst
from compliance.vulnerabilities import cargo_audited, pip_audited
from supply_chain.project import Project

TODAY = date(2026, 6, 1)


def policy(*accepted: AcceptedAdvisory) -> Policy:
    return Policy([], [], [], [], [], [], list(accepted), TODAY)


def asked(name: str, *found: str) -> dict[str, Any]:
    """One dependency as pip-audit 2.10 reports it."""
    vulnerabilities = [
        {"id": one, "fix_versions": ["2.0"], "aliases": ["CVE-2026-1"], "description": "bad"}
        for one in found
    ]
    return {"name": name, "version": "1.0", "vulns": vulnerabilities}


SKIPPED = {"name": "c", "skip_reason": "Dependency not found"}


@pytest.mark.parametrize(
    ("dependencies", "status"),
    [
        ([asked("a"), asked("b")], Status.PASS),
        ([asked("a"), SKIPPED], Status.UNKNOWN),
        ([SKIPPED], Status.UNKNOWN),
        ([], Status.UNKNOWN),
        ([asked("a", "PYSEC-1"), SKIPPED], Status.FAIL),
    ],
)
def test_what_pip_audit_skips_is_unknown(
    dependencies: list[dict[str, Any]], status: Status
) -> None:
    found = pip_audited({"dependencies": dependencies, "fixes": []}, policy())
    assert found.status is status
    counts = {Status.PASS: {"unrated": 0}, Status.FAIL: {"unrated": 1}, Status.UNKNOWN: None}
    assert found.summary()["severities"] == counts[status]


@pytest.mark.parametrize("accepted", ["PYSEC-1", "CVE-2026-1"])
def test_an_accepted_vulnerability_passes_until_its_day(accepted: str) -> None:
    data = {"dependencies": [asked("a", "PYSEC-1")]}
    holds = policy(AcceptedAdvisory(accepted, "not called", TODAY))
    assert pip_audited(data, holds).status is Status.PASS
    ended = policy(AcceptedAdvisory(accepted, "not called", date(2026, 5, 31)))
    assert pip_audited(data, ended).status is Status.FAIL


def report(packages: int, *found: str, **warnings: int) -> dict[str, Any]:
    """A report as cargo-audit 0.22 gives it, less what is not read."""
    listed = [
        {
            "advisory": {"id": one, "aliases": ["CVE-2026-1"], "cvss": "CVSS:3.1/AV:N"},
            "versions": {"patched": [">=99.0.0"], "unaffected": []},
            "package": {"name": "lru", "version": "0.19.0"},
        }
        for one in found
    ]
    return {
        "lockfile": {"dependency-count": packages},
        "vulnerabilities": {"found": bool(found), "count": len(found), "list": listed},
        "warnings": {kind: [{}] * count for kind, count in warnings.items()},
    }


def test_cargo_audit_fails_on_a_vulnerability() -> None:
    found = cargo_audited([report(9, "RUSTSEC-1"), report(5, "RUSTSEC-1")], policy())
    assert found.status is Status.FAIL
    assert found.reason == "lru 0.19.0: RUSTSEC-1"
    assert [(one.fixed_in, one.cvss) for one in found.vulnerabilities] == [
        ([">=99.0.0"], "CVSS:3.1/AV:N")
    ]


def test_cargo_audit_counts_warnings_without_failing() -> None:
    found = cargo_audited([report(9, unmaintained=2), report(5, unmaintained=1)], policy())
    assert (found.status, found.warnings) == (Status.PASS, {"unmaintained": 3})
    assert cargo_audited([], policy()).status is Status.UNKNOWN


def test_one_failure_fails_all_and_one_unknown_is_no_pass() -> None:
    assert worst([Status.PASS, Status.UNKNOWN, Status.FAIL]) is Status.FAIL
    assert worst([Status.PASS, Status.UNKNOWN]) is Status.UNKNOWN
    assert worst([Status.PASS, Status.PASS]) is Status.PASS


def test_tools_that_cannot_run_are_unknown_and_do_not_fail(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write()
    # A lock file that pip-audit cannot read, and neither cargo nor git.
    (project.root / "requirements-dev.lock").write_text("not a requirement ==")
    monkeypatch.setenv("PATH", str(project.root))
    # The project is written already: only the check runs.
    monkeypatch.setattr(project, "write", lambda: None)
    assert project.run("audit") == 0
    result = project.result("audit")
    assert result["status"] == "unknown"
    assert result["python"]["status"] == "unknown"
    assert result["rust"]["reason"] == (
        "the RustSec database cannot be reached: git is not installed"
    )
