"""The wheel carries its scripts, and the licences of what is in it."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# What `make cover` sets to count lines would have everything compiled anew.
COUNTING = ("RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "LLVM_PROFILE_FILE")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel as `pip install .` builds it, with what `make setup` has compiled."""
    out = tmp_path_factory.mktemp("wheel")
    kept = {
        key: value
        for key, value in os.environ.items()
        if key not in COUNTING and not key.startswith("CARGO_PROFILE_")
    }
    # As the Makefile sets them: others would have PyO3 compiled anew.
    environment = {**kept, "PYO3_PYTHON": sys.executable, "VIRTUAL_ENV": sys.prefix}
    subprocess.run(
        [sys.executable, "-m", "maturin", "build", "--release", "--locked", "--out", str(out)],
        check=True,
        cwd=ROOT,
        env=environment,
        capture_output=True,
    )
    (path,) = out.glob("*.whl")
    return path


@pytest.mark.slow
def test_the_wheel_carries_the_licence_texts(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        folder = metadata.removesuffix("METADATA") + "licenses/"
        lines = archive.read(metadata).decode().splitlines()
        assert "License-Expression: Apache-2.0" in lines
        for name in ("LICENSE", "NOTICE", "THIRD_PARTY_LICENSES.txt"):
            assert archive.read(folder + name) == (ROOT / name).read_bytes()
            assert f"License-File: {name}" in lines


@pytest.mark.slow
def test_the_wheel_puts_the_scripts_on_the_path(wheel: Path) -> None:
    """`git-remote-helios` is what git looks for, by this name."""
    with zipfile.ZipFile(wheel) as archive:
        found = {name.rpartition("/")[2] for name in archive.namelist() if ".data/scripts/" in name}
    assert found == {"helios-cli", "git-remote-helios"}
