# Sourced by the scripts beside it: where things are, and which Home Assistant versions there are.
# shellcheck shell=bash disable=SC2034 # the variables are for the scripts that source this

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
VENV=$ROOT/.venv
cd "$ROOT" || exit

# Home Assistant has thousands of modules: without .pyc files every start compiles them again.
unset PYTHONDONTWRITEBYTECODE

# Someone else's virtual environment or Python path must not leak into ours.
unset VIRTUAL_ENV PYTHONHOME PYTHONPATH

say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }

die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

mapfile -t HA_LINES < <(sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$ROOT/scripts/ha-versions")
HA_VERSIONS=("${HA_LINES[@]%% *}")
HA_NEWEST=${HA_VERSIONS[-1]}
