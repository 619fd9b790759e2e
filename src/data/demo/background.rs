//! What stands behind the objects: a ground of noise and gradients, and clutter that belongs to no class.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::texture::{Rgb, any_colour, hash, jitter, lit, mix, octaves, smooth};

/// Muted pairs of colours: sand, grass, sky, dusk, stone, wood.
const GROUNDS: [[Rgb; 2]; 6] = [
    [[0.80, 0.72, 0.56], [0.62, 0.52, 0.38]],
    [[0.52, 0.60, 0.38], [0.30, 0.40, 0.24]],
    [[0.72, 0.80, 0.86], [0.46, 0.58, 0.70]],
    [[0.66, 0.56, 0.62], [0.38, 0.34, 0.48]],
    [[0.68, 0.67, 0.64], [0.44, 0.44, 0.45]],
    [[0.64, 0.48, 0.34], [0.42, 0.30, 0.22]],
];

/// A piece of clutter.
#[derive(Clone, Copy, Debug)]
enum Clutter {
    /// From, to, half the width.
    Line([f32; 2], [f32; 2], f32),
    /// Centre and radius.
    Speckle([f32; 2], f32),
    /// Centre, radius, direction away from one side; unit length.
    Triangle([f32; 2], f32, [f32; 2]),
}

/// A background; lengths in pixels.
#[derive(Clone, Debug)]
pub struct Background {
    colours: [Rgb; 2],
    seed: u32,
    /// Size of the coarsest noise, across and down: wood is stretched.
    grain: [f32; 2],
    /// Direction of the gradient, its length the inverse of the picture's size.
    slope: [f32; 2],
    clutter: Vec<(Clutter, Rgb)>,
}

impl Background {
    /// A random background for a picture of `width` x `height`.
    pub fn random(rng: &mut ChaCha8Rng, width: f32, height: f32) -> Self {
        let colours = GROUNDS[rng.random_range(0..GROUNDS.len())];
        let (angle, side) = (rng.random_range(0.0..std::f32::consts::TAU), width.min(height));
        let grain = side * rng.random_range(0.18..0.4);
        let stretch = if rng.random_bool(0.3) { rng.random_range(0.15..0.3) } else { 1.0 };
        let pieces = rng.random_range(8..20);
        Self {
            colours: colours.map(|colour| jitter(colour, 0.05, rng)),
            seed: rng.random(),
            grain: [grain, grain * stretch],
            slope: [angle.cos() / width, angle.sin() / height],
            clutter: (0..pieces).map(|_| Clutter::random(rng, width, height)).collect(),
        }
    }

    /// The ground's colour at a point, without clutter.
    pub fn ground(&self, x: f32, y: f32) -> Rgb {
        let grain = hash((x * 1.5) as i32, (y * 1.5) as i32, self.seed) - 0.5;
        let cloud = octaves(x / self.grain[0], y / self.grain[1], self.seed, 5);
        let ramp = 0.5 + 0.5 * (x * self.slope[0] + y * self.slope[1]);
        let share = smooth(0.15, 0.85, 0.7 * cloud + 0.3 * ramp);
        lit(mix(self.colours[0], self.colours[1], share), 0.97 + 0.12 * grain)
    }

    /// The colour of the clutter at a point, if there is any.
    pub fn clutter(&self, x: f32, y: f32) -> Option<Rgb> {
        let piece = self.clutter.iter().rev().find(|(clutter, _)| clutter.covers(x, y));
        piece.map(|(_, colour)| *colour)
    }
}

impl Clutter {
    fn random(rng: &mut ChaCha8Rng, width: f32, height: f32) -> (Self, Rgb) {
        let side = width.min(height);
        let mut point = || [rng.random_range(0.0..width), rng.random_range(0.0..height)];
        let (at, end) = (point(), point());
        let clutter = match rng.random_range(0..5) {
            0 => Clutter::Line(at, end, side * rng.random_range(0.003..0.008)),
            1 | 2 => {
                let normal = [end[0].cos(), end[0].sin()];
                Clutter::Triangle(at, side * rng.random_range(0.02..0.045), normal)
            }
            _ => Clutter::Speckle(at, side * rng.random_range(0.008..0.025)),
        };
        (clutter, any_colour(rng))
    }

    fn covers(&self, x: f32, y: f32) -> bool {
        match *self {
            Clutter::Line(from, to, half) => to_segment([x, y], from, to) < half * half,
            Clutter::Speckle(centre, radius) => {
                square(x - centre[0], y - centre[1]) < radius * radius
            }
            Clutter::Triangle(centre, radius, normal) => {
                let (x, y) = (x - centre[0], y - centre[1]);
                let (along, across) =
                    (x * normal[0] + y * normal[1], y * normal[0] - x * normal[1]);
                along < 0.6 * radius && 0.866 * across.abs() - 0.5 * along < 0.6 * radius
            }
        }
    }
}

fn square(x: f32, y: f32) -> f32 {
    x * x + y * y
}

/// Squared distance to the line between two points.
fn to_segment(point: [f32; 2], from: [f32; 2], to: [f32; 2]) -> f32 {
    let (dx, dy) = (to[0] - from[0], to[1] - from[1]);
    let (x, y) = (point[0] - from[0], point[1] - from[1]);
    let along = ((x * dx + y * dy) / square(dx, dy).max(1e-6)).clamp(0.0, 1.0);
    square(x - along * dx, y - along * dy)
}
