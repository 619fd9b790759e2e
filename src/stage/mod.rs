//! The inference stages, in upstream's order. The only place where data, store, runtime and algorithms
//! meet: one file a stage, one `run` each.

pub mod cam;
pub mod classes;
pub mod coco;
pub mod compute;
pub mod context;
mod each;
pub mod eval;
pub mod export_npy;
pub mod figures;
pub mod import_cam;
pub mod ins_seg;
pub mod ir_label;
pub mod irn;
pub mod one;
pub mod report;
pub mod scores;
pub mod sem_seg;
pub mod source;
pub mod sweep;

pub use context::{Context, Outcome};
