//! Ground truth in VOC's form: one picture of class numbers, one of object numbers.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use ndarray::{Array2, ArrayView2};

/// Value of class and object pictures for "not judged".
pub const VOID: u8 = 255;

/// The masks of the objects `[H, W]`, ascending by object number, and their 0-based classes.
///
/// Object numbers 0 and 255 are no objects. An object's class is its smallest class number; pixels
/// of background (0) and void (255) under it say nothing, and an object on nothing else is left
/// out (VOC has neither).
///
/// # Errors
/// Pictures of different sizes.
pub fn instances(
    classes: ArrayView2<u8>,
    objects: ArrayView2<u8>,
) -> Result<(Vec<Array2<bool>>, Vec<usize>)> {
    ensure!(
        classes.dim() == objects.dim(),
        "class mask {:?} and object mask {:?} differ in size",
        classes.dim(),
        objects.dim()
    );
    let mut class_of = BTreeMap::new();
    for (&class, &object) in classes.iter().zip(objects) {
        if ![0, VOID].contains(&class) && ![0, VOID].contains(&object) {
            let smallest = class_of.entry(object).or_insert(class);
            *smallest = class.min(*smallest);
        }
    }
    let masks = class_of.keys().map(|object| objects.mapv(|value| value == *object)).collect();
    Ok((masks, class_of.values().map(|class| usize::from(class - 1)).collect()))
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn objects_come_in_ascending_order_with_their_classes() {
        let classes = array![[15, 15, 255, 0], [3, 15, 255, 0], [4, 0, 0, 255]];
        let objects = array![[5, 5, 255, 0], [2, 5, 255, 0], [5, 2, 0, 7]];
        let (masks, class) = instances(classes.view(), objects.view()).unwrap();
        assert_eq!(class, [2, 3]);
        assert_eq!(masks[0], objects.mapv(|object| object == 2));
        assert_eq!(masks[1], objects.mapv(|object| object == 5));
    }

    #[test]
    fn sizes_must_agree() {
        let (a, b) = (Array2::zeros((2, 3)), Array2::zeros((3, 2)));
        assert!(instances(a.view(), b.view()).is_err());
    }
}
