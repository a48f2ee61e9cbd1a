"""The Rust packages of a workspace, from `cargo metadata` on its locked graph.

All targets and the features that the workspace asks for are looked at. What is compiled into the
library is in the wheel; procedural macros and what build scripts need are not.
"""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

from compliance.errors import Unusable
from compliance.package import Ecosystem, Package, Scope

NATIVE = re.compile(r"\.(c|cc|cpp|cxx|m|s|S|asm|a|lib|o|obj|so|dll|dylib)$")
"""Names of files that a C compiler, an assembler or a linker takes."""


def crates(manifest: Path, first: Scope) -> list[Package]:
    """The packages of a workspace and all that they need; `first` is the scope of its members."""
    metadata = _metadata(manifest)
    by_id = {entry["id"]: entry for entry in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    scopes = _scopes(metadata["workspace_members"], by_id, nodes, first)
    locked = _locked(manifest.with_name("Cargo.lock"))
    names = {key: f"cargo/{one['name']}@{one['version']}" for key, one in by_id.items()}
    found = []
    for key, entry in by_id.items():
        place = Path(entry["manifest_path"]).parent
        local = entry["source"] is None
        licence, said = _licence(entry)
        found.append(
            Package(
                Ecosystem.CARGO,
                entry["name"],
                entry["version"],
                scopes.get(key, Scope.DEVELOPMENT),
                licence,
                said,
                place=place,
                checksum=locked.get((entry["name"], entry["version"])),
                requires=tuple(sorted({names[one["pkg"]] for one in nodes[key]["deps"]})),
                local=local,
                native=() if local else _native_files(place),
            )
        )
    seen = {(one.name, one.version) for one in found}
    found += [
        Package(
            Ecosystem.CARGO, name, version, Scope.DEVELOPMENT, "", "locked, but cargo has no data"
        )
        for name, version in sorted(locked.keys() - seen)
    ]
    return found


def _metadata(manifest: Path) -> dict[str, Any]:
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--manifest-path"]
    try:
        done = subprocess.run(
            [*command, str(manifest)], check=False, capture_output=True, text=True
        )
    except FileNotFoundError:
        raise Unusable("cargo is not installed: make setup names what is missing") from None
    if done.returncode:
        raise Unusable(f"cargo metadata of {manifest}: {done.stderr.strip()}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _locked(lock: Path) -> dict[tuple[str, str], str | None]:
    """Name and version of each locked package, and its checksum where it has one."""
    data = tomllib.loads(lock.read_text(encoding="utf-8"))
    return {(one["name"], one["version"]): one.get("checksum") for one in data["package"]}


def _licence(entry: dict[str, Any]) -> tuple[str, str]:
    if entry["license"]:
        # Cargo's own older spelling of OR.
        return entry["license"].replace("/", " OR "), "Cargo.toml"
    if entry["license_file"]:
        return "", f"Cargo.toml names only a file, {entry['license_file']}"
    return "", "Cargo.toml names none"


def _scopes(
    members: list[str], by_id: dict[str, Any], nodes: dict[str, Any], first: Scope
) -> dict[str, Scope]:
    """The furthest scope of each package that is reached from the members."""
    scopes: dict[str, Scope] = {}
    pending = [(key, first) for key in members]
    while pending:
        key, scope = pending.pop()
        if not scope.further(scopes.get(key)):
            continue
        scopes[key] = scope
        for dependency in nodes[key]["deps"]:
            target = by_id[dependency["pkg"]]
            macro = any("proc-macro" in one["kind"] for one in target["targets"])
            for kind in dependency["dep_kinds"]:
                reached = scope
                if kind["kind"] == "dev":
                    reached = Scope.DEVELOPMENT
                elif scope is Scope.WHEEL and (macro or kind["kind"] == "build"):
                    reached = Scope.BUILD
                pending.append((dependency["pkg"], reached))
    return scopes


def _native_files(place: Path) -> tuple[str, ...]:
    return tuple(
        sorted(
            str(path.relative_to(place)) for path in place.rglob("*") if NATIVE.search(path.name)
        )
    )
