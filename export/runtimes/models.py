"""The networks, photos and reference results of the comparison, made by irn's own programs.

Networks: those of `make demo` (ResNet-18 of half the width, trained on drawn scenes), and a ResNet-50 of
full width after one round on a few of the same scenes, whose size is that of published checkpoints.
"""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ROOT / "target" / "release"
DEMO = ROOT / "demo"
WORK = ROOT / "target" / "runtimes"
CONFIG = "configs/demo.yaml"
# Least side of the photo that IRNet sees in the graph `labels`, as in the demo's settings.
PAD = 192
# (height, width), odd ones among them.
SIZES = [(64, 64), (65, 97), (96, 128), (111, 75)]
LARGE = [(375, 500)]
# As published: mean and standard deviation of ImageNet.
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
CLASSES = ["ball", "cube", "fish", "leaf", "ring", "star"]


@dataclass(frozen=True)
class Graph:
    """A model, the folder of its cases, and what Candle (or `irn-infer`) makes of them."""

    name: str
    network: str
    inputs: tuple
    outputs: tuple

    @property
    def key(self):
        return f"{self.name}-{self.network}"

    @property
    def model(self):
        return WORK / "models" / f"{self.key}.onnx"

    @property
    def cases(self):
        return WORK / "cases" / self.key

    @property
    def reference(self):
        return WORK / "out" / "candle" / self.key


OUTPUTS = {"cam": ("scores", "logits"), "irn": ("edge", "displacement")}
LABELS = Graph("labels", "resnet18x0.5", ("photo", "classes"), ("scores", "label"))
GRAPHS = [Graph(name, "resnet18x0.5", ("image",), OUTPUTS[name]) for name in OUTPUTS] + [LABELS]
GRAPHS += [Graph(name, "resnet50", ("image",), OUTPUTS[name]) for name in OUTPUTS]


def run(*command, **options):
    done = subprocess.run([str(part) for part in command], cwd=ROOT, capture_output=True, text=True, **options)
    if done.returncode:
        raise SystemExit(f"error: {' '.join(map(str, command))} failed\n{done.stderr[-2000:]}")
    return done.stdout


def prepare():
    """Writes all models and cases anew; checkpoints are kept."""
    for folder in ("models", "cases", "out"):
        shutil.rmtree(WORK / folder, ignore_errors=True)
        (WORK / folder).mkdir(parents=True)
    train_large()
    for graph in GRAPHS:
        export(graph)
        write_cases(graph)


def train_large():
    if checkpoint("irn", "resnet50").exists():
        return
    names = (DEMO / "data/ImageSets/Segmentation/train.txt").read_text().split()[:8]
    few = WORK / "few.txt"
    few.parent.mkdir(parents=True, exist_ok=True)
    few.write_text("\n".join(names) + "\n")
    lists = [f"data.{key}={few}" for key in ("train_list", "infer_list", "eval_list")]
    settings = ["network.backbone=resnet50", "network.width=1", "cam.train.epochs=1", "irn.train.epochs=1"]
    settings += ["cam.scales=[1.0]", f"run.out={WORK / 'resnet50'}"]
    run(PROGRAMS / "irn-train", "run", "--config", CONFIG, *lists, *settings)


def checkpoint(name, network):
    folder = DEMO / "out" if network != "resnet50" else WORK / "resnet50"
    return folder / f"{name}.safetensors"


def export(graph):
    program = [PROGRAMS / "irn-export", "onnx"]
    if graph is LABELS:
        both = [checkpoint(name, graph.network) for name in ("cam", "irn")]
        run(*program, "--graph", "labels", *both, "--out", graph.model, f"irn.pad={PAD}")
    else:
        run(*program, checkpoint(graph.name, graph.network), "--out", graph.model)


def write_cases(graph):
    for height, width in LARGE if graph.network == "resnet50" else SIZES:
        for batch in (1, 2):
            case = graph.cases / f"{batch}x{height}x{width}"
            if graph is LABELS:
                if batch == 1:
                    label_case(case, height, width)
                continue
            case.mkdir(parents=True)
            photos = [pixels(index, height, width) for index in range(batch)]
            image = (np.stack(photos) / 255 - MEAN) / STD
            np.save(case / "image.npy", np.ascontiguousarray(image.transpose(0, 3, 1, 2), np.float32))
    if graph is not LABELS:
        reference(graph)


def photo_files():
    """Demo photos with at least two classes, and their classes."""
    for name in (DEMO / "data/ImageSets/Segmentation/val.txt").read_text().split():
        mask = np.asarray(Image.open(DEMO / f"data/SegmentationClass/{name}.png"))
        present = [CLASSES[value - 1] for value in np.unique(mask) if 0 < value < 255]
        if len(present) >= 2:
            yield DEMO / f"data/JPEGImages/{name}.jpg", present


def pixels(index, height, width):
    """One of the demo's photos, brought to the size."""
    path = list(photo_files())[index][0]
    return np.asarray(Image.open(path).convert("RGB").resize((width, height), Image.Resampling.BICUBIC))


def label_case(case, height, width):
    """A photo and its classes; reference: the mask by `irn-infer one`."""
    case.mkdir(parents=True)
    photo, present = pixels(0, height, width), list(photo_files())[0][1]
    np.save(case / "photo.npy", photo)
    np.save(case / "classes.npy", np.array([name in present for name in CLASSES], np.float32))
    np.save(make_folder(LABELS.reference / case.name) / "label.npy", mask_of(photo, present))


def mask_of(photo, present):
    """What `irn-infer one` says of the photo."""
    folder = make_folder(WORK / "one")
    Image.fromarray(photo).save(folder / "photo.png")
    files = [f"run.{name}_model={WORK / 'models' / f'{name}-{LABELS.network}.onnx'}" for name in ("cam", "irn")]
    given = ["--classes", ",".join(present), "--out", folder, "--config", CONFIG, "--force"]
    run(PROGRAMS / "irn-infer", "one", folder / "photo.png", *given, *files, f"irn.pad={PAD}")
    return np.asarray(Image.open(folder / "photo_sem.png"))


def make_folder(path):
    path.mkdir(parents=True, exist_ok=True)
    return path


def reference(graph):
    """Candle's outputs; its times are a row of the table, too."""
    program = PROGRAMS / "examples" / "reference"
    told = run(program, checkpoint(graph.name, graph.network), graph.cases, graph.reference)
    (graph.reference / "told.jsonl").write_text(told)


if __name__ == "__main__":
    prepare()
    print(json.dumps([str(graph.model) for graph in GRAPHS]))
