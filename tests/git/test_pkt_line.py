"""Packet lines, as git writes them and as it must not."""

from __future__ import annotations

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helios.errors import GitFailed
from helios.git import pkt_line


@given(st.lists(st.binary(max_size=200).filter(lambda line: not line.endswith(b"\n"))))
def test_what_is_written_is_read(lines: list[bytes]) -> None:
    stream = BytesIO()
    pkt_line.write(stream, lines)
    stream.write(b"rest")
    stream.seek(0)
    assert pkt_line.read(stream) == lines
    assert stream.read() == b"rest"


def test_the_form_is_that_of_git() -> None:
    stream = BytesIO()
    pkt_line.write(stream, [b"version=1\0atomic"])
    assert stream.getvalue() == b"0014version=1\0atomic0000"


def test_newlines_at_the_end_do_not_count() -> None:
    assert pkt_line.read(BytesIO(b"0006a\n0005b0000")) == [b"a", b"b"]


def test_a_line_that_is_too_long_is_cut() -> None:
    stream = BytesIO()
    pkt_line.write(stream, [b"x" * 100_000])
    stream.seek(0)
    assert pkt_line.read(stream) == [b"x" * 65_516]


@pytest.mark.parametrize(
    "said", [b"", b"00", b"0005", b"0008ab", b"zzzz", b"0001", b"0003", b"ffff", b"-001", b" 5  a"]
)
def test_what_is_no_packet_is_refused(said: bytes) -> None:
    with pytest.raises(GitFailed, match="git went away"):
        pkt_line.read(BytesIO(said))
