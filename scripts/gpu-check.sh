#!/bin/sh
# Checks and times everything of the CUDA build on a machine with a GPU that has neither a network nor cargo.
#
#   scripts/gpu-check.sh pack          here: the programs, tests, bench and libraries into the git-ignored folder .gpu
#   scripts/gpu-check.sh run [OUT]     there, in a copy of this tree with .gpu: all checks; OUT (target/gpu) gets
#                                      gpu.json, gpu.md and the logs
#
# A tree that may only travel in pieces: .gpu/1 .gpu/2 .gpu/3 are at most 24 MiB each. Move each piece to
# IRN_GPU (a folder that stays, /tmp/irn-gpu) as it arrives, and call `run` with the last one:
#
#   mkdir -p /tmp/irn-gpu && cp -r .gpu/* /tmp/irn-gpu && scripts/gpu-check.sh run "$OUT"
#
# IRN_CHECKS names those to run (devices operations golden bench train-cpu train-cuda), e.g. where there is a fake GPU.
# There: python3 with PyTorch for the peer's figures (else ours stand alone). IRN_BASELINE names the peer when packing.
set -eu
cd "$(dirname "$0")/.."
store="${IRN_GPU:-/tmp/irn-gpu}"

fail() {
    echo "error: $1" >&2
    echo "hint: $2" >&2
    exit 1
}

# The executable that cargo made last of those that begin with $1.
newest() {
    # shellcheck disable=SC2045 # names that cargo made, the newest first
    for file in $(ls -t target/release/deps/"$1"-*); do
        case "$file" in *.d | *.rlib | *.rmeta | *.so) ;; *) echo "$file" && return ;; esac
    done
    fail "no target/release/deps/$1-*" "it should have been built a moment ago"
}

pack() {
    scripts/cuda/build.sh
    scripts/cuda/build.sh compile
    sh scripts/deps.sh cuda
    rm -rf .gpu
    mkdir -p .gpu/1 .gpu/2 .gpu/3 .gpu/all
    for program in irn-train irn-infer irn-export; do cp "target/release/$program" .gpu/all/; done
    cp "$(newest irn_models)" .gpu/all/models-test
    cp "$(newest it)" .gpu/all/it-test
    cp "$(newest cuda)" .gpu/all/bench-cuda
    strip .gpu/all/*
    baseline="${IRN_BASELINE:-../shared/baseline/torch_baseline.py}"
    if [ -f "$baseline" ]; then cp "$baseline" .gpu/all/; fi
    tar -C .gpu/all -cJf .gpu/1/programs.tar.xz .
    rm -r .gpu/all
    provider=$(find .deps/onnxruntime-gpu/ -name 'libonnxruntime_providers_cuda.so' | head -1)
    [ -n "$provider" ] || fail "no CUDA provider in .deps/onnxruntime-gpu" "sh scripts/deps.sh cuda"
    mkdir -p .gpu/all
    python3 scripts/cuda/shrink.py "$provider" .gpu/all/libonnxruntime_providers_cuda.so 90
    cp "$(dirname "$provider")"/libonnxruntime.so.* "$(dirname "$provider")"/libonnxruntime_providers_shared.so .gpu/all/
    tar -C .gpu/all -c . | xz -T0 -9e | split -b 24m - .gpu/2/runtime.tar.xz.
    rm -r .gpu/all
    # The first half goes in the second piece, what is left in the third.
    for part in .gpu/2/runtime.tar.xz.a[b-z]; do if [ -f "$part" ]; then mv "$part" .gpu/3/; fi; done
    du -sh .gpu/*
}

# NAME COMMAND...: its output to OUT/NAME.log; a failure is noted and the rest goes on.
check() {
    name=$1
    shift
    case " ${IRN_CHECKS:-$name} " in *" $name "*) ;; *) return 0 ;; esac
    echo "== $name"
    if "$@" >"$out/$name.log" 2>&1; then echo "$name passed" >>"$out/results"; else echo "$name FAILED" >>"$out/results"; fi
    tail -n 25 "$out/$name.log"
}

# A short training on DEVICE into its own folder: CAM and IRNet on the demo's pictures.
train() {
    "$store/programs/irn-train" run --config configs/demo.yaml \
        "run.device=$1" "run.out=$out/train-$1" "data.root=$out/data" "cam.train.precision=$2" "irn.train.precision=$2"
}

run() {
    out="${1:-target/gpu}"
    mkdir -p "$out" "$store/programs" "$store/runtime"
    find .gpu "$store" -name programs.tar.xz 2>/dev/null | head -1 | xargs -I{} tar -xJf {} -C "$store/programs"
    parts=$(find .gpu "$store" -name 'runtime.tar.xz.*' 2>/dev/null | awk -F/ '!seen[$NF]++ {print $NF " " $0}' | sort | cut -d' ' -f2)
    # shellcheck disable=SC2086 # a list of files
    if [ -n "$parts" ]; then cat $parts | tar -xJf - -C "$store/runtime"; fi
    # CUDA's libraries: those that PyTorch brought along.
    packages=$(python3 -c 'import nvidia; print(list(nvidia.__path__)[0])' 2>/dev/null || true)
    IRN_CUDA="${IRN_CUDA:-$packages}"
    LD_LIBRARY_PATH=$(find "$packages" -type d -name lib 2>/dev/null | tr '\n' ':')${LD_LIBRARY_PATH:-}
    export IRN_CUDA LD_LIBRARY_PATH
    if [ -n "$parts" ]; then export IRN_ONNXRUNTIME="$store/runtime"; fi
    if [ -f "$store/programs/torch_baseline.py" ]; then export IRN_BASELINE="$store/programs/torch_baseline.py"; fi
    : >"$out/results"
    nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader >"$out/card" 2>/dev/null || true
    check devices "$store/programs/irn-infer" devices
    check operations "$store/programs/models-test" cuda:: --test-threads 1
    check golden env IRN_GOLDEN=tests/golden "$store/programs/it-test" golden::gpu --test-threads 1 --nocapture
    check bench "$store/programs/bench-cuda" --out "$out/bench-cuda.json"
    "$store/programs/irn-train" demo-data --out "$out/data" --config configs/demo.yaml >/dev/null 2>&1 || true
    check train-cpu train cpu f32
    check train-cuda train cuda f32
    python3 scripts/cuda/report.py "$out"
}

case "${1:-}" in
    pack) pack ;;
    run) run "${2:-}" ;;
    *) fail "what is '${1:-}'?" "scripts/gpu-check.sh pack | run [OUT]" ;;
esac
