#!/usr/bin/env bash
# Writes the lock files: every package, direct or indirect, with its version and its hashes.
# pyproject.toml says which packages, requirements.txt which versions; all others keep the versions
# that they have in the files. It needs uv, as `make lock` installs it.
#
#   lock-cpu.txt     all packages of the cpu image: what a run and the notebooks need
#   lock-gpu.txt     what the gpu image has instead of tensorflow-cpu and besides: TensorFlow with
#                    its kernels for GPUs, and NVIDIA's libraries
#   lock-test.txt    what the tests need besides; no image has them
#   lock-build.txt   what a build needs; no image has them
#
# usage: docker/lock.sh [--upgrade]    --upgrade uses the newest versions that are allowed
set -euo pipefail
cd "$(dirname "$0")/.."

# uv ignores pip's settings and mirrors and writes no address, so the files are the same anywhere.
lock() { # lock FILE WORDS...
  "${UV:-uv}" --no-config pip compile "${@:2}" --output-file "$1" --quiet \
    --generate-hashes --python-version 3.11 --python-platform x86_64-manylinux_2_28 \
    --only-binary :all: --no-emit-index-url --custom-compile-command "make lock"
}
for_cpu=(--overrides docker/cpu-overrides.in --constraints requirements.txt)
# In the versions of lock-cpu.txt, and without the packages that it has.
lock_besides_cpu() { # lock_besides_cpu FILE WORDS...
  local name omitted=()
  while read -r name; do
    omitted+=(--no-emit-package "$name")
  done < <(sed -n 's/^\([a-z0-9._-]*\)==.*/\1/p' docker/lock-cpu.txt)
  lock "$@" --constraints docker/lock-cpu.txt --constraints requirements.txt "${omitted[@]}"
}
lock docker/lock-cpu.txt pyproject.toml docker/image.in docker/cpu.in "${for_cpu[@]}" \
  --extra notebooks --extra export --extra tables --extra large --extra tensorboard "$@"
lock_besides_cpu docker/lock-gpu.txt docker/gpu.in "$@"
lock_besides_cpu docker/lock-test.txt pyproject.toml "${for_cpu[@]}" --extra test "$@"
lock docker/lock-build.txt docker/build.in "$@"
