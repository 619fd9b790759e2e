//! What is wrong with a data set, collected instead of stopping at the first fault, so that it can
//! be listed at the end.

use std::fmt;
use std::path::PathBuf;

/// One fault of a data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// A list entry without a photo: skipped.
    MissingPhoto {
        /// The entry as the list has it.
        entry: String,
    },
    /// A list entry whose name occurred before: skipped.
    Duplicate {
        /// The name.
        name: String,
    },
    /// A photo without an image-level label: it can be labelled by a network, not trained on.
    NoLabel {
        /// The name.
        name: String,
    },
    /// A label in which every class is absent.
    NoClass {
        /// The name.
        name: String,
    },
    /// A class that no photo of the list shows.
    ClassWithoutImage {
        /// The class.
        class: String,
    },
    /// Objects of a class that the data set does not have: ignored.
    UnknownClass {
        /// The name of the photo.
        name: String,
        /// The class.
        class: String,
    },
    /// An annotation file that can't be read: the photo counts as without a label.
    BadAnnotation {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl Problem {
    /// Whether the item is missing from the data set because of this.
    pub fn skips_item(&self) -> bool {
        matches!(self, Self::MissingPhoto { .. } | Self::Duplicate { .. })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingPhoto { entry } => write!(f, "{entry}: no such photo, skipped"),
            Self::Duplicate { name } => write!(f, "{name}: listed more than once, taken once"),
            Self::NoLabel { name } => write!(f, "{name}: no image-level label"),
            Self::NoClass { name } => write!(f, "{name}: the label names no class"),
            Self::ClassWithoutImage { class } => write!(f, "class {class}: no photo shows it"),
            Self::UnknownClass { name, class } => {
                write!(f, "{name}: class {class} is not among the data set's, ignored")
            }
            Self::BadAnnotation { path, reason } => write!(f, "{}: {reason}", path.display()),
        }
    }
}

/// All faults of a data set, in the order they were found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// Adds one.
    pub fn add(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    /// Number of list entries that are not among the items.
    pub fn skipped(&self) -> usize {
        self.0.iter().filter(|problem| problem.skips_item()).count()
    }

    /// At most `limit` lines, one a problem, and how many more there are.
    pub fn summary(&self, limit: usize) -> Vec<String> {
        let mut lines: Vec<_> = self.0.iter().take(limit).map(Problem::to_string).collect();
        if self.0.len() > limit {
            lines.push(format!("... and {} more", self.0.len() - limit));
        }
        lines
    }
}
