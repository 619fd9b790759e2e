//! Confusion matrix of label images and what follows from it: IoU, mIoU, accuracy, and upstream's figures
//! on background (`eval_sem_seg.py`; the counting is chainercv's).

use std::borrow::Cow;

use anyhow::{Result, bail, ensure};
use ndarray::{Array2, ArrayView2, s};
use serde::Serialize;

use super::count::{counted, highest};

/// A pixel of a label image as ground truth: what counts, and what is ignored.
pub trait Truth: Copy {
    /// The class, 0 for background; `None` for a pixel that is to be ignored.
    fn class(self) -> Option<usize>;

    /// The classes as bytes, where they fit in one; 255 for a pixel that is to be ignored.
    fn bytes(labels: &[Self]) -> Cow<'_, [u8]> {
        labels.iter().map(|label| label.class().map_or(255, |class| class as u8)).collect()
    }
}

impl Truth for u8 {
    fn class(self) -> Option<usize> {
        (self != 255).then_some(usize::from(self))
    }

    fn bytes(labels: &[Self]) -> Cow<'_, [u8]> {
        Cow::from(labels)
    }
}

impl Truth for i64 {
    /// Negative numbers and 255 are ignored.
    fn class(self) -> Option<usize> {
        usize::try_from(self).ok().filter(|&class| class != 255)
    }
}

/// Largest label that a label image can hold beside 255, "unknown".
const MAX_LABEL: usize = 254;

/// Counts of (ground truth, prediction) over pixels. Grows to the largest label seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Confusion {
    counts: Array2<u64>,
}

impl Confusion {
    /// An empty matrix of `labels` rows, background included.
    pub fn new(labels: usize) -> Self {
        Self { counts: Array2::zeros((labels, labels)) }
    }

    /// Counts of `[labels, labels]`: rows are ground truth, columns predictions.
    pub fn counts(&self) -> ArrayView2<'_, u64> {
        self.counts.view()
    }

    /// Adds one image. A prediction of 255 counts as background; ignored ground truth is left out, but the
    /// labels predicted there widen the matrix all the same, as upstream's do.
    ///
    /// # Errors
    /// When the shapes differ, or a label is above 254.
    pub fn add<T: Truth>(&mut self, pred: ArrayView2<u8>, truth: ArrayView2<T>) -> Result<()> {
        let (shape, expected) = (pred.dim(), truth.dim());
        ensure!(
            shape == expected,
            "prediction is {shape:?}, ground truth {expected:?} (height, width)"
        );
        let (pred, truth) = (pred.as_standard_layout(), truth.as_standard_layout());
        let pred = pred.as_slice().expect("standard layout");
        let truth = truth.as_slice().expect("standard layout");
        let beyond = |label: &&T| label.class().is_some_and(|class| class > MAX_LABEL);
        if let Some(label) = truth.iter().find(beyond).and_then(|label| label.class()) {
            bail!("ground truth holds label {label}, above {MAX_LABEL}");
        }
        let truth = T::bytes(truth);
        let labels = usize::from(highest(pred).max(highest(&truth))) + 1;
        self.widen(labels);
        for ((truth, pred), pixels) in counted(pred, &truth, labels) {
            self.counts[[truth, pred]] += pixels;
        }
        Ok(())
    }

    /// Counts `pixels` more of one kind.
    pub(super) fn count(&mut self, truth: usize, pred: usize, pixels: u64) {
        self.widen(truth.max(pred) + 1);
        self.counts[[truth, pred]] += pixels;
    }

    /// Grows to at least `labels` rows.
    pub(super) fn widen(&mut self, labels: usize) {
        let held = self.counts.nrows();
        if labels > held {
            let mut grown = Array2::zeros((labels, labels));
            grown.slice_mut(s![..held, ..held]).assign(&self.counts);
            self.counts = grown;
        }
    }

    /// The sum of both, whatever their sizes.
    pub fn merge(mut self, other: Self) -> Self {
        let held = other.counts.nrows();
        self.widen(held);
        let mut shared = self.counts.slice_mut(s![..held, ..held]);
        shared += &other.counts;
        self
    }

    /// The first `labels` rows and columns (upstream cuts VOC's matrix to 21).
    pub fn cut(&self, labels: usize) -> Self {
        let labels = labels.min(self.counts.nrows());
        Self { counts: self.counts.slice(s![..labels, ..labels]).to_owned() }
    }

    /// All figures. `compat` averages false positives and negatives as upstream does: one absent class makes
    /// both means undefined (`None`); otherwise absent classes are left out.
    pub fn scores(&self, compat: bool) -> SemanticScores {
        let labels: Vec<LabelScore> = (0..self.counts.nrows()).map(|at| self.label(at)).collect();
        let iou: Vec<_> = labels.iter().map(|label| label.iou).collect();
        let foreground = labels.get(1..).unwrap_or_default();
        let average = |of: fn(&LabelScore) -> Option<f64>| {
            let values: Vec<_> = foreground.iter().map(of).collect();
            if compat && values.contains(&None) { None } else { mean(&values) }
        };
        let total: u64 = self.counts.sum();
        let right: u64 = self.counts.diag().sum();
        SemanticScores {
            miou: mean(&iou),
            accuracy: (total > 0).then(|| right as f64 / total as f64),
            background_false_positive: labels.first().and_then(|label| label.false_positive),
            background_false_negative: labels.first().and_then(|label| label.false_negative),
            mean_false_positive: average(|label| label.false_positive),
            mean_false_negative: average(|label| label.false_negative),
            iou,
        }
    }

    fn label(&self, at: usize) -> LabelScore {
        let truth: u64 = self.counts.row(at).sum();
        let pred: u64 = self.counts.column(at).sum();
        let both = self.counts[[at, at]];
        let union = (truth + pred - both) as f64;
        let of_union = |part: u64| (union > 0.0).then(|| part as f64 / union);
        LabelScore {
            iou: of_union(both),
            false_positive: of_union(truth).map(|share| 1.0 - share),
            false_negative: of_union(pred).map(|share| 1.0 - share),
        }
    }
}

