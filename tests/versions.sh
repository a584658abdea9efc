#!/usr/bin/env bash
# The isolation and equality tests on the oldest and the newest supported LangGraph, and on Pythons that this machine has not.
#
#   tests/versions.sh                         oldest and newest LangGraph, Python 3.13 and 3.14
#   tests/versions.sh --all                   the LangGraphs between as well, and nearly the whole suite on those Pythons
#   tests/versions.sh 1.0.10 python3.14 ...   these
#
# Virtual environments and chroots are kept in ${XDG_CACHE_HOME:-~/.cache}/otel-shadow, outside the clone. A Python that
# can't be had (no root, no Debian, no mirror) is no failure: the reason is the last thing printed, and in CI a warning.
set -euo pipefail
cd "$(dirname "$0")/.."
python="${PYTHON:-python3.11}"
command -v "$python" > /dev/null || python=python3
cache="${XDG_CACHE_HOME:-$HOME/.cache}/otel-shadow/venvs"
mkdir -p "$cache"

# What goes with a version: 0.6 as people have it, with the langchain-core of its time; 1.0 and 1.1.0 break with later prebuilts.
companions() {
  case "$1" in
    0.6.*) echo "langchain-core<1" ;;
    1.0.*|1.1.0) echo "langgraph-prebuilt<1.0.9" ;;
    newest) echo "langchain>=1" ;;
  esac
}

requirements() {
  "$python" - <<'PY'
import tomllib
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
wanted = [*project["dependencies"], *project["optional-dependencies"]["otlp"]]
print(*(line for line in wanted if not line.startswith("langgraph>")), sep="\n")
print("hypothesis>=6.100", "langgraph-checkpoint-sqlite", "pytest>=8.3", "pytest-asyncio>=0.24", sep="\n")
PY
}

prepare() {
  local version="$1" venv="$cache/langgraph-$1" pin="langgraph==$1"
  [ "$version" = newest ] && pin="langgraph<2"
  local wanted; wanted="$(requirements; companions "$version"; echo "$pin")"
  if [ ! -e "$venv/wanted" ] || [ "$(cat "$venv/wanted")" != "$wanted" ]; then
    rm -rf "$venv"
    "$python" -m venv "$venv"
    printf '%s\n' "$wanted" | "$venv/bin/pip" install --quiet --disable-pip-version-check -r /dev/stdin
    printf '%s\n' "$wanted" > "$venv/wanted"
  elif [ "$version" = newest ]; then
    "$venv/bin/pip" install --quiet --disable-pip-version-check --upgrade "$pin" || echo "offline: the newest of last time"
  fi
}

on_langgraph() {
  local version="$1"
  ( flock 9; prepare "$version" ) 9> "$cache/langgraph-$version.lock"
  "$cache/langgraph-$version/bin/python" -c '
from importlib.metadata import version
print("langgraph", version("langgraph"), "with langchain-core", version("langchain-core"))'
  PYTHONPATH="$PWD" "$cache/langgraph-$version/bin/python" -m pytest -q -p no:cacheprovider tests/langgraph
}

# What depends on the interpreter most: event loops and tasks, copies of states, threads, signals. A minute of a core each.
core=(tests/loops/test_production_loop.py tests/loops/test_pools_of_libraries.py tests/loops/test_synchronous_graphs.py
      tests/attacks/test_attack_state.py tests/langgraph/test_leaks.py)
wide=(tests --ignore=tests/docs --ignore=tests/integration --ignore=tests/test_install.py -m "not servers")

on_python() {
  local suite status=0 output
  case "$1" in
    python3.13) suite=trixie ;;
    python3.14) suite=sid ;;
    *) echo "no Debian suite is known to have $1" >&2; return 2 ;;
  esac
  output="$(mktemp)"
  echo "$1 of Debian's $suite"
  bash tests/debian_python.sh "$suite" "$1" python -m pytest -q -p no:cacheprovider "${tests[@]}" 2>&1 | tee "$output" ||
    status="${PIPESTATUS[0]}"
  [ "$status" = 77 ] && skipped+=("$1 was not tested: $(tail -n 1 "$output")")
  rm -f "$output"
  [ "$status" = 77 ] || return "$status"
}

targets=("$@") tests=("${core[@]}") skipped=()
[ $# -eq 0 ] && targets=(0.6.0 newest python3.13 python3.14)
if [ "${1:-}" = --all ]; then
  targets=(0.6.0 0.6.11 1.0.0 1.0.10 1.1.0 1.1.10 1.2.0 newest python3.13 python3.14)
  tests=("${wide[@]}")
fi
for target in "${targets[@]}"; do
  case "$target" in
    python*) on_python "$target" ;;
    *) on_langgraph "$target" ;;
  esac
done
for reason in ${skipped[@]+"${skipped[@]}"}; do
  echo "${GITHUB_ACTIONS:+::warning::}SKIPPED $reason"
done
