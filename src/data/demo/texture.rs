//! Colours and noise: what all surfaces of the demo scenes are made of.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// Red, green, blue in 0..=1.
pub type Rgb = [f32; 3];

/// All colours; clutter has any of them.
const PALETTE: [Rgb; 10] = [
    [0.87, 0.22, 0.20],
    [0.95, 0.55, 0.15],
    [0.98, 0.82, 0.22],
    [0.36, 0.70, 0.28],
    [0.12, 0.62, 0.60],
    [0.20, 0.45, 0.85],
    [0.48, 0.30, 0.75],
    [0.90, 0.42, 0.65],
    [0.96, 0.93, 0.86],
    [0.22, 0.24, 0.32],
];

/// Where in the palette the main colour of each class is: a network that starts from nothing learns in
/// minutes. Everything else about colour is shared.
const MAIN: [usize; 6] = [0, 5, 1, 3, 6, 2];

/// What the main colour is mixed with for the second one: teal, cream, ink.
const SECOND: [usize; 3] = [4, 8, 9];

/// The main colour of `class` and a second one that has something of it, jittered.
pub fn two_colours(class: usize, rng: &mut ChaCha8Rng) -> [Rgb; 2] {
    let main = PALETTE[MAIN[class % MAIN.len()]];
    let other = PALETTE[SECOND[rng.random_range(0..SECOND.len())]];
    [main, mix(main, other, 0.6)].map(|colour| jitter(colour, 0.1, rng))
}

/// A colour of the palette.
pub fn any_colour(rng: &mut ChaCha8Rng) -> Rgb {
    let at = rng.random_range(0..PALETTE.len());
    jitter(PALETTE[at], 0.07, rng)
}

/// `colour` changed by at most `by` in each channel.
pub fn jitter(colour: Rgb, by: f32, rng: &mut ChaCha8Rng) -> Rgb {
    colour.map(|value| (value + rng.random_range(-by..by)).clamp(0.0, 1.0))
}

/// From `a` (0) to `b` (1).
pub fn mix(a: Rgb, b: Rgb, share: f32) -> Rgb {
    std::array::from_fn(|channel| a[channel] + (b[channel] - a[channel]) * share)
}

/// Light on a colour: below 1 darker, above 1 towards white.
pub fn lit(colour: Rgb, light: f32) -> Rgb {
    if light <= 1.0 {
        colour.map(|value| value * light)
    } else {
        mix(colour, [1.0; 3], (light - 1.0).min(1.0))
    }
}

/// 0 below `from`, 1 above `to`, smooth between; also downwards when `to < from`.
pub fn smooth(from: f32, to: f32, value: f32) -> f32 {
    let share = ((value - from) / (to - from)).clamp(0.0, 1.0);
    share * share * (3.0 - 2.0 * share)
}

/// Value noise in 0..=1 with features of size 1.
pub fn noise(x: f32, y: f32, seed: u32) -> f32 {
    let (column, row) = (x.floor(), y.floor());
    let (fx, fy) = (smooth(0.0, 1.0, x - column), smooth(0.0, 1.0, y - row));
    let corner = |dx: i32, dy: i32| hash(column as i32 + dx, row as i32 + dy, seed);
    let top = corner(0, 0) + (corner(1, 0) - corner(0, 0)) * fx;
    let bottom = corner(0, 1) + (corner(1, 1) - corner(0, 1)) * fx;
    top + (bottom - top) * fy
}

/// Several octaves of noise in 0..=1, each twice as fine and half as strong.
pub fn octaves(x: f32, y: f32, seed: u32, count: u32) -> f32 {
    let (mut sum, mut weight) = (0.0, 0.0);
    for octave in 0..count {
        let (scale, share) = ((1 << octave) as f32, 0.5f32.powi(octave as i32));
        sum += share * noise(x * scale, y * scale, seed.wrapping_add(octave));
        weight += share;
    }
    sum / weight
}

/// A number in 0..1 that looks random, for a point of an integer grid.
pub fn hash(x: i32, y: i32, seed: u32) -> f32 {
    let mut h = (x as u32).wrapping_mul(0x8da6_b343) ^ (y as u32).wrapping_mul(0xd816_3841);
    h = (h ^ seed.wrapping_mul(0xcb1a_b31f)).wrapping_add(0x9e37_79b9);
    h = (h ^ (h >> 16)).wrapping_mul(0x85eb_ca6b);
    h = (h ^ (h >> 13)).wrapping_mul(0xc2b2_ae35);
    ((h ^ (h >> 16)) >> 8) as f32 / (1 << 24) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_bounded_and_continuous() {
        for step in 0..400 {
            let x = step as f32 * 0.11 - 20.0;
            let (here, near) = (octaves(x, -x, 5, 4), octaves(x + 1e-3, -x, 5, 4));
            assert!((0.0..=1.0).contains(&here) && (here - near).abs() < 0.05);
        }
    }
}
