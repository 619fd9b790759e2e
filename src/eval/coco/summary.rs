//! COCO's twelve figures, as a table and as JSON.

use std::fmt::Write as _;

use serde::Serialize;

/// The twelve figures of `COCOeval.summarize` (`None` where pycocotools says -1), and some of each class.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CocoScores {
    /// Mean over classes and the IoU thresholds .50, .55, ..., .95.
    pub ap: Option<f64>,
    /// At IoU .50.
    pub ap50: Option<f64>,
    /// At IoU .75.
    pub ap75: Option<f64>,
    /// Of small (below 32 x 32 pixels), medium and large (above 96 x 96) objects.
    pub ap_by_area: [Option<f64>; 3],
    /// Average recall with at most 1, 10, 100 detections an image.
    pub ar_by_count: [Option<f64>; 3],
    /// Average recall of small, medium and large objects.
    pub ar_by_area: [Option<f64>; 3],
    /// By class.
    pub classes: Vec<ClassScores>,
}

/// Figures of one class.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassScores {
    /// Mean over the IoU thresholds.
    pub ap: Option<f64>,
    /// At IoU .50.
    pub ap50: Option<f64>,
    /// At IoU .75.
    pub ap75: Option<f64>,
    /// Objects that count (crowds do not).
    pub objects: usize,
}

impl CocoScores {
    /// Name and value of the twelve figures, in pycocotools' order.
    pub fn figures(&self) -> [(&'static str, Option<f64>); 12] {
        let ([small, medium, large], [one, ten, hundred]) = (self.ap_by_area, self.ar_by_count);
        let [ar_small, ar_medium, ar_large] = self.ar_by_area;
        [
            ("AP", self.ap),
            ("AP50", self.ap50),
            ("AP75", self.ap75),
            ("AP small", small),
            ("AP medium", medium),
            ("AP large", large),
            ("AR 1", one),
            ("AR 10", ten),
            ("AR 100", hundred),
            ("AR small", ar_small),
            ("AR medium", ar_medium),
            ("AR large", ar_large),
        ]
    }

    /// A table for people, percentages; `names` are the classes'.
    pub fn table(&self, names: &[String]) -> String {
        let percent = |value: Option<f64>| {
            value.map_or("     -".into(), |value| format!("{:6.1}", 100.0 * value))
        };
        let width = names.iter().map(String::len).max().unwrap_or(0).max(9);
        let mut text = format!("{:width$}     AP   AP50   AP75  objects\n", "class");
        for (name, of) in names.iter().zip(&self.classes).filter(|(_, of)| of.objects > 0) {
            let figures = [of.ap, of.ap50, of.ap75].map(percent).join(" ");
            let _ = writeln!(text, "{name:width$} {figures} {:8}", of.objects);
        }
        for (name, value) in self.figures() {
            let _ = writeln!(text, "{name:width$} {}", percent(value));
        }
        text
    }
}
