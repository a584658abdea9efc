#!/usr/bin/env bash
# The isolation and equality tests on the oldest and the newest supported LangGraph.
#
#   tests/versions.sh              oldest and newest
#   tests/versions.sh --all        those between as well
#   tests/versions.sh 1.0.10 ...   these
#
# Virtual environments are kept in ${XDG_CACHE_HOME:-~/.cache}/otel-shadow/venvs, outside the clone.
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

versions=("$@")
[ $# -eq 0 ] && versions=(0.6.0 newest)
[ "${1:-}" = --all ] && versions=(0.6.0 0.6.11 1.0.0 1.0.10 1.1.0 1.1.10 1.2.0 newest)
for version in "${versions[@]}"; do
  ( flock 9; prepare "$version" ) 9> "$cache/langgraph-$version.lock"
  "$cache/langgraph-$version/bin/python" -c '
from importlib.metadata import version
print("langgraph", version("langgraph"), "with langchain-core", version("langchain-core"))'
  PYTHONPATH="$PWD" "$cache/langgraph-$version/bin/python" -m pytest -q -p no:cacheprovider tests/langgraph
done
