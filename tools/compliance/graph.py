"""The whole dependency graph of Helios, judged by the policy."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from compliance.crates import crates
from compliance.distributions import environment
from compliance.expression import Verdict
from compliance.package import Package, Scope
from compliance.policy import Finding, Policy


@dataclass(frozen=True)
class Graph:
    """Every package with what the policy says of it."""

    findings: list[Finding]
    """What the lock files name, and the foreign code within; in order of names."""
    unlocked: list[Finding]
    """What is installed beside, and stands in no document."""
    problems: list[str]
    """What is refused, one sentence each; empty if all is well."""

    def of(self, scope: Scope) -> list[Finding]:
        """The findings of one scope."""
        return [finding for finding in self.findings if finding.package.scope is scope]


def graph(root: Path, policy: Policy, site: list[str] | None = None) -> Graph:
    """Reads and judges all packages. Raises Unusable if they cannot be read."""
    packages = crates(root / "Cargo.toml", Scope.WHEEL)
    if (root / "fuzz" / "Cargo.toml").exists():
        packages += crates(root / "fuzz" / "Cargo.toml", Scope.DEVELOPMENT)
    python = environment(root, site)
    packages = _merged([*packages, *python.locked])
    findings, problems = [], []
    for package in packages:
        clarified = policy.clarify(package)
        findings.append(policy.judge(clarified))
        carried, problem = policy.carried(clarified)
        findings += [policy.judge(one) for one in carried]
        if problem:
            problems.append(f"{package}: {problem}")
    unlocked = [policy.judge(policy.clarify(package)) for package in python.unlocked]
    problems += [
        f"{finding.package}: {finding.reason}"
        for finding in [*findings, *unlocked]
        if finding.verdict is not Verdict.ALLOWED
    ]
    return Graph(findings, unlocked, sorted(problems) + policy.unused())


def _merged(packages: list[Package]) -> list[Package]:
    """One of each; in the furthest scope, and with all that any workspace has it need."""
    merged: dict[str, Package] = {}
    for package in packages:
        known = merged.get(package.reference, package)
        merged[package.reference] = replace(
            known,
            scope=package.scope if package.scope.further(known.scope) else known.scope,
            requires=tuple(sorted({*known.requires, *package.requires})),
        )
    return sorted(merged.values(), key=lambda one: (one.ecosystem, one.name, one.version))
