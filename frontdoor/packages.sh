#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs the distribution packages that are missing here, or prints the command that would (exit 2).
# Debian 12 and Ubuntu 24.04 and what descends from them. Prints nothing and takes milliseconds if nothing is missing.
set -eu

has_header() {  # FILE PKG-CONFIG-NAME: also where pkg-config or the compiler's own variables say
  for folder in /usr/include /usr/local/include $(printf '%s' "${CPATH-}:${CPLUS_INCLUDE_PATH-}" | tr ':' ' '); do
    [ -e "$folder/$1" ] && return 0
  done
  [ -n "$2" ] && command -v pkg-config >/dev/null 2>&1 && pkg-config --exists "$2" 2>/dev/null
}

missing=
need() { missing="$missing $1"; }

command -v "${CXX:-g++}" >/dev/null 2>&1 || command -v clang++ >/dev/null 2>&1 || need g++
if ! command -v python3 >/dev/null 2>&1; then
  need python3
  need python3-venv
  need python3-dev
elif [ "${1-}" = --venv ]; then
  python3 -c 'import ensurepip, venv' >/dev/null 2>&1 || need python3-venv
  # torch.compile compiles code that includes Python.h.
  python3 -c 'import pathlib, sysconfig as s
pathlib.Path(s.get_path("include"), "Python.h").resolve(strict=True)' >/dev/null 2>&1 || need python3-dev
fi
has_header gtest/gtest.h gtest || need libgtest-dev
has_header benchmark/benchmark.h benchmark || need libbenchmark-dev
has_header nlohmann/json.hpp nlohmann_json || need nlohmann-json3-dev
has_header CLI/CLI.hpp CLI11 || need libcli11-dev

[ -n "$missing" ] || exit 0
missing=${missing# }

if ! command -v apt-get >/dev/null 2>&1; then
  echo "suite: this system has no apt-get; please install what Debian calls: $missing" >&2
  exit 2
fi
if [ "$(id -u)" -eq 0 ]; then
  as_root=
elif command -v sudo >/dev/null 2>&1 && sudo -n true >/dev/null 2>&1; then
  as_root='sudo -n'
else
  echo "suite: these packages are missing and installing them needs root. Please run:" >&2
  echo "    sudo apt-get update && sudo apt-get install --yes --no-install-recommends $missing" >&2
  exit 2
fi

echo "suite: installing distribution packages: $missing"
log=$(mktemp "${TMPDIR:-/tmp}/suite-apt.XXXXXX")
trap 'rm -f "$log"' EXIT
apt() { $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q --yes "$@" >"$log" 2>&1; }
# Lists that are missing or old make the install fail: then, and only then, they are fetched.
# shellcheck disable=SC2086  # a list of names
if ! apt install --no-install-recommends $missing; then
  if ! { apt update && apt install --no-install-recommends $missing; }; then
    tail -n 20 "$log" >&2
    echo "suite: apt-get could not install: $missing" >&2
    exit 2
  fi
fi
