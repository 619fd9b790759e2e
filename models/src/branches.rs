//! Both branches of IRNet on one image in a training step, forward and backward.
//!
//! Written out instead of recorded: a general tape would keep every map, and begin every gradient with a map
//! of zeros; here an image keeps what its convolutions gave and no more.

use candle_core::Result;

use crate::IrNet;
use crate::ops::head::{Gradients, Head, Kept, Map, Product, Step, concat, concat_gradients};

/// The branches with the numbers of their parameters.
pub struct Branches {
    edge: Vec<Head>,
    edge_out: Product,
    dp: Vec<Head>,
    dp_out: Product,
}

/// What an image keeps, and what the branches say about it.
pub struct Pass {
    edge_kept: Vec<Kept>,
    dp_kept: Vec<Kept>,
    /// Boundary logits, `(h, w)`.
    pub edge: Vec<f32>,
    /// Displacements, `(2, h, w)`.
    pub displacement: Vec<f32>,
}

fn steps<'a>(heads: &'a [Head], kept: &'a [Kept], stages: &[Map<'a>]) -> Vec<Step<'a>> {
    heads.iter().zip(kept).zip(stages).map(|((head, kept), x)| (head, kept, *x)).collect()
}

impl Branches {
    pub fn new(net: &IrNet) -> Result<Self> {
        Ok(Self {
            edge: net.edge.iter().map(Head::new).collect::<Result<_>>()?,
            edge_out: Product::new(&net.edge_out)?,
            dp: net.dp.iter().map(Head::new).collect::<Result<_>>()?,
            dp_out: Product::new(&net.dp_out)?,
        })
    }

    /// The forward pass from the backbone's outputs.
    pub fn run(&self, stages: [Map; 5]) -> Pass {
        let (quarter, eighth) = (stages[1].size(), stages[2].size());
        let run = |heads: &[Head]| -> Vec<Kept> {
            heads.iter().zip(stages).map(|(head, x)| head.run(x)).collect()
        };
        let edge_kept = run(&self.edge);
        let all = concat(&steps(&self.edge, &edge_kept, &stages), quarter);
        let edge = self.edge_out.run(Map::new(&all, quarter));
        drop(all);
        let mut dp_kept = run(&self.dp[..5]);
        let deep = concat(&steps(&self.dp, &dp_kept, &stages)[2..], eighth);
        let deep = Map::new(&deep, eighth);
        dp_kept.push(self.dp[5].run(deep));
        let all = concat(&self.merged(&dp_kept, &stages, deep), quarter);
        let all = Map::new(&all, quarter);
        dp_kept.push(self.dp[6].run(all));
        let last = concat(&[(&self.dp[6], &dp_kept[6], all)], quarter);
        let displacement = self.dp_out.run(Map::new(&last, quarter));
        Pass { edge_kept, dp_kept, edge, displacement }
    }

    /// The heads whose maps the displacement's last head reads.
    fn merged<'a>(
        &'a self,
        kept: &'a [Kept],
        stages: &[Map<'a>; 5],
        deep: Map<'a>,
    ) -> [Step<'a>; 3] {
        let step = |i: usize, x| (&self.dp[i], &kept[i], x);
        [step(0, stages[0]), step(1, stages[1]), step(5, deep)]
    }

    /// The gradients of the parameters, in the order in which [`IrNet`] visits them, from those of the
    /// boundary logits and the displacements.
    pub fn gradients(
        &self,
        stages: [Map; 5],
        pass: &Pass,
        [edge, displacement]: [&[f32]; 2],
    ) -> Vec<Vec<f32>> {
        let mut gradients = self.edge_gradients(stages, pass, edge);
        gradients.extend(self.displacement_gradients(stages, &pass.dp_kept, displacement));
        gradients
    }

    fn edge_gradients(&self, stages: [Map; 5], pass: &Pass, wanted: &[f32]) -> Vec<Vec<f32>> {
        let quarter = stages[1].size();
        let steps = steps(&self.edge, &pass.edge_kept, &stages);
        let all = concat(&steps, quarter);
        let all = Map::new(&all, quarter);
        let d_all = self.edge_out.input_gradient(Map::new(wanted, quarter));
        let mut gradients = parameters(concat_gradients(&steps, all, &d_all));
        gradients.extend(self.edge_out.gradients(all, wanted));
        gradients
    }

    fn displacement_gradients(
        &self,
        stages: [Map; 5],
        kept: &[Kept],
        wanted: &[f32],
    ) -> Vec<Vec<f32>> {
        let (quarter, eighth) = (stages[1].size(), stages[2].size());
        let of_deep = &steps(&self.dp, &kept[..5], &stages)[2..];
        let deep = concat(of_deep, eighth);
        let deep = Map::new(&deep, eighth);
        let of_all = self.merged(kept, &stages, deep);
        let all = concat(&of_all, quarter);
        let all = Map::new(&all, quarter);

        let of_last = [(&self.dp[6], &kept[6], all)];
        let last = concat(&of_last, quarter);
        let last = Map::new(&last, quarter);
        let out = self.dp_out.gradients(last, wanted);
        let d_last = self.dp_out.input_gradient(Map::new(wanted, quarter));
        let of_last = concat_gradients(&of_last, last, &d_last);
        let d_all = self.dp[6].product.input_gradient(Map::new(&of_last[0].product, quarter));
        let mut shallow = concat_gradients(&of_all, all, &d_all);
        let sixth = shallow.split_off(2);
        let d_deep = self.dp[5].product.input_gradient(Map::new(&sixth[0].product, eighth));
        let of_deep = concat_gradients(of_deep, deep, &d_deep);

        let heads = [shallow, of_deep, sixth, of_last].into_iter().flat_map(parameters);
        heads.chain(out).collect()
    }
}

fn parameters(heads: Vec<Gradients>) -> Vec<Vec<f32>> {
    heads.into_iter().flat_map(|head| head.parameters).collect()
}
