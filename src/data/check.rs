//! A look through a data set before anything is trained: what is missing or damaged, how often each class occurs,
//! which sizes look wrong.

mod photo;
mod table;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use rayon::ThreadPool;

use super::dataset::{Dataset, Item};
use super::photo::ExifRule;
use super::problems::{Problem, Problems};
use crate::overlap::overlapped;
use crate::progress::Progress;
pub use photo::Found;

/// How to look.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// Whether a photo's orientation is applied.
    pub exif: ExifRule,
    /// Read the headers of the photos only.
    pub quick: bool,
}

/// What is known of one list.
#[derive(Clone, Debug)]
pub struct Listed {
    /// What the list is for.
    pub purpose: String,
    /// Photos that were found.
    pub photos: usize,
    /// Photos by number of classes: without a label, with an empty one, with one class, with more.
    pub by_classes: [usize; 4],
    /// Photos that show each class.
    pub histogram: Vec<usize>,
}

/// Everything that was found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The lists.
    pub lists: Vec<Listed>,
    /// What can't be used, by name: missing, unreadable, contradictory.
    pub faults: BTreeMap<String, String>,
    /// What looks strange but can be used.
    pub notices: Vec<String>,
    /// Height and width of the photos that could be read.
    sizes: Vec<(usize, usize)>,
    classes: Vec<String>,
    seen: BTreeSet<String>,
    said: BTreeSet<String>,
}

impl Report {
    /// Looks through a list; photos of earlier lists are not read again.
    ///
    /// # Errors
    /// Ctrl-C.
    pub fn add(
        &mut self,
        purpose: &str,
        set: &Dataset,
        problems: &Problems,
        look: Look,
        pool: &ThreadPool,
    ) -> Result<()> {
        self.classes.clone_from(&set.classes);
        self.lists.push(listed(purpose, set));
        for problem in &problems.0 {
            self.note(problem);
        }
        let fresh: Vec<&Item> =
            set.items.iter().filter(|item| self.seen.insert(item.name.clone())).collect();
        let mut progress = Progress::new(&format!("check {purpose}"), fresh.len(), "photos");
        let work = |item: &Item| (item.name.clone(), photo::look(item, look));
        overlapped(pool, 64, fresh, work, |(name, found)| {
            progress.advance(1);
            match found {
                Ok(found) => {
                    self.sizes.push(found.size);
                    self.notices
                        .extend(found.strange.into_iter().map(|what| format!("{name}: {what}")));
                }
                Err(error) => drop(self.faults.insert(name, format!("{error:#}"))),
            }
            Ok(())
        })?;
        progress.finish();
        Ok(())
    }

    /// Photos of the first list that can be trained on.
    pub fn trainable(&self) -> usize {
        self.lists.first().map_or(0, |list| list.by_classes[2] + list.by_classes[3])
    }

    /// Sorts a problem of the lists into faults and notices; photos without a label are counted instead.
    fn note(&mut self, problem: &Problem) {
        match problem {
            Problem::MissingPhoto { entry } => {
                self.faults.insert(entry.clone(), "no such photo".to_string());
            }
            Problem::BadAnnotation { path, reason } => {
                self.faults.insert(path.display().to_string(), reason.clone());
            }
            Problem::NoLabel { .. } | Problem::NoClass { .. } => {}
            other => {
                let text = other.to_string();
                if self.said.insert(text.clone()) {
                    self.notices.push(text);
                }
            }
        }
    }
}

fn listed(purpose: &str, set: &Dataset) -> Listed {
    let (mut by_classes, mut histogram) = ([0; 4], vec![0; set.classes.len()]);
    for item in &set.items {
        let count = item.classes.as_ref().map(Vec::len);
        by_classes[count.map_or(0, |count| count.min(2) + 1)] += 1;
        item.classes.iter().flatten().for_each(|&class| histogram[class] += 1);
    }
    Listed { purpose: purpose.to_string(), photos: set.items.len(), by_classes, histogram }
}

#[cfg(test)]
mod tests;
