#!/usr/bin/env bash
# Coverage of both languages, from one run of all tests; fails below PERCENT_MIN of either.
#
# Python: coverage.py counts every file of python/helios, in child processes too.
# Rust: cargo-tarpaulin counts every file of crates/*/src but the tests in them. It has no way to
# run pytest, which alone reaches the bindings; but it runs test binaries through cargo's target
# runner. That runner is tools/cover_runner.sh: after the unit tests of the core it runs pytest on
# an instrumented build of the extension, whose counters land where tarpaulin looks for them.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly percent_min=85
readonly tarpaulin=0.37.5
readonly root=$PWD
readonly target=${CARGO_TARGET_DIR:-$root/target}/cover
readonly staged=$target/python

# Neither an earlier verdict nor an earlier report may stand for this run's.
rm -f .compliance/coverage.json "$target/lcov.info" "$target/coverage.json"

if [[ "$(cargo tarpaulin --version 2>/dev/null)" != *"$tarpaulin"* ]]; then
    echo "cover: installing cargo-tarpaulin $tarpaulin; this takes some minutes, once"
    # Tools belong to the user, not to this checkout's build.
    env -u CARGO_TARGET_DIR cargo install --quiet --locked cargo-tarpaulin --version "$tarpaulin"
fi

# 1. The extension with counters, in a copy of the Python package: the user's own build stays.
flags=$(cargo tarpaulin --print-rust-flags --engine llvm --stderr 2>/dev/null |
    sed -n 's/^RUSTFLAGS="\(.*\)"$/\1/p')
echo "cover: building the instrumented extension"
# Optimised a little: the tests drive whole worktrees through it, and counting is not affected.
RUSTFLAGS=$flags PYO3_BUILD_EXTENSION_MODULE=1 CARGO_PROFILE_DEV_OPT_LEVEL=1 \
    cargo rustc --quiet --locked -p helios-py --lib --target-dir "$target/extension" -- \
    $([[ "$(uname -s)" == Darwin ]] && echo '-Clink-arg=-undefined -Clink-arg=dynamic_lookup')
rm -rf "$staged"
mkdir -p "$staged"
cp -R python/helios "$staged/"
rm -f "$staged"/helios/_core*.so
for library in "$target"/extension/debug/lib_core.{so,dylib}; do
    if [[ -f "$library" ]]; then cp "$library" "$staged/helios/_core.abi3.so"; fi
done

# 2. All tests.
rm -f .coverage .coverage.*
host=$(rustc -vV | sed -n 's/^host: //p')
runner=CARGO_TARGET_$(tr 'a-z-' 'A-Z_' <<<"$host")_RUNNER
export "$runner=$root/tools/cover_runner.sh"
export HELIOS_COVER_ROOT=$root HELIOS_COVER_PYTHON=$staged
rust=0
cargo tarpaulin --engine llvm --locked --skip-clean --timeout 1800 --stderr \
    --packages helios-core --tests \
    --target-dir "$target/tarpaulin" \
    --objects "$staged/helios/_core.abi3.so" \
    --include-files 'crates/*/src/*' --exclude-files '*/tests.rs' --exclude-files '*/tests/*' \
    --fail-under "$percent_min" --out Stdout --out Lcov --output-dir "$target" || rust=$?

# 3. Both verdicts, whichever fails.
python=0
if ! compgen -G '.coverage.*' >/dev/null; then
    echo 'cover: pytest has not run' >&2
    exit 1
fi
.venv/bin/coverage combine --quiet
.venv/bin/coverage report --fail-under "$percent_min" || python=$?
.venv/bin/coverage json --quiet --fail-under 0 -o "$target/coverage.json"
PYTHONPATH=tools .venv/bin/python -m compliance coverage \
    "$target/lcov.info" "$target/coverage.json" "$percent_min" || rust=$?
if ((rust || python)); then
    echo "cover: failed: a test, or coverage below $percent_min% of Rust or of Python" >&2
    exit 1
fi
echo "cover: Rust and Python are at or above $percent_min%; Rust's lines: $target/lcov.info"
