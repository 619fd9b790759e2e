//! The order in which the CRF visits the pixels of a photo: tile by tile, and by colour in a tile.
//!
//! Pixels that are near in place and colour share the corners of their simplices. One after the other
//! they find them in the cache, and the vertices, numbered by first use, lie beside their neighbours.

use ndarray::ArrayView3;
use rayon::prelude::*;

/// Side of a tile; its pixels' numbers fit in 12 bits.
const TILE: usize = 64;
/// Upper bits of a colour channel that count.
const COLOUR_BITS: u32 = 5;

/// Pixel numbers (`y * width + x`) of `photo` (height, width, RGB), in order of their visit.
pub fn visiting_order(photo: ArrayView3<u8>) -> Vec<u32> {
    let (height, width, _) = photo.dim();
    let tiles_across = width.div_ceil(TILE);
    let tiles = height.div_ceil(TILE) * tiles_across;
    let tile = |tile: usize| {
        let (top, left) = (tile / tiles_across * TILE, tile % tiles_across * TILE);
        let (bottom, right) = ((top + TILE).min(height), (left + TILE).min(width));
        let mut codes = Vec::with_capacity(TILE * TILE);
        for y in top..bottom {
            for x in left..right {
                let colour = colour_code(std::array::from_fn(|c| photo[[y, x, c]]));
                codes.push(colour << 12 | ((y - top) * TILE + x - left) as u32);
            }
        }
        codes.sort_unstable();
        for code in &mut codes {
            let inside = (*code & 0xfff) as usize;
            *code = ((top + inside / TILE) * width + left + inside % TILE) as u32;
        }
        codes
    };
    let tiles: Vec<Vec<u32>> = (0..tiles).into_par_iter().map(tile).collect();
    tiles.concat()
}

/// Interleaves the upper bits of the channels (Morton order), so that near codes are near colours.
fn colour_code(colour: [u8; 3]) -> u32 {
    let mut code = 0;
    for bit in (8 - COLOUR_BITS..8).rev() {
        for channel in colour {
            code = code << 1 | u32::from(channel >> bit & 1);
        }
    }
    code
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;

    #[test]
    fn every_pixel_is_visited_once() {
        for (height, width) in [(1, 1), (1, 200), (64, 64), (130, 65)] {
            let photo = Array3::from_shape_fn((height, width, 3), |(y, x, c)| {
                ((y * 31 + x * 17) * (c + 3)) as u8
            });
            let mut order = visiting_order(photo.view());
            order.sort_unstable();
            assert_eq!(order, (0..(height * width) as u32).collect::<Vec<_>>());
        }
    }

    #[test]
    fn codes_order_by_the_highest_bits_first() {
        assert_eq!(colour_code([0, 0, 0]), 0);
        assert_eq!(colour_code([255, 255, 255]), 0x7fff);
        assert!(colour_code([128, 0, 0]) > colour_code([127, 255, 255]));
        assert!(colour_code([0, 0, 8]) < colour_code([0, 8, 0]));
        assert_eq!(colour_code([7, 7, 7]), 0);
    }
}
