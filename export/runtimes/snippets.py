"""Runs every code block of docs/exporting.md: masks like those of `irn-infer one`, probabilities like
those of ONNX Runtime on an image normalised here. `snippets.py [LANGUAGE ...]`

The blocks of a language are run as one; what the text leaves out (a main function, printing the
probabilities) is put around them. Needs what matrix.py has made.
"""

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image

import models
from models import LABELS, ROOT, WORK

HERE = Path(__file__).resolve().parent
FOLDER = WORK / "snippets"
SHOWN = ["ball", "fish"]
AGREEMENT, TOLERANCE = 0.999, 1e-4


def blocks(language):
    text = (ROOT / "docs/exporting.md").read_text()
    return "\n".join(re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S))


def prepare():
    """Models and the photo under the names of the text; the expected mask and probabilities."""
    models.make_folder(FOLDER)
    for name in ("labels", "cam"):
        link(FOLDER / f"{name}.onnx", WORK / "models" / f"{name}-{LABELS.network}.onnx")
    library = next(Path(onnxruntime.__file__).parent.glob("capi/libonnxruntime.so.*"))
    link(FOLDER / "libonnxruntime.so", library)
    photo = models.pixels(1, 101, 127)
    for ending in ("png", "ppm"):
        Image.fromarray(photo).save(FOLDER / f"photo.{ending}")
    image = ((photo / 255 - models.MEAN) / models.STD).astype(np.float32).transpose(2, 0, 1)[None]
    session = onnxruntime.InferenceSession(FOLDER / "cam.onnx")
    logits = session.run(["logits"], {"image": np.ascontiguousarray(image)})[0][0]
    return models.mask_of(photo, SHOWN), 1 / (1 + np.exp(-logits))


def link(name, target):
    name.unlink(missing_ok=True)
    name.symlink_to(target)


def split(code, start):
    """Lines that begin with `start`, and the others."""
    lines = code.splitlines()
    return [line for line in lines if line.startswith(start)], [line for line in lines if not line.startswith(start)]


def python():
    more = "\nprint(json.dumps(probabilities.tolist()))"
    return run(sys.executable, "-c", blocks("python") + more), "mask.png"


def cpp():
    heads, body = split(blocks("cpp"), "#include")
    printing = ["for (float value : probabilities) std::cout << value << std::endl;"]
    heads += ["#include <cmath>", "#include <iostream>"]
    (FOLDER / "main.cpp").write_text("\n".join([*heads, "int main() {", *body, *printing, "}"]))
    openvino = Path(importlib.util.find_spec("openvino").submodule_search_locations[0])
    libraries = openvino / "libs"
    library = next(libraries.glob("libopenvino.so.*"))
    flags = ["-std=c++17", f"-I{openvino / 'include'}", library, f"-Wl,-rpath,{libraries}"]
    run("g++", "main.cpp", *flags, "-o", "main")
    return numbers(run("./main")), "mask.pgm"


def rust():
    heads, body = split(blocks("rust"), "use ")
    main = "fn main() -> Result<(), Box<dyn std::error::Error>> {"
    end = ['probabilities.iter().for_each(|value| println!("{value}"));', "Ok(())", "}"]
    (FOLDER / "main.rs").write_text("\n".join([*heads, main, *body, *end]))
    target = ROOT / ".deps/runtimes-rust"
    manifest = HERE / "rust/Cargo.toml"
    run("cargo", "build", "--release", "-p", "snippet", "--manifest-path", manifest, "--target-dir", target)
    return numbers(run(target / "release/snippet")), "mask.png"


def javascript():
    _, body = split(blocks("javascript"), "import ")
    code = "\n".join(body)
    (FOLDER / "page.js").write_text(code)
    told = json.loads(run("node", HERE / "snippet.mjs", FOLDER))
    label = np.array(told["label"], np.uint8).reshape(told["dims"])
    Image.fromarray(label).save(FOLDER / "mask.png")
    return json.dumps(told["probabilities"]), "mask.png"


def numbers(text):
    return json.dumps([float(word) for word in text.split()])


def run(*command):
    done = subprocess.run([str(part) for part in command], cwd=FOLDER, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{Path(command[0]).name}: {done.stderr[-1500:]}")
    return done.stdout


def check(name, expected_mask, expected_probabilities):
    for old in FOLDER.glob("mask.*"):
        old.unlink()
    told, mask = LANGUAGES[name]()
    equal = float((np.asarray(Image.open(FOLDER / mask)) == expected_mask).mean())
    apart = float(np.abs(np.array(json.loads(told)) - expected_probabilities).max())
    good = equal >= AGREEMENT and apart <= TOLERANCE
    print(f"{name:11} labels {equal:.2%}, probabilities within {apart:.1e}{'' if good else '  FAILED'}", flush=True)
    return good


LANGUAGES = {"python": python, "javascript": javascript, "cpp": cpp, "rust": rust}

if __name__ == "__main__":
    os.environ.setdefault("CARGO_TERM_COLOR", "never")
    wanted = prepare()
    results = [check(name, *wanted) for name in sys.argv[1:] or LANGUAGES]
    sys.exit(0 if all(results) else 1)
