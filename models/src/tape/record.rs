//! The tape itself, and the feature map that records on it.

use std::cell::RefCell;

use candle_core::backprop::GradStore;
use candle_core::{Result, Tensor, Var, bail};

use super::engine::{Engine, Shape, Wanted, put};
use crate::FeatureMap;
use crate::layers::{Conv, ConvNorm, GroupNorm};

/// What an operation needs on the way back.
enum Operation<M> {
    Variable { var: Var },
    ConvNorm { layer: Box<ConvNorm>, x: M, y: M },
    Conv { layer: Box<Conv>, x: M },
    GroupNorm { layer: Box<GroupNorm>, x: M },
    Relu { y: M },
    Concat { channels: Vec<usize> },
    MaxPool { x: M, y: M },
    Upsample { x: Shape, factor: usize },
    Crop { x: Shape },
}

/// An operation, and which nodes made what it was given; `None` is what no gradient goes to.
struct Node<M> {
    operation: Operation<M>,
    inputs: Vec<Option<usize>>,
}

/// The operations of a forward pass through which gradients flow.
pub struct Tape<'e, E: Engine> {
    engine: &'e E,
    nodes: RefCell<Vec<Node<E::Map>>>,
}

/// A map that records what is done to it.
pub struct Recorded<'t, E: Engine> {
    tape: &'t Tape<'t, E>,
    map: E::Map,
    node: Option<usize>,
}

impl<E: Engine> Clone for Recorded<'_, E> {
    fn clone(&self) -> Self {
        Self { map: self.map.clone(), ..*self }
    }
}

impl<'e, E: Engine> Tape<'e, E> {
    /// An empty tape.
    pub fn new(engine: &'e E) -> Self {
        Self { engine, nodes: RefCell::default() }
    }

    /// A map that no gradient goes to, `(batch, channels, height, width)`.
    ///
    /// # Errors
    /// A tensor of another rank or type.
    pub fn load(&self, values: &Tensor) -> Result<Recorded<'_, E>> {
        Ok(Recorded { map: self.engine.load(values)?, tape: self, node: None })
    }

    /// The same of a map that the engine has already.
    pub fn given(&self, map: E::Map) -> Recorded<'_, E> {
        Recorded { map, tape: self, node: None }
    }

    /// A map whose gradient is wanted, as that of `var`.
    ///
    /// # Errors
    /// A variable of another rank or type.
    pub fn variable(&self, var: &Var) -> Result<Recorded<'_, E>> {
        let map = self.engine.load(&var.as_detached_tensor())?;
        let untracked = Recorded { map: map.clone(), tape: self, node: None };
        Ok(untracked.then(map, Vec::new(), true, |_| Operation::Variable { var: var.clone() }))
    }

    /// The gradients of all parameters, from those of the outputs. The tape is empty afterwards.
    ///
    /// # Errors
    /// Those of the engine.
    pub fn backward(&self, outputs: Vec<(Recorded<'_, E>, E::Map)>) -> Result<GradStore> {
        let mut nodes = self.nodes.take();
        let mut wanted: Vec<Option<E::Map>> = vec![None; nodes.len()];
        for (output, gradient) in outputs {
            self.give(&mut wanted, output.node, Some(gradient))?;
        }
        let mut gradients = GradStore::default();
        while let Some(node) = nodes.pop() {
            // What no output depends on has no gradient.
            let Some(dy) = wanted.pop().flatten() else { continue };
            self.pass(node, dy, &mut wanted, &mut gradients)?;
        }
        Ok(gradients)
    }

    /// Hands `gradient` to the node that made a map.
    fn give(
        &self,
        wanted: &mut [Option<E::Map>],
        node: Option<usize>,
        gradient: Option<E::Map>,
    ) -> Result<()> {
        let (Some(node), Some(gradient)) = (node, gradient) else { return Ok(()) };
        wanted[node] = Some(match wanted[node].take() {
            Some(sum) => self.engine.add(sum, &gradient)?,
            None => gradient,
        });
        Ok(())
    }

    /// One operation backwards.
    fn pass(
        &self,
        Node { operation, inputs }: Node<E::Map>,
        dy: E::Map,
        wanted: &mut [Option<E::Map>],
        gradients: &mut GradStore,
    ) -> Result<()> {
        let engine = self.engine;
        let input = inputs.first().is_some_and(Option::is_some);
        let given = match operation {
            Operation::Variable { var } => {
                put(gradients, &var, engine.read(&dy)?)?;
                Vec::new()
            }
            Operation::ConvNorm { layer, x, y } => {
                let asked = Wanted { input, residual: inputs[1].is_some() };
                let given = engine.conv_norm_gradient(&layer, &x, &y, dy, asked, gradients)?;
                vec![given.input, given.residual]
            }
            Operation::Conv { layer, x } => {
                vec![engine.conv_gradient(&layer, &x, dy, input, gradients)?]
            }
            Operation::GroupNorm { layer, x } => {
                vec![engine.group_norm_gradient(&layer, &x, dy, input, gradients)?]
            }
            Operation::Relu { y } => vec![Some(engine.relu_gradient(&y, dy)?)],
            Operation::Concat { channels } => {
                engine.concat_gradient(&channels, dy)?.into_iter().map(Some).collect()
            }
            Operation::MaxPool { x, y } => vec![Some(engine.max_pool_gradient(&x, &y, dy)?)],
            Operation::Upsample { x, factor } => {
                vec![Some(engine.upsample_gradient(x, factor, dy)?)]
            }
            Operation::Crop { x } => vec![Some(engine.crop_gradient(x, dy)?)],
        };
        inputs.into_iter().zip(given).try_for_each(|(node, given)| self.give(wanted, node, given))
    }
}

