"""Does it say the same everywhere? irn's graphs in other runtimes against Candle: `make runtimes`.

Every runtime gets every graph at every size and batch, in a process of its own, on one thread. Written:
docs/runtimes.json, one object each, and docs/runtimes.md.
"""

import datetime
import importlib.metadata
import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import numpy as np

import models
import page
from engines import ENGINES
from models import GRAPHS, LABELS, ROOT, WORK

HERE = Path(__file__).resolve().parent
PYTHON = [sys.executable, HERE / "engines.py"]
RUST = [ROOT / ".deps/runtimes-rust/release/irn-runtimes"]
WEB = ["node", HERE / "web.mjs"]
STORED = WORK / "rows.json"
# Name, command, and the package that tells the version. The first's scores are the reference of the graph
# `labels`.
RUNTIMES = [(name, PYTHON, name.split(".")[0]) for name in ENGINES]
RUNTIMES += [("onnxruntime-web", WEB, "npm"), ("tract", RUST, "tract-onnx")]
RUNTIMES += [("rten", RUST, "rten"), ("candle-onnx", RUST, "candle-onnx")]
PACKAGES = {"opencv": "opencv-python-headless", "tvm": "apache-tvm"}
# Of a graph in one runtime.
PATIENCE_SECONDS = 200
# Relative to the largest value of an output.
TOLERANCE = 1e-3
AGREEMENT = 0.999


def version(package):
    if package == "npm":
        lock = json.loads((ROOT / "export/web/package-lock.json").read_text())
        return lock["packages"]["node_modules/onnxruntime-web"]["version"]
    if package in ("tract-onnx", "rten", "candle-onnx"):
        lock = (HERE / "rust/Cargo.lock").read_text()
        return re.search(f'name = "{package}"\nversion = "(.*)"', lock)[1]
    return importlib.metadata.version(PACKAGES.get(package, package))


def told_by(runtime, command, graph):
    """What the runtime says of each case: milliseconds or an error."""
    out = WORK / "out" / runtime / graph.key
    arguments = [runtime, graph.model, graph.cases, out, ",".join(graph.inputs), ",".join(graph.outputs)]
    command = [str(part) for part in [*command, *arguments]]
    threads = {name: "1" for name in ("OMP_NUM_THREADS", "RAYON_NUM_THREADS", "TVM_NUM_THREADS")}
    log = WORK / "log.txt"
    with open(log, "w") as errors:
        try:
            options = {"stdout": subprocess.PIPE, "stderr": errors, "text": True, "timeout": PATIENCE_SECONDS}
            done = subprocess.run(command, env=os.environ | threads | {"RTEN_NUM_THREADS": "1"}, **options)
            output, end = done.stdout, ended(done.returncode, log)
        except subprocess.TimeoutExpired as expired:
            output, end = (expired.stdout or b"").decode(), f"nothing within {PATIENCE_SECONDS} s"
    told = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    return {case["case"]: case for case in told}, end


def ended(status, log):
    """Why a process that did not come to a case ended."""
    lines = [line.strip() for line in log.read_text().splitlines() if line.strip()]
    last = next((line for line in lines if "anicked" in line or "rror" in line), lines[-1] if lines else "")
    return f"ended with status {status}: {last}"


def rows_of(runtime, command, package, graph):
    told, end = told_by(runtime, command, graph)
    for case in sorted(graph.cases.iterdir()):
        batch, height, width = map(int, case.name.split("x"))
        row = {"runtime": runtime, "version": version(package), "graph": graph.name, "network": graph.network}
        row |= {"size": [height, width], "batch": batch, "max_abs": None, "max_rel": None, "ms": None}
        yield row | outcome(runtime, graph, case.name, told.get(case.name, {"error": end}))


def outcome(runtime, graph, case, told):
    if told.get("error"):
        return {"status": "failed", "reason": first_line(told["error"])}
    milliseconds = round(told["ms"] / int(case.split("x")[0]), 2)
    if runtime == "onnx.checker":
        return {"status": "ok", "ms": milliseconds}
    expected = read(graph.reference / case, graph.outputs)
    found = read(WORK / "out" / runtime / graph.key / case, graph.outputs)
    if runtime == "onnx.shape_inference":
        return {"ms": milliseconds} | shapes_agree(expected, found)
    return {"ms": milliseconds} | (compared_labels if graph is LABELS else compared)(expected, found)


def first_line(text):
    """The first line that says something, without this machine's paths."""
    text = text.replace(str(ROOT), ".")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return re.sub(r"/[\w./-]*/", "", " ".join(lines[:1]))[:300]


def read(folder, names):
    paths = {name: folder / f"{name}.npy" for name in names}
    return {name: np.load(path) for name, path in paths.items() if path.exists()}


