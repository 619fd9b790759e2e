//! The ground truth of an item: VOC's label pictures, or masks drawn from COCO's annotations.

use anyhow::{Context, Result};
use ndarray::{Array2, Array3, Axis};

use super::coco::Annotated;
use super::dataset::Item;
use super::photo::read_label;
use crate::eval::coco::evaluator::{Object, Shape};
use crate::eval::coco::files;
use crate::eval::coco::rle::Rle;
use crate::eval::truth::{Instances, voc_instances};

impl Item {
    /// Whether there is a ground truth for semantic masks.
    pub fn has_semantic_truth(&self) -> bool {
        self.annotated.is_some() || self.semantic_mask_path().exists()
    }

    /// Whether there is a ground truth for instance masks.
    pub fn has_instance_truth(&self) -> bool {
        self.annotated.is_some() || self.instance_mask_path().exists()
    }

    /// Class numbers `[H, W]`: 0 background, class + 1, 255 not judged.
    ///
    /// Of COCO's overlapping objects the smaller one lies on the larger (by pixels; the later one of equals on the
    /// earlier), and all of them on crowds, which are 255.
    ///
    /// # Errors
    /// No ground truth, a damaged one.
    pub fn semantic_truth(&self) -> Result<Array2<u8>> {
        match &self.annotated {
            Some(of) => semantic(of),
            None => read_label(&self.semantic_mask_path()).context("no ground truth"),
        }
    }

    /// Masks and classes of the objects; COCO's crowds are not among them.
    ///
    /// # Errors
    /// No ground truth, a damaged one.
    pub fn instance_truth(&self) -> Result<Instances> {
        let Some(of) = &self.annotated else {
            let class = read_label(&self.semantic_mask_path()).context("no ground truth")?;
            let object = read_label(&self.instance_mask_path()).context("no ground truth")?;
            return voc_instances(class.view(), object.view());
        };
        let single: Vec<_> = of.objects.iter().filter(|(_, region)| !region.crowd).collect();
        let mut masks = Array3::from_elem((single.len(), of.image.height, of.image.width), false);
        for (mut mask, (_, region)) in masks.axis_iter_mut(Axis(0)).zip(&single) {
            mask.assign(&region.encode(&of.image)?.mask());
        }
        Ok(Instances { masks, classes: single.iter().map(|(class, _)| *class).collect() })
    }

    /// The objects as COCO's evaluation takes them, each with its class.
    ///
    /// # Errors
    /// No ground truth, a damaged one.
    pub fn coco_truth(&self) -> Result<Vec<(usize, Object)>> {
        if let Some(of) = &self.annotated {
            let object =
                |(class, region): &(usize, _)| Ok((*class, files::object(region, &of.image)?));
            return of.objects.iter().map(object).collect();
        }
        let truth = self.instance_truth()?;
        let object = |(mask, &class): (ndarray::ArrayView2<bool>, &usize)| {
            let shape = Shape::new(Rle::new(mask));
            let area = shape.pixels() as f64;
            (class, Object { shape, area, crowd: false })
        };
        Ok(truth.masks.axis_iter(Axis(0)).zip(&truth.classes).map(object).collect())
    }
}

fn semantic(of: &Annotated) -> Result<Array2<u8>> {
    let mut map = Array2::zeros((of.image.height, of.image.width));
    let mut objects = Vec::with_capacity(of.objects.len());
    for (class, region) in &of.objects {
        let rle = region.encode(&of.image)?;
        let value = if region.crowd { 255 } else { u8::try_from(class + 1)? };
        objects.push((!region.crowd, std::cmp::Reverse(rle.area()), value, rle));
    }
    objects.sort_by_key(|(single, area, ..)| (*single, *area));
    objects.iter().for_each(|(.., value, rle)| rle.paint(&mut map, *value));
    Ok(map)
}
