"""A small project with fabricated packages of both ecosystems, to run the checks on."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from compliance.__main__ import main

POLICY = """\
allowed = ["Apache-2.0", "MIT"]
allowed-outside-the-wheel = ["MPL-2.0"]
denied = ["AGPL-3.0-only", "AGPL-3.0-or-later"]
"""
MIT = (
    "Permission is hereby granted, free of charge, to anybody, if the above copyright notice stays"
)


class Project:
    """Its crate `app` and its distribution `app` need whatever is added."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.site = root / "site"
        self.site.mkdir()
        self._crates: dict[str, str] = {}
        self._pins: dict[str, str] = {}
        self._runtime: list[str] = []
        (root / "src").mkdir()
        (root / "src" / "lib.rs").write_text("")
        self.policy("")

    def policy(self, more: str) -> None:
        """Adds to the policy."""
        (self.root / "compliance.toml").write_text(POLICY + more)

    def crate(self, name: str, licence: str | None, table: str = "dependencies") -> Path:
        """Adds a crate beside the project, and a dependency on it; its directory."""
        place = self.root.parent / f"{self.root.name}-crates" / name
        (place / "src").mkdir(parents=True)
        (place / "src" / "lib.rs").write_text("")
        said = f'license = "{licence}"' if licence is not None else ""
        (place / "Cargo.toml").write_text(
            f'[package]\nname = "{name}"\nversion = "1.0.0"\nedition = "2021"\n{said}\n'
        )
        self._crates[name] = f'[{table}]\n{name} = {{ path = "{place}" }}\n'
        return place

    def distribution(self, name: str, metadata: str, runtime: bool = True) -> Path:
        """Installs and locks a distribution; the directory of its metadata."""
        place = self.site / f"{name}-1.0.dist-info"
        place.mkdir()
        (place / "METADATA").write_text(
            f"Metadata-Version: 2.4\nName: {name}\nVersion: 1.0\n{metadata}\n"
        )
        (place / "RECORD").write_text(f"{place.name}/METADATA,,\n")
        self._pins[name] = "1.0"
        if runtime:
            self._runtime.append(name)
        return place

    def require(self, requirement: str) -> None:
        """Adds a requirement of the project at run time."""
        self._runtime.append(requirement)

    def lock(self, name: str, version: str) -> None:
        """Locks a distribution without installing it."""
        self._pins[name] = version

    def unlock(self, name: str) -> None:
        """Leaves an installed distribution out of the lock file."""
        del self._pins[name]

    def run(self, check: str = "licenses") -> int:
        """The exit code of a check."""
        self.write()
        return main(["--root", str(self.root), "--site", str(self.site), check])

    def write(self) -> None:
        """Writes the manifests and the lock files."""
        (self.root / "Cargo.toml").write_text(
            '[package]\nname = "app"\nversion = "1.0.0"\nedition = "2021"\n'
            'license = "Apache-2.0"\n[workspace]\n' + "".join(self._crates.values())
        )
        subprocess.run(
            ["cargo", "generate-lockfile", "--offline", "--quiet"], cwd=self.root, check=True
        )
        (self.root / "pyproject.toml").write_text(
            '[project]\nname = "app"\nlicense = "Apache-2.0"\n'
            f"dependencies = {json.dumps(self._runtime)}\n"
        )
        (self.root / "requirements-dev.lock").write_text(
            "".join(f"{name}=={version} \\\n" for name, version in self._pins.items())
        )

    def result(self, name: str = "licenses") -> dict[str, Any]:
        """The result file of a check."""
        text = (self.root / ".compliance" / f"{name}.json").read_text()
        found: dict[str, Any] = json.loads(text)
        return found
