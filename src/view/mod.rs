//! Pictures for people: arrays in, RGB arrays out, and the report page made of them.
//!
//! Nothing here is read back by a later stage; label maps for machines are written as indexed PNG
//! elsewhere. The drawing functions are total: sizes that disagree are scaled, never refused.
//!
//! | module | what it draws |
//! |---|---|
//! | [`palette`] | colours of classes, instances, heat and directions |
//! | [`canvas`] | display scaling, blending, outlines |
//! | [`text`] | a bitmap font |
//! | [`heat`] | class activation maps and boundary probabilities |
//! | [`field`] | displacement fields and their colour wheel |
//! | [`labels`] | relation labels, semantic masks, ground truth |
//! | [`instances`] | instance masks with tags |
//! | [`strip`] | panels side by side with captions |
//! | [`encode`] | JPEG and PNG bytes, thumbnails |
//! | [`report`] | the self-contained HTML page |

use ndarray::Array3;

pub mod canvas;
pub mod encode;
pub mod field;
pub mod heat;
pub mod instances;
pub mod labels;
pub mod palette;
pub mod report;
pub mod strip;
pub mod text;

/// An RGB picture, H x W x 3.
pub type Picture = Array3<u8>;

/// A colour, red, green, blue.
pub type Rgb = [u8; 3];

#[cfg(test)]
mod tests;
