//! A scene: objects placed one over another on a background, and its picture and masks.

use std::f32::consts::TAU;
use std::ops::RangeInclusive;

use ndarray::{Array2, Array3};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::background::Background;
use super::shapes::{Look, SHAPES, Shape};
use super::texture::{Rgb, hash, lit, smooth, two_colours};

/// Samples per pixel and axis of the photo.
const SAMPLES: usize = 3;

/// Least share of an object that must stay visible.
const VISIBLE: f64 = 0.55;

/// Attempts to place the objects before one is left out.
const ATTEMPTS: usize = 25;

/// Radii of objects by their number, in shares of the short side.
const RADII: [RangeInclusive<f32>; 3] = [0.30..=0.42, 0.24..=0.34, 0.21..=0.29];

/// One object in the picture; lengths in pixels.
#[derive(Clone, Debug)]
struct Object {
    shape: Shape,
    centre: [f32; 2],
    radius: f32,
    /// Cosine and sine of its rotation.
    turn: [f32; 2],
    look: Look,
}

/// Objects from back to front before a background.
#[derive(Clone, Debug)]
pub struct Scene {
    height: usize,
    width: usize,
    background: Background,
    objects: Vec<Object>,
    /// Direction the light comes from.
    light: [f32; 2],
    exposure: f32,
    seed: u32,
}

/// Photo and ground truth of a scene.
pub struct Rendered {
    /// `[h, w, 3]`.
    pub photo: Array3<u8>,
    /// Object numbers `[h, w]`, from 1; 0 is background.
    pub objects: Array2<u8>,
    /// The shape of object `n + 1`.
    pub shapes: Vec<Shape>,
}

impl Scene {
    /// A random scene with sides drawn from `sides`.
    pub fn random(rng: &mut ChaCha8Rng, sides: &RangeInclusive<usize>) -> Self {
        let (height, width) = (rng.random_range(sides.clone()), rng.random_range(sides.clone()));
        let angle = -TAU / 4.0 + rng.random_range(-1.0f32..1.0);
        let mut scene = Self {
            height,
            width,
            background: Background::random(rng, width as f32, height as f32),
            objects: Vec::new(),
            light: [angle.cos(), angle.sin()],
            exposure: rng.random_range(0.95..1.18),
            seed: rng.random(),
        };
        scene.place(rng);
        scene
    }

    /// Places 1 to 3 objects; a crowd that hides one of its own is thrown again, at last with one object fewer.
    fn place(&mut self, rng: &mut ChaCha8Rng) {
        for count in (1..=rng.random_range(1..=RADII.len())).rev() {
            for _ in 0..ATTEMPTS {
                self.objects.clear();
                for _ in 0..count {
                    let object = self.next_object(rng, count);
                    self.objects.push(object);
                }
                if self.all_visible() {
                    return;
                }
            }
        }
    }

    /// Half of the objects after the first stand next to the one before, mostly one of their own kind.
    fn next_object(&self, rng: &mut ChaCha8Rng, count: usize) -> Object {
        let (height, width) = (self.height as f32, self.width as f32);
        let radius = width.min(height) * rng.random_range(RADII[count - 1].clone());
        let neighbour = self.objects.last().filter(|_| rng.random_bool(0.65));
        let other = SHAPES[rng.random_range(0..SHAPES.len())];
        let (shape, centre) = match neighbour {
            Some(near) => {
                let shape = if rng.random_bool(0.65) { near.shape } else { other };
                let (angle, gap) = (rng.random_range(0.0..TAU), rng.random_range(0.72..0.98));
                let away = (near.radius + radius) * gap;
                (shape, [near.centre[0] + away * angle.cos(), near.centre[1] + away * angle.sin()])
            }
            None => (other, [rng.random_range(0.0..width), rng.random_range(0.0..height)]),
        };
        let rim = 0.8 * radius;
        let centre = [centre[0].clamp(rim, width - rim), centre[1].clamp(rim, height - rim)];
        let angle = rng.random_range(-1.0..1.0) * shape.turn();
        let turn = [angle.cos(), angle.sin()];
        let [x, y] = self.light;
        let light = [x * turn[0] + y * turn[1], y * turn[0] - x * turn[1]];
        let look = Look { colours: two_colours(shape.class(), rng), light, variant: rng.random() };
        Object { shape, centre, radius, turn, look }
    }

