#!/bin/sh
# The tests of export/web: those of its label code in Node, those of the page in headless Chromium. Says so and
# succeeds where Node or npm is missing; without Chromium, the demo's models or irn-infer the page's own tests
# are skipped by name.
#
#   IRN_CHROMIUM      the browser (default /usr/bin/chromium)
#   IRN_WEB_MODELS    folder with cam.onnx and irn.onnx (default demo/out, written by make demo)
#   IRN_WEB_PHOTOS    photos, separated by colons (default three of the demo's)
#   IRN_INFER         the program irn-infer (default target/release/irn-infer)
set -eu
cd "$(dirname "$0")/.."

for program in node npm; do
    if ! command -v "$program" >/dev/null; then
        echo "the page's tests were not run: no $program (apt-get install nodejs npm)"
        exit 0
    fi
done
root=$(pwd)
photos=$(find "$root/demo/data/JPEGImages" -name '0000[135]*.jpg' 2>/dev/null | sort | head -n 3 | paste -sd :)
export IRN_WEB_MODELS="${IRN_WEB_MODELS:-$root/demo/out}"
export IRN_WEB_PHOTOS="${IRN_WEB_PHOTOS:-$photos}"
if [ -x "$root/target/release/irn-infer" ]; then
    export IRN_INFER="${IRN_INFER:-$root/target/release/irn-infer}"
fi
cd export/web
npm ci
npm run build
npm test
