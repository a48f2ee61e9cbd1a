"""Directory trees as plain values: to make them on disk, to read them back, to draw random ones."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path
from typing import NamedTuple

from hypothesis import strategies as st

PRIVATE = {b".helios", b".git"}


class File(NamedTuple):
    content: bytes
    executable: bool = False


class Link(NamedTuple):
    target: bytes


Node = File | Link | dict[bytes, "Node"]
Tree = dict[bytes, Node]

NAMES = st.sampled_from([b"a", b"b", b"a.b", b"\xff", b"new\nline", b" ", b"-x", b"*"])
FILES = st.builds(
    File,
    # Equal sizes are what a worktree's index finds hardest.
    st.sampled_from([b"", b"1\n", b"2\n", b"3\n"])
    | st.binary(max_size=30)
    | st.integers(0, 3).map(lambda n: b"%d" % n * 1_100_000),
    st.booleans(),
)
LINKS = st.builds(Link, st.sampled_from([b"a", b"../..", b"/nowhere/at all", b"b/\xff", b"."]))
TREES: st.SearchStrategy[Tree] = st.recursive(
    st.dictionaries(NAMES, FILES | LINKS, max_size=3),
    lambda below: st.dictionaries(NAMES, FILES | LINKS | below, max_size=4),
    max_leaves=10,
)


def read(root: Path | str | bytes) -> Tree:
    """What is on disk, without what is private to version control at the top."""
    return {name: node for name, node in read_all(os.fsencode(root)).items() if name not in PRIVATE}


def read_all(directory: bytes) -> Tree:
    tree: Tree = {}
    with os.scandir(directory) as entries:
        for entry in entries:
            tree[entry.name] = read_node(entry.path)
    return tree


def read_node(path: bytes) -> Node:
    found = os.lstat(path)
    if stat.S_ISLNK(found.st_mode):
        return Link(os.readlink(path))
    if stat.S_ISDIR(found.st_mode):
        return read_all(path)
    assert stat.S_ISREG(found.st_mode)
    with open(path, "rb") as file:
        return File(file.read(), bool(found.st_mode & 0o100))


def make(root: Path | bytes, tree: Tree) -> None:
    """Brings a directory to a tree by touching only what differs, in place where that goes."""
    directory = os.fsencode(root)
    os.makedirs(directory, exist_ok=True)
    for name in os.listdir(directory):
        path = os.path.join(directory, name)
        if name in PRIVATE:
            continue
        if name not in tree or kind_of(read_shallow(path)) is not kind_of(tree[name]):
            remove(path)
    for name, node in tree.items():
        make_node(os.path.join(directory, name), node)


def read_shallow(path: bytes) -> Node:
    found = os.lstat(path).st_mode
    return Link(b"") if stat.S_ISLNK(found) else {} if stat.S_ISDIR(found) else File(b"")


def kind_of(node: Node) -> type:
    return type(node)


def make_node(path: bytes, node: Node) -> None:
    if isinstance(node, dict):
        make(path, node)
    elif isinstance(node, Link):
        if os.path.lexists(path):
            if os.readlink(path) == node.target:
                return
            os.unlink(path)
        os.symlink(node.target, path)
    elif not os.path.lexists(path) or read_node(path) != node:
        with open(path, "wb") as file:
            file.write(node.content)
        os.chmod(path, 0o755 if node.executable else 0o644)


def remove(path: bytes) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        os.unlink(path)


def flat(tree: Tree, prefix: bytes = b"") -> dict[bytes, File | Link]:
    """Files and symlinks by path."""
    found: dict[bytes, File | Link] = {}
    for name, node in tree.items():
        if isinstance(node, dict):
            found.update(flat(node, prefix + name + b"/"))
        else:
            found[prefix + name] = node
    return found
