//! Data in and out: data sets, photos, resizing, normalisation, training samples, `.npy` files.
//!
//! Data sets list records and read no pixels; everything that reads pixels takes a path or an array.

pub mod atomic;
pub mod augment;
pub mod cam_file;
pub mod check;
pub mod coco;
pub mod crop;
pub mod dataset;
pub mod demo;
pub mod folder;
pub mod image_labels;
pub mod normalise;
pub mod npy;
pub mod photo;
pub mod problems;
pub mod resize;
pub mod sbd;
pub mod truth;
pub mod walk;
