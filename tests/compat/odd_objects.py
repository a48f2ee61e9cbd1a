"""Git repositories of what git stores and few programs expect, written object by object.

git's own commands refuse to make some of it, so loose objects are written here. Every case has a
ref of its own under `refs/heads/odd/`, `refs/tags/odd/`, or another name where that is the case.
"""

from __future__ import annotations

import hashlib
import subprocess
import zlib
from pathlib import Path

ABSENT = "7" * 64
"""The id, cut to the right length, of something that is in no repository."""
SIGNATURE = (
    b"-----BEGIN PGP SIGNATURE-----\n \n iQEzBAABCAAdFiEE\n =abcd\n -----END PGP SIGNATURE-----"
)
WHO = b"Ada <ada@example.org> 1700000000 +0100"


class OddRepository:
    """A bare repository in a directory, made with all cases."""

    def __init__(self, directory: Path, object_format: str) -> None:
        self.directory = directory
        self.digits = {"sha1": 40, "sha256": 64}[object_format]
        self._hash = getattr(hashlib, object_format)
        self._refs: dict[bytes, str] = {}
        command = ["git", "init", "--quiet", "--bare", "--template=", "--initial-branch=main"]
        command += [f"--object-format={object_format}", str(directory)]
        subprocess.run(command, check=True)
        self.file = self.put("blob", b"content\n")
        self.tree = self.directory_of((b"100644", b"file", self.file))
        self.root = self.commit()
        self._refs[b"refs/heads/main"] = self.root
        self._trees()
        self._commits()
        self._tags()
        self._names()
        lines = [f"{oid} ".encode() + name + b"\n" for name, oid in sorted(self._refs.items())]
        header = b"# pack-refs with: sorted \n"
        (directory / "packed-refs").write_bytes(header + b"".join(lines))

    def put(self, kind: str, content: bytes) -> str:
        whole = f"{kind} {len(content)}\0".encode() + content
        oid: str = self._hash(whole).hexdigest()
        path = self.directory / "objects" / oid[:2] / oid[2:]
        path.parent.mkdir(exist_ok=True)
        if not path.exists():
            path.write_bytes(zlib.compress(whole))
        return oid

    def directory_of(self, *entries: tuple[bytes, bytes, str]) -> str:
        """A tree with entries (mode, name, id) exactly as they are given."""
        return self.put(
            "tree",
            b"".join(
                mode + b" " + name + b"\0" + bytes.fromhex(oid[: self.digits])
                for mode, name, oid in entries
            ),
        )

    def commit(
        self,
        tree: str | None = None,
        *parents: str,
        author: bytes = b"author " + WHO,
        more: bytes = b"",
        message: bytes = b"message\n",
    ) -> str:
        lines = [b"tree " + (tree or self.tree).encode()]
        lines += [b"parent " + parent.encode() for parent in parents]
        lines += [line for line in (author, b"committer " + WHO, more) if line]
        return self.put("commit", b"\n".join(lines) + b"\n\n" + message)

    def branch(self, name: str, commit: str) -> None:
        self._refs[f"refs/heads/odd/{name}".encode()] = commit

    def _trees(self) -> None:
        empty = self.directory_of()
        file, tree = self.file, self.tree
        odd: dict[str, list[tuple[bytes, bytes, str]]] = {
            "old-modes": [(b"100664", b"a", file), (b"100600", b"b", file)],
            "padded-modes": [(b"040000", b"d", tree), (b"0100644", b"f", file)],
            "submodule": [(b"160000", b"s", ABSENT), (b"160000", b"zero", "0" * 64)],
            "twice": [(b"100644", b"x", file), (b"40000", b"x", tree), (b"100755", b"x", file)],
            "unsorted": [(b"100644", b"b", file), (b"40000", b"a", tree)],
            "dots": [(b"100644", b".", file), (b"40000", b"..", tree), (b"100644", b".git", file)],
            "slash": [(b"100644", b"/etc/passwd", file), (b"100644", b"../up", file)],
            "empty-directory": [(b"40000", b"void", empty)],
            "not-utf8": [(b"100644", b"\xff\xfe", file), (b"100644", b"new\nline", file)],
            "case": [(b"100644", b"README", file), (b"100644", b"readme", file)],
            "long": [(b"100644", b"n" * 20_000, file)],
            "link": [(b"120000", b"l", self.put("blob", b"/no/where"))],
            "wide": [
                (b"100644", b"f%05d" % n, self.put("blob", b"%d" % (n % 50))) for n in range(1000)
            ],
        }
        for name, entries in odd.items():
            self.branch(name, self.commit(self.directory_of(*entries)))
        self.branch("empty-root", self.commit(empty))
        deep = tree
        for number in range(300):
            deep = self.directory_of((b"40000", b"d%03d" % number, deep))
        self.branch("deep", self.commit(deep))
        # A blob of a tree's bytes, and of a commit's.
        twins = [self.put("blob", b"100644 file\0" + bytes.fromhex(file))]
        self.branch("twins", self.commit(self.directory_of((b"100644", b"t", twins[0]))))

    def _commits(self) -> None:
        for name, author in {
            "no-address": b"author Ada 1700000000 +0000",
            "no-date": b"author Ada <a@b>",
            "far-date": b"author Ada <a@b> 99999999999999999999 +0000",
            "negative-date": b"author Ada <a@b> -5 +0000",
            "odd-zone": b"author Ada <a@b> 5 +051800",
            "nobody": b"author  <> 5 +0000",
            "no-author": b"",
            "latin1": b"author J\xf6rg <a@b> 5 +0000\nauthor Second <a@b> 5 +0000",
        }.items():
            self.branch(name, self.commit(author=author))
        for name, more in {
            "signed": b"gpgsig " + SIGNATURE,
            "encoding": b"encoding ISO-8859-1",
            "unknown": b"x-one 1\nx-two a\n b\n  c\nx-empty ",
            "nul": b"x-nul a\0b",
        }.items():
            self.branch(name, self.commit(more=more))
        for name, message in {
            "empty": b"",
            "no-newline": b"text",
            "blank": b"\n\n  text  \n\n",
            "binary": b"a\0b\xff",
            "headers": b"tree 1\nparent 2\n",
            "huge": b"x" * (1 << 20),
        }.items():
            self.branch(f"message-{name}", self.commit(message=message))
        arms = [self.commit(None, self.root, message=b"arm %d\n" % n) for n in range(40)]
        self.branch("octopus", self.commit(None, *arms))
        self.branch("same-parents", self.commit(None, self.root, self.root))
        self.branch("upper-case", self.commit(self.tree.upper(), self.root.upper()))
        cut = b"tree " + self.tree.encode() + b"\nauthor " + WHO + b"\ncommitter " + WHO
        self.branch("cut-off", self.put("commit", cut))

    def _tags(self) -> None:
        inner = self.root
        for number in range(4):
            kind = b"tag" if number else b"commit"
            header = b"object %s\ntype %s\ntag t%d\n" % (inner.encode(), kind, number)
            inner = self.put("tag", header + b"tagger " + WHO + b"\n\nsigned\n" + SIGNATURE)
        bare = b"object %s\ntype tree\ntag of-tree\n" % self.tree.encode()
        self._refs[b"refs/tags/odd/nested"] = inner
        self._refs[b"refs/tags/odd/of-tree"] = self.put("tag", bare)
        self._refs[b"refs/tags/odd/tree"] = self.tree
        self._refs[b"refs/tags/odd/blob"] = self.file

    def _names(self) -> None:
        for name in (
            b"refs/notes/commits",
            b"refs/pull/1/head",
            b"refs/stash",
            b"refs/heads/-dash",
            b"refs/heads/@",
            b"refs/heads/\xff",
            "refs/heads/\u2028line".encode(),
            b"refs/heads/HEAD",
            b"refs/tags/main",
            b"refs/replace/" + self.root.encode(),
            b"refs/heads/" + self.root.encode(),
            b"refs/remotes/origin/main",
        ):
            self._refs[name] = self.commit(message=name + b"\n")


def objects(directory: Path) -> dict[bytes, bytes]:
    """All objects of a git repository: type and content, by id; the ids are verified."""
    out = _git(directory, "cat-file", "--batch", "--batch-all-objects")
    found = {}
    at = 0
    while at < len(out):
        end = out.index(b"\n", at)
        oid, kind, size = out[at:end].split()
        at = end + 1 + int(size) + 1
        content = out[end + 1 : at - 1]
        hashed = hashlib.sha1 if len(oid) == 40 else hashlib.sha256
        whole = b"%s %d\0%s" % (kind, len(content), content)
        assert hashed(whole).hexdigest() == oid.decode()
        found[oid] = kind + b" " + content
    return found


def references(directory: Path) -> bytes:
    """All refs of a git repository and their ids, and what HEAD names."""
    listed = _git(directory, "for-each-ref", "--format=%(objectname) %(refname)")
    return listed + (directory / "HEAD").read_bytes()


def _git(directory: Path, *arguments: str) -> bytes:
    command = ["git", "--no-replace-objects", f"--git-dir={directory}", *arguments]
    return subprocess.run(command, check=True, capture_output=True).stdout
