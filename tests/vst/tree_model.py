"""What a VST must do, said with a plain dict and a set."""

from __future__ import annotations

from helios import VST, errors

Path = bytes


def above(path: Path) -> list[Path]:
    """The directories above a path, the nearest first."""
    parts = path.split(b"/")
    return [b"/".join(parts[:end]) for end in range(len(parts) - 1, 0, -1)]


class TreeModel:
    """Files by path, and the directories that exist."""

    def __init__(self) -> None:
        self.files: dict[Path, bytes] = {}
        self.directories: set[Path] = set()

    def copy(self) -> TreeModel:
        twin = TreeModel()
        twin.files, twin.directories = self.files.copy(), self.directories.copy()
        return twin

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TreeModel) and (
            (self.files, self.directories) == (other.files, other.directories)
        )

    __hash__ = None  # type: ignore[assignment]

    def _check_above(self, path: Path) -> None:
        if any(parent in self.files for parent in above(path)):
            raise errors.PathNotADirectory("a file is in the way")

    def write(self, path: Path, content: bytes) -> None:
        self._check_above(path)
        if path in self.directories:
            raise errors.PathIsADirectory("it is a directory")
        self.files[path] = content
        self.directories.update(above(path))

    def mkdir(self, path: Path) -> None:
        self._check_above(path)
        if path in self.files:
            raise errors.PathNotADirectory("it is a file")
        self.directories.update([path, *above(path)])

    def delete(self, path: Path) -> None:
        if path in self.files:
            del self.files[path]
        elif path in self.directories:
            self.files = {name: c for name, c in self.files.items() if not is_below(name, path)}
            self.directories = {d for d in self.directories if d != path and not is_below(d, path)}
        else:
            raise errors.PathNotFound("nothing is there")
        for parent in above(path):
            if self.children(parent):
                break
            self.directories.discard(parent)

    def rename(self, old: Path, new: Path) -> None:
        if old not in self.files and old not in self.directories:
            raise errors.PathNotFound("nothing is there")
        if old == new:
            return
        if is_below(new, old):
            raise errors.InvalidPath("below itself")
        if new in self.directories:
            raise errors.PathIsADirectory("it is a directory")
        if new in self.files and old in self.directories:
            raise errors.PathNotADirectory("it is a file")
        self._check_above(new)
        moved_files = {n: c for n, c in self.files.items() if n == old or is_below(n, old)}
        moved = {d for d in self.directories if d == old or is_below(d, old)}
        self.delete(old)
        self.directories.update(above(new))
        self.directories.update(new + d[len(old) :] for d in moved)
        self.files.update({new + n[len(old) :]: c for n, c in moved_files.items()})

    def children(self, directory: Path) -> set[bytes]:
        prefix = directory + b"/" if directory else b""
        paths = self.files.keys() | self.directories
        below = (path[len(prefix) :] for path in paths if path.startswith(prefix))
        return {path.split(b"/")[0] for path in below}

    def check(self, vst: VST) -> None:
        """Asserts that a VST shows exactly this."""
        import os

        assert [os.fsencode(path) for path in vst.walk()] == sorted(
            self.files, key=lambda path: path.split(b"/")
        )
        assert {path: vst.read(path) for path in self.files} == self.files
        assert len(vst) == len(self.files)
        for directory in [b"", *self.directories]:
            names = [os.fsencode(name) for name in vst.list(directory)]
            assert names == sorted(self.children(directory))


def is_below(path: Path, directory: Path) -> bool:
    return path.startswith(directory + b"/")
