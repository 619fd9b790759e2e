//! The demo data: procedurally drawn scenes in VOC's layout, so that the whole pipeline can be tried without
//! downloading anything. Classes differ in shape, texture and main colour; instances touch and overlap.

mod background;
mod scene;
mod shapes;
mod texture;
mod write;

use std::ops::RangeInclusive;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use scene::Scene;
use shapes::Shape;

/// The classes in order; label value = position + 1.
pub const DEMO_CLASSES: [&str; 6] = ["ball", "cube", "fish", "leaf", "ring", "star"];

/// Sides of the pictures in pixels that [`generate`] is meant for.
pub const DEMO_SIDES: RangeInclusive<usize> = 128..=192;

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Images of the training list.
    pub train: usize,
    /// Images of the validation list.
    pub val: usize,
    /// Instances by class, in the order of [`DEMO_CLASSES`].
    pub instances: [usize; DEMO_CLASSES.len()],
}

/// Writes `images` scenes below `out`: `JPEGImages`, `Annotations`, `SegmentationClass`, `SegmentationObject` and
/// `ImageSets/Segmentation/{train,val,trainval}.txt`, every fifth image for validation. The sides are drawn from
/// `sides`. The same arguments give the same bytes, whatever the number of threads.
///
/// # Errors
/// When there is nothing to draw, the sides are not within 32..=4096, or a file can't be written.
pub fn generate(
    out: &Path,
    images: usize,
    seed: u64,
    sides: RangeInclusive<usize>,
) -> Result<Summary> {
    ensure!(images > 0, "a demo data set of 0 images");
    let usable = *sides.start() >= 32 && *sides.end() <= 4096 && !sides.is_empty();
    ensure!(usable, "demo images with sides of {sides:?}: must be within 32..=4096");
    write::make_directories(out)?;
    let draw = |index: usize| -> Result<Vec<Shape>> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(index as u64);
        let scene = Scene::random(&mut rng, &sides);
        let name = name_of(index);
        let written = write::write_scene(out, &name, &scene.render());
        written.with_context(|| format!("failed to write demo image {name}"))?;
        Ok(scene.shapes().collect())
    };
    let shapes: Vec<Vec<Shape>> = (0..images).into_par_iter().map(draw).collect::<Result<_>>()?;
    write::write_lists(out, images)?;
    let val = (0..images).filter(|&index| for_validation(index)).count();
    let mut instances = [0; DEMO_CLASSES.len()];
    shapes.into_iter().flatten().for_each(|shape| instances[shape.class()] += 1);
    Ok(Summary { train: images - val, val, instances })
}

fn name_of(index: usize) -> String {
    format!("{:06}", index + 1)
}

fn for_validation(index: usize) -> bool {
    index % 5 == 4
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Every file below `root` with its bytes.
    fn contents(root: &Path) -> BTreeMap<String, Vec<u8>> {
        let mut found = BTreeMap::new();
        let mut open = vec![root.to_path_buf()];
        while let Some(directory) = open.pop() {
            for entry in fs_err::read_dir(&directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    open.push(path);
                } else {
                    let name = path.strip_prefix(root).unwrap().display().to_string();
                    found.insert(name, fs_err::read(&path).unwrap());
                }
            }
        }
        found
    }

    fn generated(threads: usize, seed: u64) -> BTreeMap<String, Vec<u8>> {
        let directory = tempfile::tempdir().unwrap();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let summary = pool.install(|| generate(directory.path(), 6, seed, 48..=64)).unwrap();
        assert_eq!((summary.train, summary.val), (5, 1));
        assert!(summary.instances.iter().sum::<usize>() >= 6);
        contents(directory.path())
    }

    #[test]
    fn same_seed_same_bytes() {
        let first = generated(1, 7);
        assert_eq!(first.len(), 6 * 4 + 3);
        assert!(first == generated(3, 7), "depends on the number of threads");
        assert!(first != generated(1, 8), "does not depend on the seed");
    }

    #[test]
    fn layout_is_vocs() {
        let files = generated(2, 1);
        assert_eq!(files["ImageSets/Segmentation/val.txt"], b"000005\n");
        let xml = String::from_utf8(files["Annotations/000001.xml"].clone()).unwrap();
        let document = roxmltree::Document::parse(&xml).unwrap();
        let names = document.descendants().filter(|node| node.has_tag_name("name"));
        assert!(names.clone().count() >= 1);
        names.for_each(|node| assert!(DEMO_CLASSES.contains(&node.text().unwrap())));
    }

    #[test]
    fn nonsense_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        assert!(generate(directory.path(), 0, 1, DEMO_SIDES).is_err());
        assert!(generate(directory.path(), 1, 1, 1..=9).is_err());
    }
}
