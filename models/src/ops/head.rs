//! A head of IRNet's branches in a training step: 1x1 convolution, group norm, enlargement and ReLU of one
//! image, forward and backward.
//!
//! Only what the convolution gave is kept; what the norm, the enlargement and the ReLU make of it is made
//! again where the backward pass needs it, straight into the map that the next convolution reads.

use candle_core::Result;
use rayon::prelude::*;

use super::gemm_conv::Finish;
use super::group_norm::{Normalise, Sizes};
use super::im2col::Geometry;
use super::upsample::{Tap, add_gradient, enlarge, taps};
use super::{products, slices};
use crate::layers::{Conv, Param};

/// A map of one image, `(channels, height, width)`.
#[derive(Clone, Copy)]
pub struct Map<'a> {
    pub values: &'a [f32],
    pub height: usize,
    pub width: usize,
}

impl<'a> Map<'a> {
    pub fn new(values: &'a [f32], (height, width): (usize, usize)) -> Self {
        Self { values, height, width }
    }

    pub fn size(&self) -> (usize, usize) {
        (self.height, self.width)
    }

    fn plane(&self) -> usize {
        self.height * self.width
    }
}

/// A 1x1 convolution: weights, and the shift if there is one.
pub struct Product {
    weights: Vec<f32>,
    shift: Option<Vec<f32>>,
    c_in: usize,
    c_out: usize,
}

fn values(param: &Param) -> Result<Vec<f32>> {
    param.var().as_detached_tensor().flatten_all()?.to_vec1()
}

/// A vector of `len` values that `fill` writes, all of them.
fn made(len: usize, fill: impl FnOnce(&mut [f32])) -> Vec<f32> {
    // SAFETY: as the callers say, all values are written.
    let mut made = unsafe { slices::uninitialised(len) };
    fill(&mut made);
    made
}

impl Product {
    pub fn new(conv: &Conv) -> Result<Self> {
        let (c_out, c_in, ..) = conv.weight.var().dims4()?;
        let shift = conv.bias.as_ref().map(values).transpose()?;
        Ok(Self { weights: values(&conv.weight)?, shift, c_in, c_out })
    }

    fn geometry(&self, x: Map) -> Geometry {
        let (c_in, c_out, height, width) = (self.c_in, self.c_out, x.height, x.width);
        Geometry { images: 1, c_in, height, width, c_out, kernel: 1, stride: 1, padding: 0 }
    }

    pub fn run(&self, x: Map) -> Vec<f32> {
        let g = self.geometry(x);
        let finish = Finish { shift: self.shift.as_deref(), ..Finish::default() };
        // A forward pass writes its whole output.
        made(g.image_out(), |y| products::forward(&g, x.values, &self.weights, finish, y))
    }

    /// The gradients of the weights, and of the shift if there is one.
    pub fn gradients(&self, x: Map, dy: &[f32]) -> Vec<Vec<f32>> {
        let g = self.geometry(x);
        // Every weight has a gradient.
        let weights = made(self.weights.len(), |d| products::weight_gradient(&g, x.values, dy, d));
        let sums = dy.chunks_exact(x.plane()).map(|dy| slices::sum(dy, f64::from) as f32);
        let shift = self.shift.is_some().then(|| sums.collect());
        std::iter::once(weights).chain(shift).collect()
    }

    /// The gradient of the input, a map of the size of `dy`.
    pub fn input_gradient(&self, dy: Map) -> Vec<f32> {
        let g = self.geometry(dy);
        // So has every value of the input.
        made(g.image_in(), |dx| products::input_gradient(&g, &self.weights, None, dy.values, dx))
    }
}

/// A head with the numbers of its parameters.
pub struct Head {
    pub product: Product,
    gamma: Vec<f32>,
    beta: Vec<f32>,
    norm: Normalise,
    factor: usize,
}

/// What a head's convolution gave, and by what the norm scales and shifts each channel.
pub struct Kept {
    values: Vec<f32>,
    height: usize,
    width: usize,
    affine: Vec<[f32; 2]>,
}

/// What a head's backward pass gives.
pub struct Gradients {
    /// Of weights, scale and shift.
    pub parameters: Vec<Vec<f32>>,
    /// Of what the convolution gave.
    pub product: Vec<f32>,
}

impl Head {
    pub fn new(head: &crate::irnet::Head) -> Result<Self> {
        Ok(Self {
            product: Product::new(&head.conv)?,
            gamma: values(&head.norm.weight)?,
            beta: values(&head.norm.bias)?,
            norm: Normalise { groups: head.norm.groups, eps: head.norm.eps },
            factor: head.factor,
        })
    }

    fn channels(&self) -> usize {
        self.product.c_out
    }

