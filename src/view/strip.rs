//! Panels with captions, side by side or in rows: the picture that `irn-infer draw` writes.

use super::{Picture, canvas, text};

/// Pixels of white around panels.
const GAP: usize = 8;
const PAPER: super::Rgb = [255; 3];
const INK: super::Rgb = [24, 24, 30];

/// All panels in one row, each under its caption; see [`grid`].
pub fn strip(panels: &[(impl AsRef<str>, Picture)]) -> Picture {
    grid(panels, panels.len())
}

/// Panels in rows of `columns`, each under its caption, on white.
///
/// All panels are shown at the size of the first one.
pub fn grid(panels: &[(impl AsRef<str>, Picture)], columns: usize) -> Picture {
    let Some((_, first)) = panels.first() else { return canvas::filled((1, 1), PAPER) };
    let (height, width) = canvas::size(first);
    let columns = columns.clamp(1, panels.len());
    let rows = panels.len().div_ceil(columns);
    let scale = (width / 160).clamp(1, 6);
    let caption = text::extent("", scale).0 + GAP;
    let (step_down, step_right) = (height + caption + GAP, width + GAP);
    let mut sheet = canvas::filled((rows * step_down + GAP, columns * step_right + GAP), PAPER);
    for (index, (title, panel)) in panels.iter().enumerate() {
        let top = GAP + index / columns * step_down;
        let left = GAP + index % columns * step_right;
        let words = text::fit(title.as_ref(), width, scale);
        text::write(&mut sheet, &words, (top, left), scale, INK);
        if canvas::size(panel) == (height, width) {
            canvas::paste(&mut sheet, panel, top + caption, left);
        } else {
            canvas::paste(&mut sheet, &canvas::resize(panel, (height, width)), top + caption, left);
        }
    }
    sheet
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panels_lie_side_by_side_at_the_first_ones_size() {
        let panels = [
            ("photo", canvas::filled((20, 40), [10; 3])),
            ("a caption too long for it", canvas::filled((5, 5), [200, 0, 0])),
        ];
        let sheet = strip(&panels);
        let (height, width) = canvas::size(&sheet);
        assert_eq!(width, 2 * 40 + 3 * GAP);
        assert_eq!(canvas::get(&sheet, height - GAP - 1, GAP), [10; 3]);
        assert_eq!(canvas::get(&sheet, height - GAP - 1, width - GAP - 1), [200, 0, 0]);
        assert_eq!(canvas::get(&sheet, height - 1, width - 1), PAPER);
        assert_eq!(canvas::size(&grid(&panels, 1)).1, 40 + 2 * GAP);
        let none: [(&str, Picture); 0] = [];
        assert_eq!(strip(&none).dim(), (1, 1, 3));
    }
}
