"""Trains torchvision's Mask R-CNN on the instance masks of irn (`coco.json`), as it is or with COCO's own files.

    python examples/train_mask_rcnn.py --photos VOCdevkit/VOC2012/JPEGImages --annotations out/voc12/coco.json

Needs torch, torchvision, pycocotools. Masks below --min-score are left out; images without masks too.
"""

import argparse
import json
import sys
import time

import numpy as np
import torch
import torchvision
from pycocotools import mask as codec
from torch.utils.data import DataLoader, Dataset
from torchvision.datasets import CocoDetection
from torchvision.models.detection import maskrcnn_resnet50_fpn
from torchvision.transforms import functional as transforms


class Instances(Dataset):
    """Photos with boxes, labels (1..classes) and masks as Mask R-CNN wants them."""

    def __init__(self, photos, annotations, min_score=0.0):
        self.coco = CocoDetection(photos, annotations)
        self.min_score = min_score
        categories = sorted(self.coco.coco.getCatIds())
        self.label_of = {category: label for label, category in enumerate(categories, start=1)}
        kept = [i for i, image in enumerate(self.coco.ids) if self.masks_of(image)]
        self.kept = kept

    def masks_of(self, image):
        found = self.coco.coco.imgToAnns[image]
        return [a for a in found if a.get("score", 1.0) >= self.min_score and min(a["bbox"][2:]) >= 1]

    def __len__(self):
        return len(self.kept)

    def __getitem__(self, index):
        photo, _ = self.coco[self.kept[index]]
        found = self.masks_of(self.coco.ids[self.kept[index]])
        boxes = torch.tensor([a["bbox"] for a in found], dtype=torch.float32)
        boxes[:, 2:] += boxes[:, :2]
        masks = np.stack([codec.decode(self.coco.coco.annToRLE(a)) for a in found])
        target = {
            "boxes": boxes,
            "labels": torch.tensor([self.label_of[a["category_id"]] for a in found]),
            "masks": torch.from_numpy(masks),
            "iscrowd": torch.tensor([a["iscrowd"] for a in found]),
        }
        return transforms.to_tensor(photo), target


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", required=True)
    parser.add_argument("--annotations", required=True)
    parser.add_argument("--min-score", type=float, default=0.0)
    parser.add_argument("--weights", help="'DEFAULT' for torchvision's ImageNet backbone (downloads), none without")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--steps", type=int, help="stop after so many steps")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--rate", type=float, default=0.0025)
    parser.add_argument("--min-size", type=int, default=800)
    parser.add_argument("--max-size", type=int, default=1333)
    parser.add_argument("--out", default="mask_rcnn.pth")
    options = parser.parse_args()
    torch.manual_seed(0)
    data = Instances(options.photos, options.annotations, options.min_score)
    print(f"{len(data)} images, {len(data.label_of)} classes")
    network = maskrcnn_resnet50_fpn(
        weights=None, weights_backbone=options.weights, num_classes=len(data.label_of) + 1,
        min_size=options.min_size, max_size=options.max_size,
    )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network.to(device).train()
    loader = DataLoader(data, options.batch, shuffle=True, drop_last=True, collate_fn=lambda batch: tuple(zip(*batch)))
    learnt = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(learnt, options.rate, momentum=0.9, weight_decay=1e-4)
    step, started = 0, time.time()
    for _ in range(options.epochs):
        for photos, targets in loader:
            photos = [photo.to(device) for photo in photos]
            targets = [{key: value.to(device) for key, value in target.items()} for target in targets]
            losses = network(photos, targets)
            loss = sum(losses.values())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
            terms = {name: round(float(value.detach()), 3) for name, value in losses.items()}
            print(json.dumps({"step": step, "loss": round(float(loss.detach()), 3), **terms}), flush=True)
            if not torch.isfinite(loss):
                sys.exit("the loss is not a number: lower --rate")
            if options.steps and step >= options.steps:
                break
        if options.steps and step >= options.steps:
            break
    torch.save(network.state_dict(), options.out)
    print(f"{step} steps in {time.time() - started:.0f} s, torchvision {torchvision.__version__}: {options.out}")


if __name__ == "__main__":
    main()
