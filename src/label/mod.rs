//! Not yet here.

pub mod crf;
