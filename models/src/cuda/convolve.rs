//! Convolutions with all that belongs to them: the normalisation folded into the filter, shift, residual and
//! ReLU after it, and the same backwards.

use candle_core::backprop::GradStore;
use candle_core::cuda_backend::cudarc::driver::CudaSlice;
use candle_core::{Result, Tensor, TensorId};

use super::convolution::{Operands, Pass};
use super::engine::CudaEngine;
use super::gpu::{Argument, Grid};
use super::map::Map;
use super::sums::Sums;
use crate::layers::{BatchNorm, Conv, ConvNorm, Param};
use crate::ops::Geometry;
use crate::tape::{Inputs, Wanted, put};

/// A layer's filter, times the scale of its normalisation, and the shift that remains.
pub struct Folded {
    filter: CudaSlice<u8>,
    shift: CudaSlice<u8>,
}

/// A convolution and what may follow it, whichever layer it comes from.
#[derive(Clone, Copy)]
pub struct Unit<'a> {
    conv: &'a Conv,
    norm: Option<&'a BatchNorm>,
    relu: bool,
}

impl<'a> From<&'a ConvNorm> for Unit<'a> {
    fn from(layer: &'a ConvNorm) -> Self {
        Self { conv: &layer.conv, norm: Some(&layer.norm), relu: layer.relu }
    }
}

impl<'a> From<&'a Conv> for Unit<'a> {
    fn from(conv: &'a Conv) -> Self {
        Self { conv, norm: None, relu: false }
    }
}

impl<'a> Unit<'a> {
    fn id(&self) -> TensorId {
        self.conv.weight.var().as_tensor().id()
    }

    /// Scale, where there is one.
    fn gamma(&self) -> Option<&'a Param> {
        self.norm.map(|norm| &norm.weight)
    }

    /// Shift, where there is one.
    fn beta(&self) -> Option<&'a Param> {
        self.norm.map(|norm| &norm.bias).or(self.conv.bias.as_ref())
    }

    fn trains(&self) -> bool {
        let others = [self.gamma(), self.beta()].into_iter().flatten();
        self.conv.weight.trainable() || others.into_iter().any(Param::trainable)
    }

    /// The convolution of `x`, whose output has as many channels as a matrix unit takes.
    fn geometry(&self, x: &Map) -> Result<Geometry> {
        let (c_out, _, kernel, _) = self.conv.weight.var().dims4()?;
        let [images, _, height, width] = x.shape;
        let (stride, padding) = (self.conv.stride, self.conv.padding);
        let c_out = c_out.next_multiple_of(x.kind.channels());
        Geometry { images, c_in: x.stored, height, width, c_out, kernel, stride, padding }.checked()
    }
}

impl CudaEngine {
    /// An optional parameter's address, 0 where there is none.
    fn parameter(&self, param: Option<&Param>) -> Result<Argument> {
        let address =
            param.map(|param| self.gpu.address_of(param.var().as_tensor())).transpose()?;
        Ok(Argument::Address(address.unwrap_or(0)))
    }

    /// Weight, scale, (shift,) mean, variance and what is added to it, for the kernels of `fold.cuh`.
    fn folding(&self, unit: Unit, with_shift: bool) -> Result<Vec<Argument>> {
        let norm = unit.norm;
        let mut arguments =
            vec![self.parameter(Some(&unit.conv.weight))?, self.parameter(unit.gamma())?];
        if with_shift {
            arguments.push(self.parameter(unit.beta())?);
        }
        arguments.push(self.parameter(norm.map(|norm| &norm.running_mean))?);
        arguments.push(self.parameter(norm.map(|norm| &norm.running_var))?);
        arguments.push(Argument::Float(norm.map_or(0.0, |norm| norm.eps as f32)));
        Ok(arguments)
    }

    /// Channels out, in, positions of the filter, channels in memory.
    fn filter_sizes(&self, unit: Unit, x: &Map) -> Result<[Argument; 4]> {
        let (c_out, c_in, kernel, _) = unit.conv.weight.var().dims4()?;
        Ok([
            Argument::int(c_out)?,
            Argument::int(c_in)?,
            Argument::int(kernel * kernel)?,
            Argument::int(x.stored)?,
        ])
    }

    /// Folds `unit`, if that has not been done for what does not train.
    fn fold(&self, unit: Unit, x: &Map, g: &Geometry) -> Result<()> {
        let id = unit.id();
        if !unit.trains() && self.folded.borrow().contains_key(&id) {
            return Ok(());
        }
        let (c_out, ..) = unit.conv.weight.var().dims4()?;
        // Filters of channels that are there for the matrix unit alone are zeros.
        let filter = self.gpu.zeros(g.c_out * g.depth() * x.kind.bytes())?;
        let shift = self.gpu.take(c_out * size_of::<f32>())?;
        let mut arguments = self.folding(unit, true)?;
        arguments.push(Argument::Address(self.gpu.address(&filter)));
        arguments.push(Argument::Address(self.gpu.address(&shift)));
        arguments.extend(self.filter_sizes(unit, x)?);
        self.gpu.launch(&x.kernel("fold"), Grid::blocks([c_out, 1, 1]), &mut arguments)?;
        self.folded.borrow_mut().insert(id, Folded { filter, shift });
        Ok(())
    }

    /// The address of what [`Self::fold`] made: filter, shift.
    fn folded(&self, unit: Unit) -> Result<(u64, u64)> {
        match self.folded.borrow().get(&unit.id()) {
            Some(folded) => Ok((self.gpu.address(&folded.filter), self.gpu.address(&folded.shift))),
            None => candle_core::bail!("{} goes backwards before it went forward", unit.conv.name),
        }
    }

