#!/bin/sh
# Runs the exported graphs in other runtimes and the code blocks of docs/exporting.md; writes docs/runtimes.md
# and docs/runtimes.json. Python packages go to .deps/runtimes, Rust's to .deps/runtimes-rust, npm's to
# export/web/node_modules; all pinned. IRN_CHROMIUM names the browser (default /usr/bin/chromium).
set -eu
cd "$(dirname "$0")/.."

for program in python3 node npm g++ "${IRN_CHROMIUM:-/usr/bin/chromium}"; do
    if ! command -v "$program" >/dev/null; then
        echo "error: no $program" >&2
        echo "hint: apt-get install python3-venv nodejs npm g++ chromium" >&2
        exit 1
    fi
done
[ -f demo/out/irn.safetensors ] || make demo
cargo build --release --workspace --example reference

python=.deps/runtimes/bin/python
[ -x "$python" ] || python3 -m venv .deps/runtimes
"$python" -m pip install --quiet --no-deps --requirement export/runtimes/requirements.txt
PROTOC="$(pwd)/.deps/runtimes/bin/protoc" cargo build --release --package irn-runtimes \
    --manifest-path export/runtimes/rust/Cargo.toml --target-dir .deps/runtimes-rust
(cd export/web && npm ci --silent)

"$python" export/runtimes/matrix.py
"$python" export/runtimes/snippets.py
