//! The six kinds of objects: an outline and a texture each, in coordinates where the object fills -1..1.

use std::f32::consts::{PI, TAU};

use super::texture::{Rgb, lit, mix, smooth};

/// A kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A sphere with bulging stripes.
    Ball,
    /// Three faces of a chequered cube.
    Cube,
    /// A fish with scales.
    Fish,
    /// A leaf with veins.
    Leaf,
    /// A torus in segments.
    Ring,
    /// A five-pointed star with facets.
    Star,
}

/// All kinds, in the order of [`super::DEMO_CLASSES`].
pub const SHAPES: [Shape; 6] =
    [Shape::Ball, Shape::Cube, Shape::Fish, Shape::Leaf, Shape::Ring, Shape::Star];

/// What two objects of one kind differ in, beside place, size and rotation.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// Main and second colour.
    pub colours: [Rgb; 2],
    /// Direction the light comes from, in the object's own coordinates; unit length.
    pub light: [f32; 2],
    /// Free parameter in 0..1: width of a leaf, tilt of a ball's stripes, ...
    pub variant: f32,
}

impl Shape {
    /// The 0-based class.
    pub fn class(self) -> usize {
        self as usize
    }

    /// Most that the object is turned either way, in radians; a cube stands on the ground.
    pub fn turn(self) -> f32 {
        match self {
            Shape::Cube => 0.3,
            Shape::Fish => 0.6,
            _ => PI,
        }
    }

    /// The colour at `(u, v)`, v down; `None` outside.
    pub fn colour(self, u: f32, v: f32, look: &Look) -> Option<Rgb> {
        if u * u + v * v > 1.0 {
            return None;
        }
        match self {
            Shape::Ball => Some(ball(u, v, look)),
            Shape::Cube => cube(u, v, look),
            Shape::Fish => fish(u, v, look),
            Shape::Leaf => leaf(u, v, look),
            Shape::Ring => ring(u, v, look),
            Shape::Star => star(u, v, look),
        }
    }
}

/// Brightness of a surface with normal `(u, v, ..)` under the light.
fn shade(u: f32, v: f32, look: &Look) -> f32 {
    let height = (1.0 - u * u - v * v).max(0.0).sqrt();
    let towards = 0.62 * (u * look.light[0] + v * look.light[1]) + 0.78 * height;
    0.45 + 0.55 * towards.max(0.0) + 0.7 * smooth(0.93, 1.0, towards)
}

fn ball(u: f32, v: f32, look: &Look) -> Rgb {
    let depth = (1.0 - u * u - v * v).max(0.0).sqrt();
    let tilt = 0.35 + 0.5 * look.variant;
    let (across, along) = (u, v * tilt.cos() - depth * tilt.sin());
    let front = v * tilt.sin() + depth * tilt.cos();
    let longitude = across.atan2(front) / TAU * 10.0;
    let second = longitude.rem_euclid(2.0) < 1.0 && along.abs() < 0.93;
    lit(look.colours[usize::from(second)], shade(u, v, look))
}

/// A regular hexagon of three rhombi; each face has coordinates `a`, `b` in 0..1 along its sides.
fn cube(u: f32, v: f32, look: &Look) -> Option<Rgb> {
    let (slope, half) = (u / 3f32.sqrt(), 3f32.sqrt() / 2.0);
    let across = u / half;
    let (a, b, light) = if v < -slope.abs() {
        (-v - slope, slope - v, 1.08)
    } else if u < 0.0 {
        (-across, v - slope, 0.82)
    } else {
        (across, v + slope, 0.60)
    };
    if !(0.0..=1.0).contains(&a) || !(0.0..=1.0).contains(&b) {
        return None;
    }
    let rim = [a, b, 1.0 - a, 1.0 - b].into_iter().fold(1.0, f32::min);
    let second = ((a * 3.0) as usize + (b * 3.0) as usize) % 2 == 1;
    let edge = if rim < 0.045 { 0.7 } else { 1.0 };
    Some(lit(look.colours[usize::from(second)], light * edge))
}

fn fish(u: f32, v: f32, look: &Look) -> Option<Rgb> {
    let (x, y) = ((u - 0.22) / 0.74, v / (0.46 + 0.1 * look.variant));
    let body = x * x + y * y * (1.0 + 0.25 * x) <= 1.0;
    let behind = -0.38 - u;
    let tail = behind > 0.0 && v.abs() < 0.10 + 0.85 * behind && u > -0.93 + 0.25 * (0.6 - v.abs());
    let fin = u.abs() < 0.3 && v < 0.0 && v > -0.72 + 0.5 * (u - 0.1).abs();
    let [main, second] = look.colours;
    if body && x > 0.45 {
        return Some(head(u, v, lit(main, 0.35 + 0.7 * shade(x, y, look).min(1.0)), second));
    }
    if body {
        let light = 0.35 + 0.7 * shade(x, y, look).min(1.0);
        return Some(lit(mix(main, second, scale(u, v)), light));
    }
    let ray = ((v / (behind.abs() + 0.5)) * 16.0).sin() > 0.0;
    (tail || fin).then(|| lit(second, if ray { 1.0 } else { 0.72 }))
}