struct LabelScore {
    iou: Option<f64>,
    false_positive: Option<f64>,
    false_negative: Option<f64>,
}

/// The figures of a confusion matrix; `None` where upstream has NaN.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SemanticScores {
    /// Mean of `iou` over the labels that occur in ground truth or prediction.
    pub miou: Option<f64>,
    /// Share of counted pixels that are right.
    pub accuracy: Option<f64>,
    /// 1 - ground truth / union of label 0 (upstream prints it as `fp[0]`).
    pub background_false_positive: Option<f64>,
    /// 1 - prediction / union of label 0 (upstream's `fn[0]`).
    pub background_false_negative: Option<f64>,
    /// Mean of 1 - ground truth / union over labels 1.. .
    pub mean_false_positive: Option<f64>,
    /// Mean of 1 - prediction / union over labels 1.. .
    pub mean_false_negative: Option<f64>,
    /// Intersection over union by label, 0 is background; `None` for a label seen nowhere.
    pub iou: Vec<Option<f64>>,
}

impl SemanticScores {
    /// mIoU over the given labels (0 is background) as far as they occur.
    pub fn miou_over(&self, labels: &[usize]) -> Option<f64> {
        let chosen: Vec<_> =
            labels.iter().map(|&label| self.iou.get(label).copied().flatten()).collect();
        mean(&chosen)
    }
}

/// Mean of the values that exist.
pub(super) fn mean(values: &[Option<f64>]) -> Option<f64> {
    let present: Vec<f64> = values.iter().copied().flatten().collect();
    (!present.is_empty()).then(|| present.iter().sum::<f64>() / present.len() as f64)
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    fn confusion() -> Confusion {
        let mut confusion = Confusion::default();
        let pred = array![[0u8, 1, 1], [2, 255, 4]];
        let truth = array![[0u8, 1, 2], [2, 0, 255]];
        confusion.add(pred.view(), truth.view()).unwrap();
        confusion
    }

    #[test]
    fn ignored_pixels_widen_but_do_not_count() {
        let confusion = confusion();
        assert_eq!(confusion.counts().dim(), (5, 5));
        assert_eq!(confusion.counts().sum(), 5);
        let scores = confusion.scores(false);
        assert_eq!(scores.iou, [Some(1.0), Some(0.5), Some(0.5), None, None]);
        assert_eq!(scores.miou, Some(2.0 / 3.0));
        assert_eq!(scores.accuracy, Some(0.8));
        assert_eq!(scores.miou_over(&[1, 2, 3, 9]), Some(0.5));
    }

    #[test]
    fn absent_classes_spoil_the_means_only_in_compat() {
        assert_eq!(confusion().scores(true).mean_false_positive, None);
        assert_eq!(confusion().scores(false).mean_false_positive, Some(0.25));
        assert_eq!(Confusion::default().scores(false).miou, None);
    }

    #[test]
    fn merging_is_adding() {
        let small = Confusion::new(2);
        assert_eq!(small.clone().merge(confusion()), confusion());
        assert_eq!(confusion().merge(small), confusion());
        let twice = confusion().merge(confusion());
        assert_eq!(twice.counts().sum(), 10);
        assert_eq!(twice.cut(3).counts().dim(), (3, 3));
    }

    #[test]
    fn bad_input_is_an_error() {
        let pred = Array2::<u8>::zeros((2, 3));
        assert!(Confusion::default().add(pred.view(), Array2::<u8>::zeros((3, 2)).view()).is_err());
        let huge = Array2::from_elem((2, 3), 1_000_000_i64);
        assert!(Confusion::default().add(pred.view(), huge.view()).is_err());
    }
}