impl<E: Engine> Recorded<'_, E> {
    /// The values.
    pub fn map(&self) -> &E::Map {
        &self.map
    }

    /// The result of an operation on maps of `inputs`' nodes; recorded if a gradient flows through it: one
    /// of a parameter that trains, or of an input.
    fn then(
        &self,
        map: E::Map,
        inputs: Vec<Option<usize>>,
        trains: bool,
        operation: impl FnOnce(&E::Map) -> Operation<E::Map>,
    ) -> Self {
        let recorded = trains || inputs.iter().any(Option::is_some);
        let node = recorded.then(|| {
            let mut nodes = self.tape.nodes.borrow_mut();
            nodes.push(Node { operation: operation(&map), inputs });
            nodes.len() - 1
        });
        Self { tape: self.tape, map, node }
    }
}

impl<E: Engine> FeatureMap for Recorded<'_, E> {
    fn conv_norm(&self, layer: &ConvNorm, residual: Option<&Self>) -> Result<Self> {
        let added = residual.map(|residual| &residual.map);
        let y = self.tape.engine.conv_norm(layer, &self.map, added)?;
        let inputs = vec![self.node, residual.and_then(|residual| residual.node)];
        Ok(self.then(y, inputs, layer.trainable(), |y| Operation::ConvNorm {
            layer: Box::new(layer.clone()),
            x: self.map.clone(),
            y: y.clone(),
        }))
    }

    fn conv(&self, layer: &Conv) -> Result<Self> {
        let y = self.tape.engine.conv(layer, &self.map)?;
        Ok(self.then(y, vec![self.node], layer.trainable(), |_| Operation::Conv {
            layer: Box::new(layer.clone()),
            x: self.map.clone(),
        }))
    }

    fn group_norm(&self, layer: &GroupNorm) -> Result<Self> {
        let y = self.tape.engine.group_norm(layer, &self.map)?;
        Ok(self.then(y, vec![self.node], layer.trainable(), |_| Operation::GroupNorm {
            layer: Box::new(layer.clone()),
            x: self.map.clone(),
        }))
    }

    fn relu(&self) -> Result<Self> {
        let y = self.tape.engine.relu(&self.map)?;
        Ok(self.then(y, vec![self.node], false, |y| Operation::Relu { y: y.clone() }))
    }

    fn concat(maps: &[Self]) -> Result<Self> {
        let Some(first) = maps.first() else { bail!("nothing to concatenate") };
        let engine = first.tape.engine;
        let y = engine.concat(&maps.iter().map(|x| &x.map).collect::<Vec<_>>())?;
        let nodes = maps.iter().map(|x| x.node).collect();
        Ok(first.then(y, nodes, false, |_| Operation::Concat {
            channels: maps.iter().map(|x| engine.shape(&x.map)[1]).collect(),
        }))
    }

    fn max_pool(&self) -> Result<Self> {
        let y = self.tape.engine.max_pool(&self.map)?;
        Ok(self.then(y, vec![self.node], false, |y| Operation::MaxPool {
            x: self.map.clone(),
            y: y.clone(),
        }))
    }

    fn upsample(&self, factor: usize) -> Result<Self> {
        if factor == 1 {
            return Ok(self.clone());
        }
        let engine = self.tape.engine;
        let y = engine.upsample(&self.map, factor)?;
        let x = engine.shape(&self.map);
        Ok(self.then(y, vec![self.node], false, |_| Operation::Upsample { x, factor }))
    }

    fn crop_like(&self, other: &Self) -> Result<Self> {
        let engine = self.tape.engine;
        let (x, [_, _, height, width]) = (engine.shape(&self.map), engine.shape(&other.map));
        if x[2..] == [height, width] {
            return Ok(self.clone());
        }
        let y = engine.crop(&self.map, (height, width))?;
        Ok(self.then(y, vec![self.node], false, |_| Operation::Crop { x }))
    }

    fn detach(&self) -> Self {
        Self { node: None, ..self.clone() }
    }
}
