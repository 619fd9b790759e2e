//! Convolution, alone or with everything that follows it in a residual network: normalisation, residual
//! sum and ReLU, applied while the tile is in cache.

use candle_core::{Result, bail};

use super::gemm_conv::Finish;
use super::im2col::Geometry;
use super::{products, slices};
use crate::layers::Conv;
use crate::tape::Shape;

/// The sizes of `layer` on a map of shape `x`.
///
/// # Errors
/// Other channels than the layer's, a map too small.
pub fn geometry(layer: &Conv, [images, c_in, height, width]: Shape) -> Result<Geometry> {
    let (c_out, channels, kernel, _) = layer.weight.var().dims4()?;
    if c_in != channels {
        bail!("{c_in} channels meet a convolution of {channels}");
    }
    let (stride, padding) = (layer.stride, layer.padding);
    Geometry { images, c_in, height, width, c_out, kernel, stride, padding }.checked()
}

/// Calls `f` with the weights of `layer`.
pub fn with_weights<R>(layer: &Conv, f: impl FnOnce(&[f32]) -> R) -> Result<R> {
    slices::with([&layer.weight.var().as_detached_tensor()], |[weights]| Ok(f(weights)))
}

/// The bias of `layer`.
pub fn bias(layer: &Conv) -> Result<Option<Vec<f32>>> {
    layer.bias.as_ref().map(|bias| bias.var().as_detached_tensor().to_vec1()).transpose()
}

/// The output of `layer` and of what follows.
pub fn forward(layer: &Conv, g: &Geometry, x: &[f32], finish: Finish, y: &mut [f32]) -> Result<()> {
    with_weights(layer, |weights| products::forward(g, x, weights, finish, y))
}

/// The same where no gradient goes through the output.
pub fn frozen_forward(
    layer: &Conv,
    g: &Geometry,
    x: &[f32],
    finish: Finish,
    y: &mut [f32],
) -> Result<()> {
    with_weights(layer, |weights| products::frozen_forward(g, x, weights, finish, y))
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device, Tensor, Var};

    use super::*;
    use crate::layers::{BatchNorm, ConvNorm};
    use crate::ops::testing::{agree, close, naive_conv, naive_conv_norm, numbers, var};
    use crate::tape::{Engine, Processor, Tape};
    use crate::{FeatureMap, Weights};

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

    fn parameters(layer: &ConvNorm) -> [&Var; 3] {
        [layer.conv.weight.var(), layer.norm.weight.var(), layer.norm.bias.var()]
    }

    #[test]
    fn conv_norm_agrees_with_plain_operations() {
        for (c_in, c_out, kernel, stride, height, width) in CASES {
            let layer = layer((c_in, c_out), kernel, stride, true);
            let x = var("x", &[2, c_in, height, width]);
            let naive = || naive_conv_norm(&x, &layer, None);
            agree(&[&x], &parameters(&layer), |x| x[0].conv_norm(&layer, None), naive, 1e-4);
        }
    }

    #[test]
    fn residual_and_relu_agree_with_plain_operations() {
        for (c_in, c_out, kernel, stride, height, width) in CASES {
            let layer = ConvNorm { relu: true, ..layer((c_in, c_out), kernel, stride, true) };
            let x = var("x", &[2, c_in, height, width]);
            let shape = naive_conv_norm(&x, &layer, None).unwrap();
            let residual = var("residual", shape.dims());
            let naive = || naive_conv_norm(&x, &layer, Some(&residual));
            agree(
                &[&x, &residual],
                &parameters(&layer),
                |x| x[0].conv_norm(&layer, Some(&x[1])),
                naive,
                1e-4,
            );
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
            &[&x],
            &[layer.weight.var(), bias],
            |x| x[0].conv(&layer),
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
            let engine = Processor::default();
            let tape = Tape::new(&engine);
            let y = tape.variable(&x).unwrap().conv(&layer).unwrap();
            let values = engine.read(y.map()).unwrap();
            let along = numbers("r", values.dims());
            let value = (values * &along).unwrap().sum_all().unwrap();
            let gradients = tape.backward(vec![(y, engine.load(&along).unwrap())]).unwrap();
            for var in [&x, layer.weight.var()] {
                let along = (gradients.get(var).unwrap() * var.as_tensor()).unwrap();
                close(&along.sum_all().unwrap(), &value, 1e-5);
            }
        }
    }

    #[test]
    fn a_scale_of_zero_has_its_gradients() {
        let layer = layer((4, 6), 3, 1, true);
        layer.norm.weight.var().set(&Tensor::zeros(6, DType::F32, &Device::Cpu).unwrap()).unwrap();
        let x = var("x", &[2, 4, 5, 6]);
        let naive = || naive_conv_norm(&x, &layer, None);
        agree(&[&x], &parameters(&layer), |x| x[0].conv_norm(&layer, None), naive, 1e-4);
    }

    #[test]
    fn threads_do_not_change_a_bit() {
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let layer = layer((24, 40), 3, 1, true);
                let x = var("x", &[3, 24, 90, 70]);
                let engine = Processor::default();
                let tape = Tape::new(&engine);
                let y = tape.variable(&x).unwrap().conv_norm(&layer, None).unwrap();
                let dy = y.map().clone();
                let gradients = tape.backward(vec![(y, dy)]).unwrap();
                std::iter::once(&x)
                    .chain(parameters(&layer))
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
        assert!(numbers("x", &[1, 3, 5, 9]).conv_norm(&layer, None).is_err());
        assert!(numbers("x", &[1, 2, 9, 9]).conv_norm(&layer, None).is_err());
    }
}
