//! Layers: parameters with their names, and the few numbers that say how they are applied.

use candle_core::{Result, Tensor, Var};

use crate::weights::{Init, Weights};

/// A parameter and the name it has in every file.
#[derive(Clone, Debug)]
pub struct Param {
    /// Checkpoint path, e.g. `resnet50.layer1.0.conv1.weight`.
    pub name: String,
    var: Var,
    trainable: bool,
}

impl Param {
    /// Takes `name` out of `weights`; `trainable` decides whether gradients are recorded.
    ///
    /// # Errors
    /// A stored tensor of another shape.
    pub fn new(
        weights: &mut Weights,
        name: String,
        shape: &[usize],
        init: Init,
        trainable: bool,
    ) -> Result<Self> {
        let tensor = weights.take(&name, shape, init)?;
        Ok(Self { name, var: Var::from_tensor(&tensor)?, trainable })
    }

    /// A value that belongs to no checkpoint and never trains.
    ///
    /// # Errors
    /// Those of copying the tensor.
    pub fn constant(name: String, tensor: &Tensor) -> Result<Self> {
        Ok(Self { name, var: Var::from_tensor(tensor)?, trainable: false })
    }

    /// The value as the forward pass sees it: tracked when it trains, detached when it does not.
    pub fn tensor(&self) -> Tensor {
        if self.trainable { self.var.as_tensor().clone() } else { self.var.as_detached_tensor() }
    }

    /// The variable, for optimizer and checkpoint.
    pub fn var(&self) -> &Var {
        &self.var
    }

    /// Whether the optimizer may touch it.
    pub fn trainable(&self) -> bool {
        self.trainable
    }
}

/// A square convolution, `(c_out, c_in, kernel, kernel)`.
#[derive(Clone, Debug)]
pub struct Conv {
    /// Checkpoint path of the layer.
    pub name: String,
    /// `(c_out, c_in, kernel, kernel)`.
    pub weight: Param,
    /// `(c_out,)`.
    pub bias: Option<Param>,
    /// Same in both directions.
    pub stride: usize,
    /// Zeros on every side.
    pub padding: usize,
}

impl Conv {
    /// A convolution that keeps the size of its input: stride 1, no bias. It starts as PyTorch's do.
    pub fn new(
        w: &mut Weights,
        name: &str,
        io: (usize, usize),
        kernel: usize,
        trainable: bool,
    ) -> Result<Self> {
        let init = Init::Uniform { fan_in: io.0 * kernel * kernel };
        Self::with(w, name, io, kernel, init, trainable)
    }

    /// The same for a residual network, where torchvision starts as He et al. do.
    pub fn residual(
        w: &mut Weights,
        name: &str,
        io: (usize, usize),
        kernel: usize,
        trainable: bool,
    ) -> Result<Self> {
        let init = Init::Normal { fan_out: io.1 * kernel * kernel };
        Self::with(w, name, io, kernel, init, trainable)
    }

    fn with(
        w: &mut Weights,
        name: &str,
        io: (usize, usize),
        kernel: usize,
        init: Init,
        trainable: bool,
    ) -> Result<Self> {
        let shape = [io.1, io.0, kernel, kernel];
        let weight = Param::new(w, format!("{name}.weight"), &shape, init, trainable)?;
        Ok(Self { name: name.into(), weight, bias: None, stride: 1, padding: kernel / 2 })
    }

    /// The same with a stride.
    pub fn stride(self, stride: usize) -> Self {
        Self { stride, ..self }
    }

    /// The same with a bias, which starts as the weights do.
    pub fn bias(self, w: &mut Weights) -> Result<Self> {
        let (c_out, c_in, kernel, _) = self.weight.var().dims4()?;
        let init = Init::Uniform { fan_in: c_in * kernel * kernel };
        let name = format!("{}.bias", self.name);
        let bias = Param::new(w, name, &[c_out], init, self.weight.trainable())?;
        Ok(Self { bias: Some(bias), ..self })
    }

    /// Whether it has a parameter that trains.
    pub fn trainable(&self) -> bool {
        self.weight.trainable() || self.bias.as_ref().is_some_and(Param::trainable)
    }

