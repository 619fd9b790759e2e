//! mIoU and instance AP of a hundred images.

use anyhow::Result;
use irn::eval::instance::{InstanceEvaluator, Masks};
use irn::eval::precision::Metric;
use irn::eval::semantic::Confusion;
use ndarray::{Array3, Axis, Ix3, s};
use rayon::prelude::*;

use super::inputs::{Inputs, alone, largest};
use super::measure::Measured;

/// Masks of all images, one image after the other.
struct All {
    counts: Vec<usize>,
    masks: Array3<bool>,
    classes: Vec<usize>,
}

impl All {
    fn read(inputs: &Inputs, what: &str) -> Result<Self> {
        let counts = inputs.numbers(&format!("evaluate_100.{what}_counts"))?;
        let masks = inputs.masks(&format!("evaluate_100.{what}_masks"), counts.iter().sum())?;
        let classes = inputs.numbers(&format!("evaluate_100.{what}_classes"))?;
        Ok(Self { counts, masks, classes })
    }

    /// Four boxes an image, the predictions a little beside the objects.
    fn made_up(shift: usize) -> Self {
        let classes: Vec<usize> = (0..400).map(|at| at * 7 % 20).collect();
        let masks = Array3::from_shape_fn((400, 375, 500), |(at, y, x)| {
            let left = 110 * (at % 4) + at / 4 % 30 + shift;
            (100..300).contains(&y) && (left..left + 90).contains(&x)
        });
        Self { counts: vec![4; 100], masks, classes }
    }

    fn image(&self, image: usize) -> (Masks<'_>, std::ops::Range<usize>) {
        let start: usize = self.counts[..image].iter().sum();
        let range = start..start + self.counts[image];
        let masks = self.masks.slice(s![range.clone(), .., ..]);
        (Masks { masks, classes: &self.classes[range.clone()] }, range)
    }
}

/// What both evaluations give.
struct Figures {
    iou: Vec<f32>,
    ap: Vec<f32>,
}

/// Confusion matrix and AP at 0.5, images in parallel as the stage has them.
pub fn hundred(inputs: &Inputs, _threads: usize) -> Result<Measured> {
    let found = inputs.has("evaluate_100.preds");
    let (pred, truth) = match found {
        true => (All::read(inputs, "pred")?, All::read(inputs, "truth")?),
        false => (All::made_up(9), All::made_up(0)),
    };
    let labels = |name: &str, all: &All| -> Result<Array3<u8>> {
        match found {
            true => {
                Ok(inputs.bytes(&format!("evaluate_100.{name}"))?.into_dimensionality::<Ix3>()?)
            }
            false => Ok(painted(all)),
        }
    };
    let (preds, truths) = (labels("preds", &pred)?, labels("truths", &truth)?);
    let scores: Vec<f32> = match found {
        true => inputs.f32("evaluate_100.scores")?.iter().copied().collect(),
        false => (0..400).map(|at| (at * 37 % 101) as f32 / 101.0).collect(),
    };
    let run = || {
        let one = |image: usize| -> Result<(Confusion, InstanceEvaluator)> {
            let mut confusion = Confusion::default();
            confusion.add(preds.index_axis(Axis(0), image), truths.index_axis(Axis(0), image))?;
            let mut evaluator = InstanceEvaluator::new(&[0.5]);
            let (masks, range) = pred.image(image);
            evaluator.add(masks, &scores[range], truth.image(image).0)?;
            Ok((confusion, evaluator))
        };
        let each: Vec<_> = (0..preds.dim().0).into_par_iter().map(one).collect::<Result<_>>()?;
        let (mut confusion, mut evaluator) = (Confusion::default(), InstanceEvaluator::new(&[0.5]));
        for (one, other) in each {
            confusion = confusion.merge(one);
            evaluator = evaluator.merge(other)?;
        }
        let number = |value: &Option<f64>| value.unwrap_or(f64::NAN) as f32;
        Ok(Figures {
            iou: confusion.scores(true).iou.iter().map(number).collect(),
            ap: evaluator.finish(Metric::Voc2012)[0].ap.iter().map(number).collect(),
        })
    };
    Measured::of(5, run, |ours| {
        if !found {
            return Ok(alone());
        }
        let iou = largest("IoUs", &ours.iou, &inputs.f32("evaluate_100.iou")?);
        Ok(format!("{iou}, {}", largest("APs", &ours.ap, &inputs.f32("evaluate_100.ap")?)))
    })
}

fn painted(all: &All) -> Array3<u8> {
    let mut labels = Array3::zeros((all.counts.len(), 375, 500));
    for (image, mut label) in labels.outer_iter_mut().enumerate() {
        let (masks, _) = all.image(image);
        for (mask, &class) in masks.masks.outer_iter().zip(masks.classes) {
            label.zip_mut_with(&mask, |label, &set| {
                *label = if set { class as u8 + 1 } else { *label };
            });
        }
    }
    labels
}
