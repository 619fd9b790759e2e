//! The files of a VOC data set: photos, box annotations, palette masks, lists.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;
use ndarray::ArrayView2;

use super::scene::Rendered;
use super::{DEMO_CLASSES, for_validation, name_of};
use crate::data::photo::{voc_palette, write_jpeg, write_palette_png};

const JPEG_QUALITY: u8 = 92;
const LISTS: &str = "ImageSets/Segmentation";

/// Makes the folders of the layout.
pub fn make_directories(out: &Path) -> Result<()> {
    for name in ["JPEGImages", "Annotations", "SegmentationClass", "SegmentationObject", LISTS] {
        fs_err::create_dir_all(out.join(name))?;
    }
    Ok(())
}

/// Writes the four files of one scene.
pub fn write_scene(out: &Path, name: &str, scene: &Rendered) -> Result<()> {
    let class = |&number: &u8| match number {
        0 => 0,
        number => scene.shapes[usize::from(number) - 1].class() as u8 + 1,
    };
    let classes = scene.objects.map(class);
    let palette = voc_palette();
    let masks = [("SegmentationClass", &classes), ("SegmentationObject", &scene.objects)];
    for (folder, labels) in masks {
        let path = out.join(folder).join(format!("{name}.png"));
        write_palette_png(&path, labels.view(), &palette)?;
    }
    let photo = out.join(format!("JPEGImages/{name}.jpg"));
    write_jpeg(&photo, scene.photo.view(), JPEG_QUALITY)?;
    fs_err::write(out.join(format!("Annotations/{name}.xml")), annotation(name, scene))?;
    Ok(())
}

/// VOC's XML: size, and name and box of every object.
fn annotation(name: &str, scene: &Rendered) -> String {
    let (height, width) = scene.objects.dim();
    let mut xml = format!(
        "<annotation>\n\t<folder>demo</folder>\n\t<filename>{name}.jpg</filename>\n\t<size>\n\t\t\
         <width>{width}</width>\n\t\t<height>{height}</height>\n\t\t<depth>3</depth>\n\t</size>\n\t\
         <segmented>1</segmented>\n"
    );
    for (number, shape) in (1..).zip(&scene.shapes) {
        let class = DEMO_CLASSES[shape.class()];
        let [left, top, right, bottom] = bounds(scene.objects.view(), number);
        let _ = write!(
            xml,
            "\t<object>\n\t\t<name>{class}</name>\n\t\t<difficult>0</difficult>\n\t\t<bndbox>\n\t\t\t\
             <xmin>{left}</xmin>\n\t\t\t<ymin>{top}</ymin>\n\t\t\t<xmax>{right}</xmax>\n\t\t\t\
             <ymax>{bottom}</ymax>\n\t\t</bndbox>\n\t</object>\n"
        );
    }
    xml + "</annotation>\n"
}

/// Left, top, right, bottom of an object; VOC counts pixels from 1 and includes the last.
fn bounds(objects: ArrayView2<u8>, number: u8) -> [usize; 4] {
    let pixels = objects.indexed_iter().filter(|(_, held)| **held == number);
    pixels.fold([usize::MAX, usize::MAX, 0, 0], |[left, top, right, bottom], ((y, x), _)| {
        [left.min(x + 1), top.min(y + 1), right.max(x + 1), bottom.max(y + 1)]
    })
}

/// The three lists of names.
pub fn write_lists(out: &Path, images: usize) -> Result<()> {
    let list = |wanted: &dyn Fn(usize) -> bool| -> String {
        (0..images).filter(|&at| wanted(at)).map(|at| name_of(at) + "\n").collect()
    };
    let folder = out.join(LISTS);
    fs_err::write(folder.join("train.txt"), list(&|at| !for_validation(at)))?;
    fs_err::write(folder.join("val.txt"), list(&for_validation))?;
    fs_err::write(folder.join("trainval.txt"), list(&|_| true))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;

    #[test]
    fn boxes_count_from_one() {
        let objects: Array2<u8> = array![[0, 2, 0], [2, 2, 0], [0, 0, 1]];
        assert_eq!(bounds(objects.view(), 2), [1, 1, 2, 2]);
        assert_eq!(bounds(objects.view(), 1), [3, 3, 3, 3]);
    }
}
