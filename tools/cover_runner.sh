#!/usr/bin/env bash
# Runs a test binary for tools/cover.sh, and pytest after the unit tests of the core.
# Usage: cover_runner.sh BINARY [ARGUMENTS]
set -euo pipefail

"$@"

# The unit tests' binary; integration tests of the core have other names.
case "$(basename "$1")" in
helios_core-*) ;;
*) exit 0 ;;
esac
case " $* " in *' --list '* | *' --ignored '*) exit 0 ;; esac

cd "$HELIOS_COVER_ROOT"
# Many short processes share a few files instead of writing one each (%m: merged on exit).
counters=$(dirname "$LLVM_PROFILE_FILE")
export LLVM_PROFILE_FILE=$counters/python_%4m.profraw
# The copy with the instrumented extension comes before the editable install.
export PYTHONPATH=$HELIOS_COVER_PYTHON
.venv/bin/coverage run -m pytest || failed=$?
# Children whose environment a test has cleared write beside the sources.
rm -f default_*.profraw
exit "${failed:-0}"
