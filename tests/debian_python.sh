#!/usr/bin/env bash
# A Python that this machine has not, from Debian: a chroot per suite, made once by debootstrap and kept outside the clone.
#
#   tests/debian_python.sh SUITE PYTHON COMMAND ...    runs COMMAND in the clone, with the test's packages in its environment
#
# Exit code 77: it can't be had here; the last line on standard error says why.
# The mirror is the one in this machine's own apt sources, or DEBIAN_MIRROR. To renew a chroot, remove its folder.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH="$PATH:/usr/sbin:/sbin"
suite="$1" python="$2"
shift 2
cache="${XDG_CACHE_HOME:-$HOME/.cache}/otel-shadow/debian"
root="$cache/$suite-$python"

refuse() {
  echo "$*" >&2
  exit 77
}

mirror_of_this_machine() {
  # shellcheck source=/dev/null
  (. /etc/os-release && apt-get indextargets --format '$(RELEASE) $(REPO_URI)' "Created-By: Packages" |
    awk -v release="${VERSION_CODENAME:-}" '$1 == release { print $2; exit }')
}

install_debootstrap() {
  command -v debootstrap > /dev/null && return
  [ -n "${CI:-}" ] || refuse "debootstrap is not installed"
  { apt-get update -qq && apt-get install -y -qq --no-install-recommends debootstrap; } > /dev/null 2>&1 || true
  command -v debootstrap > /dev/null || refuse "debootstrap is not installed, and can't be"
}

# A chroot that is not whole is never seen: it is made beside its place and moved there under the lock.
make_root() {
  [ -e "$root/usr/bin/$python" ] && return
  install_debootstrap
  local mirror half log
  mirror="${DEBIAN_MIRROR:-$(mirror_of_this_machine)}"
  [ -n "$mirror" ] || refuse "no Debian mirror among this machine's apt sources"
  rm -rf --one-file-system "$root" "$cache/half-$suite-$python".*
  half="$(mktemp -d "$cache/half-$suite-$python.XXXXXX")" log="$cache/$suite-$python.log"
  chmod 755 "$half"
  if ! timeout 900 debootstrap --variant=minbase --include="$python,$python-venv,ca-certificates" "$suite" "$half" "$mirror" \
      > "$log" 2>&1; then
    rm -rf --one-file-system "$half"
    refuse "debootstrap of $suite failed: $(tail -n 1 "$log")"
  fi
  rm -rf "$half/var/cache/apt/archives" "$half/var/lib/apt/lists"
  mv "$half" "$root"
}

# What the command needs of this machine is mounted in a namespace of its own: nothing stays mounted, however it ends.
inside() {
  root="$root" clone="$PWD" unshare --mount --propagation private bash -euc '
    mount -t tmpfs tmpfs "$root/tmp"
    mkdir -p "$root$clone"
    chroot="$(command -v chroot)"
    for folder in /proc /dev /sys "$clone"; do mount --rbind "$folder" "$root$folder"; done
    for file in /etc/resolv.conf /etc/hosts /etc/pip.conf /etc/ssl/certs; do
      [ -e "$file" ] || continue
      [ -e "$root$file" ] || touch "$root$file"
      mount --bind "$file" "$root$file"
    done
    unset XDG_CACHE_HOME TMPDIR
    export HOME=/root PATH=/opt/venv/bin:/usr/bin:/bin PYTHONDONTWRITEBYTECODE=1 PYTHONPATH="$clone"
    exec "$chroot" "$root" bash -euc "cd \"\$0\"; exec \"\$@\"" "$clone" "$@"' bash "$@"
}

prepare() {
  local wanted
  wanted="$(cat pyproject.toml)"
  [ -e "$root/opt/wanted" ] && [ "$(cat "$root/opt/wanted")" = "$wanted" ] && return
  rm -rf "$root/opt/wanted" "$root/opt/venv"
  inside "/usr/bin/$python" -m venv /opt/venv
  inside pip install --quiet --disable-pip-version-check --no-cache-dir uv
  inside uv pip install --quiet --no-cache --editable . --group dev
  printf '%s\n' "$wanted" > "$root/opt/wanted"
}

[ "$(id -u)" = 0 ] || refuse "a chroot needs root"
command -v apt-get > /dev/null || refuse "this machine is no Debian"
unshare --mount true 2> /dev/null || refuse "no mount namespaces here"
mkdir -p "$cache"
exec 9> "$cache/$suite-$python.lock"
flock 9
make_root 9>&-
prepare 9>&-
flock -u 9
inside "$@" 9>&-
