"""What pycocotools says of detections; prints JSON. Usage: coco_eval.py ANNOTATIONS RESULTS"""

import contextlib
import io
import json
import sys

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

with contextlib.redirect_stdout(io.StringIO()):
    truth = COCO(sys.argv[1])
    truth.dataset.setdefault("info", {})  # `loadRes` of older versions wants it
    judge = COCOeval(truth, truth.loadRes(sys.argv[2]), "segm")
    judge.evaluate()
    judge.accumulate()
    judge.summarize()
precision = judge.eval["precision"][:, :, :, 0, 2]
classes = [precision[:, :, k] for k in range(precision.shape[2])]
masks = [truth.annToRLE(a)["counts"] for i in truth.dataset["images"] for a in truth.imgToAnns[i["id"]]]
print(json.dumps({
    "masks": [text.decode() if isinstance(text, bytes) else text for text in masks],
    "stats": judge.stats.tolist(),
    "classes": [float(p[p > -1].mean()) if (p > -1).any() else -1.0 for p in classes],
}))
