"""Trains torchvision's DeepLab v3 on the semantic masks of irn (`sem_seg/NAME.png`, or `sem_seg_sure/NAME.png`,
whose unsure pixels are 255 and do not count).

    python examples/train_deeplab.py --photos VOCdevkit/VOC2012/JPEGImages --masks out/voc12/sem_seg --classes 20

Needs torch and torchvision. A photo without a mask is left out.
"""

import argparse
import json
import random
import time
from pathlib import Path

import numpy as np
import torch
import torchvision
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision.models.segmentation import deeplabv3_resnet50
from torchvision.transforms import functional as transforms

UNKNOWN = 255


class Masks(Dataset):
    """Random crops of photos and masks; the PNGs are palette pictures whose indices are the labels."""

    def __init__(self, photos, masks, crop):
        self.crop = crop
        photos = {p.relative_to(photos).with_suffix("").as_posix(): p for p in Path(photos).rglob("*.*")}
        masks = {p.relative_to(masks).with_suffix("").as_posix(): p for p in Path(masks).rglob("*.png")}
        self.pairs = [(photos[name], masks[name]) for name in sorted(masks) if name in photos]

    def __len__(self):
        return len(self.pairs)

    def __getitem__(self, index):
        photo, mask = self.pairs[index]
        photo = transforms.to_tensor(Image.open(photo).convert("RGB"))
        photo = transforms.normalize(photo, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
        mask = torch.from_numpy(np.array(Image.open(mask))).long()
        if random.random() < 0.5:
            photo, mask = photo.flip(-1), mask.flip(-1)
        down, right = (max(self.crop - side, 0) for side in mask.shape)
        photo = torch.nn.functional.pad(photo, (0, right, 0, down))
        mask = torch.nn.functional.pad(mask, (0, right, 0, down), value=UNKNOWN)
        top, left = (random.randint(0, side - self.crop) for side in mask.shape)
        here = (slice(top, top + self.crop), slice(left, left + self.crop))
        return photo[:, here[0], here[1]], mask[here]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", required=True)
    parser.add_argument("--masks", required=True)
    parser.add_argument("--classes", type=int, required=True, help="without background")
    parser.add_argument("--weights", help="'DEFAULT' for torchvision's ImageNet backbone (downloads), none without")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--steps", type=int, help="stop after so many steps")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rate", type=float, default=0.007)
    parser.add_argument("--crop", type=int, default=448)
    parser.add_argument("--out", default="deeplab.pth")
    options = parser.parse_args()
    torch.manual_seed(0)
    random.seed(0)
    data = Masks(options.photos, options.masks, options.crop)
    print(f"{len(data)} images")
    network = deeplabv3_resnet50(
        weights=None, weights_backbone=options.weights, num_classes=options.classes + 1
    )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network.to(device).train()
    loader = DataLoader(data, options.batch, shuffle=True, drop_last=True)
    total = options.steps or options.epochs * len(loader)
    optimizer = torch.optim.SGD(network.parameters(), options.rate, momentum=0.9, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.PolynomialLR(optimizer, total, power=0.9)
    step, started = 0, time.time()
    while step < total:
        for photos, masks in loader:
            scores = network(photos.to(device))["out"]
            loss = torch.nn.functional.cross_entropy(scores, masks.to(device), ignore_index=UNKNOWN)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            step += 1
            print(json.dumps({"step": step, "loss": round(float(loss.detach()), 4)}), flush=True)
            if step >= total:
                break
    torch.save(network.state_dict(), options.out)
    print(f"{step} steps in {time.time() - started:.0f} s, torchvision {torchvision.__version__}: {options.out}")


if __name__ == "__main__":
    main()
