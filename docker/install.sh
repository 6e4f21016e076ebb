#!/bin/sh
# Installs the packages of a lock file, in one of three steps, each after the one before it.
#
# usage: install.sh tools LOCK         what a build needs, into /opt/installer
#        install.sh environment LOCK   the image's environment, /opt/venv, with all files that a
#                                      first start would otherwise have to make
#        install.sh gpu LOCK           TensorFlow with its kernels for GPUs, and NVIDIA's
#                                      libraries, into the same environment
#
# The last two also write /opt/venv/sbom.cdx.json: all installed packages with versions and
# licences, as CycloneDX.
set -eu
step=$1
lock=$2
tools=/opt/installer/bin
python=/opt/venv/bin/python

# Wheels only, so that no stage needs a compiler.
install() { # install PYTHON [pip's options]
  interpreter=$1
  shift
  "$tools/pip" --python "$interpreter" install "$@" --disable-pip-version-check --no-cache-dir \
    --no-compile --no-deps --only-binary=:all: --require-hashes --requirement "$lock"
}

finish() {
  # tensorflow-cpu is TensorFlow under another name, which pip cannot know.
  report=$("$tools/pip" --python "$python" check --disable-pip-version-check) || [ -n "$report" ]
  if echo "$report" | grep -v -e '^No broken requirements' \
    -e ' requires tensorflow, which is not installed\.$' >&2; then
    exit 1
  fi
  "$tools/cyclonedx-py" environment --output-reproducible --output-format JSON \
    --output-file /opt/venv/sbom.cdx.json "$python"

  # What no program of the image reads: headers for compilers, the packages' own tests, symbols for
  # debuggers. A folder `test` may be a part of a package's interface, as in TensorFlow.
  rm -rf "$packages/tensorflow/include" "$packages/pyarrow/include" "$packages/onnx/backend/test"
  find "$packages" -depth -type d -name tests -exec rm -rf {} +
  "$python" -B -c 'import tensorflow, tf_keras, tensorflow_probability, onnxruntime, tf2onnx, pandas, sklearn, faiss'
  for part in "$packages"/tensorflow "$packages"/pyarrow "$packages"/onnxruntime; do
    "$python" /opt/strip_symbols.py "$part"
  done

  # Bytecode is never checked against the sources, because copying may change their times.
  "$python" -m compileall -q -j 0 --invalidation-mode unchecked-hash "$packages"
  chmod -R a+rX /opt/venv
}

case $step in
tools)
  python3 -m venv /opt/installer
  install "$tools/python"
  ;;

environment)
  # Without pip, which stays in an environment that is not copied into the image.
  python3 -m venv --without-pip /opt/venv
  install "$python"
  packages=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')

  # The package itself is in another layer.
  echo /opt/moe_vae > "$packages/moe_vae.pth"

  # Matplotlib's list of fonts, which the entry point copies to where Matplotlib may write.
  mkdir -p /opt/venv/share/matplotlib
  MPLCONFIGDIR=/opt/venv/share/matplotlib "$python" -B -c 'import matplotlib.font_manager'
  finish
  ;;

gpu)
  packages=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  "$tools/pip" --python "$python" uninstall --quiet --yes --disable-pip-version-check tensorflow-cpu
  install "$python"
  finish
  ;;

*)
  echo "install.sh: the step is tools, environment or gpu, not $step" >&2
  exit 2
  ;;
esac
