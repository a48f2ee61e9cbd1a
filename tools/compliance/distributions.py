"""The Python packages: what the lock file names, as it is installed.

What is installed and not locked (pip, say) is judged as well, but stands in no document: it
differs from machine to machine.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import Distribution
from importlib.metadata import distributions as metadata_of
from pathlib import Path, PurePosixPath
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from compliance.errors import Unusable
from compliance.expression import parse
from compliance.package import Ecosystem, Package, Scope

PINNED = re.compile(r"^([A-Za-z0-9][\w.-]*)==([^\s;\\]+)", re.MULTILINE)
# Classifiers that name one licence. Others ("BSD License") stand for several.
CLASSIFIERS = {
    "License :: OSI Approved :: ISC License (ISCL)": "ISC",
    "License :: OSI Approved :: MIT License": "MIT",
    "License :: OSI Approved :: MIT No Attribution License (MIT-0)": "MIT-0",
    "License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "License :: OSI Approved :: GNU Affero General Public License v3": "AGPL-3.0-only",
    "License :: OSI Approved :: GNU Affero General Public License v3 or later (AGPLv3+)": (
        "AGPL-3.0-or-later"
    ),
    "License :: OSI Approved :: GNU General Public License v2 (GPLv2)": "GPL-2.0-only",
    "License :: OSI Approved :: GNU General Public License v3 (GPLv3)": "GPL-3.0-only",
    "License :: OSI Approved :: GNU General Public License v3 or later (GPLv3+)": (
        "GPL-3.0-or-later"
    ),
    "License :: OSI Approved :: The Unlicense (Unlicense)": "Unlicense",
}
LIBRARY_SUFFIXES = {".so", ".pyd", ".dll", ".dylib"}


@dataclass(frozen=True)
class Environment:
    """The Python packages of an environment."""

    locked: list[Package]
    unlocked: list[Package]


@dataclass(frozen=True)
class Needed:
    """A distribution that another asks for."""

    name: str
    extras: frozenset[str]


def environment(root: Path, site: list[str] | None = None) -> Environment:
    """Reads `pyproject.toml` and `requirements-dev.lock` in `root`, and what is installed.

    `site` are the directories to look in; by default those of this interpreter.
    """
    lock, project = root / "requirements-dev.lock", root / "pyproject.toml"
    try:
        pins = {
            str(canonicalize_name(name)): version
            for name, version in PINNED.findall(lock.read_text(encoding="utf-8"))
        }
        data = tomllib.loads(project.read_text(encoding="utf-8"))
    except (FileNotFoundError, tomllib.TOMLDecodeError) as error:
        raise Unusable(f"the Python packages of {root}: {error}") from None
    found = metadata_of() if site is None else metadata_of(path=site)
    # The first of a name is the one that is imported.
    installed: dict[str, Distribution] = {}
    for one in found:
        installed.setdefault(str(canonicalize_name(one.name)), one)
    scopes = _scopes(data, installed)
    own = str(canonicalize_name(data["project"]["name"]))
    return Environment(
        [
            _package(name, version, installed.get(name), scopes, pins)
            for name, version in sorted(pins.items())
        ],
        [
            _package(name, one.version, one, scopes, pins)
            for name, one in sorted(installed.items())
            if name not in pins and name != own
        ],
    )


def _scopes(data: dict[str, Any], installed: dict[str, Distribution]) -> dict[str, Scope]:
    """Packages that the project needs at run time or to be built; others are development."""
    scopes: dict[str, Scope] = {}
    for scope, wanted in (
        (Scope.BESIDE, data["project"].get("dependencies", [])),
        (Scope.BUILD, data.get("build-system", {}).get("requires", [])),
    ):
        pending = _needed(wanted)
        seen: set[Needed] = set()
        while pending:
            needed = pending.pop()
            if needed not in seen:
                seen.add(needed)
                scopes.setdefault(needed.name, scope)
                pending += _required(installed.get(needed.name), needed.extras)
    return scopes


def _needed(requirements: Iterable[str], extras: Iterable[str] = ()) -> list[Needed]:
    """What the requirements of a package ask for on this system, with these extras of it."""
    needed = []
    for text in requirements:
        try:
            requirement = Requirement(text)
        except InvalidRequirement as error:
            raise Unusable(f"the requirement {text!r}: {error}") from None
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": one}) for one in ("", *extras)):
            name = str(canonicalize_name(requirement.name))
            needed.append(Needed(name, frozenset(requirement.extras)))
    return needed


def _required(one: Distribution | None, extras: Iterable[str] = ()) -> list[Needed]:
    return _needed(one.requires or [], extras) if one is not None else []


def _package(
    name: str,
    version: str,
    one: Distribution | None,
    scopes: dict[str, Scope],
    pins: dict[str, str],
) -> Package:
    scope = scopes.get(name, Scope.DEVELOPMENT)
    if one is None or one.version != version:
        state = "not installed" if one is None else f"{one.version} is installed"
        said = f"locked, but {state}: make setup"
        return Package(Ecosystem.PYPI, name, version, scope, "", said)
    licence, said = _licence(one)
    files = one.files or []
    return Package(
        Ecosystem.PYPI,
        name,
        version,
        scope,
        licence,
        said,
        place=_metadata_directory(one),
        requires=tuple(
            sorted(
                {
                    f"pypi/{other.name}@{pins[other.name]}"
                    for other in _required(one)
                    if other.name in pins
                }
            )
        ),
        native=tuple(sorted(str(file) for file in files if file.suffix in LIBRARY_SUFFIXES)),
    )


def _metadata_directory(one: Distribution) -> Path | None:
    """Where METADATA lies, and the licence files below it."""
    for file in one.files or []:
        if PurePosixPath(file).name == "METADATA":
            return Path(str(one.locate_file(file))).parent
    return None


def _licence(one: Distribution) -> tuple[str, str]:
    """The expression that the metadata give, and by which field."""
    metadata = one.metadata
    if expression := metadata.get_all("License-Expression"):
        return expression[0], "License-Expression"
    text = "\n".join(metadata.get_all("License") or []).strip()
    if parse(text) is not None:
        return text, "License"
    classifiers = [
        line for line in metadata.get_all("Classifier") or [] if line.startswith("License :: ")
    ]
    known = [CLASSIFIERS.get(line) for line in classifiers if line != "License :: OSI Approved"]
    if known and None not in known:
        # Several classifiers do not say whether one may choose, so all are taken to hold.
        return " AND ".join(sorted({str(licence) for licence in known})), "classifier"
    said = "; ".join([*([text.splitlines()[0]] if text else []), *classifiers])
    return "", f"metadata say {said or 'nothing'}"
