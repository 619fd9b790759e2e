//! Convolution, alone or with everything that follows it in a residual network: normalisation, residual
//! sum and ReLU, applied while the tile is in cache.

use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor};

use super::fold::fold;
use super::gemm_conv::{Finish, Matrix};
use super::im2col::Geometry;
use super::{products, relu, slices};
use crate::layers::{Conv, ConvNorm};

/// See [`crate::FeatureMap::conv_norm`].
pub fn conv_norm(x: &Tensor, layer: &ConvNorm, residual: Option<&Tensor>) -> Result<Tensor> {
    let op = Convolution::new(&layer.conv, layer.relu)?;
    let (x, matrix) = (x.contiguous()?, fold(layer)?);
    match residual {
        Some(residual) => x.apply_op3(&matrix, &residual.contiguous()?, op),
        None => x.apply_op2(&matrix, op),
    }
}

/// See [`crate::FeatureMap::conv`].
pub fn conv(x: &Tensor, layer: &Conv) -> Result<Tensor> {
    let weight = layer.weight.tensor().flatten_from(1)?;
    let matrix = match &layer.bias {
        Some(bias) => Tensor::cat(&[weight, bias.tensor().unsqueeze(1)?], 1)?,
        None => weight,
    };
    x.contiguous()?.apply_op2(&matrix, Convolution::new(layer, false)?)
}

/// `x` by a matrix of a row per output channel: its weights, then (or not) its shift.
#[derive(Clone, Copy)]
struct Convolution {
    kernel: usize,
    stride: usize,
    padding: usize,
    relu: bool,
}

impl Convolution {
    fn new(layer: &Conv, relu: bool) -> Result<Self> {
        let kernel = layer.weight.var().dim(3)?;
        Ok(Self { kernel, stride: layer.stride, padding: layer.padding, relu })
    }

    fn geometry(&self, x: &Shape, matrix: &Shape) -> Result<Geometry> {
        let (images, c_in, height, width) = x.dims4()?;
        let (c_out, columns) = matrix.dims2()?;
        let Self { kernel, stride, padding, .. } = *self;
        let g = Geometry { images, c_in, height, width, c_out, kernel, stride, padding };
        if columns != g.depth() && columns != g.depth() + 1 {
            candle_core::bail!("{c_in} channels meet a convolution of {columns} weights");
        }
        g.checked()
    }

    fn forward(
        &self,
        (x, x_layout): (&CpuStorage, &Layout),
        (matrix, matrix_layout): (&CpuStorage, &Layout),
        residual: Option<(&CpuStorage, &Layout)>,
    ) -> Result<(CpuStorage, Shape)> {
        let g = self.geometry(x_layout.shape(), matrix_layout.shape())?;
        let shape = Shape::from((g.images, g.c_out, g.rows_out(), g.columns_out()));
        if let Some((_, layout)) = residual.filter(|(_, layout)| *layout.shape() != shape) {
            candle_core::bail!("a residual of {:?} meets {shape:?}", layout.shape());
        }
        let residual =
            residual.map(|(storage, layout)| slices::argument(storage, layout)).transpose()?;
        let x = slices::argument(x, x_layout)?;
        let values = slices::argument(matrix, matrix_layout)?;
        let row = matrix_layout.dims()[1];
        let finish = Finish { shift: row > g.depth(), residual, relu: self.relu };
        let y = products::forward(&g, x, Matrix { values, row, column: 1 }, finish);
        Ok((CpuStorage::F32(y), shape))
    }

    /// Gradients of input and matrix from the gradient of what the convolution and its shift gave.
    fn backward(
        &self,
        x: &Tensor,
        matrix: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let g = self.geometry(x.shape(), matrix.shape())?;
        let stride = matrix.dim(1)?;
        slices::with([x, matrix, dy], |[x_values, matrix_values, dy]| {
            let tensor =
                |values, like: &Tensor| Tensor::from_vec(values, like.shape(), like.device());
            let dx = x
                .track_op()
                .then(|| tensor(products::input_gradient(&g, matrix_values, stride, dy), x));
            let d_matrix = matrix
                .track_op()
                .then(|| tensor(products::matrix_gradient(&g, x_values, dy, stride), matrix));
            Ok((dx.transpose()?, d_matrix.transpose()?))
        })
    }

    /// The gradient before the ReLU, where there is one.
    fn before_relu(&self, y: &Tensor, dy: &Tensor) -> Result<Tensor> {
        if self.relu { relu::gradient(y, dy) } else { dy.contiguous() }
    }
}

impl CustomOp2 for Convolution {
    fn name(&self) -> &'static str {
        "convolution"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        matrix: &CpuStorage,
        matrix_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.forward((x, x_layout), (matrix, matrix_layout), None)
    }

    fn bwd(
        &self,
        x: &Tensor,
        matrix: &Tensor,
        y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        self.backward(x, matrix, &self.before_relu(y, dy)?)
    }
}

