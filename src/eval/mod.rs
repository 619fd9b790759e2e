//! Evaluation: semantic masks (confusion matrix, mIoU), instance masks (average precision), and the
//! COCO file (upstream's `eval_cam.py`, `eval_sem_seg.py`, `eval_ins_seg.py`, `make_cocoann.py`).

pub mod bitmask;
pub mod coco;
mod count;
pub mod instance;
pub mod precision;
pub mod proposal;
pub mod semantic;
pub mod sweep;
pub mod truth;
