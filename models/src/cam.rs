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
