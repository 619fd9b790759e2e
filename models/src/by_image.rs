//! One training step of IRNet, whose branches go image by image.
//!
//! The loss couples the images of a batch (its means run over all pairs), the network does not: group norms
//! see one image. So the branches run on one image after the other, the loss says what it wants changed in
//! their outputs, and each image passes that on in its turn.

use candle_core::backprop::GradStore;
use candle_core::{Device, Result, Tensor, Var};

use crate::branches::{Branches, Pass};
use crate::ops::head::Map;
use crate::ops::relation_loss::{RelationLoss, relation_loss};
use crate::ops::slices;
use crate::tape::{self, Processor, Tape};
use crate::{IrNet, Relations};

/// Images that go through the backbone together: enough for every processor at its deepest layers, whose
/// maps are small, and no more memory than the branches need.
const TOGETHER: usize = 4;

impl IrNet {
    /// The loss of a batch, and its gradients with respect to the branches' parameters.
    ///
    /// `engine` computes the backbone; `images` is `(batch, 3, h, w)`; for the other arguments see [`relation_loss`].
    ///
    /// # Errors
    /// Shapes that do not fit together, an empty batch.
    pub fn relation_gradients(
        &self,
        engine: &Processor,
        images: &Tensor,
        label: &Tensor,
        radius: usize,
        classes: usize,
    ) -> Result<(RelationLoss, GradStore)> {
        let stages = self.stages(engine, images)?;
        let branches = Branches::new(self)?;
        let passes: Vec<Pass> = stages.iter().map(|stages| branches.run(stages.maps())).collect();
        let outputs = outputs(&stages, &passes)?;
        let loss = relation_loss(&outputs.edge, &outputs.displacement, label, radius, classes)?;
        let wanted = loss.total.backward()?;
        let mut sum: Option<Vec<Vec<f32>>> = None;
        for (image, (stages, pass)) in stages.iter().zip(passes).enumerate() {
            let edge = wanted_of(&wanted, &outputs.edge, image)?;
            let displacement = wanted_of(&wanted, &outputs.displacement, image)?;
            let gradients = slices::with([&edge, &displacement], |wanted| {
                Ok(branches.gradients(stages.maps(), &pass, wanted))
            })?;
            match &mut sum {
                Some(sum) => add(sum, &gradients),
                None => sum = Some(gradients),
            }
        }
        Ok((loss, self.stored(sum.unwrap_or_default())?))
    }

    /// The backbone's outputs on each image.
    fn stages(&self, engine: &Processor, images: &Tensor) -> Result<Vec<Stages>> {
        let batch = images.dim(0)?;
        let mut stages = Vec::with_capacity(batch);
        for start in (0..batch).step_by(TOGETHER) {
            let count = TOGETHER.min(batch - start);
            let tape = Tape::new(engine);
            let maps = self.resnet.forward(&tape.load(&images.narrow(0, start, count)?)?)?;
            let maps = maps.map(|map| map.map().clone());
            stages.extend((0..count).map(|image| Stages { maps: maps.clone(), image }));
        }
        Ok(stages)
    }

    /// The gradients of edge and displacement branch by their parameters.
    fn stored(&self, gradients: Vec<Vec<f32>>) -> Result<GradStore> {
        let mut vars: Vec<&Var> = Vec::new();
        self.visit_edge(&mut |param| vars.push(param.var()));
        self.visit_displacement(&mut |param| vars.push(param.var()));
        let mut stored = GradStore::default();
        for (var, gradient) in vars.into_iter().zip(gradients) {
            let gradient = Tensor::from_vec(gradient, var.shape(), var.device())?;
            stored.insert(var, gradient);
        }
        Ok(stored)
    }
}

/// The backbone's outputs on several images, and which of them is meant.
struct Stages {
    maps: [tape::Map; 5],
    image: usize,
}

impl Stages {
    fn maps(&self) -> [Map<'_>; 5] {
        self.maps.each_ref().map(|map| {
            let [_, channels, height, width] = map.shape();
            let len = channels * height * width;
            Map::new(&map.values()[self.image * len..][..len], (height, width))
        })
    }
}

