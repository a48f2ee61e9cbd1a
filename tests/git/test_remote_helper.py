"""What git says to `git-remote-helios`, and what is said of mistakes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from helios import Repository
from helios.errors import Usage
from helios.git.remote_helper import FAILED, path_of, repository_at

HELPER = os.path.join(os.path.dirname(sys.executable), "git-remote-helios")


def converse(*arguments: str, said: str, path: str | None = None) -> tuple[int, str, str]:
    done = subprocess.run(
        [HELPER, *arguments],
        input=said,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"] if path is None else path, "HOME": "/nonexistent"},
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


def test_it_can_connect() -> None:
    assert converse("origin", "/nowhere", said="capabilities\n\n") == (0, "connect\n\n", "")


@pytest.mark.parametrize("said", ["", "\n"])
def test_it_ends_with_git(said: str) -> None:
    assert converse("origin", "/nowhere", said=said) == (0, "", "")


@pytest.mark.parametrize("said", ["list\n", "connect git-daemon\n", "connect\n", "x" * 10_000])
def test_what_is_not_known_is_named(said: str) -> None:
    code, out, problem = converse("origin", "/nowhere", said=said)
    assert (code, out) == (FAILED, "")
    assert said.strip()[:20] in problem


@pytest.mark.parametrize("arguments", [[], ["a", "b", "c"]])
def test_a_person_is_told_what_it_is_for(arguments: list[str]) -> None:
    code, _, problem = converse(*arguments, said="")
    assert code == FAILED
    assert "helios::/path" in problem


def test_no_repository_is_served_before_it_is_there(tmp_path: Path) -> None:
    code, out, problem = converse("origin", str(tmp_path), said="connect git-upload-pack\n")
    assert (code, out) == (FAILED, "")
    assert str(tmp_path) in problem
    assert list(tmp_path.iterdir()) == []


def test_without_git_that_is_said(tmp_path: Path) -> None:
    Repository.init(tmp_path).close()
    code, out, problem = converse(
        "origin", str(tmp_path), said="connect git-upload-pack\n", path=str(tmp_path)
    )
    assert (code, out) == (FAILED, "")
    assert "apt-get install git" in problem


def test_start_up_imports_little() -> None:
    """git waits for this on every fetch."""
    program = (
        "import sys; before = set(sys.modules); import helios.git.remote_helper;"
        "print(*sorted(set(sys.modules) - before))"
    )
    said = subprocess.run(
        [sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True
    )
    heavy = {"argparse", "json", "re", "subprocess", "urllib.parse", "helios.repository"}
    assert not heavy & set(said.stdout.split())


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("/a/b", "/a/b"),
        ("../b", "../b"),
        ("helios::/a/b", "/a/b"),
        ("file:///a/b", "/a/b"),
        ("file://localhost/a/b", "/a/b"),
        ("helios:///a/b", "/a/b"),
        ("file:///a%20b/%C3%A9", "/a b/\u00e9"),
        ("/a%20b", "/a%20b"),
        ("/odd://name", "/odd://name"),
    ],
)
def test_urls(url: str, path: str) -> None:
    assert path_of(url) == path


@pytest.mark.parametrize(
    "url", ["https://example.org/a", "file://example.org/a", "file://", "ssh://a/b", "file://a"]
)
def test_urls_of_other_machines_are_refused(url: str) -> None:
    with pytest.raises(Usage, match="helios::/path"):
        path_of(url)


def test_a_repository_is_found_by_its_root_and_by_its_directory(tmp_path: Path) -> None:
    Repository.init(tmp_path / "tree").close()
    Repository.init(tmp_path / "bare", bare=True).close()
    for name in ("tree", "tree/.helios", "bare"):
        with repository_at(str(tmp_path / name)) as repository:
            assert repository.writable
