"""An independent reader of a repository, written from docs/FORMAT.md with the standard library.

It shares no code with Helios. It checks structure, checksums and links, but no ids: BLAKE3 is not
in the standard library. Records that are compressed are read where Python has a zstd module.
"""

from __future__ import annotations

import os
import random
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import pytest

import helios

BLOB, TREE, SNAPSHOT = 1, 2, 3
RAW, ZSTD, SPLICE, CHUNKS = range(4)
KINDS = {1: "file", 2: "executable", 3: "symlink", 4: "directory", 5: "submodule"}
DIRECTORY = 4
STEPS_MAX = 1000


def zstd_decompressor() -> Callable[[bytes], bytes] | None:
    for name in ("compression.zstd", "zstandard"):
        try:
            decompress: Callable[[bytes], bytes] = import_module(name).decompress
        except ImportError:
            continue
        return decompress
    return None


ZSTD_DECOMPRESS = zstd_decompressor()


class Fields:
    """A cursor over bytes that are not trusted."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, count: int) -> bytes:
        assert 0 <= count <= len(self.data) - self.at, "truncated"
        self.at += count
        return self.data[self.at - count : self.at]

    def rest(self) -> bytes:
        return self.take(len(self.data) - self.at)

    def done(self) -> bool:
        return self.at == len(self.data)

    def u8(self) -> int:
        return self.take(1)[0]

    def u32(self) -> int:
        return int.from_bytes(self.take(4), "little")

    def u64(self) -> int:
        return int.from_bytes(self.take(8), "little")

    def i64(self) -> int:
        return int.from_bytes(self.take(8), "little", signed=True)

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self.u8()
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                assert byte or shift == 7, "not the shortest encoding"
                assert value < 1 << 64
                return value

    def string(self) -> bytes:
        return self.take(self.varint())

    def id(self) -> bytes:
        return self.take(32)


class Entry(NamedTuple):
    kind: str
    id: bytes
    size: int


class Found(NamedTuple):
    tree: bytes
    parents: list[bytes]
    time_us: int
    author: bytes
    message: bytes
    metadata: dict[bytes, bytes]


class Operation(NamedTuple):
    time_us: int
    actor: bytes
    command: bytes
    changes: list[tuple[bytes, bytes | None, bytes | None]]


def operation_of(data: bytes) -> Operation:
    fields = Fields(data)
    time_us, actor, command = fields.i64(), fields.string(), fields.string()
    changes: list[tuple[bytes, bytes | None, bytes | None]] = []
    while not fields.done():
        name, flags = fields.string(), fields.u8()
        assert flags <= 7
        old = fields.id() if flags & 1 else None
        new = fields.id() if flags & 2 else None
        changes.append((name, old, new))
    return Operation(time_us, actor, command, changes)


def frame_at(data: bytes, at: int) -> bytes | None:
    """The payload of the intact frame that starts at an offset."""
    if data[at : at + 4] != b"HLF1" or len(data) < at + 16:
        return None
    checksum, length = struct.unpack_from("<IQ", data, at + 4)
    end = at + 16 + length
    if length > 1 << 30 or end > len(data) or zlib.crc32(data[at + 8 : end]) != checksum:
        return None
    return data[at + 16 : end]


class Reader:
    """A repository whose journal has not been moved into L2."""

    def __init__(self, directory: Path) -> None:
        assert (directory / "format").read_bytes() == b"helios 3\n"
        self.records: dict[bytes, bytes] = {}
        self.refs: dict[bytes, bytes] = {}
        self.operations: list[Operation] = []
        self.damage: list[tuple[int, int, int]] = []
        self.torn = 0
        self.forms: set[int] = set()
        named = {path.name: path for path in (directory / "journal").iterdir()}
        numbers = sorted(
            int(name[:16], 16) for name in named if re.fullmatch(r"[0-9a-f]{16}\.journal", name)
        )
        for number in numbers:
            sealed = self.read_segment(number, named[f"{number:016x}.journal"].read_bytes())
            assert sealed == (number != numbers[-1])

    def read_segment(self, number: int, data: bytes) -> bool:
        assert data[:8] == b"HELIOSJ\n"
        assert data[8:12] == b"\1\0\0\0"
        assert not any(data[12:32])
        at = 32
        while any(data[at:]):
            payload = frame_at(data, at)
            if payload is None:
                later = (match.start() for match in re.finditer(b"HLF1", data[at + 1 :]))
                skip = next((1 + n for n in later if frame_at(data, at + 1 + n) is not None), None)
                if skip is None:
                    self.torn = len(data[at:].rstrip(b"\0"))
                    return False
                self.damage.append((number, at, skip))
                at += skip
                continue
            at += 16 + len(payload)
            if self.read_items(Fields(payload), number):
                return True
        return False

    def read_items(self, fields: Fields, number: int) -> bool:
        while not fields.done():
            match fields.u8():
                case 1:
                    found = fields.id()
                    self.records[found] = fields.take(fields.u32())
                case 2:
                    operation = operation_of(fields.take(fields.u32()))
                    self.operations.append(operation)
                    for name, old, new in operation.changes:
                        assert self.refs.pop(name, None) == old
                        if new is not None:
                            self.refs[name] = new
                case 3:
                    assert fields.u64() == number + 1
                    assert fields.done()
                    return True
                case tag:
                    raise AssertionError(f"unknown item {tag}")
        return False

    def object(self, id: bytes, steps: int = 0) -> tuple[int, bytes]:
        """Kind and canonical bytes."""
        assert steps < STEPS_MAX, "splices form a cycle"
        fields = Fields(self.records[id])
        kind, form, depth, length = fields.u8(), fields.u8(), fields.u8(), fields.varint()
        assert (form == SPLICE) == (1 <= depth <= 16)
        self.forms.add(form)
        if form == RAW:
            content = fields.rest()
        elif form == ZSTD:
            if ZSTD_DECOMPRESS is None:
                pytest.skip("this Python has no zstd module")
            content = ZSTD_DECOMPRESS(fields.rest())
        elif form == SPLICE:
            base_kind, base = self.object(fields.id(), steps + 1)
            offset, removed = fields.varint(), fields.varint()
            assert base_kind == kind
            assert offset + removed <= len(base)
            content = base[:offset] + fields.rest() + base[offset + removed :]
        else:
            assert form == CHUNKS
            pieces = []
            while not fields.done():
                piece_kind, piece = self.object(fields.id(), steps + 1)
                assert piece_kind == BLOB
                assert len(piece) == fields.varint()
                pieces.append(piece)
            content = b"".join(pieces)
        assert len(content) == length
        return kind, content

    def of_kind(self, id: bytes, kind: int) -> bytes:
        found, content = self.object(id)
        assert found == kind
        return content

    def snapshot(self, id: bytes) -> Found:
        fields = Fields(self.of_kind(id, SNAPSHOT))
        tree = fields.id()
        parents = [fields.id() for _ in range(fields.varint())]
        time_us, author, message = fields.i64(), fields.string(), fields.string()
        pairs = [(fields.string(), fields.string()) for _ in range(fields.varint())]
        assert fields.done()
        keys = [key for key, _ in pairs]
        assert keys == sorted(set(keys))
        return Found(tree, parents, time_us, author, message, dict(pairs))

    def entries(self, node: bytes, level: int | None = None) -> Iterator[tuple[bytes, Entry]]:
        """Names and entries of one directory."""
        fields = Fields(self.of_kind(node, TREE))
        found_level = fields.u8()
        assert level is None or found_level == level
        names = []
        while not fields.done():
            if found_level == 0:
                kind, name = KINDS[fields.u8()], fields.string()
                yield name, Entry(kind, fields.id(), fields.varint())
            else:
                name, child = fields.string(), fields.id()
                count, files = fields.varint(), fields.varint()
                below = list(self.entries(child, found_level - 1))
                assert below[0][0] == name
                assert len(below) == count
                assert sum(files_of(entry) for _, entry in below) == files
                yield from below
            names.append(name)
        assert names == sorted(set(names))

    def walk(self, node: bytes, above: bytes = b"") -> Iterator[tuple[bytes, Entry]]:
        """Paths and entries, directories before what they hold; their sizes are checked."""
        for name, entry in self.entries(node):
            assert name not in (b"", b".", b"..")
            assert not set(name) & set(b"/\0")
            yield above + name, entry
            if entry.kind == "directory":
                below = list(self.walk(entry.id, above + name + b"/"))
                assert entry.size == sum(each.kind != "directory" for _, each in below)
                yield from below

    def files(self, snapshot: bytes) -> dict[str, bytes]:
        found = {}
        for path, entry in self.walk(self.snapshot(snapshot).tree):
            if entry.kind != "directory":
                found[path.decode()] = content = self.of_kind(entry.id, BLOB)
                assert len(content) == entry.size
        return found


def files_of(entry: Entry) -> int:
    return entry.size if entry.kind == "directory" else 1


def agree(reader: Reader, repository: helios.Repository) -> None:
    """Branches, all snapshots behind them, and every file in these."""
    refs = {name.decode(): value.hex() for name, value in reader.refs.items()}
    assert refs == {f"heads/{name}": value for name, value in repository.branches().items()}
    for branch in repository.branches():
        for snapshot in repository.log(branch):
            found = reader.snapshot(bytes.fromhex(snapshot.id))
            assert found.tree.hex() == snapshot.tree_id
            assert [parent.hex() for parent in found.parents] == snapshot.parents
            assert found.time_us == snapshot.time_us
            assert found.author.decode() == snapshot.author
            assert found.message.decode() == snapshot.message
            metadata = {key.decode(): value for key, value in found.metadata.items()}
            assert metadata == snapshot.metadata
            vst = repository.vst(snapshot)
            files = reader.files(bytes.fromhex(snapshot.id))
            assert sorted(files) == sorted(vst)
            for path, content in files.items():
                assert vst[path] == content
            for raw_path, entry in reader.walk(found.tree):
                assert vst.kind(raw_path) == entry.kind


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[helios.Repository]:
    with helios.Repository.init(tmp_path / "project", author="A. U. Thor", actor="me") as made:
        yield made


def directory_of(repository: helios.Repository) -> Path:
    return Path(repository.directory or "")


def test_a_history_of_small_commits_reads_the_same(repository: helios.Repository) -> None:
    vst = repository.vst()
    for number in range(150):
        vst[f"src/module_{number:03}.py"] = f"value = {number}\n" * (1 + number % 40)
        if number % 50 == 49:
            vst.commit(f"up to {number}", metadata={"number": str(number), "agent": b"\xff"})
    vst.write("run", "#!/bin/sh\n", executable=True)
    vst.write("link", "src/module_000.py", symlink=True)
    vst.mkdir("empty/below")
    vst["empty file"] = b""
    vst.commit("kinds")
    for number in range(20):
        vst["src/module_039.py"] = vst["src/module_039.py"] + b"# line %d\n" % number
        vst.commit(f"edit {number}")
    vst.delete("src/module_000.py")
    vst.rename("run", "bin/run")
    vst.commit()
    vst.fork("attempt/1").commit("an attempt")
    repository.create_branch("gone")
    repository.delete_branch("gone")

    reader = Reader(directory_of(repository))
    agree(reader, repository)
    assert {RAW, SPLICE} <= reader.forms
    assert reader.damage == []
    assert reader.torn == 0
    root = reader.snapshot(reader.refs[b"heads/main"]).tree
    source = dict(reader.entries(root))[b"src"].id
    assert reader.of_kind(source, TREE)[0] > 0, "149 entries are more than one node"
    assert reader.operations[-1].command == b"branch -d gone"
    process = os.getpid()
    assert {operation.actor for operation in reader.operations} == {
        b"me pid=%d" % process,
        b"me pid=%d worktree=main" % process,
    }


def test_segments_chunks_and_compression_read_the_same(repository: helios.Repository) -> None:
    vst = repository.vst()
    for seed in range(3):
        vst["large"] = random.Random(seed).randbytes(2 << 20) + b"the end"
        if ZSTD_DECOMPRESS is not None:
            # Behind much content in one commit: there compression pays.
            vst["text"] = f"line of {seed}\n" * 1000
        vst.commit(f"seed {seed}")
    assert len(list((directory_of(repository) / "journal").glob("*.journal"))) > 1
    reader = Reader(directory_of(repository))
    agree(reader, repository)
    assert CHUNKS in reader.forms
    assert (ZSTD in reader.forms) == (ZSTD_DECOMPRESS is not None)


def test_zeros_ahead_of_the_frames_are_not_a_torn_tail(tmp_path: Path) -> None:
    with helios.Repository.init(tmp_path, durability="disk") as repository:
        vst = repository.vst()
        vst["a"] = b"content"
        vst.commit()
        [segment] = (directory_of(repository) / "journal").glob("*.journal")
        assert segment.stat().st_size == 256 << 10
        reader = Reader(directory_of(repository))
        agree(reader, repository)
        assert (reader.torn, reader.damage) == (0, [])
        number, offset, _failed = struct.unpack(">QQ?", (segment.parent / "synced").read_bytes())
        assert number == 1
        assert not any(segment.read_bytes()[offset:])


def test_damage_and_a_torn_tail_are_told_apart(repository: helios.Repository) -> None:
    vst = repository.vst()
    ends = []
    [segment] = (directory_of(repository) / "journal").glob("*.journal")
    for number in range(3):
        vst[f"{number}"] = b"%d" % number
        vst.commit()
        ends.append(segment.stat().st_size)
    good = segment.read_bytes()
    segment.write_bytes(good[:-1])
    torn = Reader(directory_of(repository))
    assert (torn.torn, torn.damage) == (ends[2] - ends[1] - 1, [])

    damaged = bytearray(good)
    damaged[ends[1] + 20 - (ends[1] - ends[0])] ^= 1
    segment.write_bytes(damaged)
    with helios.Repository.open(Path(repository.root or "")) as opened:
        assert opened.damage == [(1, ends[0], ends[1] - ends[0])]


def test_the_worktree_and_the_metrics_read_as_documented(repository: helios.Repository) -> None:
    root = Path(repository.root or "")
    (root / "a").write_bytes(b"content of a")
    (root / "tool").write_bytes(b"#!/bin/sh\n")
    (root / "tool").chmod(0o755)
    committed = repository.worktree.commit("first")
    (root / "sub").mkdir()
    (root / "sub" / "b").write_bytes(b"content of b")
    (root / "a").unlink()
    committed = repository.worktree.commit("second")
    repository.worktree.switch("next", create=True)
    directory = directory_of(repository)
    expected = f"next\n{committed.snapshot.id}\n"
    assert (directory / "worktree" / "head").read_text() == expected

    tree, known = index_of((directory / "worktree" / "index").read_bytes())
    assert tree.hex() == committed.snapshot.tree_id
    assert sorted(known) == [b"sub", b"sub/b", b"tool"]
    reader = Reader(directory)
    for path, entry in reader.walk(tree):
        kind, size, inode, content = known[path]
        assert KINDS[kind] == entry.kind
        assert inode in (0, (root / path.decode()).lstat().st_ino)
        if kind != DIRECTORY:
            assert (content, size) == (entry.id, entry.size)

    words = struct.unpack("=1344Q", (directory / "metrics").read_bytes())
    assert words[0] == int.from_bytes(b"HELIOSM1", "little")
    figures = repository.stats()
    assert words[6] == figures["engine"]["commits"] == sum(words[64:])
    assert words[7] == figures["engine"]["new_objects"]
    assert list(words[16:20]) == list(figures["objects"].values())
    assert not any(words[20:64])
    bucket = max(bucket for bucket in range(1280) if words[64 + bucket])
    group = max(bucket // 32 - 1, 0)
    ceiling = ((bucket - 32 * group + 1) << group) - 1
    assert figures["engine"]["commit_latency_us_p99"] == pytest.approx(ceiling / 1000)


def index_of(data: bytes) -> tuple[bytes, dict[bytes, tuple[int, int, int, bytes]]]:
    """The tree, and kind, size, inode and id by path."""
    known: dict[bytes, tuple[int, int, int, bytes]] = {}
    tree = b""
    fields = Fields(data)
    while not fields.done():
        start = fields.at
        assert fields.take(4) == (b"HIXL" if start else b"HIXB")
        assert fields.u32() == (2 if start else 3)
        length, checksum = fields.u64(), fields.u32()
        payload = Fields(fields.take(length))
        assert zlib.crc32(data[start : start + 16] + payload.data) == checksum
        assert payload.u8() == 1
        tree = payload.id()
        # Nobody watched.
        assert (payload.take(16), payload.u64()) == (bytes(16), 0)
        if not start:
            payload = Fields(b"".join(pages_of(payload, fields)))
        while not payload.done():
            path_length, kind, flags = payload.u32(), payload.u8(), payload.u8()
            size, _, _, inode = payload.u64(), payload.i64(), payload.i64(), payload.u64()
            content = payload.id()
            path = payload.take(path_length)
            assert flags <= 3
            if kind == 0:
                del known[path]
            else:
                known[path] = (kind, size, inode, content)
    return tree, known


def pages_of(directory: Fields, fields: Fields) -> Iterator[bytes]:
    """The pages of a base block, which lie behind its payload."""
    records = directory.u64()
    paths = []
    while not directory.done():
        length, checksum, flags = directory.u32(), directory.u32(), directory.u8()
        first = directory.take(directory.u32())
        page = fields.take(length)
        assert zlib.crc32(page) == checksum
        assert page[70:].startswith(first)
        assert flags <= 1
        paths.append(first)
        yield page
        records -= 1
    assert paths == sorted(set(paths))
    # A page has one record or more.
    assert records >= 0


def test_the_l2_store_holds_what_is_documented(repository: helios.Repository) -> None:
    rocksdict = pytest.importorskip("rocksdict")
    vst = repository.vst()
    vst["a"] = b"content"
    large = random.Random(1).randbytes(64 << 10)
    vst["large"] = large
    snapshot = vst.commit("first")
    before = Reader(directory_of(repository))
    repository.maintenance()
    path = str(directory_of(repository) / "l2")
    families = rocksdict.Rdict.list_cf(path, rocksdict.Options(raw_mode=True))
    assert set(families) == {"default", "objects", "refs", "operations", "chunks"}
    options = {name: rocksdict.Options(raw_mode=True) for name in families}
    access = rocksdict.AccessType.read_only(error_if_log_file_exist=False)
    store = rocksdict.Rdict(path, options["default"], options, access)
    objects, refs, operations, chunks = (
        dict(store.get_column_family(name).items())
        for name in ("objects", "refs", "operations", "chunks")
    )
    [(large_id, location)] = chunks.items()
    pack, offset, length = struct.unpack("<3Q", location)
    packed = Path(path, f"{pack:016x}.pack").read_bytes()
    entry = struct.pack("<4s32sQ", b"\x89HLR", large_id, length)
    assert packed[offset - len(entry) : offset] == entry
    record = packed[offset : offset + length]
    assert record.endswith(large)
    assert len(packed) == offset + length
    assert struct.unpack("<BBQ", objects[large_id]) == (record[0], record[1] | 0x80, len(record))
    objects[large_id] = record
    *counts, record_bytes = struct.unpack(">5Q", objects.pop(b"counters"))
    assert objects == before.records
    assert sum(counts) == len(objects)
    assert record_bytes == sum(map(len, objects.values()))
    assert refs == {b"heads/main": bytes.fromhex(snapshot.id)}
    [(position, operation)] = operations.items()
    assert struct.unpack(">QQ", position)[0] == 1
    assert operation_of(operation) == before.operations[0]
    store.close()