impl CustomOp3 for Convolution {
    fn name(&self) -> &'static str {
        "convolution with residual"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        matrix: &CpuStorage,
        matrix_layout: &Layout,
        residual: &CpuStorage,
        residual_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let residual = Some((residual, residual_layout));
        self.forward((x, x_layout), (matrix, matrix_layout), residual)
    }

    fn bwd(
        &self,
        x: &Tensor,
        matrix: &Tensor,
        residual: &Tensor,
        y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let before = self.before_relu(y, dy)?;
        let (dx, d_matrix) = self.backward(x, matrix, &before)?;
        Ok((dx, d_matrix, residual.track_op().then_some(before)))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;
    use crate::ops::testing::{agree, close, naive_conv, naive_conv_norm, numbers, var};
    use crate::{BatchNorm, Weights};

    fn layer(io: (usize, usize), kernel: usize, stride: usize, trainable: bool) -> ConvNorm {
        let mut w = Weights::seeded(1, &Device::Cpu);
        let conv = Conv::new(&mut w, "conv", io, kernel, trainable).unwrap().stride(stride);
        let norm = BatchNorm::new(&mut w, "norm", io.1, 1.0, trainable).unwrap();
        norm.weight.var().set(&numbers("gamma", &[io.1])).unwrap();
        norm.bias.var().set(&numbers("beta", &[io.1])).unwrap();
        norm.running_mean.var().set(&numbers("mean", &[io.1])).unwrap();
        let variance = (numbers("variance", &[io.1]) + 1.5).unwrap();
        norm.running_var.var().set(&variance).unwrap();
        ConvNorm { conv, norm, relu: false }
    }

    /// Channels in and out, kernel, stride, height, width: all the ways the networks convolve, small.
    const CASES: [(usize, usize, usize, usize, usize, usize); 9] = [
        (3, 5, 7, 2, 19, 23),
        (5, 9, 3, 1, 7, 6),
        (9, 4, 3, 2, 7, 11),
        (9, 4, 3, 2, 8, 10),
        (17, 6, 1, 1, 5, 3),
        (6, 7, 1, 2, 5, 9),
        (1, 1, 3, 1, 1, 1),
        (4, 3, 3, 2, 1, 3),
        (33, 40, 3, 1, 40, 31),
    ];

    fn vars<'a>(x: &'a Var, layer: &'a ConvNorm) -> Vec<&'a Var> {
        vec![x, layer.conv.weight.var(), layer.norm.weight.var(), layer.norm.bias.var()]
    }

    #[test]
    fn conv_norm_agrees_with_plain_operations() {
        for (c_in, c_out, kernel, stride, height, width) in CASES {
            let layer = layer((c_in, c_out), kernel, stride, true);
            let x = var("x", &[2, c_in, height, width]);
            let naive = || naive_conv_norm(&x, &layer, None);
            agree(&vars(&x, &layer), || conv_norm(&x, &layer, None), naive, 1e-4);
        }
    }

    #[test]
    fn residual_and_relu_agree_with_plain_operations() {
        for (c_in, c_out, kernel, stride, height, width) in CASES {
            let layer = ConvNorm { relu: true, ..layer((c_in, c_out), kernel, stride, true) };
            let x = var("x", &[2, c_in, height, width]);
            let shape = naive_conv_norm(&x, &layer, None).unwrap();
            let residual = var("residual", shape.dims());
            let mut vars = vars(&x, &layer);
            vars.push(&residual);
            let ours = || conv_norm(&x, &layer, Some(&residual));
            agree(&vars, ours, || naive_conv_norm(&x, &layer, Some(&residual)), 1e-4);
        }
    }

    #[test]
    fn bias_agrees_with_plain_operations() {
        let mut w = Weights::seeded(1, &Device::Cpu);
        let layer = Conv::new(&mut w, "conv", (5, 3), 1, true).unwrap().bias(&mut w).unwrap();
        let bias = layer.bias.as_ref().unwrap().var();
        bias.set(&numbers("bias", &[3])).unwrap();
        let x = var("x", &[2, 5, 4, 7]);
        agree(
            &[&x, layer.weight.var(), bias],
            || conv(&x, &layer),
            || naive_conv(&x, &layer),
            1e-5,
        );
    }

    /// Candle's own backward pass fails where height and width leave different remainders; a linear map
    /// can be held against itself: `<gradient of <f(x), r>, x> = <f(x), r>`.
    #[test]
    fn gradients_of_a_linear_map_give_its_value() {
        for (kernel, height, width) in [(3, 7, 10), (1, 5, 8), (3, 2, 1), (7, 9, 12)] {
            let layer = layer((6, 5), kernel, 2, true).conv;
            let x = var("x", &[2, 6, height, width]);
            let y = conv(&x, &layer).unwrap();
            let value = (&y * numbers("r", y.dims())).unwrap().sum_all().unwrap();
            let gradients = value.backward().unwrap();
            for var in [&x, layer.weight.var()] {
                let along = (gradients.get(var).unwrap() * var.as_tensor()).unwrap();
                close(&along.sum_all().unwrap(), &value, 1e-5);
            }
        }
    }

    #[test]
    fn frozen_layers_record_nothing() {
        let layer = layer((3, 4), 3, 1, false);
        let y = conv_norm(&numbers("x", &[1, 3, 5, 5]), &layer, None).unwrap();
        assert!(!y.track_op());
    }

    #[test]
    fn threads_do_not_change_a_bit() {
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let layer = layer((24, 40), 3, 1, true);
                let x = var("x", &[3, 24, 90, 70]);
                let loss = conv_norm(&x, &layer, None).unwrap().sqr().unwrap().sum_all().unwrap();
                let gradients = loss.backward().unwrap();
                vars(&x, &layer)
                    .into_iter()
                    .map(|var| gradients.get(var).unwrap().flatten_all().unwrap())
                    .flat_map(|gradient| gradient.to_vec1::<f32>().unwrap())
                    .map(f32::to_bits)
                    .collect::<Vec<_>>()
            })
        };
        let one = run(1);
        assert_eq!(one, run(2));
        assert_eq!(one, run(5));
    }

    #[test]
    fn maps_too_small_are_errors() {
        let mut layer = layer((3, 4), 7, 1, false);
        layer.conv.padding = 0;
        assert!(conv_norm(&numbers("x", &[1, 3, 5, 9]), &layer, None).is_err());
        assert!(conv_norm(&numbers("x", &[1, 2, 9, 9]), &layer, None).is_err());
    }
}
