//! IRNet: the class boundary map and the displacement field towards the instance's centroid (Ahn, Cho,
//! Kwak 2019, section 4; upstream's `net/resnet50_irn.py`).

use candle_core::{Device, Result};

use crate::layers::{Conv, GroupNorm, Param};
use crate::weights::Init;
use crate::{Backbone, FeatureMap, ResNet, Weights};

/// What IRNet says about every pixel, at a quarter of the image's size.
pub struct Relations<M> {
    /// Class boundary logit, `(batch, 1, h, w)`.
    pub edge: M,
    /// Displacement `(dy, dx)`, `(batch, 2, h, w)`, before the mean shift.
    pub displacement: M,
}

/// What both branches are made of: 1x1 convolution, group norm, enlargement, then ReLU.
pub(crate) struct Head {
    pub(crate) conv: Conv,
    pub(crate) norm: GroupNorm,
    pub(crate) factor: usize,
}

impl Head {
    fn new(
        w: &mut Weights,
        name: &str,
        io: (usize, usize),
        groups: usize,
        factor: usize,
    ) -> Result<Self> {
        let conv = Conv::new(w, &format!("{name}.0"), io, 1, true)?;
        let norm = GroupNorm::new(w, &format!("{name}.1"), groups, io.1)?;
        Ok(Self { conv, norm, factor })
    }

    fn forward<M: FeatureMap>(&self, x: &M) -> Result<M> {
        x.conv(&self.conv)?.group_norm(&self.norm)?.upsample(self.factor)?.relu()
    }

    fn visit<'a>(&'a self, f: &mut impl FnMut(&'a Param)) {
        self.conv.visit(f);
        self.norm.visit(f);
    }
}

/// A frozen ResNet with two branches of heads.
pub struct IrNet {
    /// The backbone; nothing of it trains.
    pub resnet: ResNet,
    pub(crate) edge: [Head; 5],
    pub(crate) edge_out: Conv,
    pub(crate) dp: [Head; 7],
    pub(crate) dp_out: Conv,
    /// `mean_shift.running_mean`, `(2,)`: the mean displacement, subtracted at inference only.
    pub mean_shift: Param,
}

impl IrNet {
    const FREEZE_AT: usize = 5;

    /// Builds the network from `w`.
    ///
    /// # Errors
    /// A stored tensor of another shape.
    pub fn new(w: &mut Weights, backbone: Backbone, width: f64) -> Result<Self> {
        let resnet = ResNet::new(w, "resnet50", backbone, width, Self::FREEZE_AT)?;
        let c = resnet.channels;
        let mut edge =
            |i: usize, factor| Head::new(w, &format!("fc_edge{i}"), (c[i - 1], 32), 4, factor);
        let edge = [edge(1, 1)?, edge(2, 1)?, edge(3, 2)?, edge(4, 4)?, edge(5, 4)?];
        let edge_out = Conv::new(w, "fc_edge6", (160, 1), 1, true)?.bias(w)?;
        let mut dp = |i: usize, c_in, c_out, groups, factor| {
            Head::new(w, &format!("fc_dp{i}"), (c_in, c_out), groups, factor)
        };
        let dp = [
            dp(1, c[0], 64, 8, 1)?,
            dp(2, c[1], 128, 16, 1)?,
            dp(3, c[2], 256, 16, 1)?,
            dp(4, c[3], 256, 16, 2)?,
            dp(5, c[4], 256, 16, 2)?,
            dp(6, 768, 256, 16, 2)?,
            dp(7, 448, 256, 16, 1)?,
        ];
        let dp_out = Conv::new(w, "fc_dp7.3", (256, 2), 1, true)?;
        let name = "mean_shift.running_mean".to_string();
        let mean_shift = Param::new(w, name, &[2], Init::Zero, false)?;
        Ok(Self { resnet, edge, edge_out, dp, dp_out, mean_shift })
    }

    /// Both branches for training: the displacement is not shifted.
    pub fn forward<M: FeatureMap>(&self, image: &M) -> Result<Relations<M>> {
        self.branches(&self.resnet.forward(image)?)
    }

    /// Both branches for training, from the backbone's outputs.
    pub(crate) fn branches<M: FeatureMap>(&self, stages: &[M; 5]) -> Result<Relations<M>> {
        let edge = self.edge_branch(stages)?;
        let displacement = self.displacement_branch(stages)?.conv(&self.dp_out)?;
        Ok(Relations { edge, displacement })
    }

    /// Both branches for inference: the mean shift is the (negative) bias of the last convolution.
    pub fn forward_eval<M: FeatureMap>(&self, image: &M) -> Result<Relations<M>> {
        let stages = self.resnet.forward(image)?;
        let edge = self.edge_branch(&stages)?;
        let displacement = self.displacement_branch(&stages)?.conv(&self.shifted_dp_out()?)?;
        Ok(Relations { edge, displacement })
    }

    fn shifted_dp_out(&self) -> Result<Conv> {
        // Two numbers: nothing that a GPU would be asked for.
        let shift = self.mean_shift.tensor().to_device(&Device::Cpu)?.neg()?;
        let shift = shift.to_device(self.mean_shift.var().device())?;
        let bias = Param::constant("fc_dp7.3.bias".into(), &shift)?;
        Ok(Conv { bias: Some(bias), ..self.dp_out.clone() })
    }

    fn edge_branch<M: FeatureMap>(&self, stages: &[M; 5]) -> Result<M> {
        let quarter = &stages[1];
        let maps =
            self.edge.iter().zip(stages).map(|(head, x)| head.forward(x)?.crop_like(quarter));
        M::concat(&maps.collect::<Result<Vec<_>>>()?)?.conv(&self.edge_out)
    }

    fn displacement_branch<M: FeatureMap>(&self, [x0, x1, x2, x3, x4]: &[M; 5]) -> Result<M> {
        let [dp1, dp2, dp3, dp4, dp5, dp6, dp7] = &self.dp;
        let x2 = dp3.forward(x2)?;
        let x3 = dp4.forward(x3)?.crop_like(&x2)?;
        let x4 = dp5.forward(x4)?.crop_like(&x2)?;
        let deep = dp6.forward(&M::concat(&[x2, x3, x4])?)?.crop_like(x1)?;
        let all = M::concat(&[dp1.forward(x0)?, dp2.forward(x1)?, deep])?;
        dp7.forward(&all)
    }

    /// Calls `f` with every parameter of the edge branch (trained at the base rate).
    pub fn visit_edge<'a>(&'a self, f: &mut impl FnMut(&'a Param)) {
        self.edge.iter().for_each(|head| head.visit(f));
        self.edge_out.visit(f);
    }

    /// Calls `f` with every parameter of the displacement branch (ten times the base rate).
    pub fn visit_displacement<'a>(&'a self, f: &mut impl FnMut(&'a Param)) {
        self.dp.iter().for_each(|head| head.visit(f));
        self.dp_out.visit(f);
    }

    /// Calls `f` with every parameter and buffer.
    pub fn visit<'a>(&'a self, f: &mut impl FnMut(&'a Param)) {
        self.resnet.visit(f);
        self.visit_edge(f);
        self.visit_displacement(f);
        f(&self.mean_shift);
    }
}