def shapes_agree(expected, found):
    for name, value in expected.items():
        given = tuple(int(side) for side in found[name])
        # 0 is a side that inference leaves open.
        if len(given) != value.ndim or any(a not in (0, b) for a, b in zip(given, value.shape)):
            return {"status": "failed", "reason": f"{name} is {value.shape}, inferred {given}"}
    opened = sum(int(side) == 0 for name in expected for side in found[name])
    return {"status": "ok", "reason": f"{opened} sides left open" if opened else ""}


def differences(expected, found):
    """Largest absolute difference, and the largest of the outputs' differences relative to their largest value."""
    absolute, relative = 0.0, 0.0
    for name, value in expected.items():
        if found[name].shape != value.shape:
            return f"{name} has shape {found[name].shape}, not {value.shape}"
        apart = np.abs(value.astype(np.float64) - found[name]).max(initial=0)
        apart = float(apart) if np.isfinite(apart) else float("inf")
        absolute = max(absolute, apart)
        relative = max(relative, apart / max(float(np.abs(value).max(initial=0)), 1e-12))
    return absolute, relative


def judged(absolute_and_relative, more=None):
    if isinstance(absolute_and_relative, str):
        return {"status": "failed", "reason": absolute_and_relative}
    absolute, relative = (float(f"{value:.3g}") for value in absolute_and_relative)
    found = {"max_abs": absolute, "max_rel": relative} | (more or {})
    equal = found.get("agreement", 1.0)
    if relative <= TOLERANCE and equal >= AGREEMENT:
        return found | {"status": "ok"}
    return found | {"status": "failed", "reason": "other numbers"}


def compared(expected, found):
    return judged(differences(expected, found))


def compared_labels(expected, found):
    """Labels against `irn-infer one`, scores against ONNX Runtime's."""
    if found["label"].shape != expected["label"].shape:
        return {"status": "failed", "reason": f"the mask has shape {found['label'].shape}"}
    equal = float((found["label"] == expected["label"]).mean())
    scores = {"scores": expected.get("scores", found["scores"])}
    return judged(differences(scores, found), {"agreement": round(equal, 5)})


def candle_rows(graph):
    """The reference's own times."""
    for line in (graph.reference / "told.jsonl").read_text().splitlines():
        told = json.loads(line)
        batch, height, width = map(int, told["case"].split("x"))
        row = {"runtime": "candle", "version": "0.11.1", "graph": graph.name, "network": graph.network}
        row |= {"size": [height, width], "batch": batch, "max_abs": 0.0, "max_rel": 0.0}
        yield row | {"ms": round(told["ms"] / batch, 2), "status": "reference"}


def scores_of_onnxruntime():
    """The labels graph's scores become the reference of the others; no stage of irn's writes them."""
    for case in LABELS.cases.iterdir():
        found = WORK / "out" / "onnxruntime" / LABELS.key / case.name / "scores.npy"
        if found.exists():
            np.save(LABELS.reference / case.name / "scores.npy", np.load(found))


def main(wanted):
    """All, or what is named: runtimes and graphs (`tract`, `labels-resnet18x0.5`); the rest stays as it was."""
    if not wanted:
        models.prepare()
    rows = {}
    if wanted and STORED.exists():
        rows = {tuple(key): found for key, found in json.loads(STORED.read_text())}
    for runtime, command, package in RUNTIMES:
        for graph in GRAPHS:
            if wanted and not {runtime, graph.key} & set(wanted):
                continue
            rows[runtime, graph.key] = list(rows_of(runtime, command, package, graph))
            tell(runtime, graph, rows[runtime, graph.key])
            STORED.write_text(json.dumps(list(rows.items())))
        if runtime == "onnxruntime":
            scores_of_onnxruntime()
    order = [(runtime, graph.key) for runtime, _, _ in RUNTIMES for graph in GRAPHS]
    found = [row for key in order for row in rows.get(key, [])]
    write([row for graph in GRAPHS if graph is not LABELS for row in candle_rows(graph)] + found)


def tell(runtime, graph, rows):
    good = sum(row["status"] == "ok" for row in rows)
    print(f"{runtime:20} {graph.key:20} {good} of {len(rows)} ok", flush=True)
    for reason in sorted({row["reason"] for row in rows if row["status"] == "failed"}):
        print(f"    {reason}", flush=True)


def write(rows):
    lines = ",\n".join(json.dumps(row) for row in rows)
    (ROOT / "docs/runtimes.json").write_text(f"[\n{lines}\n]\n")
    about = {"date": datetime.date.today().isoformat(), "machine": machine()}
    (ROOT / "docs/runtimes.md").write_text(page.written(rows, about))


def machine():
    name = re.search("model name\t: (.*)", Path("/proc/cpuinfo").read_text())
    load = f"load average {os.getloadavg()[2]:.0f} (1: nothing but this ran)"
    return f"{name[1] if name else platform.machine()}, {os.cpu_count()} cores, {platform.system()}, {load}"


if __name__ == "__main__":
    main(sys.argv[1:])
