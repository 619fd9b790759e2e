//! The classifier whose class activation maps (CAM; Zhou et al. 2016) seed everything else:
//! upstream's `net/resnet50_cam.py`.

use candle_core::backprop::GradStore;
use candle_core::{Result, Tensor};

use crate::layers::{Conv, Param};
use crate::ops::soft_margin::{SoftMargin, pool, pool_gradient, soft_margin};
use crate::tape::{Engine, Tape};
use crate::{Backbone, FeatureMap, ResNet, Weights};

/// A ResNet of output stride 16 and a 1x1 classifier without bias.
pub struct CamNet {
    /// The backbone; its first stages do not train.
    pub resnet: ResNet,
    /// `classifier.weight`, `(classes, channels, 1, 1)`.
    pub classifier: Conv,
}

/// What a batch says to the classifier.
pub struct ClassStep {
    /// The loss.
    pub loss: f32,
    /// The logits of the images, `(batch, classes)`.
    pub logits: Tensor,
    /// The gradients of the parameters that train.
    pub gradients: GradStore,
}

impl CamNet {
    /// Upstream's: stem, layer 1 and layer 2 pass no gradient on (it detaches layer 2's output).
    pub const FREEZE_AT: usize = 3;

    /// Builds the network from `w`, frozen as upstream's.
    ///
    /// # Errors
    /// A stored tensor of another shape.
    pub fn new(w: &mut Weights, backbone: Backbone, width: f64, classes: usize) -> Result<Self> {
        Self::frozen_at(w, backbone, width, classes, Self::FREEZE_AT)
    }

    /// Builds the network from `w`; the first `freeze_at` of stem and four stages do not train.
    ///
    /// # Errors
    /// A stored tensor of another shape.
    pub fn frozen_at(
        w: &mut Weights,
        backbone: Backbone,
        width: f64,
        classes: usize,
        freeze_at: usize,
    ) -> Result<Self> {
        let resnet = ResNet::new(w, "resnet50", backbone, width, freeze_at)?;
        let classifier = Conv::new(w, "classifier", (resnet.channels[4], classes), 1, true)?;
        Ok(Self { resnet, classifier })
    }

    /// The score of every class at every cell, `(batch, classes, ceil(h/16), ceil(w/16))`.
    ///
    /// Its mean over the cells is the image's logit, as pooling and a 1x1 convolution commute; its
    /// positive part is the activation map.
    pub fn forward<M: FeatureMap>(&self, image: &M) -> Result<M> {
        let [.., features] = self.resnet.forward(image)?;
        features.conv(&self.classifier)
    }

    /// The loss of a batch and its gradients, computed by `engine`.
    ///
    /// `images` is `(batch, 3, h, w)`, `targets` `(batch, classes)` (1 present, 0 absent); both f32 in main
    /// memory, where the loss is computed.
    ///
    /// # Errors
    /// Shapes that do not fit together, an empty batch; those of the engine.
    pub fn class_gradients<E: Engine>(
        &self,
        engine: &E,
        images: &Tensor,
        targets: &Tensor,
    ) -> Result<ClassStep> {
        let tape = Tape::new(engine);
        let output = self.forward(&tape.load(images)?)?;
        let scores = engine.read(output.map())?;
        let logits = pool(&scores)?;
        let SoftMargin { loss, gradient } = soft_margin(&logits, targets)?;
        let wanted = engine.load(&pool_gradient(scores.dims(), &gradient)?)?;
        let gradients = tape.backward(vec![(output, wanted)])?;
        Ok(ClassStep { loss, logits, gradients })
    }

    /// Calls `f` with every parameter and buffer.
    pub fn visit<'a>(&'a self, f: &mut impl FnMut(&'a Param)) {
        self.resnet.visit(f);
        self.classifier.visit(f);
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Result, Tensor};

    use super::*;
    use crate::ops::testing::{Naive, numbers};
    use crate::resnet::BACKBONES;
    use crate::tape::Processor;

    fn net(backbone: Backbone, freeze_at: usize) -> CamNet {
        let mut weights = Weights::seeded(3, &Device::Cpu);
        CamNet::frozen_at(&mut weights, backbone, 0.125, 6, freeze_at).unwrap()
    }

    fn targets(images: usize) -> Tensor {
        let present = (0..6 * images).map(|i| f32::from(u8::from(i % 4 == 1)));
        Tensor::from_iter(present, &Device::Cpu).unwrap().reshape((images, 6)).unwrap()
    }

    /// Candle's gradients of the same loss.
    fn naive(net: &CamNet, images: &Tensor, targets: &Tensor) -> Result<GradStore> {
        let scores = net.forward(&Naive(images.clone()))?.0;
        let logits = pool(&scores)?;
        let along = soft_margin(&logits.detach(), targets)?.gradient;
        (logits * along)?.sum_all()?.backward()
    }

    fn norm(x: &Tensor) -> f64 {
        let values = x.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        values.into_iter().map(|x| f64::from(x).powi(2)).sum::<f64>().sqrt()
    }

    #[test]
    fn gradients_are_those_of_candle_wherever_training_begins() {
        let (images, targets) = (numbers("images", &[2, 3, 48, 48]), targets(2));
        let engine = Processor::default();
        for (backbone, freeze_at) in
            (0..=5).flat_map(|freeze_at| [(BACKBONES[0], freeze_at), (BACKBONES[2], freeze_at)])
        {
            let net = net(backbone, freeze_at);
            let ours = net.class_gradients(&engine, &images, &targets).unwrap().gradients;
            let theirs = naive(&net, &images, &targets).unwrap();
            net.visit(&mut |param| {
                let (ours, theirs) = (ours.get(param.var()), theirs.get(param.var()));
                assert_eq!(ours.is_some(), param.trainable(), "{} {freeze_at}", param.name);
                let (Some(ours), Some(theirs)) = (ours, theirs) else { return };
                let distance = norm(&(ours - theirs).unwrap()) / norm(theirs).max(1e-6);
                assert!(distance < 2e-3, "{} {freeze_at}: {distance}", param.name);
            });
        }
    }

    #[test]
    fn threads_do_not_change_a_bit() {
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let (net, images) = (net(BACKBONES[2], 2), numbers("images", &[3, 3, 70, 45]));
                let engine = Processor::default();
                let step = net.class_gradients(&engine, &images, &targets(3)).unwrap();
                let mut bits = vec![step.loss.to_bits()];
                net.visit(&mut |param| {
                    let Some(gradient) = step.gradients.get(param.var()) else { return };
                    let values = gradient.flatten_all().unwrap().to_vec1::<f32>().unwrap();
                    bits.extend(values.into_iter().map(f32::to_bits));
                });
                bits
            })
        };
        assert_eq!(run(1), run(3));
    }
}
