//! COCO: run lengths and polygons, the JSON files in and out (upstream's `make_cocoann.py`, pycococreator), and
//! the evaluation (`pycocotools.cocoeval`).

pub mod annotations;
pub mod categories;
mod entries;
pub mod evaluator;
pub mod files;
mod ids;
pub mod instances;
mod matching;
pub mod polygon;
pub mod raster;
pub mod results;
pub mod rle;
mod segmentation;
pub mod summary;
