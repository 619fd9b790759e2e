//! The label engine: arrays in, arrays out; no files, no settings beyond the arguments.
//!
//! In the order of the pipeline: [`merge()`] sums the maps of all scales; [`random_walk()`] spreads
//! them along affinities that the boundary map interrupts; [`semantic`] reads a label map off the
//! result. For instances the displacement field is followed to its [`centroids`], pixels with a common
//! one form [`clusters`], and [`instances()`] walks every class in every cluster.

pub mod affinity;
pub mod banded;
pub mod centroids;
pub mod clusters;
pub mod components;
pub mod crf;
mod field;
pub mod instances;
pub mod interpolate;
pub mod merge;
mod power;
mod product;
pub mod random_walk;
pub mod semantic;
mod spreading;
pub mod strips;
mod terms;
pub mod wide;
pub mod winners;

pub use self::{
    instances::{Instances, instances},
    merge::{MergedCam, merge},
    random_walk::{Walk, random_walk},
};
