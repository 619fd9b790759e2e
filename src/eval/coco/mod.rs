//! COCO annotations: run lengths, polygons and the JSON file (upstream's `make_cocoann.py`, pycococreator).

pub mod annotations;
pub mod polygon;
pub mod raster;
pub mod rle;
