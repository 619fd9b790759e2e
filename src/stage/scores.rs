//! Score maps and confidence masks for a second stage that weighs its pixels (BECO; INTEROP section 2).

use std::path::Path;

use anyhow::Result;
use ndarray::{Array2, Array3, ArrayView3};

use super::each::each;
use super::sweep::score_maps;
use super::{Context, Outcome};
use crate::data::dataset::{Dataset, Item};
use crate::data::npy::{Array, npz};
use crate::data::photo::{voc_palette, write_palette_png};
use crate::label::semantic::label_of;
use crate::store::Stage;

/// Writes for every image of `set`
/// * `scores/NAME.npz`: `keys` (0-based classes), `scores` f32 `[K, H, W]` of 0..=1, `background` (the threshold),
/// * `confidence/NAME.png`: 255 where the label is sure, else 0,
/// * `sem_seg_sure/NAME.png`: the semantic mask with 255 where it is not.
///
/// A label is sure where another score or the background threshold would have to move by `scores.margin` to change
/// it.
///
/// # Errors
/// A directory that can't be written, Ctrl-C. Images without semantic masks are skipped and listed.
pub fn run(context: &Context, set: &Dataset) -> Result<Outcome> {
    let names = ["scores", "confidence", "sem_seg_sure"];
    let dirs = names.map(|name| context.config.run.out.join(name));
    let work = |item: &Item| write(context, item, dirs.each_ref().map(|dir| dir.as_path()));
    let outcome = each(context, "scores", set, work)?;
    eprintln!("score maps in {}", dirs[0].display());
    Ok(outcome)
}

fn write(context: &Context, item: &Item, [scores, confidence, sure]: [&Path; 3]) -> Result<()> {
    let config = &context.config;
    let (keys, maps) = score_maps(context, Stage::SemSeg, item)?;
    let (background, margin) = (config.sem_seg.background, config.scores.margin);
    let mut label = label_of(maps.view(), &keys, background);
    let is_sure = sure_of(maps.view(), background, margin);
    let confident = is_sure.mapv(|sure| if sure { 255 } else { 0 });
    ndarray::Zip::from(&mut label).and(&is_sure).for_each(|label, &sure| {
        if !sure {
            *label = 255;
        }
    });
    let png = format!("{}.png", item.name);
    write_palette_png(&confidence.join(&png), confident.view(), &grey())?;
    write_palette_png(&sure.join(&png), label.view(), &voc_palette())?;
    npz::write(&scores.join(format!("{}.npz", item.name)), &entries(&keys, maps, background))
}

fn entries(keys: &[usize], maps: Array3<f32>, background: f32) -> [(&'static str, Array); 3] {
    let keys: ndarray::Array1<i64> = keys.iter().map(|&key| key as i64).collect();
    let background = ndarray::arr0(background);
    [
        ("keys", Array::I64(keys.into_dyn())),
        ("scores", Array::F32(maps.into_dyn())),
        ("background", Array::F32(background.into_dyn())),
    ]
}

/// Where the best of background and classes leads the second by `margin`.
fn sure_of(maps: ArrayView3<f32>, background: f32, margin: f32) -> Array2<bool> {
    let (_, height, width) = maps.dim();
    Array2::from_shape_fn((height, width), |(y, x)| {
        let (mut best, mut second) = (background, f32::NEG_INFINITY);
        for &score in maps.slice(ndarray::s![.., y, x]) {
            if score > best {
                (best, second) = (score, best);
            } else {
                second = second.max(score);
            }
        }
        best - second >= margin
    })
}

fn grey() -> [[u8; 3]; 256] {
    std::array::from_fn(|value| [value as u8; 3])
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn sure_is_what_leads_by_the_margin() {
        let maps = array![[[0.5, 0.32, 0.1, 0.9]], [[0.1, 0.0, 0.1, 0.85]]];
        let sure = sure_of(maps.view(), 0.25, 0.1);
        assert_eq!(sure, array![[true, false, true, false]]);
        let none = Array3::zeros((0, 1, 2));
        assert_eq!(sure_of(none.view(), 0.25, 0.1), array![[true, true]]);
    }
}