    fn sizes(&self, plane: usize) -> Sizes {
        let channels = self.channels() / self.norm.groups;
        Sizes { group: plane * channels, plane, channels }
    }

    /// The part of the forward pass that is kept.
    pub fn run(&self, x: Map) -> Kept {
        let values = self.product.run(x);
        let sizes = self.sizes(x.plane());
        let groups = values.par_chunks_exact(sizes.group).map(|x| self.norm.statistics(x));
        let statistics: Vec<(f32, f32)> = groups.collect();
        let parameters = self.gamma.iter().zip(&self.beta).enumerate();
        let affine = parameters.map(|(channel, (gamma, beta))| {
            let (mean, reciprocal) = statistics[channel / sizes.channels];
            [reciprocal * gamma, beta - mean * reciprocal * gamma]
        });
        Kept { affine: affine.collect(), height: x.height, width: x.width, values }
    }

    fn taps(&self, kept: &Kept, (height, width): (usize, usize)) -> [Vec<Tap>; 2] {
        [(kept.height, height), (kept.width, width)].map(|(size, limit)| {
            let mut taps = taps(size, self.factor);
            taps.truncate(limit);
            taps
        })
    }

    /// The rest of the forward pass, of which `y` takes the first rows and columns.
    pub fn write(&self, kept: &Kept, size: (usize, usize), y: &mut [f32]) {
        let [rows, columns] = self.taps(kept, size);
        let planes = y.par_chunks_exact_mut(size.0 * size.1);
        let planes = planes.zip(kept.values.par_chunks_exact(kept.height * kept.width));
        planes.zip(&kept.affine).for_each(|((y, x), &[scale, shift])| {
            if self.factor == 1 {
                y.iter_mut().zip(x).for_each(|(y, x)| *y = positive(x * scale + shift));
            } else {
                let normed: Vec<f32> = x.iter().map(|x| x * scale + shift).collect();
                enlarge(&normed, kept.width, [&rows, &columns], y);
                y.iter_mut().for_each(|y| *y = positive(*y));
            }
        });
    }

    /// From the head's input `x`, its output `y` and the gradient `dy` of that.
    fn gradients(&self, kept: &Kept, x: Map, y: Map, dy: &[f32]) -> Gradients {
        let plane = kept.height * kept.width;
        let [rows, columns] = self.taps(kept, (y.height, y.width));
        let mut normed = vec![0f32; kept.values.len()];
        let planes = y.values.par_chunks_exact(y.plane()).zip(dy.par_chunks_exact(y.plane()));
        normed.par_chunks_exact_mut(plane).zip(planes).for_each(|(normed, (y, dy))| {
            let passed = y.iter().zip(dy).map(|(&y, &dy)| if y > 0.0 { dy } else { 0.0 });
            if self.factor == 1 {
                normed.iter_mut().zip(passed).for_each(|(normed, passed)| *normed = passed);
            } else {
                let passed: Vec<f32> = passed.collect();
                add_gradient(&passed, kept.width, [&rows, &columns], normed);
            }
        });
        let sizes = self.sizes(plane);
        let mut product = vec![0f32; kept.values.len()];
        let sums = self.norm.gradients(&sizes, [&kept.values, &self.gamma, &normed], &mut product);
        let mut parameters = self.product.gradients(x, &product);
        parameters.extend([1, 0].map(|k| sums.iter().map(|sums| sums[k] as f32).collect()));
        Gradients { parameters, product }
    }
}

/// Unlike `max`, this keeps NaN: a diverged network must not look healthy.
fn positive(x: f32) -> f32 {
    if x < 0.0 { 0.0 } else { x }
}

/// A head in a pass: what it kept, and its input.
pub type Step<'a> = (&'a Head, &'a Kept, Map<'a>);

/// What heads give, one after the other.
pub fn concat(steps: &[Step], (height, width): (usize, usize)) -> Vec<f32> {
    let channels: usize = steps.iter().map(|(head, ..)| head.channels()).sum();
    // SAFETY: the heads' channels make up the map, and each writes all of its own.
    let mut all = unsafe { slices::uninitialised(channels * height * width) };
    let mut rest = &mut all[..];
    for (head, kept, _) in steps {
        let (y, after) = rest.split_at_mut(head.channels() * height * width);
        head.write(kept, (height, width), y);
        rest = after;
    }
    all
}

/// Each head's gradients, from what all gave together, and the gradient of that.
pub fn concat_gradients(steps: &[Step], y: Map, dy: &[f32]) -> Vec<Gradients> {
    let mut start = 0;
    let each = steps.iter().map(|(head, kept, x)| {
        let range = start..start + head.channels() * y.plane();
        start = range.end;
        head.gradients(kept, *x, Map { values: &y.values[range.clone()], ..y }, &dy[range])
    });
    each.collect()
}