    /// The forward pass.
    pub(super) fn convolve(&self, unit: Unit, x: &Map, residual: Option<&Map>) -> Result<Map> {
        let g = unit.geometry(x)?;
        self.fold(unit, x, &g)?;
        let (filter, shift) = self.folded(unit)?;
        let (c_out, ..) = unit.conv.weight.var().dims4()?;
        let shape = [g.images, g.c_out, g.rows_out(), g.columns_out()];
        let full = Map::new(&self.gpu, shape, x.kind)?;
        let operands = Operands { x: x.address(&self.gpu), w: filter, y: full.address(&self.gpu) };
        self.convolutions.run(&self.gpu, &g, x.kind, Pass::Forward, operands)?;
        let y = if c_out == g.c_out { full } else { self.first_channels(&full, c_out)? };
        if unit.relu || unit.beta().is_some() || residual.is_some() {
            let other = residual.map_or(0, |residual| residual.address(&self.gpu));
            let mut arguments = [
                y.argument(&self.gpu),
                Argument::Address(shift),
                Argument::Address(other),
                Argument::Int(unit.relu.into()),
                Argument::long(y.count()),
                Argument::int(c_out)?,
            ];
            let grid = Grid::over(y.count() * y.kind.bytes() / 16);
            self.gpu.launch(&y.kernel("finish"), grid, &mut arguments)?;
        }
        Ok(y)
    }

    /// The backward pass.
    pub(super) fn convolve_back(
        &self,
        unit: Unit,
        (x, y, dy): (&Map, Option<&Map>, Map),
        wanted: Wanted,
        gradients: &mut GradStore,
    ) -> Result<Inputs<Map>> {
        let g = unit.geometry(x)?;
        let (dz, partial) = self.before_finish(unit, y, dy)?;
        let residual = wanted.residual.then(|| dz.clone());
        let full = if dz.shape[1] == g.c_out { dz } else { self.with_zeros(&dz, g.c_out)? };
        let (filter, _) = self.folded(unit)?;
        let y = full.address(&self.gpu);
        let input = wanted.input.then(|| {
            let dx = Map::with_channels(&self.gpu, x.shape, x.stored, x.kind)?;
            let operands = Operands { x: dx.address(&self.gpu), w: filter, y };
            self.convolutions.run(&self.gpu, &g, x.kind, Pass::Input, operands)?;
            Ok::<_, candle_core::Error>(dx)
        });
        let input = input.transpose()?;
        if unit.trains() {
            let d_filter = self.gpu.take(g.c_out * g.depth() * x.kind.bytes())?;
            let w = self.gpu.address(&d_filter);
            let operands = Operands { x: x.address(&self.gpu), w, y };
            self.convolutions.run(&self.gpu, &g, x.kind, Pass::Filter, operands)?;
            self.unfold(unit, x, w, &partial, gradients)?;
        }
        Ok(Inputs { input, residual })
    }

    /// The gradient before shift, residual and ReLU, and the sums of its tiles of rows.
    fn before_finish(&self, unit: Unit, y: Option<&Map>, dy: Map) -> Result<(Map, Sums)> {
        let sums = Sums::new(self, &dy, unit.trains() && unit.beta().is_some())?;
        let dz = if unit.relu { dy.reused(&self.gpu)? } else { dy.clone() };
        if !unit.relu && sums.tiles == 0 {
            return Ok((dz, sums));
        }
        let y = y.filter(|_| unit.relu).map_or(0, |y| y.address(&self.gpu));
        let into = if unit.relu { dz.address(&self.gpu) } else { 0 };
        let mut arguments = [
            Argument::Address(y),
            dy.argument(&self.gpu),
            Argument::Address(into),
            Argument::Address(sums.address(self)),
            Argument::long(dy.pixels()),
            Argument::int(dy.shape[1])?,
            Argument::int(sums.rows)?,
        ];
        let grid = Grid::blocks([dy.pixels().div_ceil(sums.rows).max(1), 1, 1]);
        self.gpu.launch(&dy.kernel("finish_gradient"), grid, &mut arguments)?;
        Ok((dz, sums))
    }

    /// The parameters' gradients from the folded filter's.
    fn unfold(
        &self,
        unit: Unit,
        x: &Map,
        d_filter: u64,
        sums: &Sums,
        gradients: &mut GradStore,
    ) -> Result<()> {
        let mut arguments = vec![
            Argument::Address(d_filter),
            Argument::Address(sums.address(self)),
            Argument::int(sums.tiles)?,
        ];
        arguments.extend(self.folding(unit, false)?);
        let mut made: Vec<(&Param, Tensor)> = Vec::new();
        for param in [Some(&unit.conv.weight), unit.gamma(), unit.beta()] {
            let Some(param) = param.filter(|param| param.trainable()) else {
                arguments.push(Argument::Address(0));
                continue;
            };
            let (gradient, address) = self.gpu.tensor(param.var().shape())?;
            arguments.push(Argument::Address(address));
            made.push((param, gradient));
        }
        arguments.extend(self.filter_sizes(unit, x)?);
        let (c_out, ..) = unit.conv.weight.var().dims4()?;
        self.gpu.launch(&x.kernel("fold_gradient"), Grid::blocks([c_out, 1, 1]), &mut arguments)?;
        made.into_iter().try_for_each(|(param, gradient)| put(gradients, param.var(), gradient))
    }
}