    /// Whether enough of every object is seen, judged by every third pixel and line.
    fn all_visible(&self) -> bool {
        let mut seen = [0usize; RADII.len()];
        let mut whole = [0usize; RADII.len()];
        for y in (1..self.height).step_by(3) {
            for x in (1..self.width).step_by(3) {
                let covers = |object: &Object| object.colour(x as f32, y as f32).is_some();
                let hits =
                    self.objects.iter().enumerate().rev().filter(|(_, object)| covers(object));
                for (rank, (at, _)) in hits.enumerate() {
                    seen[at] += usize::from(rank == 0);
                    whole[at] += 1;
                }
            }
        }
        let enough = |(&seen, &whole): (&usize, &usize)| seen as f64 >= VISIBLE * whole as f64;
        seen.iter().zip(&whole).all(enough)
    }

    /// The shapes of all objects.
    pub fn shapes(&self) -> impl Iterator<Item = Shape> + '_ {
        self.objects.iter().map(|object| object.shape)
    }

    /// The number of the foremost object at every pixel's centre.
    fn labels(&self) -> Array2<u8> {
        Array2::from_shape_fn((self.height, self.width), |(y, x)| {
            let (x, y) = (x as f32 + 0.5, y as f32 + 0.5);
            let front = self.objects.iter().rposition(|object| object.colour(x, y).is_some());
            front.map_or(0, |at| at as u8 + 1)
        })
    }

    /// Photo and masks.
    pub fn render(&self) -> Rendered {
        let mut photo = Array3::zeros((self.height, self.width, 3));
        for y in 0..self.height {
            for x in 0..self.width {
                let colour = self.exposed(x, y);
                for (channel, value) in colour.into_iter().enumerate() {
                    photo[[y, x, channel]] = (value.clamp(0.0, 1.0) * 255.0).round() as u8;
                }
            }
        }
        Rendered { photo, objects: self.labels(), shapes: self.shapes().collect() }
    }

    /// A pixel as the camera sees it: the mean of its samples, darker towards the corners, with grain.
    fn exposed(&self, x: usize, y: usize) -> Rgb {
        let ground = self.background.ground(x as f32 + 0.5, y as f32 + 0.5);
        let mut sum = [0.0; 3];
        for sample in 0..SAMPLES * SAMPLES {
            let offset = |step: usize| (step as f32 + 0.5) / SAMPLES as f32;
            let (dx, dy) = (offset(sample % SAMPLES), offset(sample / SAMPLES));
            let colour = self.sample(x as f32 + dx, y as f32 + dy, ground);
            sum = std::array::from_fn(|channel| sum[channel] + colour[channel]);
        }
        let (u, v) = (x as f32 / self.width as f32 - 0.5, y as f32 / self.height as f32 - 0.5);
        let light = self.exposure * (1.0 - 0.4 * (u * u + v * v)) / (SAMPLES * SAMPLES) as f32;
        let grain = 0.035 * (hash(x as i32, y as i32, self.seed) - 0.5);
        sum.map(|value| value * light + grain)
    }

    /// The foremost surface at a point, in the shadow of what stands before it; at last `ground`.
    fn sample(&self, x: f32, y: f32, ground: Rgb) -> Rgb {
        let mut light = 1.0;
        for object in self.objects.iter().rev() {
            if let Some(colour) = object.colour(x, y) {
                return lit(colour, light);
            }
            light *= 1.0 - object.shadow(x, y, self.light);
        }
        lit(self.background.clutter(x, y).unwrap_or(ground), light)
    }
}

impl Object {
    fn colour(&self, x: f32, y: f32) -> Option<Rgb> {
        let (x, y) = ((x - self.centre[0]) / self.radius, (y - self.centre[1]) / self.radius);
        let [cos, sin] = self.turn;
        self.shape.colour(x * cos + y * sin, y * cos - x * sin, &self.look)
    }

    /// Soft and round, away from the light.
    fn shadow(&self, x: f32, y: f32, light: [f32; 2]) -> f32 {
        let at = |axis: usize, value: f32| {
            (value - self.centre[axis]) / self.radius + 0.18 * light[axis]
        };
        let (x, y) = (at(0, x), at(1, y));
        0.4 * smooth(1.15, 0.5, (x * x + y * y).sqrt())
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn every_object_can_be_seen() {
        let mut crowds = 0;
        for seed in 0..20 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let scene = Scene::random(&mut rng, &(48..=64));
            let rendered = scene.render();
            assert_eq!(rendered.photo.dim(), (scene.height, scene.width, 3));
            for number in 1..=rendered.shapes.len() as u8 {
                let pixels = rendered.objects.iter().filter(|&&label| label == number).count();
                assert!(pixels * 100 > rendered.objects.len(), "object {number} of seed {seed}");
            }
            crowds += usize::from(rendered.shapes.len() > 1);
        }
        assert!(crowds > 5);
    }
}
