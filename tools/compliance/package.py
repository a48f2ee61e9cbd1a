"""A package that Helios is built from or with, whichever ecosystem it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Scope(StrEnum):
    """What a package is for, the most far-reaching first."""

    WHEEL = "in the wheel"
    BESIDE = "installed beside the wheel"
    BUILD = "build"
    DEVELOPMENT = "development"

    @property
    def reaches_users(self) -> bool:
        """Whether who installs Helios gets a copy."""
        return self in {Scope.WHEEL, Scope.BESIDE}

    def further(self, other: Scope | None) -> bool:
        """Whether this scope reaches further than another, or than none."""
        order = list(Scope)
        return other is None or order.index(self) < order.index(other)


class Ecosystem(StrEnum):
    """Where a package comes from; the names of package URLs where there is one."""

    CARGO = "cargo"
    PYPI = "pypi"
    NATIVE = "native"
    """Foreign code that another package carries within itself."""


@dataclass(frozen=True)
class Package:
    """A package at one version."""

    ecosystem: Ecosystem
    name: str
    version: str
    scope: Scope
    licence: str
    """As declared, an SPDX expression if all is well; empty: nothing is declared."""
    found: str
    """Where the licence was found, or why not."""
    place: Path | None = None
    """The directory that licence files and native code are looked for in."""
    checksum: str | None = None
    """SHA-256 of the archive, in hexadecimal, where there is one archive only."""
    requires: tuple[str, ...] = ()
    """References of the packages that it needs."""
    local: bool = False
    """Whether it is a part of this repository."""
    native: tuple[str, ...] = ()
    """Files with native code, relative to where the package lies."""
    within: str | None = None
    """Reference of the package that carries this native code."""

    @property
    def slug(self) -> str:
        """The name that the policy uses: `cargo/zstd-sys`."""
        return f"{self.ecosystem}/{self.name}"

    @property
    def reference(self) -> str:
        """Unique in the graph."""
        return f"{self.slug}@{self.version}"

    def __str__(self) -> str:
        return f"{self.slug} {self.version}".rstrip()
