"""The files that the benchmark works on: text like source code, the same for each seed."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

TEXT_BYTES_MIN = 1 << 10
TEXT_BYTES_MAX = 4 << 10
WORDS = 3000
SYLLABLES = "ba ce di fo gu ha je ki lo mu na pe qui ro su ta ve wi xo yu zen ter ing con"
SHAPES = (
    "{0} = {1}({2}, {3})",
    "    {0}.{1}({2})",
    "    if {0} is not {1} and {2}:",
    "        return {0}[{1}] + {2} * {3}",
    "def {0}({1}: {2}, {3}: int) -> None:",
    "    # {0} {1} {2} {3} {4} {5}",
    "    {0}: {1} = {2}.{3}",
    "",
)


class Writer:
    """Writes text; its randomness is its own, so each use of a seed gives the same."""

    def __init__(self, seed: str) -> None:
        """Texts of the same seed are equal."""
        self._random = random.Random(seed)  # noqa: S311
        syllables = SYLLABLES.split()
        self._words = ["".join(self._random.choices(syllables, k=1 + n % 4)) for n in range(WORDS)]

    def line(self) -> bytes:
        """A line of some 30 bytes, with its end."""
        words = self._random.choices(self._words, k=6)
        return (self._random.choice(SHAPES).format(*words) + "\n").encode()

    def text(self, size: int) -> bytes:
        """Lines of `size` bytes together."""
        text = bytearray()
        while len(text) < size:
            text += self.line()
        return bytes(text[: size - 1]) + b"\n"

    def any_text(self) -> bytes:
        """A text of 1 to 4 KiB."""
        return self.text(self._random.randint(TEXT_BYTES_MIN, TEXT_BYTES_MAX))

    def with_line(self, text: bytes) -> bytes:
        """The text with a line inserted somewhere."""
        at = text.find(b"\n", self._random.randrange(len(text))) + 1
        return text[:at] + self.line() + text[at:]

    def with_other_line(self, text: bytes) -> bytes:
        """The text with one of its lines replaced, so that it stays about as large."""
        at = text.rfind(b"\n", 0, self._random.randrange(len(text))) + 1
        return text[:at] + self.line() + text[text.index(b"\n", at) + 1 :]

    def choice(self, paths: list[str]) -> str:
        """One of the paths."""
        return self._random.choice(paths)


class Corpus:
    """Files of 1 to 4 KiB, spread evenly over directories."""

    def __init__(self, seed: str, files: int, directories: int) -> None:
        """All contents are in memory: 25 MB for 10,000 files."""
        writer = Writer(seed)
        self.contents = {
            f"package{number % directories:03d}/module{number // directories:04d}.py": (
                writer.any_text()
            )
            for number in range(files)
        }

    def __len__(self) -> int:
        return len(self.contents)

    @property
    def size(self) -> int:
        """The bytes of all files."""
        return sum(map(len, self.contents.values()))

    def write_to(self, directory: Path) -> Path:
        """Writes the files below `directory`, which is made. Gives the directory back."""
        write_files(directory, self.contents)
        return directory


def write_files(directory: Path, contents: dict[str, bytes]) -> None:
    """Writes files below `directory`, which is made."""
    for folder in sorted({path.rpartition("/")[0] for path in contents}):
        (directory / folder).mkdir(parents=True, exist_ok=True)
    for path, content in contents.items():
        with open(f"{directory}/{path}", "xb", buffering=0) as file:
            file.write(content)


def edit_files(directory: Path, changes: dict[str, bytes]) -> None:
    """Gives files below `directory` these contents, as an editor does; some may be new."""
    for path, content in changes.items():
        place = directory / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)


def tiny_files(count: int) -> dict[str, bytes]:
    """Files of some bytes, 100 in a directory."""
    return {
        f"folder{number // 100:05d}/file{number:07d}.txt": b"%d\n" % number
        for number in range(count)
    }


class Edits:
    """An endless sequence of edits, each of one of the files: mostly, a line is inserted."""

    def __init__(
        self,
        seed: str,
        contents: dict[str, bytes],
        edit: Callable[[Writer, bytes], bytes] = Writer.with_line,
    ) -> None:
        """Edits follow on each other: the contents are copied, and the copy changes."""
        self._edit = edit
        self._writer = Writer(seed)
        self._contents = dict(contents)
        self._paths = list(contents)

    def __iter__(self) -> Edits:
        return self

    def __next__(self) -> tuple[str, bytes]:
        path = self._writer.choice(self._paths)
        content = self._edit(self._writer, self._contents[path])
        self._contents[path] = content
        return path, content
