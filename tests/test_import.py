"""`import helios`: every public name is there, and nothing heavy is loaded before it is used."""

from __future__ import annotations

import doctest
import subprocess
import sys
from importlib.resources import files

import pytest

import helios

HEAVY = {"rocksdict", "typing", "dataclasses", "json", "argparse", "helios._core"}


def modules_after(statement: str) -> set[str]:
    script = f"import sys; old = set(sys.modules)\n{statement}\nprint(*set(sys.modules) - old)"
    done = subprocess.run(
        [sys.executable, "-c", script],
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": ":".join(filter(None, sys.path)), "PATH": ""},
    )
    return set(done.stdout.split())


def test_importing_the_package_loads_nothing_heavy() -> None:
    loaded = modules_after("import helios")
    assert "helios" in loaded
    assert not loaded & HEAVY


def test_opening_a_repository_does_not_load_rocksdb() -> None:
    loaded = modules_after(
        "import helios, tempfile\n"
        "with tempfile.TemporaryDirectory() as place:\n"
        "    helios.Repository.init(place).vst()['a'] = b'1'\n"
    )
    assert "helios._core" in loaded
    assert "rocksdict" not in loaded


@pytest.mark.parametrize("name", helios.__all__)
def test_every_public_name_can_be_had(name: str) -> None:
    assert getattr(helios, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = helios.Nothing


def test_the_tour_in_the_docstring_is_true() -> None:
    assert doctest.testmod(helios).failed == 0


def test_the_package_says_that_it_is_typed() -> None:
    assert files("helios").joinpath("py.typed").is_file()


def test_versions_of_package_and_core_agree() -> None:
    from helios import _core

    assert _core.__version__ == helios.__version__
