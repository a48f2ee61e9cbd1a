"""The policy, `compliance.toml`: which licences may be in, and what has been decided by hand.

What is not allowed is refused. An exception lets one package use a licence that is not listed, up
to a day; no exception reaches a denied licence. An entry that applies to nothing is an error, so
that the file holds no decision about what is gone.
"""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

from compliance.errors import Unusable
from compliance.expression import Judgement, Verdict, evaluate, identifier, parse
from compliance.package import Ecosystem, Package, Scope


@dataclass(frozen=True)
class Finding:
    """What the policy says of a package."""

    package: Package
    verdict: Verdict
    taken: tuple[str, ...]
    reason: str = ""
    """Why it is refused, and what to do; empty if it is allowed."""


@dataclass(frozen=True)
class LicenceException:
    """A licence that one package may have, up to and including a day."""

    package: str
    licence: str
    reason: str
    until: date


@dataclass(frozen=True)
class Clarification:
    """The licence of a package whose metadata do not say it, read from a file of it."""

    package: str
    licence: str
    file: str
    sha256: str
    reason: str


@dataclass(frozen=True)
class Component:
    """Foreign code inside a package."""

    name: str
    licence: str
    evidence: str
    version: str = ""


@dataclass(frozen=True)
class Native:
    """A package that carries native code to users, and what was found in it."""

    package: str
    reviewed: date
    version: str = ""
    """The version that was looked at; empty: any, for packages of this repository only."""
    components: tuple[Component, ...] = ()
    """Code of others; none: it is the package's own, under the package's licence."""


@dataclass(frozen=True)
class AcceptedAdvisory:
    """A known vulnerability that Helios lives with, up to and including a day."""

    id: str
    reason: str
    until: date


