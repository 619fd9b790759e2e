//! Pictures on disk: photos as RGB, label maps as class numbers, and both written back.

mod jpeg_end;
mod label;
mod read;
mod write;

pub use label::read_label;
pub use read::{ExifRule, read_photo, size_of};
pub use write::{Palette, voc_palette, write_jpeg, write_palette_png, write_rgb_png};

#[cfg(test)]
mod tests;
