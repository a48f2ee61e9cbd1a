"""`NOTICE` and `THIRD_PARTY_LICENSES.txt`, which the wheel carries.

The texts are those that the packages in the wheel ship, each once. Where a package offers a choice,
the texts of what Helios does not take are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from compliance.graph import Graph
from compliance.package import Scope
from compliance.policy import Finding

TEXTS_NAME = "THIRD_PARTY_LICENSES.txt"
NOTICE_HEAD = f"""\
Helios
Copyright 2026 The Helios authors

Helios is licensed under the Apache License, Version 2.0; see LICENSE.

It is built on other open-source work, each under its own licence. The texts for
what is compiled into its library are in {TEXTS_NAME}. This file and
that one are written by `make licenses`.
"""
TEXTS_HEAD = """\
Licences of the work that is compiled into the library of Helios. Where a package
offers a choice of licences, the one that Helios takes is named, and the texts of
the others are left out.
"""
FILE = re.compile(r"^(un)?licen[cs]e|^copying|^copyright|^notice|^patents", re.IGNORECASE)
# What no other text contains, so that a text is known for what it is.
MARKS = {
    "Apache-2.0": re.compile(r"Apache License,? Version 2\.0, January 2004"),
    "BSD-2-Clause": re.compile(
        r"Redistribution and use in source and binary forms(?!.*Neither the name)", re.DOTALL
    ),
    "BSD-3-Clause": re.compile(
        r"Redistribution and use in source and binary forms.*Neither the name", re.DOTALL
    ),
    "CC0-1.0": re.compile(r"CC0 1\.0 Universal|Creative Commons Legal Code"),
    "GPL-2.0-only": re.compile(r"GNU GENERAL PUBLIC LICENSE Version 2, June 1991"),
    "ISC": re.compile(r"Permission to use, copy, modify, and/or distribute"),
    "MIT": re.compile(r"Permission is hereby granted, free of charge.*above copyright", re.DOTALL),
    "MIT-0": re.compile(
        r"Permission is hereby granted, free of charge(?!.*above copyright)", re.DOTALL
    ),
    "Unicode-3.0": re.compile(r"UNICODE LICENSE V3"),
    "Unlicense": re.compile(r"free and unencumbered software released into the public domain"),
    "Zlib": re.compile(r"an acknowledgment in the product documentation would be appreciated"),
}
# Their text is the same whoever grants them, so one that ships no copy is covered by another's.
FIXED = {"Apache-2.0"}
RULE = "=" * 80


def notice(graph: Graph) -> str:
    """The text of NOTICE."""
    lines = [NOTICE_HEAD]
    for scope, title in (
        (Scope.WHEEL, "In the library:"),
        (Scope.BESIDE, "Installed next to Helios, and the code that was found within:"),
    ):
        lines += [title, "", *map(_line, _foreign(graph, scope)), ""]
    lines += _notices_of_others(graph)
    return "\n".join(lines).rstrip() + "\n"


def texts(graph: Graph) -> tuple[str, list[str]]:
    """The text of THIRD_PARTY_LICENSES.txt; and which licences have no text in it."""
    groups: dict[str, tuple[str, list[str]]] = {}
    problems: list[str] = []
    covered: set[str] = set()
    missing: list[tuple[Finding, str]] = []
    for finding in _foreign(graph, Scope.WHEEL):
        if finding.package.within:
            continue  # its texts are among the files of the package that carries it
        carried = [one for one in graph.findings if one.package.within == finding.package.reference]
        wanted = {_base(one) for taken in [finding, *carried] for one in taken.taken}
        known: set[str] = set()
        for path, text in _files(finding.package.place):
            kinds = {kind for kind, mark in MARKS.items() if mark.search(_flat(text))}
            if kinds and not kinds & wanted:
                continue
            known |= kinds
            group = groups.setdefault(_flat(text), (text, []))
            group[1].append(f"{finding.package.name} {finding.package.version} ({path})")
        covered |= known
        missing += [(finding, one) for one in sorted(wanted - known)]
    for finding, licence in missing:
        if licence not in FIXED or licence not in covered:
            problems.append(f"{finding.package}: ships no text of {licence} that could be told")
    listed = "\n".join(map(_line, _foreign(graph, Scope.WHEEL)))
    parts = [TEXTS_HEAD, listed]
    for text, users in groups.values():
        parts.append("\n".join([RULE, *users, RULE, "", text]))
    return "\n\n".join(parts) + "\n", problems


def _foreign(graph: Graph, scope: Scope) -> list[Finding]:
    return [finding for finding in graph.of(scope) if not finding.package.local]


def _line(finding: Finding) -> str:
    package = finding.package
    taken = " AND ".join(finding.taken)
    said = package.licence if taken == package.licence else f"{taken} (of: {package.licence})"
    version = f" {package.version}" if package.version else ""
    within = f", within {package.within.partition('/')[2]}" if package.within else ""
    return f"- {package.name}{version}{within}: {said}"


def _base(licence: str) -> str:
    """`X WITH E` has the text of X, with E in the same file."""
    return licence.partition(" WITH ")[0]


def _flat(text: str) -> str:
    return " ".join(text.split())


def _files(place: Path | None) -> Iterator[tuple[str, str]]:
    """Licence files of a package, at any depth: path within it and text."""
    if place is None:
        return
    for path in sorted(place.rglob("*")):
        if FILE.match(path.name) and path.is_file() and path.suffix not in {".rs", ".py", ".h"}:
            text = path.read_text(encoding="utf-8", errors="replace").replace("\f", "\n")
            lines = [line.rstrip() for line in text.splitlines()]
            yield path.relative_to(place).as_posix(), "\n".join(lines).strip("\n")


def _notices_of_others(graph: Graph) -> Iterator[str]:
    """Apache-2.0 asks for what others have put into their NOTICE to be handed on."""
    for finding in _foreign(graph, Scope.WHEEL):
        for path, text in _files(finding.package.place):
            if path.rpartition("/")[2].upper().startswith("NOTICE"):
                yield f"{RULE}\n{finding.package.name} says in {path}:\n\n{text}\n"
