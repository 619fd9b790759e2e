//! Ground-truth instances from VOC's two label images (chainercv's `VOCInstanceSegmentationDataset`).

use anyhow::{Result, ensure};
use ndarray::{Array3, ArrayView2, Axis};

use super::instance::Masks;

/// Ground-truth masks of one image.
#[derive(Clone, Debug)]
pub struct Instances {
    /// `[N, h, w]`, in the order of the object numbers.
    pub masks: Array3<bool>,
    /// 0-based class of each mask.
    pub classes: Vec<usize>,
}

impl Instances {
    /// The masks as the evaluator takes them.
    pub fn view(&self) -> Masks<'_> {
        Masks { masks: self.masks.view(), classes: &self.classes }
    }
}

/// Masks of all objects of `SegmentationObject` (0 and 255 are none), each with the smallest class that
/// `SegmentationClass` shows under it. Background and unknown pixels there do not vote; an object that has no
/// others is left out.
///
/// # Errors
/// When the two images differ in size.
pub fn voc_instances(class: ArrayView2<u8>, object: ArrayView2<u8>) -> Result<Instances> {
    let (shape, other) = (object.dim(), class.dim());
    ensure!(shape == other, "SegmentationObject is {shape:?}, SegmentationClass {other:?}");
    let mut smallest = [u8::MAX; 256];
    for (&object, &class) in object.iter().zip(class) {
        if class != 0 {
            let held = &mut smallest[usize::from(object)];
            *held = class.min(*held);
        }
    }
    let found: Vec<u8> = (1..255).filter(|&at| smallest[usize::from(at)] != u8::MAX).collect();
    let mut masks = Array3::from_elem((found.len(), shape.0, shape.1), false);
    for (mut mask, &number) in masks.axis_iter_mut(Axis(0)).zip(&found) {
        mask.zip_mut_with(&object, |set, &at| *set = at == number);
    }
    let classes = found.iter().map(|&at| usize::from(smallest[usize::from(at)]) - 1).collect();
    Ok(Instances { masks, classes })
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn objects_in_order_with_their_class() {
        let object = array![[3u8, 3, 0], [1, 255, 7]];
        let class = array![[9u8, 255, 0], [2, 255, 255]];
        let found = voc_instances(class.view(), object.view()).unwrap();
        assert_eq!(found.classes, [1, 8]);
        assert_eq!(found.masks.index_axis(Axis(0), 1), array![[true, true, false], [false; 3]]);
        assert!(voc_instances(class.view(), array![[1u8]].view()).is_err());
    }
}
