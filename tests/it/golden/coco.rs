//! Group 14: the COCO annotation of one mask.

use anyhow::{Context, Result, bail, ensure};
use irn::eval::coco::annotations::{Annotation, Format, Segmentation, annotation};
use irn::eval::coco::raster::rasterise;
use irn::eval::coco::rle::Rle;
use ndarray::Array2;
use serde_json::{Value, json};

use super::case::{Case, shaped};

pub fn run(case: &Case) -> Result<()> {
    let mask: Array2<u8> = shaped(case.u8("in.mask")?)?;
    let mask = mask.mapv(|pixel| pixel != 0);
    ensure!(case.params()["tolerance"] == json!(0), "outlines are never simplified");
    run_lengths(case, &mask)?;
    let expected = case.expected();
    let ids = &expected["annotation"];
    let id = |key: &str| ids[key].as_u64().unwrap_or(1);
    let made =
        |format| annotation(id("id"), id("image_id"), id("category_id"), mask.view(), 1.0, format);
    let by_polygons = made(Format::Polygons);
    ensure!(by_polygons.is_none() == expected["crowd_annotation_is_none"], "None or not");
    ensure!(by_polygons.is_none() == ids.is_null(), "None or not");
    for annotation in [&by_polygons, &made(Format::Rle)].into_iter().flatten() {
        fields(annotation, ids)?;
    }
    polygons(case, &mask, by_polygons)
}

fn run_lengths(case: &Case, mask: &Array2<bool>) -> Result<()> {
    let expected = case.expected();
    let rle = Rle::new(mask.view());
    for key in ["area", "bbox", "rle"] {
        ensure!(case.tolerance(key)? == 0.0, "{key} is compared exactly");
    }
    ensure!(json!(rle.counts()) == expected["rle_counts"], "run lengths");
    ensure!(json!(rle.text()) == expected["rle_counts_string"], "compressed run lengths");
    ensure!(json!(rle.size()) == expected["rle_size"], "size");
    ensure!(json!(rle.area()) == expected["area"], "area");
    ensure!(json!(rle.bbox().map(f64::from)) == expected["bbox_xywh"], "box");
    let text = expected["rle_counts_string"].as_str().context("rle_counts_string")?;
    ensure!(Rle::from_text(mask.nrows(), mask.ncols(), text)?.mask() == *mask, "decoded mask");
    Ok(())
}

fn fields(annotation: &Annotation, expected: &Value) -> Result<()> {
    let ours = serde_json::to_value(annotation)?;
    for (key, value) in expected.as_object().context("annotation")? {
        ensure!(ours[key] == *value, "annotation {key}: {}, not {value}", ours[key]);
    }
    Ok(())
}

fn polygons(case: &Case, mask: &Array2<bool>, annotation: Option<Annotation>) -> Result<()> {
    let expected = case.expected();
    let (ours, theirs) = match (annotation, &expected["polygons"]) {
        (None, Value::Null) => return Ok(()),
        (Some(Annotation { segmentation: Segmentation::Polygons(ours), .. }), theirs) => {
            (ours, serde_json::from_value::<Vec<Vec<f64>>>(theirs.clone())?)
        }
        _ => bail!("polygons where none are expected, or none"),
    };
    let tolerance = case.tolerance("polygon_coordinates")?;
    let canonical = |polygons: &[Vec<f64>]| -> Result<Vec<_>> {
        let mut all: Vec<_> = polygons.iter().map(|p| rotated(p)).collect::<Result<_>>()?;
        all.sort_by(|a, b| a.partial_cmp(b).expect("no NaN in outlines"));
        Ok(all)
    };
    let (a, b) = (canonical(&ours)?, canonical(&theirs)?);
    let lengths = |all: &[Vec<[f64; 2]>]| all.iter().map(Vec::len).collect::<Vec<_>>();
    ensure!(lengths(&a) == lengths(&b), "{} outlines, not {}", a.len(), b.len());
    for (ours, theirs) in a.iter().flatten().flatten().zip(b.iter().flatten().flatten()) {
        ensure!((ours - theirs).abs() <= tolerance, "vertex at {ours}, not {theirs}");
    }
    let area = rasterise(&ours, mask.nrows(), mask.ncols())?.iter().filter(|set| **set).count();
    let expected = &expected["polygon_area_after_pycocotools_rasterising"];
    ensure!(json!(area) == *expected, "rasterised area {area}, not {expected}");
    Ok(())
}

/// The vertices without the closing one, turned so that the smallest sequence comes first.
fn rotated(polygon: &[f64]) -> Result<Vec<[f64; 2]>> {
    let mut points: Vec<[f64; 2]> = polygon.chunks_exact(2).map(|p| [p[0], p[1]]).collect();
    ensure!(points.len() >= 3 && points.first() == points.last(), "an outline that is not closed");
    points.pop();
    let rotations = (0..points.len()).map(|at| {
        let mut turned = points.clone();
        turned.rotate_left(at);
        turned
    });
    let smallest = rotations.min_by(|a, b| a.partial_cmp(b).expect("no NaN in outlines"));
    smallest.context("a rotation")
}
