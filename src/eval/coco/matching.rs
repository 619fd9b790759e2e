//! Which detections of one image find which objects: a port of `COCOeval.evaluateImg`.

use super::rle::Rle;

/// IoU thresholds .50, .55, ..., .95.
pub const THRESHOLDS: usize = 10;

/// Ranges of areas: all, small, medium, large.
pub const AREAS: [[f64; 2]; 4] = [[0.0, 1e10], [0.0, 1024.0], [1024.0, 9216.0], [9216.0, 1e10]];

/// Detections of one class in one image beyond these are not looked at.
pub const MOST: usize = 100;

/// A mask with what is asked of it often.
#[derive(Clone, Debug)]
pub struct Shape {
    rle: Rle,
    pixels: u64,
    bbox: [u32; 4],
}

impl Shape {
    /// Measures a mask.
    pub fn new(rle: Rle) -> Self {
        let (pixels, bbox) = (rle.area(), rle.bbox());
        Self { rle, pixels, bbox }
    }

    /// Number of set pixels.
    pub fn pixels(&self) -> u64 {
        self.pixels
    }

    /// Height and width of the image.
    pub fn size(&self) -> [usize; 2] {
        self.rle.size()
    }

    /// Intersection over union with an object; over the detection's own area where that is a crowd
    /// (`maskUtils.iou`).
    fn iou(&self, object: &Self, crowd: bool) -> f64 {
        if !meet(self.bbox, object.bbox) {
            return 0.0;
        }
        let shared = self.rle.intersection(&object.rle);
        let whole = if crowd { self.pixels } else { self.pixels + object.pixels - shared };
        if shared == 0 { 0.0 } else { shared as f64 / whole as f64 }
    }
}

fn meet(a: [u32; 4], b: [u32; 4]) -> bool {
    let along = |at: usize| a[at] < b[at] + b[at + 2] && b[at] < a[at] + a[at + 2];
    along(0) && along(1)
}

/// An object of the ground truth.
#[derive(Clone, Debug)]
pub struct Object {
    /// Its mask.
    pub shape: Shape,
    /// Its area, by which it is small, medium or large.
    pub area: f64,
    /// Whether it is a crowd.
    pub crowd: bool,
}

/// A detection.
#[derive(Clone, Debug)]
pub struct Detection {
    /// Its mask.
    pub shape: Shape,
    /// Its area, by which it is small, medium or large.
    pub area: f64,
    /// Its confidence.
    pub score: f64,
}

/// What became of a detection, by range of areas one bit per threshold.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Fate {
    /// Its confidence.
    pub score: f64,
    /// Position among the image's detections of the class, best first.
    pub rank: usize,
    /// It found an object.
    pub matched: [u16; AREAS.len()],
    /// It counts neither as right nor as wrong.
    pub ignored: [u16; AREAS.len()],
}

/// The IoU thresholds, bit for bit those of `numpy.linspace(.5, .95, 10)`.
pub fn thresholds() -> [f64; THRESHOLDS] {
    let step = (0.95 - 0.5) / 9.0;
    std::array::from_fn(|at| if at == 9 { 0.95 } else { at as f64 * step + 0.5 })
}

/// Matches the detections of one class in one image; also how many objects count, by range of areas.
pub fn evaluate(objects: &[Object], detections: &[Detection]) -> (Vec<Fate>, [usize; AREAS.len()]) {
    let mut ranked: Vec<&Detection> = detections.iter().collect();
    ranked.sort_by(|a, b| b.score.total_cmp(&a.score));
    ranked.truncate(MOST);
    let overlaps: Vec<Vec<f64>> = ranked
        .iter()
        .map(|found| objects.iter().map(|of| found.shape.iou(&of.shape, of.crowd)).collect())
        .collect();
    let fate =
        |(rank, found): (usize, &&Detection)| Fate { score: found.score, rank, ..Fate::default() };
    let mut fates: Vec<Fate> = ranked.iter().enumerate().map(fate).collect();
    let mut counted = [0; AREAS.len()];
    for (range, [low, high]) in AREAS.into_iter().enumerate() {
        let beyond = |area: f64| area < low || area > high;
        let ignored: Vec<bool> = objects.iter().map(|of| of.crowd || beyond(of.area)).collect();
        counted[range] = ignored.iter().filter(|ignored| !**ignored).count();
        let mut order: Vec<usize> = (0..objects.len()).collect();
        order.sort_by_key(|&at| ignored[at]);
        for (bit, threshold) in thresholds().into_iter().enumerate() {
            let mut taken = vec![false; objects.len()];
            for (at, fate) in fates.iter_mut().enumerate() {
                let found = claim(&overlaps[at], threshold, &order, objects, &ignored, &taken);
                let uncounted = match found {
                    Some(object) => {
                        taken[object] = true;
                        fate.matched[range] |= 1 << bit;
                        ignored[object]
                    }
                    None => beyond(ranked[at].area),
                };
                fate.ignored[range] |= u16::from(uncounted) << bit;
            }
        }
    }
    (fates, counted)
}

/// The object that a detection finds: the best free one above the threshold, the last of equals; one that does not
/// count only when no other is found. A crowd is never taken.
fn claim(
    overlaps: &[f64],
    threshold: f64,
    order: &[usize],
    objects: &[Object],
    ignored: &[bool],
    taken: &[bool],
) -> Option<usize> {
    let mut best = threshold.min(1.0 - 1e-10);
    let mut found: Option<usize> = None;
    for &at in order {
        if taken[at] && !objects[at].crowd {
            continue;
        }
        if found.is_some_and(|held| !ignored[held]) && ignored[at] {
            break;
        }
        if overlaps[at] >= best {
            (best, found) = (overlaps[at], Some(at));
        }
    }
    found
}
