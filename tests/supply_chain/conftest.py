"""Fixtures of the supply chain's tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from supply_chain.project import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project that needs nothing yet."""
    root = tmp_path / "app"
    root.mkdir()
    return Project(root)
