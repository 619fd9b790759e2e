#!/bin/sh
# Builds (or tests) the programs with CUDA, on a machine that needs neither a GPU nor a CUDA installation.
#
#   scripts/cuda/build.sh                build the programs
#   scripts/cuda/build.sh compile        the tests and the bench, without running them
#   scripts/cuda/build.sh bench          our figures beside PyTorch's, on the GPU
#   scripts/cuda/build.sh test [FILTERS] the GPU's tests: on the GPU, or without one on a fake one (fake/)
#
# The compiler is that of the toolkit at CUDA_HOME (12.2 or newer), if that is set, otherwise it comes from PyPI,
# pinned and verified by hash. The programs link against stand-ins for CUDA's libraries (stubs.py) and so start on
# every machine. All of this goes to the git-ignored folder .deps/cuda.
set -eu
cd "$(dirname "$0")/../.."
scripts/deps.sh
PATH="$PWD/.deps/cmake/cmake/data/bin:$PATH"
tree="$PWD/.deps/cuda"

fail() {
    echo "error: $1" >&2
    echo "hint: $2" >&2
    exit 1
}

[ "$(uname -m)" = x86_64 ] || fail "no stand-ins for $(uname -m)" "the CUDA build is for x86-64 Linux"

# The toolkit of this machine, by links: its libraries must not be linked.
installed() {
    [ -x "$1/bin/nvcc" ] || fail "no bin/nvcc in $1" "CUDA_HOME names a CUDA toolkit; unset it to fetch the compiler"
    mkdir -p "$2/lib/stubs"
    for part in bin include nvvm; do
        ln -s "$1/$part" "$2/$part"
    done
    ln -s "$1/lib64/libcudart_static.a" "$2/lib/stubs/libcudart.a"
}

fetched() {
    echo "fetching the CUDA compiler from PyPI (100 MB)"
    mkdir -p "$1/wheels"
    python3 -m pip download --quiet --no-deps --require-hashes --only-binary=:all: \
        --python-version 3.12 --implementation cp --abi none \
        --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 --platform manylinux2010_x86_64 \
        --dest "$1/wheels" --requirement scripts/cuda/compiler.txt ||
        fail "failed to fetch the CUDA compiler" "is PyPI within reach? pip's own settings (index, proxy) are honoured"
    for wheel in "$1"/wheels/*.whl; do
        python3 -m zipfile -e "$wheel" "$1/wheels"
    done
    mv "$1"/wheels/nvidia/cu13/* "$1"
    rm -r "$1/wheels"
    # pip's zipfile forgets who may be executed.
    chmod +x "$1"/bin/* "$1"/nvvm/bin/*
    mkdir -p "$1/lib/stubs"
    mv "$1/lib/libcudart_static.a" "$1/lib/stubs/libcudart.a"
}

if [ ! -d "$tree" ]; then
    rm -rf "$tree.part"
    if [ -n "${CUDA_HOME:-}" ]; then installed "$CUDA_HOME" "$tree.part"; else fetched "$tree.part"; fi
    mv "$tree.part" "$tree"
fi

# The stand-ins have the functions that the locked version of cudarc declares.
cargo fetch --quiet --locked
source=$(cargo metadata --format-version 1 --locked --offline --features cuda |
    python3 -c 'import json, os, sys
packages = json.load(sys.stdin)["packages"]
print(next(os.path.dirname(p["manifest_path"]) for p in packages if p["name"] == "cudarc"))')
if [ ! -f "$tree/lib/stubs/$(basename "$source")" ]; then
    python3 scripts/cuda/stubs.py "$source" "$tree/lib/stubs"
    touch "$tree/lib/stubs/$(basename "$source")"
fi

export CUDA_HOME="$tree" CUDA_COMPUTE_CAP="${CUDA_COMPUTE_CAP:-80}"
PATH="$tree/bin:$PATH"
case "${1:-build}" in
    build)
        cargo build --release --workspace --features cuda
        echo "programs for CPU and CUDA: $PWD/target/release"
        ;;
    test)
        if ! ldconfig -p 2>/dev/null | grep -q libcuda.so.1; then
            echo "no NVIDIA driver here: the tests run on a fake one, on the CPU"
            scripts/cuda/fake/build.sh "$tree/fake"
            export LD_LIBRARY_PATH="$tree/fake${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
        fi
        shift
        [ $# -gt 0 ] || set -- cuda:: golden::gpu
        # One at a time: they share one GPU.
        cargo test --release --workspace --features cuda -- "$@" --test-threads 1
        ;;
    compile)
        cargo test --release --workspace --features cuda --no-run
        cargo bench --workspace --features cuda --bench cuda --no-run
        ;;
    bench)
        shift
        cargo bench --workspace --features cuda --bench cuda -- "$@"
        ;;
    *) fail "what is '$1'?" "scripts/cuda/build.sh [build | test [FILTERS] | bench [--stage NAME]]" ;;
esac
