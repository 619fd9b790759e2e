#!/bin/sh
# Builds a CUDA driver and a cuDNN that run on the CPU, from irn's kernels and the sources here:
#   build.sh OUT && LD_LIBRARY_PATH=OUT irn ...
# It needs g++ alone. What it is for: the CUDA build's own tests on a machine without a GPU. It says
# nothing about speed, and nothing about what only real hardware does (races, TF32, asynchrony).
set -eu

[ $# -eq 1 ] || { echo "usage: $0 OUT" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
kernels=$here/../../../models/src/cuda/kernels
mkdir -p "$1"
cd "$1"

flags="-std=c++17 -O3 -march=native -fno-strict-aliasing -fPIC -shared -fvisibility=hidden -Wall -Wextra -Wno-unknown-pragmas"
build() { # NAME, its version, then sources
    library=lib$1.so.$2
    name=lib$1.so
    shift 2
    # shellcheck disable=SC2086
    "${CXX:-g++}" $flags -Wl,-soname,"$library" -I "$here" -I "$kernels" -o "$library" "$@"
    # The program's first choice, so that a library of the system is not found before.
    ln -sf "$library" "$name"
}

build cuda 1 -x c++ "$kernels/kernels.cu" -x none "$here/emulator.cpp" "$here/device.cpp" \
    "$here/memory.cpp" "$here/stream.cpp" "$here/module.cpp"
build cudnn 9 "$here/cudnn.cpp" "$here/convolution.cpp" "$here/product.cpp"
build cublas 13 "$here/libraries.cpp"
build cublasLt 13 "$here/libraries.cpp"
build curand 10 "$here/libraries.cpp"
build nvrtc 13 "$here/libraries.cpp"
echo "built in $PWD"
