"""A stream for git fast-import: commits without an index (git-fast-import(1))."""

from __future__ import annotations

from pathlib import Path

from helios.bench.committer import TIME_US


def write_stream(path: Path, commits: list[dict[str, bytes]], parent: str = "") -> Path:
    """Writes commits to `main` on top of `parent`, each with the files that it sets.

    Gives the path back, which must be new.
    """
    with open(path, "xb") as file:
        for number, files in enumerate(commits):
            when = TIME_US // 1_000_000 + number
            file.write(commit_of(files, when, "" if number else parent))
    return path


def commit_of(files: dict[str, bytes], when: int, parent: str = "") -> bytes:
    """One commit to `main`; its parent is the last of the stream, unless `parent` names another."""
    parts = [
        b"commit refs/heads/main\n",
        f"committer bench <bench@localhost> {when} +0000\n".encode(),
        b"data 4\nedit\n",
    ]
    if parent:
        parts.append(f"from {parent}\n".encode())
    for name, content in files.items():
        parts.append(f"M 100644 inline {name}\ndata {len(content)}\n".encode())
        parts.append(content + b"\n")
    return b"".join(parts)