@dataclass
class Policy:
    """The policy, and which of its entries have been used."""

    allowed: list[str]
    beside: list[str]
    denied: list[str]
    exceptions: list[LicenceException]
    clarifications: list[Clarification]
    native: list[Native]
    advisories: list[AcceptedAdvisory]
    today: date
    used: set[int] = field(default_factory=set)

    @classmethod
    def read(cls, path: Path, today: date) -> Policy:
        """Reads and checks a policy file. Raises Unusable, naming the entry that is wrong."""
        try:
            data = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise Unusable(f"{path}: the policy is missing") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise Unusable(f"{path}: {error}") from None
        try:
            policy = cls(
                allowed=[_licence(text) for text in data.pop("allowed")],
                beside=[_licence(text) for text in data.pop("allowed-outside-the-wheel", [])],
                denied=[_licence(text) for text in data.pop("denied")],
                exceptions=[_exception(entry) for entry in data.pop("exception", [])],
                clarifications=[_clarification(one) for one in data.pop("clarification", [])],
                native=[_native(entry) for entry in data.pop("native", [])],
                advisories=[_advisory(entry) for entry in data.pop("advisory", [])],
                today=today,
            )
            policy._check()
            if data:
                raise Unusable(f"unknown key: {', '.join(data)}")
        except KeyError as error:
            raise Unusable(f"{path}: {error} is missing") from None
        except (TypeError, Unusable) as error:
            raise Unusable(f"{path}: {error}") from None
        return policy

    def _check(self) -> None:
        both = {*self.allowed, *self.beside} & {*self.denied}
        if both:
            raise Unusable(f"both allowed and denied: {', '.join(sorted(both))}")
        for exception in self.exceptions:
            if exception.licence in self.denied:
                raise Unusable(
                    f"the exception for {exception.package} is for {exception.licence}, which is"
                    " denied: no exception reaches it"
                )

    def judge(self, package: Package) -> Finding:
        """What the policy says of one package."""
        if parse(package.licence) is None:
            said = f"{package.licence!r} is no SPDX expression" if package.licence else "no licence"
            return Finding(
                package,
                Verdict.UNKNOWN,
                (),
                f"{said} ({package.found}): read its licence files, and add a clarification",
            )
        judged = evaluate(package.licence, lambda one: self._licence(one, package))
        return Finding(package, judged.verdict, judged.taken, self._reason(package, judged))

    def _licence(self, licence: str, package: Package) -> Judgement:
        if licence in self.denied:
            return Judgement(Verdict.DENIED, (licence,))
        ranked = [*self.allowed, *([] if package.scope is Scope.WHEEL else self.beside)]
        if licence in ranked:
            return Judgement(Verdict.ALLOWED, (licence,), ranked.index(licence))
        for exception in self.exceptions:
            if exception.package == package.slug and exception.licence == licence:
                self.used.add(id(exception))
                if exception.until >= self.today:
                    return Judgement(Verdict.ALLOWED, (licence,), len(ranked))
        return Judgement(Verdict.UNKNOWN, (licence,))

    def _reason(self, package: Package, judged: Judgement) -> str:
        if judged.verdict is Verdict.ALLOWED:
            return ""
        ended = [
            exception
            for exception in self.exceptions
            if exception.package == package.slug and exception.until < self.today
        ]
        if ended:
            return f"{package.licence}: the exception ended on {ended[0].until}"
        if judged.verdict is Verdict.DENIED:
            return f"{package.licence} is denied: replace the package"
        return f"{package.licence} is not allowed {package.scope}: replace it, or decide on it"

    def clarify(self, package: Package) -> Package:
        """The package with the licence that was read by hand, if its metadata name none."""
        if parse(package.licence) is not None:
            return package
        for entry in self.clarifications:
            if entry.package != package.slug:
                continue
            self.used.add(id(entry))
            file = None if package.place is None else package.place / entry.file
            if file is None or not file.is_file():
                return _replaced(package, "", f"its clarification names {entry.file}, not found")
            if hashlib.sha256(file.read_bytes()).hexdigest() != entry.sha256:
                return _replaced(package, "", f"{entry.file} has changed since it was clarified")
            return _replaced(package, entry.licence, f"clarified from {entry.file}")
        return package

    def accepts(self, advisory: str) -> bool:
        """Whether a known vulnerability has been accepted, and still is."""
        return any(one.id == advisory and one.until >= self.today for one in self.advisories)

    def carried(self, package: Package) -> tuple[list[Package], str]:
        """The foreign code in a package that reaches users; and what is wrong, or nothing."""
        entries = [entry for entry in self.native if entry.package == package.slug]
        self.used.update(map(id, entries))
        if not package.scope.reaches_users or not (package.native or entries):
            return [], ""
        for entry in entries:
            if entry.version == package.version or (package.local and not entry.version):
                return [
                    Package(
                        Ecosystem.NATIVE,
                        component.name,
                        component.version,
                        package.scope,
                        component.licence,
                        component.evidence,
                        within=package.reference,
                    )
                    for component in entry.components
                ], ""
        return [], (
            f"its native code ({package.native[0] if package.native else 'none'}, ...) has not"
            " been looked at in this version: find out whose it is, and say so in a"
            " native entry of the policy"
        )

    def unused(self) -> list[str]:
        """Entries that nothing has asked for; to be called after all packages."""
        kinds: dict[str, list[LicenceException] | list[Clarification] | list[Native]] = {
            "exception": self.exceptions,
            "clarification": self.clarifications,
            "native entry": self.native,
        }
        return [
            f"compliance.toml: the {kind} for {entry.package} applies to nothing: delete it"
            for kind, entries in kinds.items()
            for entry in entries
            if id(entry) not in self.used
        ]


def _replaced(package: Package, licence: str, found: str) -> Package:
    return replace(package, licence=licence, found=found)


def _licence(text: object) -> str:
    found = identifier(text) if isinstance(text, str) else None
    if found is None or found != text:
        raise Unusable(f"{text!r} is no SPDX licence; did you mean {found!r}?")
    return found


def _day(value: object) -> date:
    if type(value) is not date:
        raise Unusable(f"{value!r} is no date such as 2027-01-31")
    return value


def _expression(text: object) -> str:
    if not isinstance(text, str) or parse(text) is None:
        raise Unusable(f"{text!r} is no SPDX expression")
    return text


def _exception(entry: dict[str, Any]) -> LicenceException:
    made = LicenceException(**entry)
    _licence(made.licence)
    _day(made.until)
    _said(made.reason, f"the exception for {made.package}")
    return made


def _advisory(entry: dict[str, Any]) -> AcceptedAdvisory:
    made = AcceptedAdvisory(**entry)
    _day(made.until)
    _said(made.reason, made.id)
    return made


def _clarification(entry: dict[str, Any]) -> Clarification:
    made = Clarification(**entry)
    _expression(made.licence)
    _said(made.reason, f"the clarification for {made.package}")
    return made


def _native(entry: dict[str, Any]) -> Native:
    components = tuple(Component(**one) for one in entry.pop("components", ()))
    made = Native(**entry, components=components)
    _day(made.reviewed)
    for component in components:
        _expression(component.licence)
        _said(component.evidence, f"{component.name} in {made.package}")
    return made


def _said(text: object, of: str) -> None:
    if not isinstance(text, str) or not text.strip():
        raise Unusable(f"{of}: give the reason")
