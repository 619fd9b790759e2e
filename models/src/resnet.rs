//! ResNets (He et al. 2016) whose last stage keeps stride 1, so that the output stride is 16.

use candle_core::Result;

use crate::layers::{BatchNorm, Conv, ConvNorm, Param};
use crate::{FeatureMap, Weights};

/// A backbone as data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backbone {
    /// `resnet18`, `resnet34`, `resnet50` or `resnet101`.
    pub name: &'static str,
    /// Blocks per stage.
    pub depth: [usize; 4],
    /// Three convolutions a block (expansion 4) instead of two.
    pub bottleneck: bool,
}

/// The backbones there are.
pub const BACKBONES: [Backbone; 4] = [
    Backbone { name: "resnet18", depth: [2, 2, 2, 2], bottleneck: false },
    Backbone { name: "resnet34", depth: [3, 4, 6, 3], bottleneck: false },
    Backbone { name: "resnet50", depth: [3, 4, 6, 3], bottleneck: true },
    Backbone { name: "resnet101", depth: [3, 4, 23, 3], bottleneck: true },
];

impl Backbone {
    /// The backbone called `name`.
    pub fn named(name: &str) -> Option<Self> {
        BACKBONES.into_iter().find(|backbone| backbone.name == name)
    }

    /// Channels of the stem and of the four stages for a width factor (1 is the original).
    pub fn channels(&self, width: f64) -> [usize; 5] {
        let base = stem_channels(width);
        let expansion = if self.bottleneck { 4 } else { 1 };
        [base, base * expansion, 2 * base * expansion, 4 * base * expansion, 8 * base * expansion]
    }
}

/// 64 times the width factor, a multiple of 8 (group norms need it).
fn stem_channels(width: f64) -> usize {
    ((64.0 * width / 8.0).round() as usize).max(1) * 8
}

/// How strongly a residual branch starts: frozen statistics do not tame a sum of full branches.
const BRANCH_SCALE: f64 = 0.25;

struct Block {
    convs: Vec<ConvNorm>,
    downsample: Option<ConvNorm>,
}

impl Block {
    /// `width` channels inside; the stride sits in the 3x3 convolution (v1.5) or the first of two.
    fn new(
        w: &mut Weights,
        name: &str,
        (c_in, width, c_out): (usize, usize, usize),
        stride: usize,
        trainable: bool,
    ) -> Result<Self> {
        let bottleneck = c_out != width;
        let last = if bottleneck { 3 } else { 2 };
        let mut unit = |i: usize, io, kernel, stride| {
            let name = [format!("{name}.conv{i}"), format!("{name}.bn{i}")];
            let scale = if i == last { BRANCH_SCALE } else { 1.0 };
            conv_norm(w, &name, io, (kernel, stride), scale, trainable)
        };
        // The last one's ReLU comes after the residual sum, which is part of the same operation.
        let convs = if bottleneck {
            vec![
                unit(1, (c_in, width), 1, 1)?,
                unit(2, (width, width), 3, stride)?,
                unit(3, (width, c_out), 1, 1)?,
            ]
        } else {
            vec![unit(1, (c_in, width), 3, stride)?, unit(2, (width, width), 3, 1)?]
        };
        let downsample = (stride != 1 || c_in != c_out)
            .then(|| {
                let name = [format!("{name}.downsample.0"), format!("{name}.downsample.1")];
                let layer = conv_norm(w, &name, (c_in, c_out), (1, stride), 1.0, trainable)?;
                Ok::<_, candle_core::Error>(ConvNorm { relu: false, ..layer })
            })
            .transpose()?;
        Ok(Self { convs, downsample })
    }

    fn forward<M: FeatureMap>(&self, x: &M) -> Result<M> {
        let shortcut = match &self.downsample {
            Some(layer) => x.conv_norm(layer, None)?,
            None => x.clone(),
        };
        let (last, first) = self.convs.split_last().expect("a block has convolutions");
        let y = first.iter().try_fold(x.clone(), |x, layer| x.conv_norm(layer, None))?;
        y.conv_norm(last, Some(&shortcut))
    }
}

