#!/usr/bin/env bash
# Checks that what `make setup` needs is here; names each missing tool and the command that
# installs it. Usage: check_toolchain.sh PYTHON
set -euo pipefail

readonly rust_minor_min=89
missing=0

on_macos() { [[ "$(uname -s)" == Darwin ]]; }

lacks() { # what is missing, the command on macOS, the command elsewhere
    missing=1
    if on_macos; then
        printf 'setup: %s; install it with: %s\n' "$1" "$2" >&2
    else
        printf 'setup: %s; install it with: %s\n' "$1" "$3" >&2
    fi
}

python=${1:-}
if [[ -z "$python" ]]; then
    lacks 'Python 3.11 or later is missing' 'brew install python@3.12' \
        'apt-get install python3 python3-venv'
elif ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    lacks "the venv module of $python is missing" 'brew reinstall python@3.12' \
        'apt-get install python3-venv'
fi

# On macOS `cc` is always there: as a stub that asks for the tools.
has_compiler() {
    if on_macos; then xcode-select -p >/dev/null 2>&1; else command -v cc >/dev/null; fi
}
if ! has_compiler; then
    lacks 'a C compiler is missing' 'xcode-select --install' 'apt-get install build-essential'
fi

rust_hint='rustup toolchain install stable (rustup comes with: apt-get install rustup)'
rust_hint_macos='brew install rustup && rustup toolchain install stable'
if ! command -v cargo >/dev/null || ! command -v rustc >/dev/null; then
    lacks "cargo and rustc 1.$rust_minor_min or later are missing" "$rust_hint_macos" "$rust_hint"
else
    version=$(rustc --version | awk '{print $2}')
    IFS=. read -r major minor _ <<<"$version"
    if ((major == 1 && minor < rust_minor_min)); then
        lacks "rustc $version is older than 1.$rust_minor_min" 'rustup update stable' \
            'rustup update stable'
    fi
fi

exit "$missing"
