#!/usr/bin/env bash
# Builds the servers that the tests start, and installs the two that Debian has. Run it as often as you like.
#
#   bash servers/build.sh                  build what is missing (cold: about 20 minutes on 2 cores; then a second)
#   bash servers/build.sh --where NAME     print where the binaries of collector, prometheus, jaeger or compose are (built or not)
#
# Each server lives in ${XDG_CACHE_HOME:-~/.cache}/otel-shadow/servers/NAME-<hash of its manifest>/, outside the clone, so
# that every clone on a machine shares one build. The sums of all modules are committed; nothing else is trusted.
set -euo pipefail
cd "$(dirname "$0")"
cache="${XDG_CACHE_HOME:-$HOME/.cache}/otel-shadow/servers"

declare -A packages=(
  [collector]="."
  [prometheus]="github.com/prometheus/prometheus/cmd/prometheus github.com/prometheus/prometheus/cmd/promtool"
  [jaeger]="github.com/jaegertracing/jaeger/cmd/jaeger"
  [compose]="github.com/compose-spec/compose-go/v2/cmd"
)

say() { echo "servers: $*" >&2; }

folder() { # NAME: its place in the cache
  echo "$cache/$1-$(cat "$1"/* | sha256sum | cut -c1-12)"
}

build() { # NAME: into a temporary folder, then one rename, so that a half-built server is never seen
  local target new
  target="$(folder "$1")"
  [ -d "$target" ] && { say "$1: ready"; return; }
  command -v go >/dev/null || { say "$1: can't be built: Go 1.26 or newer is missing (https://go.dev/dl)"; return 1; }
  say "$1: building, this takes minutes"
  new="$(mktemp -d "$cache/.new-XXXXXX")"
  # shellcheck disable=SC2086 # the list of packages is meant to be split
  if (cd "$1" && GOFLAGS="-mod=readonly -buildvcs=false" \
      nice go build -trimpath -ldflags "-s -w" -o "$new/" ${packages[$1]}) 2> >(grep -v "^go: downloading" >&2); then
    chmod 755 "$new" && mv -T "$new" "$target" && say "$1: built"
  else
    rm -rf "$new"
    say "$1: the build failed (see above)"
    return 1
  fi
}

debian() { # PACKAGE BINARY...: installed if none of the binaries (patterns allowed) is there
  local package="$1" pattern
  shift
  for pattern in "$@"; do
    compgen -G "$pattern" >/dev/null && { say "$package: ready"; return; }
  done
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    say "$package: missing; as root on Debian: apt-get install $package"
    return 1
  fi
  say "$package: installing"
  export DEBIAN_FRONTEND=noninteractive
  [ -n "${updated:-}" ] || { apt-get -qq update >/dev/null && updated=yes; }
  apt-get -qq install -y --no-install-recommends "$package" >/dev/null 2>&1 || { say "$package: apt-get failed"; return 1; }
}

if [ "${1:-}" = --where ]; then
  folder "$2"
  exit
fi

mkdir -p "$cache"
exec 9>"$cache/.lock"
flock 9 # a second call waits for the first, and then finds everything ready
rm -rf "$cache"/.new-*
failed=0
for name in collector prometheus jaeger compose; do build "$name" || failed=1; done
debian chromium /usr/bin/chromium /usr/bin/chromium-browser /usr/bin/google-chrome || failed=1
debian postgresql "/usr/lib/postgresql/*/bin/postgres" || failed=1
exit "$failed"
