//! The stages whose maps the store keeps, and what each map means (upstream's files, step by step).

use std::fmt;

/// A stage of the pipeline; its name is the group of its items in the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Class activation maps (upstream `make_cam.py`).
    Cam,
    /// Labels for the training of IRNet (upstream `cam_to_ir_label.py`).
    IrLabel,
    /// Boundary and displacement maps of IRNet.
    Irn,
    /// Semantic masks (upstream `make_sem_seg_labels.py`).
    SemSeg,
    /// Instance masks (upstream `make_ins_seg_labels.py`).
    InsSeg,
}

impl Stage {
    /// Every stage, in the order the data passes them.
    pub const ALL: [Self; 5] = [Self::Cam, Self::IrLabel, Self::Irn, Self::SemSeg, Self::InsSeg];

    /// The name in files: `cam`, `ir_label`, `irn`, `sem_seg`, `ins_seg`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cam => "cam",
            Self::IrLabel => "ir_label",
            Self::Irn => "irn",
            Self::SemSeg => "sem_seg",
            Self::InsSeg => "ins_seg",
        }
    }

    /// The stage of a name in files.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.name() == name)
    }

    /// What the maps of an item mean, for readers of the file.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Cam => {
                "keys: classes of the image, 0-based, background not counted. \
                 cam: [keys, ceil(H/4), ceil(W/4)], high_res: [keys, H, W], each map divided by \
                 its maximum. probability: [classes] of the network. classes: given or predicted"
            }
            Self::IrLabel => "label: [H, W], 0 background, class + 1, 255 unknown",
            Self::Irn => {
                "edge: probability of a class boundary, [1, ceil(H/4), ceil(W/4)]. \
                 dp: displacement to the instance centroid in cells, [2, ceil(H/4), ceil(W/4)], \
                 row then column"
            }
            Self::SemSeg => "label: [H, W], 0 background, class + 1",
            Self::InsSeg => "score: [N]. mask: [N, H, W]. class: [N], 0-based",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
