//! The positive part, and the way back through it: gradient 0 at zero, as in PyTorch.

use rayon::prelude::*;

use super::slices;

/// Values a task takes.
const CHUNK: usize = 1 << 15;

/// `y` becomes the positive part of `x`.
pub fn positive(x: &[f32], y: &mut [f32]) {
    y.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(y, x)| {
        // Unlike `max`, this keeps NaN.
        y.iter_mut().zip(x).for_each(|(y, &x)| *y = if x < 0.0 { 0.0 } else { x });
    });
}

/// The gradient `dy` after a ReLU that gave `y` becomes that before it.
pub fn gradient(y: &[f32], dy: &mut [f32]) {
    dy.par_chunks_mut(CHUNK).zip(y.par_chunks(CHUNK)).for_each(|(dy, y)| pass(y, dy));
}

fn pass(y: &[f32], dy: &mut [f32]) {
    dy.iter_mut().zip(y).for_each(|(dy, &y)| *dy = if y > 0.0 { *dy } else { 0.0 });
}

/// The sums of `dy` over the images and pixels of each of `channels` channels.
pub fn sums(dy: &[f32], plane: usize, channels: usize) -> Vec<f64> {
    let planes = dy.par_chunks_exact(plane).map(|dy| slices::sum(dy, f64::from));
    by_channel(&planes.collect::<Vec<_>>(), channels)
}

/// [`gradient`], then [`sums`], in one pass over memory.
pub fn gradient_with_sums(y: &[f32], dy: &mut [f32], plane: usize, channels: usize) -> Vec<f64> {
    let planes = dy.par_chunks_exact_mut(plane).zip(y.par_chunks_exact(plane)).map(|(dy, y)| {
        pass(y, dy);
        slices::sum(dy, f64::from)
    });
    by_channel(&planes.collect::<Vec<_>>(), channels)
}

fn by_channel(planes: &[f64], channels: usize) -> Vec<f64> {
    let of = |channel: usize| planes.iter().skip(channel).step_by(channels).sum();
    (0..channels).map(of).collect()
}
