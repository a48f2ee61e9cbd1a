"""Merges agree with `git merge-tree --write-tree` (ort) on random histories: on whether they are
clean, on the merged tree, and on the paths and sides of all conflicts.

`HELIOS_MERGE_SEED` and `HELIOS_MERGE_CASES` choose other and more histories.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from compat.git_histories import Case, Git, Stages, put, stages_of, tree_of
from helios import Merge, Repository

SEED = int(os.environ.get("HELIOS_MERGE_SEED", "1"))
CASES = int(os.environ.get("HELIOS_MERGE_CASES", "600"))

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def without_sides(stages: Stages) -> Stages:
    """Both move a file that cannot stay beside itself; only the names of the sides differ."""
    return {(re.sub(r"~.*", "", path), stage) for path, stage in stages}


def comparable(stages: Stages, merge: Merge) -> Stages:
    """Without the paths of a file that both sides renamed, of which git's index tells less: it has
    no place for a file where a directory is, nor for two reasons at one path."""
    renamed = {
        side.path
        for each in merge.conflicts
        if each.reason == "rename/rename"
        for side in (each.base, each.ours, each.theirs)
        if side is not None
    }
    return {(path, stage) for path, stage in without_sides(stages) if path not in renamed}


def known_difference(case: Case, bases: Merge | None) -> str | None:
    """Why a case may differ.

    - `equal files`: of several files with equal content it is open which was renamed to where.
      git takes them in the order in which it has met them, Helios in the order of paths.
    - `virtual directory/file`: several bases are made into one, and in one of them a file stands
      where another has a directory. What git then has as base depends on the similarity of files
      that it has moved aside; Helios follows no similarity.
    """
    if bases is not None and {each.reason for each in bases.conflicts} & {"directory/file"}:
        return "virtual directory/file"
    for commit in case.commits:
        contents = [content for _, content in commit.tree.values() if content]
        if len(contents) > len(set(contents)):
            return "equal files"
    return None


def test_merges_agree_with_git(tmp_path: Path) -> None:
    cases = [Case(number, SEED) for number in range(CASES)]
    git = Git(tmp_path)
    git.put(cases)
    expected = git.merge(cases)
    clean = [number for number, (is_clean, _, _) in enumerate(expected) if is_clean]
    trees = dict(zip(clean, git.trees([expected[number][1] for number in clean]), strict=True))
    repository = Repository.memory(author="Ada")
    problems, differences = [], []
    for case, (is_clean, _, stages) in zip(cases, expected, strict=True):
        ids = put(repository, case)
        merge = repository.merge(ids[case.ours.number], ids[case.theirs.number])
        if (merge.outcome != "conflicts") != is_clean:
            problem = f"git: {'clean' if is_clean else sorted(stages)}, {merge.conflicts}"
        elif is_clean and tree_of(merge) != trees[case.number]:
            problem = "the trees differ"
        elif comparable(stages_of(merge), merge) != comparable(stages, merge):
            problem = f"git: {sorted(stages)}, Helios: {sorted(stages_of(merge))}"
        else:
            continue
        crossed = case.shape == "criss-cross"
        why = known_difference(case, repository.merge(ids[1], ids[2]) if crossed else None)
        if why is None:
            problems.append(f"case {case.number} ({case.shape}): {problem}")
        else:
            differences.append(why)
    assert not problems, "\n".join(problems)
    # Neither side of the comparison is trivial, and what may differ is rare.
    assert CASES / 4 < len(clean) < CASES * 3 / 4
    assert len(differences) <= CASES / 100 + 2