fn conv_norm(
    w: &mut Weights,
    [conv, norm]: &[String; 2],
    io: (usize, usize),
    (kernel, stride): (usize, usize),
    scale: f64,
    trainable: bool,
) -> Result<ConvNorm> {
    Ok(ConvNorm {
        conv: Conv::residual(w, conv, io, kernel, trainable)?.stride(stride),
        norm: BatchNorm::new(w, norm, io.1, scale, trainable)?,
        relu: true,
    })
}

/// Stem and four stages; the first `freeze_at` of the five pass no gradient on and do not train.
pub struct ResNet {
    stem: ConvNorm,
    layers: [Vec<Block>; 4],
    freeze_at: usize,
    /// Channels of the five outputs.
    pub channels: [usize; 5],
}

impl ResNet {
    /// Builds `backbone` at `width` under the path `name` (`resnet50` in every file of the original,
    /// whatever the backbone's depth).
    pub fn new(
        w: &mut Weights,
        name: &str,
        backbone: Backbone,
        width: f64,
        freeze_at: usize,
    ) -> Result<Self> {
        let channels = backbone.channels(width);
        let base = channels[0];
        let stem_names = [format!("{name}.conv1"), format!("{name}.bn1")];
        let stem = conv_norm(w, &stem_names, (3, base), (7, 2), 1.0, freeze_at < 1)?;
        let mut layer = |stage: usize, stride: usize| -> Result<Vec<Block>> {
            let (inner, c_out) = (base << (stage - 1), channels[stage]);
            let block = |i: usize| {
                let (c_in, stride) =
                    if i == 0 { (channels[stage - 1], stride) } else { (c_out, 1) };
                let name = format!("{name}.layer{stage}.{i}");
                Block::new(w, &name, (c_in, inner, c_out), stride, freeze_at <= stage)
            };
            (0..backbone.depth[stage - 1]).map(block).collect()
        };
        let layers = [layer(1, 1)?, layer(2, 2)?, layer(3, 2)?, layer(4, 1)?];
        Ok(Self { stem, layers, freeze_at, channels })
    }

    /// The outputs of the stem (after the max-pool) and of the four stages, shallow to deep.
    pub fn forward<M: FeatureMap>(&self, image: &M) -> Result<[M; 5]> {
        let [layer1, layer2, layer3, layer4] = &self.layers;
        let x0 = self.freeze(1, image.conv_norm(&self.stem, None)?.max_pool()?);
        let x1 = self.freeze(2, run(layer1, &x0)?);
        let x2 = self.freeze(3, run(layer2, &x1)?);
        let x3 = self.freeze(4, run(layer3, &x2)?);
        let x4 = self.freeze(5, run(layer4, &x3)?);
        Ok([x0, x1, x2, x3, x4])
    }

    /// Calls `f` with every convolution and its normalisation, in forward order.
    pub fn visit_units<'a>(&'a self, f: &mut impl FnMut(&'a ConvNorm)) {
        f(&self.stem);
        for block in self.layers.iter().flatten() {
            block.downsample.iter().chain(&block.convs).for_each(&mut *f);
        }
    }

    /// Calls `f` with every parameter and buffer.
    pub fn visit<'a>(&'a self, f: &mut impl FnMut(&'a Param)) {
        self.visit_units(&mut |unit| unit.visit(f));
    }

    fn freeze<M: FeatureMap>(&self, stage: usize, x: M) -> M {
        if stage <= self.freeze_at { x.detach() } else { x }
    }
}

fn run<M: FeatureMap>(layer: &[Block], x: &M) -> Result<M> {
    layer.iter().try_fold(x.clone(), |x, block| block.forward(&x))
}
