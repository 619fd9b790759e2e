#!/usr/bin/env python3
"""Writes what the PyTorch peer works on, and what it makes of it, for our programs to work on the same.

    inputs.py BASELINE.py OUT

The peer's own functions make everything: each stage is run once with a clock that does not measure, while
the functions named here note what they were given and what they returned. Arrays go to OUT/STAGE.NAME.npy,
networks to OUT/cam.pth and OUT/irn.pth. Needs what the baseline needs; without pydensecrf the CRF is left out."""
import argparse
import importlib.util
import os
import sys

import numpy as np

spec = importlib.util.spec_from_file_location("baseline", sys.argv[1])
peer = importlib.util.module_from_spec(spec)
spec.loader.exec_module(peer)
import torch  # noqa: E402  (the baseline says first what is missing)

OUT = sys.argv[2]
os.makedirs(OUT, exist_ok=True)
torch.set_num_threads(2)


class Once(peer.Ctx):
    """A context whose clock runs the work a single time."""

    def __init__(self):
        super().__init__(argparse.Namespace(device="cpu", channels_last=False, precision="f32", ort=False))

    def time(self, fn, runs, warm):
        fn()
        return [0.0]


def save(stage, **arrays):
    for name, value in arrays.items():
        if isinstance(value, torch.Tensor):
            value = value.detach().numpy()
        np.save(os.path.join(OUT, f"{stage}.{name}.npy"), np.ascontiguousarray(value))


def noted(name, run):
    """Runs a stage; the arguments and the result of the last call of the peer's function `name`."""
    original, calls = getattr(peer, name), []

    def wrapped(*given):
        result = original(*given)
        calls.append((given, result))
        return result

    setattr(peer, name, wrapped)
    try:
        run(Once())
    finally:
        setattr(peer, name, original)
    return calls[-1]


def weights():
    for name, kind, seed in (("cam", peer.CamNet, 1), ("irn", peer.IrNet, 2)):
        tensors = peer.fill(kind(), seed).state_dict()
        if "dp_mean" in tensors:
            tensors["mean_shift.running_mean"] = tensors.pop("dp_mean")
        torch.save(dict(tensors), os.path.join(OUT, f"{name}.pth"))


def pictures():
    (photo, *_), pairs = noted("pairs_for_scales", peer.STAGES["cam_prep"])
    save("cam_prep", photo=photo, **{f"pair{i}": pair for i, pair in enumerate(pairs)})
    (_, _, keys), (low, high) = noted("merge_cams", peer.STAGES["cam_infer"])
    save("cam_infer", keys=keys.numpy(), low=low, high=high)
    with torch.inference_mode():
        edge, dp = peer.fill(peer.IrNet(), 2).eval().infer(pairs[0])
    save("irn_infer", edge=edge, dp=dp)
    try:
        (photo, cams, keys), label = noted("relation_label", peer.STAGES["crf_labels"])
        save("crf_labels", photo=photo, cams=cams, keys=keys, label=label)
    except ImportError as missing:
        print(f"crf_labels left out: {missing}", file=sys.stderr)


def walks():
    (x, edge), walked = noted("random_walk_sparse", peer.STAGES["random_walk_sparse_way"])
    save("random_walk", x=x, edge=edge, walked=walked)


def instances():
    (dp, *_), _ = noted("settle", peer.STAGES["instance_post"])
    (cams, _), _ = noted("cluster_cams", peer.STAGES["instance_post"])
    (walked, size, keys, _), found = noted("instances", peer.STAGES["instance_post"])
    save("instance_post", dp=dp, cams=cams, walked=walked, size=np.array(size), keys=keys,
         score=found["score"], mask=np.packbits(found["mask"]), classes=found["class"])


def evaluation():
    """Label maps as bytes (255 is ignored), masks as bits."""
    (preds, truths), confusion = noted("confusion", peer.STAGES["evaluate_100"])
    save("evaluate_100", preds=np.stack(preds), truths=np.stack(truths).astype(np.uint8), iou=peer.iou_of(confusion))
    (pm, pl, ps, gm, gl), ap = noted("average_precision", peer.STAGES["evaluate_100"])
    flat = np.concatenate
    save("evaluate_100", pred_counts=np.array([len(m) for m in pm]), pred_masks=np.packbits(flat(pm)),
         pred_classes=flat(pl).astype(np.int64), scores=flat(ps), truth_counts=np.array([len(m) for m in gm]),
         truth_masks=np.packbits(flat(gm)), truth_classes=flat(gl).astype(np.int64), ap=ap)


def trainings():
    for crop in (256, 512):
        x = torch.randn(4, 3, crop, crop, generator=torch.Generator().manual_seed(0))
        y = (torch.rand(4, 20, generator=torch.Generator().manual_seed(1)) < .1).float()
        with torch.no_grad():
            loss = torch.nn.functional.multilabel_soft_margin_loss(peer.fill(peer.CamNet(), 1)(x), y)
        save(f"cam_train_{crop}", x=x, y=y, loss=loss.reshape(1))
    x, label = peer.irn_batch(Once())
    pairs = peer.Pairs(10, 128, 128)
    with torch.no_grad():
        edge, dp = peer.fill(peer.IrNet(), 2).train()(x)
        loss, _ = pairs.loss(edge, dp, *pairs.labels(label))
    save("irn_train_512", x=x, label=label.numpy().astype(np.uint8), loss=loss.reshape(1))


if __name__ == "__main__":
    for part in (weights, pictures, walks, instances, evaluation, trainings):
        part()
