# shellcheck shell=bash
# lib.sh: what the scripts beside it share. They source it first.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# have COMMAND: is it on PATH?
have() { command -v "$1" >/dev/null 2>&1; }

# say TEXT: a headline of what runs now.
say() { printf '== %s\n' "$*"; }

# skip PART WHY: one line for a part that cannot be done here. Where nothing may
# be skipped (.ci/run) it is a failure.
skip() {
	printf 'skip: %s: %s\n' "$1" "$2"
	[ "${PINTLE_TEST_NO_SKIP:-}" != 1 ]
}
