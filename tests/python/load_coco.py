"""Loads a COCO file with torchvision. Usage: load_coco.py PHOTOS FILE"""

import sys

from torchvision.datasets import CocoDetection

data = CocoDetection(sys.argv[1], sys.argv[2])
masks = 0
for photo, found in data:
    for annotation in found:
        mask = data.coco.annToMask(annotation)
        assert mask.shape == (photo.height, photo.width)
        assert mask.sum() == annotation["area"]
        masks += 1
print(f"loaded {len(data)} images, {masks} masks")
