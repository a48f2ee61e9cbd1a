"""The hooks of git run what is here, and nothing from elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
CONFIGURATION = ROOT / ".pre-commit-config.yaml"


def hooks() -> list[dict[str, Any]]:
    (repository,) = yaml.safe_load(CONFIGURATION.read_text())["repos"]
    assert repository["repo"] == "local"
    found: list[dict[str, Any]] = repository["hooks"]
    return found


def test_the_configuration_is_valid() -> None:
    command = [sys.executable, "-m", "pre_commit", "validate-config", str(CONFIGURATION)]
    subprocess.run(command, check=True, capture_output=True)


def test_hooks_use_what_is_installed() -> None:
    assert {hook["language"] for hook in hooks()} == {"system"}
    assert {"licenses", "python-format", "python-lint", "rust-format", "rust-lint"} <= {
        hook["id"] for hook in hooks()
    }


def test_a_change_of_dependencies_runs_the_licence_check(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    clone.mkdir()
    (clone / ".pre-commit-config.yaml").write_bytes(CONFIGURATION.read_bytes())
    # Stands for the project's own: the hook is to call it, and to fail when it fails.
    (clone / "Makefile").write_text("licenses:\n\t@echo refused; exit 1\n")
    (clone / "Cargo.lock").write_text("version = 4\n")
    (clone / "notes.txt").write_text("nothing to check\n")
    kept = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    environment = {**kept, "PRE_COMMIT_HOME": str(tmp_path / "cache")}
    git = ["git", "-C", str(clone)]
    subprocess.run([*git, "init", "--quiet"], check=True)
    subprocess.run([*git, "add", "--all"], check=True)

    def run(name: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pre_commit", "run", "licenses", "--files", name]
        return subprocess.run(
            command, check=False, cwd=clone, env=environment, capture_output=True, text=True
        )

    refused = run("Cargo.lock")
    assert refused.returncode == 1
    assert "refused" in refused.stdout
    assert run("notes.txt").returncode == 0