fn head(u: f32, v: f32, skin: Rgb, second: Rgb) -> Rgb {
    let eye = (u - 0.68).hypot(v + 0.12);
    let gill = (u - 0.57 + 0.25 * v * v).abs() < 0.03;
    match eye {
        eye if eye < 0.055 => [0.05; 3],
        eye if eye < 0.115 => [0.97; 3],
        _ if gill => lit(second, 0.8),
        _ => skin,
    }
}

/// Overlapping round scales, those nearer the head on top: 0 within a scale, 1 on its rim.
fn scale(u: f32, v: f32) -> f32 {
    let radius = 0.15;
    let column = (u / radius).floor();
    for nearer in [1.0, 0.0, -1.0] {
        let at = column + nearer;
        let shift = if at.rem_euclid(2.0) < 1.0 { 0.0 } else { 0.5 };
        let y = (v / (2.0 * radius) + shift + 0.5).rem_euclid(1.0) - 0.5;
        let distance = (u / radius - at).hypot(2.0 * y);
        if distance <= 1.0 {
            return smooth(0.55, 0.75, distance);
        }
    }
    1.0
}

fn leaf(u: f32, v: f32, look: &Look) -> Option<Rgb> {
    let stem = u > 0.8 && v.abs() < 0.045;
    let place = ((u + 0.97) / 1.87).clamp(0.0, 1.0);
    let half = (0.42 + 0.13 * look.variant) * (PI * place.powf(1.35)).sin().max(0.0).powf(0.8);
    let jagged = half * (1.0 - 0.07 * (place * 14.0).fract());
    if v.abs() > jagged {
        return stem.then(|| lit(look.colours[1], 0.8));
    }
    let [main, second] = look.colours;
    let side = if v * look.light[1] > 0.0 { 1.0 } else { 0.78 };
    let vein = (u + v.abs() * 0.9) * 5.5;
    let on_vein = (vein - vein.round()).abs() < 0.17 || v.abs() < 0.05;
    let fade = 1.02 - 0.25 * v.abs() / half.max(0.01);
    Some(lit(if on_vein { second } else { main }, side * fade))
}

/// Segments around the hole; the tube is lit like a cylinder bent round.
fn ring(u: f32, v: f32, look: &Look) -> Option<Rgb> {
    let (radius, hole) = (u.hypot(v), 0.30 + 0.08 * look.variant);
    if radius < hole {
        return None;
    }
    let tube = (2.0 * (radius - hole) / (1.0 - hole) - 1.0) / radius;
    let segment = (v.atan2(u) / TAU * 8.0).rem_euclid(2.0) < 1.0;
    let light = shade(u * tube * 0.95, v * tube * 0.95, look);
    Some(lit(look.colours[usize::from(segment)], light))
}

/// Ten triangles around the centre, alternately bright and dark, with a band across the arms.
fn star(u: f32, v: f32, look: &Look) -> Option<Rgb> {
    let radius = u.hypot(v);
    let turned = (u.atan2(-v) / TAU * 5.0).rem_euclid(1.0);
    let away = (turned - 0.5).abs() * TAU / 5.0;
    let inner = 0.46 + 0.08 * look.variant;
    // The side from the tip (angle PI / 5 away from a valley, radius 1) to the valley.
    let (tip, valley) = ((0.0f32, 1.0f32), (inner * (PI / 5.0).sin(), inner * (PI / 5.0).cos()));
    let from_tip = PI / 5.0 - away;
    let (x, y) = (radius * from_tip.sin(), radius * from_tip.cos());
    let side = (valley.0 - tip.0) * (y - tip.1) - (valley.1 - tip.1) * (x - tip.0);
    if side > 0.0 {
        return None;
    }
    let facet = turned < 0.5;
    let middle = (turned + 0.5).floor() * TAU / 5.0;
    let (nx, ny) = (middle.sin(), -middle.cos());
    let towards = 0.12 * (nx * look.light[0] + ny * look.light[1]);
    let light = if facet { 1.05 } else { 0.66 } + towards;
    let edge = 1.0 - side.abs() / 0.5;
    let colour = look.colours[usize::from(!facet)];
    Some(lit(mix(colour, look.colours[0], 0.15), light * (0.8 + 0.25 * edge)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_fills_a_fair_part_of_its_circle() {
        let look = Look { colours: [[1.0; 3], [0.0; 3]], light: [0.0, -1.0], variant: 0.5 };
        for shape in SHAPES {
            let steps = || (-50..=50).map(|step| step as f32 / 50.0);
            let covered = steps()
                .flat_map(|v| steps().map(move |u| (u, v)))
                .filter_map(|(u, v)| shape.colour(u, v, &look))
                .inspect(|colour| {
                    assert!(colour.iter().all(|c| (0.0..=1.0).contains(c)), "{shape:?}")
                })
                .count();
            let share = covered as f32 / 8000.0;
            assert!((0.35..1.0).contains(&share), "{shape:?} covers {share}");
        }
    }
}
