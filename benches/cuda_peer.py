#!/usr/bin/env python3
"""A training step of the PyTorch baseline on a GPU at any batch size: prints a line of JSON.

    cuda_peer.py BASELINE.py cam_train|irn_train BATCH f32|tf32|bf16 [--channels-last]

The step is the baseline's own (its networks, loss, optimizer), only the batch is another."""
import argparse
import importlib.util
import json
import statistics

import torch
import torch.nn.functional as F

parser = argparse.ArgumentParser()
parser.add_argument("baseline")
parser.add_argument("stage", choices=["cam_train", "irn_train"])
parser.add_argument("batch", type=int)
parser.add_argument("precision", choices=["f32", "tf32", "bf16"])
parser.add_argument("--channels-last", action="store_true")
arguments = parser.parse_args()
arguments.device = "cuda"

spec = importlib.util.spec_from_file_location("baseline", arguments.baseline)
base = importlib.util.module_from_spec(spec)
spec.loader.exec_module(base)

torch.backends.cuda.matmul.allow_tf32 = arguments.precision == "tf32"
torch.backends.cudnn.allow_tf32 = arguments.precision == "tf32"
torch.backends.cudnn.benchmark = True
context = base.Ctx(arguments)
# The baseline's four photos, again and again.
again = -(-arguments.batch // 4)


def repeated(values):
    return torch.cat([values] * again)[: arguments.batch]


if arguments.stage == "cam_train":
    net = context.put(base.fill(base.CamNet(), 1)).train()
    x = context.put(repeated(torch.randn(4, 3, 512, 512, generator=torch.Generator().manual_seed(0))))
    y = (torch.rand(4, 20, generator=torch.Generator().manual_seed(1)) < 0.1).float()
    y = repeated(y).to(context.dev)

    def loss():
        with context.cast():
            scores = net(x)
        return F.multilabel_soft_margin_loss(scores.float(), y)
else:
    net = context.put(base.fill(base.IrNet(), 2)).train()
    x, label = base.irn_batch(context)
    x = context.put(repeated(x))
    pairs = base.Pairs(10, 128, 128, context.dev)
    maps = pairs.labels(repeated(label).to(context.dev))

    def loss():
        with context.cast():
            edge, displacement = net(x)
        return pairs.loss(edge.float(), displacement.float(), *maps)[0]


optimizer = base.PolySGD(net.groups(), (0.01, 0.1), 1e-4, 10000)


def step():
    value = loss()
    optimizer.zero_grad(set_to_none=True)
    value.backward()
    optimizer.step()


seconds = context.time(step, 20, 5)
print(json.dumps({
    "stage": arguments.stage,
    "engine": "torch " + torch.__version__ + (", channels last" if arguments.channels_last else ""),
    "card": torch.cuda.get_device_name(),
    "seconds": statistics.median(seconds),
    "peak_cuda_mib": round(torch.cuda.max_memory_allocated() / 2**20),
}))
