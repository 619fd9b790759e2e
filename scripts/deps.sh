#!/bin/sh
# Prepares what the build and the programs need, into the git-ignored folder .deps: ONNX Runtime's shared
# library and, where the system's is missing or too old, cmake. Both come from PyPI, pinned and verified
# by hash (scripts/*.txt). Needs no root; does nothing where all is there.
#
#   scripts/deps.sh            what building and running need
#   scripts/deps.sh python     also h5py and numpy, for the test that reads the store from Python
#   scripts/deps.sh cuda       also ONNX Runtime's CUDA build and CUDA's libraries, for inference on an NVIDIA
#                              GPU (1.4 GB to fetch, 2.1 GB on disk; x86-64; the driver must be there already)
set -eu
cd "$(dirname "$0")/.."

fail() {
    echo "error: $1" >&2
    echo "hint: $2" >&2
    exit 1
}

command -v cargo >/dev/null || fail "no cargo" "install Rust: https://rustup.rs"
command -v cc >/dev/null || fail "no C compiler" "apt-get install build-essential"
command -v python3 >/dev/null || fail "no python3" "apt-get install python3 python3-pip"
python3 -m pip --version >/dev/null 2>&1 || fail "python3 has no pip" "apt-get install python3-pip"

machine=$(uname -m)
case "$machine" in
    x86_64 | aarch64) ;;
    *) fail "no pinned wheels for $machine" "set IRN_ONNXRUNTIME to a libonnxruntime.so and build by cargo" ;;
esac

# unpack REQUIREMENTS FOLDER: downloads the wheels that REQUIREMENTS pins and unpacks them, all or none.
unpack() {
    [ -d ".deps/$2" ] && return
    part=".deps/$2.part"
    rm -rf "$part"
    mkdir -p "$part/wheel"
    echo "fetching $2 from PyPI"
    python3 -m pip download --quiet --no-deps --require-hashes --only-binary=:all: \
        --python-version 3.12 --implementation cp --abi cp312 --abi none \
        --platform "manylinux_2_28_$machine" --platform "manylinux_2_27_$machine" \
        --platform "manylinux_2_17_$machine" --platform "manylinux2014_$machine" \
        --dest "$part/wheel" --requirement "scripts/$1" ||
        fail "failed to fetch $2" "is PyPI within reach? pip's own settings (index, proxy) are honoured"
    for wheel in "$part"/wheel/*.whl; do
        python3 -m zipfile -e "$wheel" "$part"
    done
    rm -r "$part/wheel"
    mv "$part" ".deps/$2"
}

new_enough_cmake() {
    command -v cmake >/dev/null || return 1
    version=$(cmake --version | sed -n 's/^cmake version \([0-9]*\)\.\([0-9]*\).*/\1 \2/p')
    # shellcheck disable=SC2086 # two numbers
    set -- $version
    [ "$1" -gt 3 ] || { [ "$1" -eq 3 ] && [ "$2" -ge 26 ]; }
}

unpack onnxruntime.txt onnxruntime
if ! new_enough_cmake; then
    unpack cmake.txt cmake
    chmod +x .deps/cmake/cmake/data/bin/*
fi
if [ "${1:-}" = python ] && [ ! -d .deps/python ]; then
    python3 -m pip install --quiet --require-hashes --only-binary=:all: --no-deps \
        --target .deps/python.part --requirement scripts/python.txt &&
        mv .deps/python.part .deps/python ||
        echo "h5py could not be had for this Python: the test that needs it will be skipped"
fi
if [ "${1:-}" = cuda ]; then
    [ "$machine" = x86_64 ] || fail "no pinned CUDA wheels for $machine" \
        "set IRN_ONNXRUNTIME to a CUDA build of libonnxruntime.so and IRN_CUDA to the folder of CUDA's libraries"
    unpack onnxruntime-gpu.txt onnxruntime-gpu
    unpack cuda-runtime.txt cuda-runtime
fi
