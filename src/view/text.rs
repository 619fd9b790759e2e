//! Text on pictures: a bitmap font of our own, drawn as a text file (`font.txt`).
//!
//! Letters are 5x7 dots; two more rows below hold the descenders.

use ndarray::ArrayRef3;

use super::{Rgb, canvas};

/// Blocks of nine lines, sixteen glyphs of five columns each, from the space to 0x7f.
const FONT: &str = include_str!("font.txt");

/// Rows of a glyph.
const GLYPH_HEIGHT: usize = 9;
/// Columns of a glyph and the gap after it.
const ADVANCE: usize = 6;
/// Glyphs in a block of the font file.
const PER_BLOCK: usize = 16;

/// Rows and columns that `text` takes at `scale`.
pub fn extent(text: &str, scale: usize) -> (usize, usize) {
    let columns = (text.chars().count() * ADVANCE).saturating_sub(1);
    (GLYPH_HEIGHT * scale, columns * scale)
}

/// Writes one line of text with its top left corner at (`top`, `left`), cut at the picture's edge.
///
/// Characters beyond ASCII appear as a box.
pub fn write(
    picture: &mut ArrayRef3<u8>,
    text: &str,
    (top, left): (usize, usize),
    scale: usize,
    colour: Rgb,
) {
    for (index, character) in text.chars().enumerate() {
        let start = left + index * ADVANCE * scale;
        if start >= picture.dim().1 {
            return;
        }
        for (row, column) in dots(character) {
            let corner = (top + row * scale, start + column * scale);
            canvas::rectangle(picture, corner, (scale, scale), colour);
        }
    }
}

/// `text` cut to at most `columns` pixels at `scale`, with two dots where something is missing.
pub fn fit(text: &str, columns: usize, scale: usize) -> String {
    if extent(text, scale).1 <= columns {
        return text.to_owned();
    }
    let room = (columns / scale.max(1) + 1) / ADVANCE;
    let mut short: String = text.chars().take(room.saturating_sub(2)).collect();
    short.push_str(&".."[..room.min(2)]);
    short
}

/// The (row, column) of each ink dot of a character.
fn dots(character: char) -> impl Iterator<Item = (usize, usize)> {
    let code = u32::from(character);
    let index = if (32..127).contains(&code) { code as usize - 32 } else { 95 };
    let (block, place) = (index / PER_BLOCK, index % PER_BLOCK);
    FONT.lines().skip(block * GLYPH_HEIGHT).take(GLYPH_HEIGHT).enumerate().flat_map(
        move |(row, line)| {
            let cells = line.bytes().skip(place * ADVANCE).take(ADVANCE - 1).enumerate();
            cells.filter(|(_, cell)| *cell == b'#').map(move |(column, _)| (row, column))
        },
    )
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_printable_character_has_its_own_glyph() {
        let glyphs: Vec<Vec<_>> =
            (32u8..128).map(|code| dots(char::from(code)).collect()).collect();
        assert_eq!(glyphs.iter().collect::<HashSet<_>>().len(), 96);
        assert!(glyphs[0].is_empty() && glyphs[1..].iter().all(|glyph| !glyph.is_empty()));
        assert!(dots('é').eq(dots('\u{7f}')));
    }

    #[test]
    fn text_stays_in_its_extent_and_in_the_picture() {
        let (height, width) = extent("Hq#", 2);
        let mut picture = canvas::filled((height + 4, width + 4), [0; 3]);
        write(&mut picture, "Hq#", (2, 2), 2, [255; 3]);
        assert!(picture.row_margin_is_dark(2));
        write(&mut picture, "far outside", (1000, 1000), 2, [255; 3]);
        assert_eq!(extent("", 3).1, 0);
    }

    #[test]
    fn long_text_is_cut_with_dots() {
        assert_eq!(fit("person", 6 * 6, 1), "person");
        assert_eq!(fit("aeroplane", 6 * 6, 1), "aero..");
        assert!(extent(&fit("aeroplane", 40, 2), 2).1 <= 40);
        assert_eq!(fit("x", 0, 2), "");
    }

    trait Margin {
        fn row_margin_is_dark(&self, by: usize) -> bool;
    }

    impl Margin for super::super::Picture {
        fn row_margin_is_dark(&self, by: usize) -> bool {
            let (height, width, _) = self.dim();
            self.indexed_iter().all(|((row, column, _), value)| {
                let inside = (by..height - by).contains(&row) && (by..width - by).contains(&column);
                inside || *value == 0
            })
        }
    }
}
