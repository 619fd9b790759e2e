//! The report: one HTML file with the numbers, the curves and every photo's pictures.
//!
//! The file needs nothing beside it: images are embedded, styles and script are our own, and its
//! content policy forbids the browser to load anything. Every text is escaped, since names of
//! photos and classes come from files that others wrote. Whatever is empty is left out.

mod axis;
mod chart;
mod gallery;
mod html;
mod page;
mod tables;

use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};
use ndarray::ArrayRef3;

use super::{canvas, encode};
use crate::Hint;

/// Everything on the page.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Heading and window title.
    pub title: String,
    /// A line under the heading: data set, number of photos, device.
    pub note: String,
    /// Class names by key, without background.
    pub class_names: Vec<String>,
    /// Columns of the per-class table; their means are the key numbers at the top.
    pub scores: Vec<Scores>,
    /// Curves of the evaluation, such as mIoU over the CAM threshold.
    pub evaluation: Vec<Chart>,
    /// Curves of the training: losses and learning rates of both networks.
    pub training: Vec<Chart>,
    /// Seconds a stage.
    pub timings: Vec<Timing>,
    /// One entry a photo.
    pub images: Vec<ReportImage>,
    /// The resolved settings, as they would stand in a file.
    pub settings: String,
}

/// One measure over all classes: fractions in 0..=1.
#[derive(Clone, Debug, Default)]
pub struct Scores {
    /// Heading, such as `semantic IoU` or `AP50`.
    pub name: String,
    /// The background's value, where the measure has one.
    pub background: Option<f64>,
    /// Values by class key.
    pub classes: Vec<Option<f64>>,
    /// The mean as the evaluation defines it.
    pub mean: Option<f64>,
}

/// A line chart.
#[derive(Clone, Debug, Default)]
pub struct Chart {
    /// Heading.
    pub title: String,
    /// What runs to the right.
    pub x_label: String,
    /// What runs up.
    pub y_label: String,
    /// The lines.
    pub series: Vec<Series>,
    /// Whether the highest point of each line is marked.
    pub mark_best: bool,
}

/// A line of a chart.
#[derive(Clone, Debug, Default)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// (x, y), x ascending; points that are not finite are left out.
    pub points: Vec<(f64, f64)>,
}

/// How long a stage took.
#[derive(Clone, Debug, Default)]
pub struct Timing {
    /// The stage.
    pub stage: String,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// Photos it worked on, where that is what it does.
    pub images: Option<usize>,
}

/// One photo.
#[derive(Clone, Debug, Default)]
pub struct ReportImage {
    /// Its name in the data set.
    pub name: String,
    /// Keys of its image-level labels.
    pub classes: Vec<usize>,
    /// Mean IoU of its semantic mask over the classes it shows, in 0..=1, if there is ground truth.
    pub iou: Option<f64>,
    /// Scores of its instances, any order.
    pub scores: Vec<f32>,
    /// Its pictures, in the order shown.
    pub panels: Vec<Panel>,
}

/// One picture of a photo.
#[derive(Clone, Debug, Default)]
pub struct Panel {
    /// What it shows, such as `CAM`: the caption, and the name by which it is switched off.
    pub kind: String,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// JPEG or PNG.
    pub bytes: Vec<u8>,
}

/// JPEG quality of embedded pictures.
const QUALITY: u8 = 84;
/// Pictures of at most this many colours become PNG, which keeps them sharp and small.
const FLAT_COLOURS: usize = 48;

impl Panel {
    /// A picture scaled down so that no side exceeds `most` pixels, and encoded.
    ///
    /// # Errors
    /// A picture without pixels.
    pub fn new(kind: impl Into<String>, picture: &ArrayRef3<u8>, most: usize) -> Result<Self> {
        let kind = kind.into();
        let (height, width) = canvas::size(picture);
        anyhow::ensure!(height > 0 && width > 0, "the panel {kind:?} has no pixels");
        let (small, flat) = if is_flat(picture) {
            let longest = height.max(width);
            let side = |side: usize| (side * most.min(longest) / longest).max(1);
            (canvas::resize(picture, (side(height), side(width))), true)
        } else {
            (encode::thumbnail(picture, most), false)
        };
        let bytes = if flat { encode::png(&small) } else { encode::jpeg(&small, QUALITY) };
        let bytes = bytes.with_context(|| format!("failed to embed the panel {kind:?}"))?;
        let (height, width) = canvas::size(&small);
        Ok(Self { kind, width, height, bytes })
    }
}

/// Whether the picture has only a few colours, as label maps do.
fn is_flat(picture: &ArrayRef3<u8>) -> bool {
    let mut seen = Vec::with_capacity(FLAT_COLOURS);
    let mut last = None;
    for pixel in picture.rows() {
        let colour = [pixel[0], pixel[1], pixel[2]];
        if last != Some(colour) && !seen.contains(&colour) {
            if seen.len() == FLAT_COLOURS {
                return false;
            }
            seen.push(colour);
        }
        last = Some(colour);
    }
    true
}

impl Report {
    /// Writes the page to `path`; a file already there is replaced only when the page is complete.
    ///
    /// # Errors
    /// The folder does not exist or can't be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let partial = path.with_extension("html.partial");
        let write = || -> std::io::Result<()> {
            let mut file = BufWriter::new(fs_err::File::create(&partial)?);
            self.render(&mut file)?;
            file.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
            fs_err::rename(&partial, path)
        };
        write()
            .with_context(|| format!("failed to write the report {}", path.display()))
            .hint("check that the folder exists, can be written, and has room")
    }

    /// Writes the page to any sink.
    ///
    /// # Errors
    /// Those of the sink.
    pub fn render(&self, out: &mut impl Write) -> std::io::Result<()> {
        page::render(self, out)
    }
}

#[cfg(test)]
mod tests;
