//! One training step of IRNet's branches in the memory of one image.
//!
//! The loss couples the images of a batch (its means run over all pairs), the branches do not: group norms
//! see one image. So the network runs image by image and keeps nothing but the backbone's outputs, the loss says what it wants
//! changed in their outputs, and each image runs once more, now recorded, to pass that on. The
//! branches are an eighth of the network; all activations of a batch would take four times the memory.

use candle_core::backprop::GradStore;
use candle_core::{Result, Tensor, Var};

use crate::ops::precomputed::Precomputed;
use crate::ops::products::close;
use crate::ops::relation_loss::{RelationLoss, relation_loss};
use crate::{IrNet, Relations};

impl IrNet {
    /// The loss of a batch, and its gradients with respect to the branches' parameters.
    ///
    /// `images` is `(batch, 3, h, w)`; for the other arguments see [`relation_loss`].
    ///
    /// # Errors
    /// Shapes that do not fit together, an empty batch.
    pub fn relation_gradients(
        &self,
        images: &Tensor,
        label: &Tensor,
        radius: usize,
        classes: usize,
    ) -> Result<(RelationLoss, GradStore)> {
        close(|| self.close_gradients(images, label, radius, classes))
    }

    fn close_gradients(
        &self,
        images: &Tensor,
        label: &Tensor,
        radius: usize,
        classes: usize,
    ) -> Result<(RelationLoss, GradStore)> {
        let batch = images.dim(0)?;
        let stages = (0..batch).map(|image| self.resnet.forward(&images.narrow(0, image, 1)?));
        let stages = stages.collect::<Result<Vec<_>>>()?;
        let run = |image: usize| self.branches(&stages[image]);
        let (edge, displacement) = outputs(batch, run)?;
        let loss = relation_loss(&edge, &displacement, label, radius, classes)?;
        let wanted = loss.total.backward()?;
        let mut sum: Option<GradStore> = None;
        for image in 0..batch {
            let gradients =
                [wanted_of(&wanted, &edge, image)?, wanted_of(&wanted, &displacement, image)?];
            let maps = run(image)?;
            let passed_on = Precomputed { value: 0.0, gradients };
            let gradients = maps.edge.apply_op2(&maps.displacement, passed_on)?.backward()?;
            drop(maps);
            sum = Some(match sum {
                Some(sum) => self.added(sum, gradients)?,
                None => gradients,
            });
        }
        let sum = sum.ok_or_else(|| candle_core::Error::Msg("a batch without images".into()))?;
        Ok((loss, sum))
    }

    /// The sum of two images' gradients.
    fn added(&self, mut sum: GradStore, mut other: GradStore) -> Result<GradStore> {
        let mut vars: Vec<&Var> = Vec::new();
        self.visit_edge(&mut |param| vars.push(param.var()));
        self.visit_displacement(&mut |param| vars.push(param.var()));
        for var in vars {
            let total = match (sum.remove(var), other.remove(var)) {
                (Some(a), Some(b)) => (a + b)?,
                (Some(one), None) | (None, Some(one)) => one,
                (None, None) => continue,
            };
            sum.insert(var, total);
        }
        Ok(sum)
    }
}

/// Both branches' outputs as variables of their own.
fn outputs(batch: usize, run: impl Fn(usize) -> Result<Relations<Tensor>>) -> Result<(Var, Var)> {
    let (mut edges, mut displacements) = (Vec::new(), Vec::new());
    for image in 0..batch {
        let maps = run(image)?;
        edges.push(maps.edge.detach());
        displacements.push(maps.displacement.detach());
    }
    let stack = |maps: &[Tensor]| Var::from_tensor(&Tensor::cat(maps, 0)?);
    Ok((stack(&edges)?, stack(&displacements)?))
}

/// What the loss wants changed in an image's part of `output`.
fn wanted_of(wanted: &GradStore, output: &Var, image: usize) -> Result<Tensor> {
    let Some(wanted) = wanted.get(output) else { candle_core::bail!("a loss without gradient") };
    wanted.narrow(0, image, 1)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::Weights;
    use crate::ops::testing::{self, numbers};
    use crate::resnet::BACKBONES;

    #[test]
    fn agrees_with_the_whole_batch() {
        let net = IrNet::new(&mut Weights::seeded(3, &Device::Cpu), BACKBONES[0], 0.25).unwrap();
        let images = numbers("images", &[3, 3, 52, 60]);
        let label = (0..3 * 13 * 15).map(|i: u32| [0u8, 1, 2, 255][(i / 5 % 4) as usize]);
        let label = Tensor::from_iter(label, &Device::Cpu).unwrap().reshape((3, 13, 15)).unwrap();
        let (loss, ours) = net.relation_gradients(&images, &label, 4, 20).unwrap();
        let maps = net.forward(&images).unwrap();
        let whole = relation_loss(&maps.edge, &maps.displacement, &label, 4, 20).unwrap();
        testing::close(&loss.total, &whole.total, 1e-4);
        let theirs = whole.total.backward().unwrap();
        let mut count = 0;
        net.visit(&mut |param| {
            let (ours, theirs) = (ours.get(param.var()), theirs.get(param.var()));
            assert_eq!(ours.is_some(), theirs.is_some(), "{}", param.name);
            if let (Some(ours), Some(theirs)) = (ours, theirs) {
                testing::close(ours, theirs, 1e-3);
                count += 1;
            }
        });
        assert_eq!(count, 3 * 12 + 3);
    }
}
