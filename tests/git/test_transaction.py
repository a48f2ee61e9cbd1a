"""Refs of the view move in two phases."""

from __future__ import annotations

from pathlib import Path

import pytest

from compat.git_client import needs_git
from helios import Repository
from helios.errors import GitFailed
from helios.git import view as views
from helios.git.transaction import Transaction
from helios.git.view import View

pytestmark = needs_git


@pytest.fixture
def view(tmp_path: Path) -> View:
    with Repository.init(tmp_path) as repository:
        return views.of_or_make(repository)


@pytest.fixture
def commit(view: View) -> str:
    tree = view.git.run("hash-object", "-w", "-t", "tree", "--stdin").decode().strip()
    content = f"tree {tree}\nauthor A <a> 0 +0000\ncommitter A <a> 0 +0000\n\n"
    out = view.git.run("hash-object", "-w", "-t", "commit", "--stdin", input=content.encode())
    return out.decode().strip()


def test_nothing_moves_before_it_is_committed(view: View, commit: str) -> None:
    turn = view.turn()
    with turn, Transaction(view, turn, {"refs/heads/a": (None, commit)}) as transaction:
        assert view.references() == {}
        transaction.commit()
        assert view.references() == {"refs/heads/a": commit}


def test_what_is_not_committed_is_aborted(view: View, commit: str) -> None:
    turn = view.turn()
    with turn:
        with Transaction(view, turn, {"refs/heads/a": (None, commit)}):
            pass
        assert view.references() == {}
        Transaction(view, turn, {"refs/heads/a": (None, commit)}).close()


def test_a_ref_that_is_elsewhere_fails_all(view: View, commit: str) -> None:
    turn = view.turn()
    wrong = {"refs/heads/a": (None, commit), "refs/heads/b": (commit, None)}
    with turn, pytest.raises(GitFailed, match="refs/heads/b"):
        Transaction(view, turn, wrong)
    assert view.references() == {}


def test_a_commit_that_fails_says_so(view: View, commit: str) -> None:
    turn = view.turn()
    with turn, Transaction(view, turn, {"refs/heads/a": (None, commit)}) as transaction:
        transaction._git.kill()
        with pytest.raises(GitFailed, match="update-ref"):
            transaction.commit()
    # What the killed git has left is in nobody's way.
    view.unlock()
    with turn, Transaction(view, turn, {"refs/heads/a": (None, commit)}) as transaction:
        transaction.commit()
    assert view.references() == {"refs/heads/a": commit}