fn add(sum: &mut [Vec<f32>], other: &[Vec<f32>]) {
    for (sum, other) in sum.iter_mut().zip(other) {
        sum.iter_mut().zip(other).for_each(|(sum, other)| *sum += other);
    }
}

/// Both branches' outputs of all images as variables of their own.
fn outputs(stages: &[Stages], passes: &[Pass]) -> Result<Relations<Var>> {
    let Some(first) = stages.first() else { candle_core::bail!("a batch without images") };
    let [_, _, height, width] = first.maps[1].shape();
    let stack = |channels: usize, map: &dyn Fn(&Pass) -> &[f32]| {
        let values: Vec<f32> = passes.iter().flat_map(map).copied().collect();
        let shape = (passes.len(), channels, height, width);
        Var::from_tensor(&Tensor::from_vec(values, shape, &Device::Cpu)?)
    };
    Ok(Relations {
        edge: stack(1, &|pass| &pass.edge)?,
        displacement: stack(2, &|pass| &pass.displacement)?,
    })
}

/// What the loss wants changed in an image's part of `output`.
fn wanted_of(wanted: &GradStore, output: &Var, image: usize) -> Result<Tensor> {
    let Some(wanted) = wanted.get(output) else { candle_core::bail!("a loss without gradient") };
    wanted.narrow(0, image, 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Weights;
    use crate::ops::testing::{self, numbers};
    use crate::resnet::BACKBONES;
    use crate::tape::Engine;

    #[test]
    fn agrees_with_the_whole_batch() {
        let net = IrNet::new(&mut Weights::seeded(3, &Device::Cpu), BACKBONES[0], 0.25).unwrap();
        let images = numbers("images", &[3, 3, 52, 60]);
        let label = (0..3 * 13 * 15).map(|i: u32| [0u8, 1, 2, 255][(i / 5 % 4) as usize]);
        let label = Tensor::from_iter(label, &Device::Cpu).unwrap().reshape((3, 13, 15)).unwrap();
        let engine = Processor::default();
        let (loss, ours) = net.relation_gradients(&engine, &images, &label, 4, 20).unwrap();
        let tape = Tape::new(&engine);
        let maps = net.forward(&tape.load(&images).unwrap()).unwrap();
        let outputs = [maps.edge, maps.displacement];
        let vars = outputs
            .each_ref()
            .map(|map| Var::from_tensor(&engine.read(map.map()).unwrap()).unwrap());
        let whole = relation_loss(&vars[0], &vars[1], &label, 4, 20).unwrap();
        testing::close(&loss.total, &whole.total, 1e-4);
        let wanted = whole.total.backward().unwrap();
        let wanted = vars.map(|var| engine.load(wanted.get(&var).unwrap()).unwrap());
        let theirs = tape.backward(outputs.into_iter().zip(wanted).collect()).unwrap();
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

    #[test]
    fn threads_do_not_change_a_bit() {
        let net = IrNet::new(&mut Weights::seeded(3, &Device::Cpu), BACKBONES[0], 0.25).unwrap();
        let images = numbers("images", &[5, 3, 37, 50]);
        let label = (0..5 * 10 * 13).map(|i: u32| [0u8, 2, 255][(i / 4 % 3) as usize]);
        let label = Tensor::from_iter(label, &Device::Cpu).unwrap().reshape((5, 10, 13)).unwrap();
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let (loss, gradients) =
                    net.relation_gradients(&Processor::frozen(), &images, &label, 3, 20).unwrap();
                let mut bits = vec![loss.total.to_scalar::<f32>().unwrap().to_bits()];
                net.visit_displacement(&mut |param| {
                    let gradient = gradients.get(param.var()).unwrap().flatten_all().unwrap();
                    bits.extend(gradient.to_vec1::<f32>().unwrap().into_iter().map(f32::to_bits));
                });
                bits
            })
        };
        assert_eq!(run(1), run(3));
    }
}
