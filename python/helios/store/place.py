"""Where RocksDB finds a database: as a path that its binding takes, and without writing there.

rocksdict takes paths in UTF-8 only. A directory whose path is not is named by the descriptor of the
open directory, where the system offers that (`/proc/self/fd`).

rocksdict also writes a file of its own wherever it opens a database, even to read it. A reader
therefore opens a view: a directory of its own with the MANIFEST, which names tables in the real
one. RocksDB reads the view once, so it is gone again when the database is open. This also makes the
MANIFEST that was checked the one that counts, and a repository readable that may not be written.
"""

from __future__ import annotations

import os

from helios.store.manifest import Manifest

VIEWS = "/tmp"  # noqa: S108 - nobody else can make or enter a directory of this name there
DESCRIPTORS = "/proc/self/fd"


class Place:
    """The directory of a database, as RocksDB names it: `name`, valid as long as the place is."""

    __slots__ = ("_descriptor", "name")

    def __init__(self, path: str) -> None:
        """Raises `OSError` if the directory is not there."""
        self._descriptor = -1
        self.name = path
        try:
            path.encode()
        except UnicodeEncodeError:
            if os.path.isdir(DESCRIPTORS):
                self._descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
                self.name = f"{DESCRIPTORS}/{self._descriptor}"

    def __del__(self) -> None:
        # A signal's handler may have ended the making of it.
        if getattr(self, "_descriptor", -1) >= 0:
            os.close(self._descriptor)


class View:
    """A directory with a MANIFEST and nothing else, as long as the `with` block lasts."""

    __slots__ = ("name",)

    def __init__(self, manifest: Manifest) -> None:
        """Raises `OSError` if there is no directory for temporary files with room in it."""
        self.name = _make_directory()
        try:
            for name, content in (
                ("CURRENT", manifest.name.encode() + b"\n"),
                (manifest.name, manifest.content),
            ):
                with open(os.path.join(self.name, name), "wb") as file:
                    file.write(content)
        except BaseException:
            self.remove()
            raise

    def remove(self) -> None:
        """Removes the directory; what cannot be removed stays."""
        try:
            for name in os.listdir(self.name):
                os.unlink(os.path.join(self.name, name))
            os.rmdir(self.name)
        except OSError:
            # It is not ours alone any more: somebody cleans up temporary files.
            return


def _make_directory() -> str:
    path = os.path.join(VIEWS, f"helios-{os.urandom(8).hex()}")
    try:
        os.mkdir(path, 0o700)
    except OSError:
        # Not the first choice, because importing it takes longer than opening the database.
        from tempfile import mkdtemp

        return mkdtemp(prefix="helios-")
    return path
