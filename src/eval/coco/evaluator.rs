//! COCO's average precision of masks over a data set: `COCOeval.accumulate` and `summarize` of pycocotools 2.0.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};

use super::matching::{AREAS, Fate, MOST, THRESHOLDS, evaluate};
pub use super::matching::{Detection, Object, Shape};
use super::summary::{ClassScores, CocoScores};

/// Recalls 0, .01, ..., 1 that the precision is read at.
const RECALLS: usize = 101;

/// Objects and detections of one image, each with its 0-based class.
#[derive(Clone, Debug, Default)]
pub struct Judged {
    /// Ground truth.
    pub objects: Vec<(usize, Object)>,
    /// Detections.
    pub detections: Vec<(usize, Detection)>,
}

/// What is known of one class.
#[derive(Clone, Debug, Default)]
struct Record {
    fates: Vec<Fate>,
    counted: [usize; AREAS.len()],
}

/// The evaluation of a set of images; which of two equal scores ranks higher depends on their order, for which
/// pycocotools takes ascending image ids.
#[derive(Clone, Debug, Default)]
pub struct CocoEvaluator {
    records: BTreeMap<usize, Record>,
}

impl CocoEvaluator {
    /// The evaluation of one image.
    ///
    /// # Errors
    /// When masks differ in size.
    pub fn of_image(judged: &Judged) -> Result<Self> {
        let objects = judged.objects.iter().map(|(_, object)| &object.shape);
        let sizes = judged.detections.iter().map(|(_, found)| &found.shape).chain(objects);
        let mut sizes: Vec<_> = sizes.map(Shape::size).collect();
        sizes.dedup();
        ensure!(sizes.len() < 2, "masks of one image differ in size: {sizes:?}");
        let mut by_class = BTreeMap::<usize, (Vec<Object>, Vec<Detection>)>::new();
        for (class, object) in &judged.objects {
            by_class.entry(*class).or_default().0.push(object.clone());
        }
        for (class, found) in &judged.detections {
            by_class.entry(*class).or_default().1.push(found.clone());
        }
        let record = |(class, (objects, detections)): (usize, (Vec<_>, Vec<_>))| {
            let (fates, counted) = evaluate(&objects, &detections);
            (class, Record { fates, counted })
        };
        Ok(Self { records: by_class.into_iter().map(record).collect() })
    }

    /// Appends the images of `other`.
    pub fn append(&mut self, other: Self) {
        for (class, theirs) in other.records {
            let ours = self.records.entry(class).or_default();
            ours.fates.extend(theirs.fates);
            ours.counted.iter_mut().zip(theirs.counted).for_each(|(ours, theirs)| *ours += theirs);
        }
    }

    /// The twelve figures and those of each of `classes` classes.
    pub fn finish(&self, classes: usize) -> CocoScores {
        let cells: Vec<Cells> = (0..classes)
            .map(|class| self.records.get(&class).map(Cells::of).unwrap_or_default())
            .collect();
        CocoScores {
            ap: mean(cells.iter().flat_map(|of| of.precision(0, 0..THRESHOLDS))),
            ap50: mean(cells.iter().flat_map(|of| of.precision(0, 0..1))),
            ap75: mean(cells.iter().flat_map(|of| of.precision(0, 5..6))),
            ap_by_area: [1, 2, 3]
                .map(|area| mean(cells.iter().flat_map(|of| of.precision(area, 0..THRESHOLDS)))),
            ar_by_count: [0, 1, 2].map(|most| mean(cells.iter().flat_map(|of| of.recall(0, most)))),
            ar_by_area: [1, 2, 3].map(|area| mean(cells.iter().flat_map(|of| of.recall(area, 2)))),
            classes: cells
                .iter()
                .map(|of| ClassScores {
                    ap: mean(of.precision(0, 0..THRESHOLDS)),
                    ap50: mean(of.precision(0, 0..1)),
                    ap75: mean(of.precision(0, 5..6)),
                    objects: of.objects,
                })
                .collect(),
        }
    }
}

/// Largest numbers of detections that recall is computed for.
const COUNTS: [usize; 3] = [1, 10, MOST];

/// Precision and recall of one class; areas without an object have none.
#[derive(Default)]
struct Cells {
    objects: usize,
    /// By area: threshold after threshold, the precision at each recall.
    precisions: [Option<Vec<f64>>; AREAS.len()],
    /// By area and count, a recall for each threshold.
    recalls: [[Option<Vec<f64>>; COUNTS.len()]; AREAS.len()],
}

impl Cells {
    fn of(record: &Record) -> Self {
        let mut ranked: Vec<&Fate> = record.fates.iter().collect();
        ranked.sort_by(|a, b| b.score.total_cmp(&a.score));
        let mut cells = Self { objects: record.counted[0], ..Self::default() };
        for area in 0..AREAS.len() {
            let count = record.counted[area];
            if count == 0 {
                continue;
            }
            for (at, &most) in COUNTS.iter().enumerate() {
                let kept: Vec<&Fate> =
                    ranked.iter().copied().filter(|fate| fate.rank < most).collect();
                let curve = |bit| curve(&kept, area, bit, count);
                let (recalls, precisions): (Vec<f64>, Vec<_>) = (0..THRESHOLDS).map(curve).unzip();
                cells.recalls[area][at] = Some(recalls);
                if most == MOST {
                    cells.precisions[area] = Some(precisions.concat());
                }
            }
        }
        cells
    }

    fn precision(
        &self,
        area: usize,
        thresholds: std::ops::Range<usize>,
    ) -> impl Iterator<Item = f64> + '_ {
        let all = self.precisions[area].as_deref().unwrap_or_default();
        let of = thresholds.start * RECALLS..thresholds.end * RECALLS;
        all.get(of).unwrap_or_default().iter().copied()
    }

    fn recall(&self, area: usize, most: usize) -> impl Iterator<Item = f64> + '_ {
        self.recalls[area][most].as_deref().unwrap_or_default().iter().copied()
    }
}

/// The last recall, and the precision at every recall of the grid.
fn curve(ranked: &[&Fate], area: usize, bit: usize, count: usize) -> (f64, Vec<f64>) {
    let (mut right, mut wrong) = (0.0, 0.0);
    let (mut recalls, mut precisions) = (Vec::new(), Vec::new());
    for fate in ranked {
        let set = |bits: u16| bits >> bit & 1 == 1;
        if !set(fate.ignored[area]) {
            if set(fate.matched[area]) {
                right += 1.0;
            } else {
                wrong += 1.0;
            }
        }
        recalls.push(right / count as f64);
        // numpy.spacing(1) keeps 0/0 from being undefined.
        precisions.push(right / (wrong + right + f64::EPSILON));
    }
    for at in (1..precisions.len()).rev() {
        precisions[at - 1] = precisions[at - 1].max(precisions[at]);
    }
    let at_recall = |point: usize| {
        let wanted = point as f64 * 0.01;
        let reached = recalls.partition_point(|&recall| recall < wanted);
        precisions.get(reached).copied().unwrap_or(0.0)
    };
    (recalls.last().copied().unwrap_or(0.0), (0..RECALLS).map(at_recall).collect())
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0usize), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / count as f64)
}

#[cfg(test)]
mod tests;
