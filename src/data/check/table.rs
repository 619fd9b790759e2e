//! The report as a table for people.

use std::fmt::Write as _;

use super::{Listed, Report};

/// Notices that are printed in full.
const NOTICES: usize = 20;

impl Report {
    /// Lists side by side: photos, labels, and how many photos show each class; then sizes and notices.
    pub fn table(&self) -> String {
        let names = self.classes.iter().map(String::len);
        let width = names.max().unwrap_or(0).max(20);
        let mut text = format!("{:width$}", "list");
        for list in &self.lists {
            let _ = write!(text, " {:>8}", list.purpose);
        }
        let mut row = |name: &str, value: &dyn Fn(&Listed) -> usize| {
            let _ = write!(text, "\n{name:width$}");
            for list in &self.lists {
                let _ = write!(text, " {:8}", value(list));
            }
        };
        row("photos", &|list| list.photos);
        row("  without a label", &|list| list.by_classes[0]);
        row("  that show no class", &|list| list.by_classes[1]);
        row("  of one class", &|list| list.by_classes[2]);
        row("  of several classes", &|list| list.by_classes[3]);
        for (class, name) in self.classes.iter().enumerate() {
            row(name, &|list| list.histogram[class]);
        }
        text.push('\n');
        text + &self.size_line() + &self.notice_lines()
    }

    fn size_line(&self) -> String {
        let middle = |mut sides: Vec<usize>| {
            sides.sort_unstable();
            let at = |share: usize| sides.get(share * sides.len().saturating_sub(1) / 2).copied();
            [0, 1, 2].map(|share| at(share).unwrap_or(0).to_string()).join(" / ")
        };
        if self.sizes.is_empty() {
            return String::new();
        }
        let heights = middle(self.sizes.iter().map(|size| size.0).collect());
        let widths = middle(self.sizes.iter().map(|size| size.1).collect());
        format!("smallest / median / largest: width {widths}, height {heights} pixels\n")
    }

    fn notice_lines(&self) -> String {
        let mut text = String::new();
        for notice in self.notices.iter().take(NOTICES) {
            let _ = writeln!(text, "notice: {notice}");
        }
        if self.notices.len() > NOTICES {
            let _ = writeln!(text, "notice: ... and {} more", self.notices.len() - NOTICES);
        }
        text
    }
}
