# Settings for mmdetection 3 that train Mask R-CNN on the masks of irn. Tried with mmdet 3.3.0: the settings load and
# the data set gives photos with boxes, labels and masks; training itself was not run (mmcv has no wheel for our Python).
# Adapt the paths and the classes, then: python tools/train.py examples/mmdetection.py
_base_ = "mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py"

# In the order of out/voc12/classes.json.
classes = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
    "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)
model = dict(roi_head=dict(bbox_head=dict(num_classes=len(classes)), mask_head=dict(num_classes=len(classes))))
train_dataloader = dict(
    dataset=dict(
        type="CocoDataset",
        metainfo=dict(classes=classes),
        ann_file="out/voc12/coco.json",
        data_root="",
        data_prefix=dict(img="VOCdevkit/VOC2012/JPEGImages/"),
        filter_cfg=dict(filter_empty_gt=True, min_size=1),
    )
)