    /// Calls `f` with every parameter.
    pub fn visit<'a>(&'a self, f: &mut impl FnMut(&'a Param)) {
        f(&self.weight);
        self.bias.iter().for_each(f);
    }
}

/// Normalisation by stored statistics, in training as well.
#[derive(Clone, Debug)]
pub struct BatchNorm {
    /// Checkpoint path of the layer.
    pub name: String,
    /// Scale, `(channels,)`.
    pub weight: Param,
    /// Shift, `(channels,)`.
    pub bias: Param,
    /// Buffer, never trained.
    pub running_mean: Param,
    /// Buffer, never trained.
    pub running_var: Param,
    /// Added to the variance: 1e-5.
    pub eps: f64,
}

impl BatchNorm {
    /// Scale `scale`, shift 0, mean 0, variance 1 where `weights` has nothing else.
    pub fn new(
        w: &mut Weights,
        name: &str,
        channels: usize,
        scale: f64,
        trainable: bool,
    ) -> Result<Self> {
        let mut param = |suffix: &str, init, trainable| {
            Param::new(w, format!("{name}.{suffix}"), &[channels], init, trainable)
        };
        Ok(Self {
            weight: param("weight", Init::Constant(scale), trainable)?,
            bias: param("bias", Init::Zero, trainable)?,
            running_mean: param("running_mean", Init::Zero, false)?,
            running_var: param("running_var", Init::One, false)?,
            name: name.into(),
            eps: 1e-5,
        })
    }

    /// The affine map it amounts to: `y = x * scale + shift`, both `(channels,)`, differentiable.
    pub fn scale_shift(&self) -> Result<(Tensor, Tensor)> {
        let deviation = (self.running_var.tensor() + self.eps)?.sqrt()?;
        let scale = (self.weight.tensor() / deviation)?;
        let shift = (self.bias.tensor() - (self.running_mean.tensor() * &scale)?)?;
        Ok((scale, shift))
    }

    /// Calls `f` with every parameter and buffer.
    pub fn visit<'a>(&'a self, f: &mut impl FnMut(&'a Param)) {
        [&self.weight, &self.bias, &self.running_mean, &self.running_var].into_iter().for_each(f);
    }
}

/// A convolution without bias, its normalisation, and whether a ReLU ends it.
#[derive(Clone, Debug)]
pub struct ConvNorm {
    /// The convolution.
    pub conv: Conv,
    /// The normalisation.
    pub norm: BatchNorm,
    /// ReLU after the (optional) residual sum.
    pub relu: bool,
}

impl ConvNorm {
    /// Whether it has a parameter that trains.
    pub fn trainable(&self) -> bool {
        self.conv.trainable() || self.norm.weight.trainable() || self.norm.bias.trainable()
    }

    /// Calls `f` with every parameter and buffer.
    pub fn visit<'a>(&'a self, f: &mut impl FnMut(&'a Param)) {
        self.conv.visit(f);
        self.norm.visit(f);
    }
}

/// Normalisation of groups of channels by the statistics of the image itself.
#[derive(Clone, Debug)]
pub struct GroupNorm {
    /// Checkpoint path of the layer.
    pub name: String,
    /// Number of groups; divides the channels.
    pub groups: usize,
    /// Scale, `(channels,)`.
    pub weight: Param,
    /// Shift, `(channels,)`.
    pub bias: Param,
    /// Added to the variance: 1e-5.
    pub eps: f64,
}

impl GroupNorm {
    /// Scale 1, shift 0 where `weights` has nothing else.
    pub fn new(w: &mut Weights, name: &str, groups: usize, channels: usize) -> Result<Self> {
        Ok(Self {
            weight: Param::new(w, format!("{name}.weight"), &[channels], Init::One, true)?,
            bias: Param::new(w, format!("{name}.bias"), &[channels], Init::Zero, true)?,
            name: name.into(),
            groups,
            eps: 1e-5,
        })
    }

    /// Whether it has a parameter that trains.
    pub fn trainable(&self) -> bool {
        self.weight.trainable() || self.bias.trainable()
    }

    /// Calls `f` with every parameter.
    pub fn visit<'a>(&'a self, f: &mut impl FnMut(&'a Param)) {
        f(&self.weight);
        f(&self.bias);
    }
}
