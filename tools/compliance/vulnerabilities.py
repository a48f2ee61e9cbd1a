"""Known vulnerabilities of what the lock files name, by pip-audit and cargo-audit.

Their databases are elsewhere. Where one cannot be reached, or does not know a package, the outcome
is `unknown`: pip-audit by itself calls that "no known vulnerabilities".
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from compliance.policy import Policy
from compliance.result import Status

CARGO_AUDIT = "0.22.2"
ADVISORIES = "https://github.com/RustSec/advisory-db"
REACH_SECONDS_MAX = 20
AUDIT_SECONDS_MAX = 600


@dataclass(frozen=True)
class Vulnerability:
    """A known vulnerability of a locked package."""

    id: str
    package: str
    version: str
    fixed_in: list[str]
    accepted: bool
    cvss: str | None = None
    """The vector of its rating, where the tool reports one."""


@dataclass(frozen=True)
class Audited:
    """What one tool found in one ecosystem."""

    status: Status
    tool: str
    reason: str
    packages: int = 0
    """How many packages the database was asked about and knew."""
    vulnerabilities: list[Vulnerability] = field(default_factory=list)
    warnings: dict[str, int] = field(default_factory=dict)
    """Counts of what is no vulnerability: unmaintained, unsound, yanked."""

    def summary(self) -> dict[str, Any]:
        """As it stands in the result file."""
        # Neither tool says "high" or "low", so nothing here is called harmless.
        counts = {"unrated": sum(not one.accepted for one in self.vulnerabilities)}
        unknown = self.status is Status.UNKNOWN
        return {**asdict(self), "severities": None if unknown else counts}


def python(root: Path, policy: Policy) -> Audited:
    """Asks pip-audit about `requirements-dev.lock`."""
    lock = root / "requirements-dev.lock"
    # The lock names everything with its hash: pip has nothing to resolve.
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(lock), "--require-hashes"]
    options = ["--disable-pip", "--format", "json", "--progress-spinner", "off"]
    code, out, said = _run([*command, *options], root)
    try:
        data = json.loads(out)
        return pip_audited(data, policy)
    except (ValueError, KeyError, TypeError):
        return Audited(Status.UNKNOWN, "pip-audit", f"exit code {code}: {_last(said or out)}")


def pip_audited(data: dict[str, Any], policy: Policy) -> Audited:
    """What pip-audit's JSON says."""
    asked: list[dict[str, Any]] = []
    skipped: list[dict[str, Any]] = []
    for one in data["dependencies"]:
        (skipped if "skip_reason" in one else asked).append(one)
    found = [
        Vulnerability(
            vulnerability["id"],
            one["name"],
            one["version"],
            vulnerability["fix_versions"],
            any(map(policy.accepts, [vulnerability["id"], *vulnerability.get("aliases", [])])),
        )
        for one in asked
        for vulnerability in one["vulns"]
    ]
    unasked = ""
    if skipped or not asked:
        first = f", such as {skipped[0]['name']}: {skipped[0]['skip_reason']}" if skipped else ""
        unasked = f"{len(skipped)} of {len(skipped) + len(asked)} packages were not audited{first}"
    return _audited("pip-audit", len(asked), found, unasked)


def rust(root: Path, policy: Policy) -> Audited:
    """Asks cargo-audit about both lock files; installs it if its database can be reached."""
    tool = f"cargo-audit {CARGO_AUDIT}"
    if _run(["cargo", "audit", "--version"], root)[0]:
        code, _, said = _run(["git", "ls-remote", ADVISORIES, "HEAD"], root, REACH_SECONDS_MAX)
        if code:
            return Audited(
                Status.UNKNOWN, tool, f"the RustSec database cannot be reached: {_last(said)}"
            )
        print(f"audit: installing {tool}; this takes some minutes, once")
        install = ["cargo", "install", "--quiet", "--locked", "cargo-audit"]
        code, _, said = _run([*install, "--version", CARGO_AUDIT], root, 3 * AUDIT_SECONDS_MAX)
        if code:
            return Audited(Status.UNKNOWN, tool, f"it cannot be installed: {_last(said)}")
    reports = []
    for lock in (root / "Cargo.lock", root / "fuzz" / "Cargo.lock"):
        if not lock.exists():
            continue
        code, out, said = _run(["cargo", "audit", "--json", "--file", str(lock)], root)
        try:
            reports.append(json.loads(out))
        except ValueError:
            return Audited(Status.UNKNOWN, tool, f"exit code {code}: {_last(said)}")
    try:
        return cargo_audited(reports, policy)
    except (KeyError, TypeError) as error:
        return Audited(Status.UNKNOWN, tool, f"its answer cannot be read: {error!r}")


def cargo_audited(reports: list[dict[str, Any]], policy: Policy) -> Audited:
    """What cargo-audit's JSON says, one report for each lock file."""
    found: dict[tuple[str, str, str], Vulnerability] = {}
    warnings: Counter[str] = Counter()
    packages = 0
    for report in reports:
        packages += report["lockfile"]["dependency-count"]
        for one in report["vulnerabilities"]["list"]:
            advisory, package = one["advisory"], one["package"]
            key = (advisory["id"], package["name"], package["version"])
            accepted = any(map(policy.accepts, [advisory["id"], *advisory["aliases"]]))
            found[key] = Vulnerability(*key, one["versions"]["patched"], accepted, advisory["cvss"])
        for kind, listed in report["warnings"].items():
            warnings[kind] += len(listed)
    unasked = "" if packages else "no package was audited"
    return _audited("cargo-audit", packages, list(found.values()), unasked, dict(warnings))


def _audited(
    tool: str,
    packages: int,
    found: list[Vulnerability],
    unasked: str,
    warnings: dict[str, int] | None = None,
) -> Audited:
    counted = [one for one in found if not one.accepted]
    if counted:
        names = ", ".join(f"{one.package} {one.version}: {one.id}" for one in counted)
        return Audited(Status.FAIL, tool, names, packages, found, warnings or {})
    if unasked:
        return Audited(Status.UNKNOWN, tool, unasked, packages, found, warnings or {})
    said = f"no known vulnerability in {packages} packages"
    if found:
        said += f" but {len(found)} accepted"
    return Audited(Status.PASS, tool, said, packages, found, warnings or {})


def _run(command: list[str], root: Path, seconds: int = AUDIT_SECONDS_MAX) -> tuple[int, str, str]:
    """Exit code, output and errors; a program that is missing or too slow ends with 127 or 124."""
    # git must not wait for somebody to type a password.
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
    try:
        done = subprocess.run(
            command,
            check=False,
            cwd=root,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
        )
    except FileNotFoundError:
        return 127, "", f"{command[0]} is not installed"
    except subprocess.TimeoutExpired:
        return 124, "", f"no answer within {seconds} s"
    return done.returncode, done.stdout, done.stderr


def _last(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1].strip() if lines else "it said nothing"
