#!/usr/bin/env bash
# Writes lock-cpu.txt and lock-gpu.txt: every package, at any depth, in its exact version with its
# hashes. Packages that are locked already keep their version as long as requirements.txt allows.
#
# usage: docker/lock.sh [--upgrade]    --upgrade takes the newest versions that are allowed
set -euo pipefail
cd "$(dirname "$0")/.."
UV=uv==0.13.8

tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
"${PYTHON:-python3}" -m venv "$tools"
"$tools/bin/pip" install --quiet --disable-pip-version-check "$UV"

# uv reads neither pip's settings nor its mirrors and writes no address: the same lock anywhere.
lock() {
  "$tools/bin/uv" --no-config pip compile "${@:2}" --output-file "$1" --quiet \
    --generate-hashes --python-version 3.11 --python-platform x86_64-manylinux_2_28 \
    --only-binary :all: --no-emit-index-url --custom-compile-command "make lock"
}
lock docker/lock-cpu.txt requirements.txt "$@"
lock docker/lock-gpu.txt requirements.txt docker/gpu.in "$@"
