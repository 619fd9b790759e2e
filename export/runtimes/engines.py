"""Runtimes that are called from Python, each in a process of its own.

`engines.py RUNTIME MODEL CASES OUT INPUT,.. OUTPUT,..` runs the model on the inputs of every folder
CASES/NAME (INPUT.npy), writes OUT/NAME/OUTPUT.npy, and tells of each the least time of three, or the
error, as a line of JSON. `rust/` and `web.mjs` do the same for theirs.

An engine is a function of the model's path, the inputs by name and the outputs' names; it returns a
function without arguments that computes the outputs. What is made for every size alike is cached.
"""

import functools
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

# A slow engine is not run again.
PATIENCE_SECONDS = 3.0
THREADS = 1


def checker(model, inputs, outputs):
    import onnx

    return lambda: onnx.checker.check_model(model, full_check=True)


def shape_inference(model, inputs, outputs):
    """Strict inference on the model with its inputs' shapes filled in; the shapes it finds."""
    import onnx

    proto = onnx.load(model)
    for value in proto.graph.input:
        for dim, size in zip(value.type.tensor_type.shape.dim, inputs[value.name].shape):
            dim.dim_value = size

    def run():
        found = onnx.shape_inference.infer_shapes(proto, check_type=True, strict_mode=True, data_prop=True)
        dims = {o.name: o.type.tensor_type.shape.dim for o in found.graph.output}
        return [np.array([d.dim_value for d in dims[name]]) for name in outputs]

    return run


def onnx_reference(model, inputs, outputs):
    from onnx.reference import ReferenceEvaluator

    evaluator = ReferenceEvaluator(model)
    return lambda: evaluator.run(outputs, inputs)


@functools.cache
def ort_session(model):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def onnxruntime(model, inputs, outputs):
    session = ort_session(model)
    return lambda: session.run(outputs, inputs)


@functools.cache
def openvino_model(model):
    import openvino

    # Without the hint it computes in bfloat16 where the processor can.
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": THREADS}
    return openvino.Core().compile_model(model, "CPU", settings)


def openvino(model, inputs, outputs):
    compiled = openvino_model(model)

    def run():
        found = compiled(inputs)
        return [np.array(found[name]) for name in outputs]

    return run


def opencv(model, inputs, outputs):
    import cv2

    cv2.setNumThreads(THREADS)
    net = cv2.dnn.readNetFromONNX(model)

    def run():
        for name, value in inputs.items():
            net.setInput(value, name)
        return [np.array(value) for value in net.forward(outputs)]

    return run


@functools.cache
def tvm_machine(model):
    import onnx
    import tvm
    from tvm.relax.frontend.onnx import from_onnx

    compiled = tvm.compile(from_onnx(onnx.load(model)), target="llvm")
    return tvm.relax.VirtualMachine(compiled, tvm.cpu())


def tvm(model, inputs, outputs):
    import tvm as library

    machine = tvm_machine(model)
    tensors = [library.runtime.tensor(value) for value in inputs.values()]
    return lambda: [value.numpy() for value in machine["main"](*tensors)]


def ncnn(model, inputs, outputs):
    """Through pnnx, for this very size; ncnn's arrays have no batch axis."""
    import ncnn as library

    batch = next(iter(inputs.values())).shape[0]
    if len(inputs) > 1:
        raise ValueError("not a network: pnnx converts no Loop")
    if batch > 1:
        raise ValueError("ncnn's arrays have no batch axis")
    net = library.Net()
    net.opt.num_threads = THREADS
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    stem = pnnx(model, inputs)
    net.load_param(f"{stem}.ncnn.param")
    net.load_model(f"{stem}.ncnn.bin")
    image = next(iter(inputs.values()))[0]

    def run():
        extractor = net.create_extractor()
        extractor.input("in0", library.Mat(image))
        found = [np.array(extractor.extract(f"out{i}")[1]) for i in range(len(outputs))]
        return [value[None] for value in found]

    return run


def pnnx(model, inputs):
    """Path without ending of ncnn's files."""
    folder = tempfile.mkdtemp(prefix="pnnx-")
    link = Path(folder, "model.onnx")
    link.symlink_to(Path(model).resolve())
    shapes = ",".join(f"[{','.join(map(str, value.shape))}]f32" for value in inputs.values())
    program = Path(importlib.util.find_spec("pnnx").submodule_search_locations[0], "pnnx")
    done = subprocess.run([program, link, f"inputshape={shapes}", "fp16=0"], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"pnnx: {done.stderr.strip().splitlines()[-1:]}")
    return os.path.join(folder, "model")


ENGINES = {
    "onnxruntime": onnxruntime,
    "onnx.checker": checker,
    "onnx.shape_inference": shape_inference,
    "onnx.reference": onnx_reference,
    "openvino": openvino,
    "opencv": opencv,
    "tvm": tvm,
    "ncnn": ncnn,
}


def measure(run):
    """The outputs and the least time of three, in milliseconds."""
    least = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        outputs = run()
        least = min(least, time.perf_counter() - start)
        if least > PATIENCE_SECONDS:
            break
    return outputs, least * 1e3


def main(runtime, model, cases, out, inputs, outputs):
    inputs, outputs = inputs.split(","), outputs.split(",")
    for case in sorted(Path(cases).iterdir()):
        try:
            feeds = {name: np.load(case / f"{name}.npy") for name in inputs}
            found, milliseconds = measure(ENGINES[runtime](model, feeds, outputs))
            target = Path(out, case.name)
            target.mkdir(parents=True, exist_ok=True)
            for name, value in zip(outputs, found or []):
                np.save(target / f"{name}.npy", value)
            told = {"case": case.name, "ms": milliseconds}
        except Exception as error:  # whatever a runtime throws is its result
            told = {"case": case.name, "error": f"{type(error).__name__}: {error}"}
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
