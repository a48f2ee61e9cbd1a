#!/usr/bin/env bash
# Runs every fuzz target for some seconds. Usage: fuzz.sh SECONDS
# With --can-build it only tells, by its exit code, whether fuzzing is possible here.
#
# cargo-fuzz wants a nightly compiler for its flags; RUSTC_BOOTSTRAP lets a stable one take them.
# The address sanitizer is used where its runtime is installed, and left out elsewhere.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v c++ >/dev/null; then
    echo 'fuzz: a C++ compiler is missing; install it with: apt-get install g++' >&2
    exit 1
fi
if ! command -v cargo-fuzz >/dev/null; then
    echo 'fuzz: installing cargo-fuzz'
    # Tools belong to the user, not to this checkout's build.
    env -u CARGO_TARGET_DIR cargo install --quiet --locked cargo-fuzz --version '^0.13'
fi
if [[ "${1:-}" == --can-build ]]; then exit 0; fi

readonly seconds=${1:?seconds per target}
export RUSTC_BOOTSTRAP=1
# The fuzzer's flags differ from those of other builds; a directory of its own keeps both warm.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}/fuzz

sanitizer=none
if compgen -G "$(rustc --print target-libdir)/librustc-*_rt.asan.*" >/dev/null; then
    sanitizer=address
fi

targets=$(cargo fuzz list)
cargo fuzz build --sanitizer "$sanitizer"
for target in $targets; do
    echo "fuzz: $target, $seconds s, sanitizer $sanitizer"
    # The fuzzer's own failure counts, not that of a filter that lets nothing through.
    cargo fuzz run --sanitizer "$sanitizer" "$target" -- \
        -max_total_time="$seconds" -rss_limit_mb=4096 -timeout=20 -print_final_stats=1 2>&1 |
        grep -vE '^#|^"|^INFO|NEW_FUNC|^ +(Running|Finished)' || [[ ${PIPESTATUS[0]} == 0 ]]
done
echo "fuzz: all targets passed"
