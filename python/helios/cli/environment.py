"""Every environment variable that Helios reads, and nothing else of Helios reads any.

====================  ==========================================================================
variable              meaning
====================  ==========================================================================
HELIOS_AUTHOR         author of snapshots; else `GIT_AUTHOR_NAME <GIT_AUTHOR_EMAIL>`, else
                      user@host. `commit --author` wins over all
HELIOS_DURABILITY     `disk` (default) or `process`: what a finished commit survives.
                      `--durability` wins
HELIOS_CACHE_BYTES    size of the L1 cache, as bytes or with a unit: 67108864, 64MiB
HELIOS_TRACEBACK      set to anything: a defect shows its traceback
NO_COLOR              set to anything: no colour (https://no-color.org)
TERM                  `dumb`: no colour
HOME                  the directory that `commit` and `init` refuse, and where git's files are
XDG_CONFIG_HOME       where git's `git/config` and `git/ignore` are; `~/.config` by default
GIT_CONFIG_GLOBAL     read instead of git's two personal configuration files
====================  ==========================================================================

An empty variable counts as not set. Where git is run, it reads what is its own.
"""

from __future__ import annotations

import os

from helios.errors import Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from helios.repository.options import Durability

DURABILITY = "disk"
DURABILITIES: tuple[Durability, ...] = ("disk", "process")
_UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


def _value(name: str) -> str | None:
    return os.environ.get(name) or None


def allows_color() -> bool:
    """Whether a terminal may be shown colours."""
    return _value("NO_COLOR") is None and _value("TERM") != "dumb"


def wants_traceback() -> bool:
    """Whether a defect shows where it is."""
    return _value("HELIOS_TRACEBACK") is not None


def durability() -> Durability:
    """`disk` or `process`. Raises `Usage` for anything else."""
    name = _value("HELIOS_DURABILITY") or DURABILITY
    for known in DURABILITIES:
        if name == known:
            return known
    raise Usage(f"HELIOS_DURABILITY is {name!r}; it must be `disk` or `process`")


def cache_bytes() -> int | None:
    """The size of the L1 cache, None for the default. Raises `Usage` for what is not a size."""
    text = _value("HELIOS_CACHE_BYTES")
    if text is None:
        return None
    number = text.strip().lower().removesuffix("b").removesuffix("i")
    unit = number[-1:] if number[-1:].isalpha() else ""
    digits = number.removesuffix(unit).strip()
    if not (digits.isascii() and digits.isdigit()) or unit not in _UNITS:
        raise Usage(f"HELIOS_CACHE_BYTES is {text!r}; it must be a size such as 67108864 or 64MiB")
    return int(digits) * _UNITS[unit]


def author() -> str:
    """Who makes snapshots here."""
    chosen = _value("HELIOS_AUTHOR")
    if chosen is not None:
        return _text(chosen)
    name, email = _value("GIT_AUTHOR_NAME"), _value("GIT_AUTHOR_EMAIL")
    if name is not None and email is not None:
        return _text(f"{name} <{email}>")
    if name or email:
        return _text(name or email or "")
    from helios.repository.account import user_at_host

    return user_at_host()


def _text(value: str) -> str:
    """A value as text. What is not UTF-8 is replaced: nobody gives this anew with each commit."""
    return os.fsencode(value).decode("utf-8", "replace")


def home() -> str | None:
    """The home directory that `HOME` names."""
    return _value("HOME")


def excludes_file(directory: str) -> str | None:
    """git's personal ignore file (`core.excludesFile`) as a path, None if there is none.

    A relative name is taken from `directory`. What cannot be read is as if it were not there.
    """
    chosen: str | None = None
    for file in _git_configurations():
        from helios.cli.git_config import last_value

        found = last_value(file, "core", "excludesfile")
        if found is not None:
            chosen = found
    if chosen is None:
        configuration = _configuration_home()
        chosen = configuration and os.path.join(configuration, "git", "ignore")
    if not chosen:
        return None
    path = os.path.join(directory, os.path.expanduser(chosen))
    return path if os.path.isfile(path) else None


def _configuration_home() -> str | None:
    chosen = _value("XDG_CONFIG_HOME")
    if chosen is not None:
        return chosen
    owner = home()
    return owner and os.path.join(owner, ".config")


def _git_configurations() -> list[str]:
    """git's personal configuration files that are there, the one that wins last."""
    chosen = _value("GIT_CONFIG_GLOBAL")
    if chosen is not None:
        return [chosen]
    configuration, owner = _configuration_home(), home()
    files = [configuration and os.path.join(configuration, "git", "config")]
    files.append(owner and os.path.join(owner, ".gitconfig"))
    return [file for file in files if file and os.path.isfile(file)]
