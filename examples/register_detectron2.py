"""Registers the masks of irn as a detectron2 data set. Tried with detectron2's sources: the catalogue lists the photos and
`DatasetMapper` gives them with boxes, classes and masks; training itself was not run (its compiled part was not built).

    import register_detectron2
    register_detectron2.register("voc12_irn", "out/voc12/coco.json", "VOCdevkit/VOC2012/JPEGImages")
    cfg.DATASETS.TRAIN = ("voc12_irn",)
    cfg.INPUT.MASK_FORMAT = "bitmask"           # coco.json holds run lengths
    cfg.MODEL.ROI_HEADS.NUM_CLASSES = 20
"""

import copy
import json

from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.data.datasets import load_coco_json


def register(name, annotations, photos, min_score=0.0):
    """Makes `name` a data set of the masks whose score is at least `min_score`."""

    def load():
        records = load_coco_json(annotations, photos, name, extra_annotation_keys=["score"])
        for record in records:
            kept = [a for a in record["annotations"] if a.get("score", 1.0) >= min_score]
            record["annotations"] = copy.deepcopy(kept)
        return [record for record in records if record["annotations"]]

    DatasetCatalog.register(name, load)
    with open(annotations) as file:
        categories = sorted(json.load(file)["categories"], key=lambda category: category["id"])
    names = [category["name"] for category in categories]
    MetadataCatalog.get(name).set(thing_classes=names, json_file=annotations, image_root=photos, evaluator_type="coco")
