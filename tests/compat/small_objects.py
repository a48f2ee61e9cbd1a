"""A git repository of many small objects: what a map of ids weighs most beside."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

DIRECTORIES, FILES = 6, 6


def make(directory: Path, commits: int, seed: int = 7) -> None:
    """A bare repository, packed, whose commits change a line of two files each."""
    dice = random.Random(seed)
    paths = [
        f"d{upper}/e{lower}/f{file}.txt"
        for upper in range(DIRECTORIES)
        for lower in range(DIRECTORIES)
        for file in range(FILES)
    ]
    contents = {path: [f"line {dice.random()}\n" for _ in range(6)] for path in paths}
    stream = []
    for number in range(commits):
        message = f"commit {number}\n"
        stream.append(
            f"commit refs/heads/main\ncommitter A <a@b> {1_600_000_000 + number} +0000\n"
            f"data {len(message)}\n{message}\n"
        )
        for path in dice.sample(paths, 2) if number else paths:
            contents[path][dice.randrange(6)] = f"line {dice.random()}\n"
            content = "".join(contents[path])
            stream.append(f"M 644 inline {path}\ndata {len(content)}\n{content}\n")
    git = ["git", "-C", str(directory)]
    subprocess.run(["git", "init", "--quiet", "--bare", str(directory)], check=True)
    subprocess.run([*git, "symbolic-ref", "HEAD", "refs/heads/main"], check=True)
    feed = "".join(stream).encode()
    subprocess.run([*git, "fast-import", "--quiet"], input=feed, check=True)
    subprocess.run([*git, "repack", "-adq"], check=True)


def packs_bytes(directory: Path) -> int:
    """Packs and their indexes, as `size-pack` of `git count-objects -v` has them."""
    packs = (directory / "objects" / "pack").iterdir()
    return sum(path.stat().st_size for path in packs if path.suffix in {".pack", ".idx"})
