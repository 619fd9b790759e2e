//! Precision, recall and average precision of ranked detections, as chainercv's `calc_detection_voc_ap`.

/// How a precision-recall curve becomes one number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Metric {
    /// Area under the envelope of the curve (VOC 2010 and later; upstream's choice).
    #[default]
    Voc2012,
    /// Mean of the best precision at eleven recalls (VOC 2007).
    Voc2007,
}

/// Precision and recall after each detection, best score first.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// Hits among the detections so far.
    pub precision: Vec<f64>,
    /// Hits among all ground truth objects; `None` when there is none.
    pub recall: Option<Vec<f64>>,
}

impl Curve {
    /// The curve of `hits` in order of rank, with `positives` objects to be found.
    pub fn new(hits: impl Iterator<Item = bool>, positives: usize) -> Self {
        let found: Vec<usize> = hits
            .scan(0, |found, hit| {
                *found += usize::from(hit);
                Some(*found)
            })
            .collect();
        let share = |(rank, &found): (usize, &usize)| found as f64 / (rank + 1) as f64;
        let precision = found.iter().enumerate().map(share).collect();
        let recall = found.iter().map(|&found| found as f64 / positives as f64).collect();
        Self { precision, recall: (positives > 0).then_some(recall) }
    }

    /// Average precision; `None` without ground truth.
    pub fn average(&self, metric: Metric) -> Option<f64> {
        let recall = self.recall.as_ref()?;
        Some(match metric {
            Metric::Voc2012 => area(&self.precision, recall),
            Metric::Voc2007 => eleven_points(&self.precision, recall),
        })
    }
}

fn area(precision: &[f64], recall: &[f64]) -> f64 {
    let mut envelope = precision.to_vec();
    for at in (1..envelope.len()).rev() {
        envelope[at - 1] = envelope[at - 1].max(envelope[at]);
    }
    let before = std::iter::once(&0.0).chain(recall);
    let steps = recall.iter().zip(before).map(|(after, before)| after - before);
    steps.zip(envelope).map(|(step, precision)| step * precision).sum()
}

/// The recalls are `k * 0.1` in f64 like numpy's `arange`: 0.30000000000000004 misses a recall of 0.3.
fn eleven_points(precision: &[f64], recall: &[f64]) -> f64 {
    let best_at = |wanted: f64| {
        let reached = precision.iter().zip(recall).filter(|(_, recall)| **recall >= wanted);
        reached.map(|(precision, _)| *precision).fold(0.0, f64::max)
    };
    (0..11).map(|point| best_at(f64::from(point) * 0.1) / 11.0).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envelope_and_eleven_points() {
        let curve = Curve::new([false, true, true, false].into_iter(), 4);
        assert_eq!(curve.precision, [0.0, 0.5, 2.0 / 3.0, 0.5]);
        assert_eq!(curve.recall, Some(vec![0.0, 0.25, 0.5, 0.5]));
        assert!((curve.average(Metric::Voc2012).unwrap() - 1.0 / 3.0).abs() < 1e-12);
        assert!((curve.average(Metric::Voc2007).unwrap() - 6.0 * (2.0 / 3.0) / 11.0).abs() < 1e-12);
    }

    #[test]
    fn recall_of_three_tenths_misses_numpys_threshold() {
        let curve = Curve::new([true, true, true].into_iter(), 10);
        assert!((curve.average(Metric::Voc2007).unwrap() - 3.0 / 11.0).abs() < 1e-12);
    }

    #[test]
    fn nothing_to_find_and_nothing_found() {
        assert_eq!(Curve::new([true].into_iter(), 0).average(Metric::Voc2012), None);
        assert_eq!(Curve::new(std::iter::empty(), 3).average(Metric::Voc2012), Some(0.0));
    }
}
