//! Convolutions on the processor's matrix unit, where there is one.

mod conv;
mod gradient;
mod scratch;
mod split;
mod tiles;

pub use self::{
    conv::{forward, input_gradient},
    gradient::matrix_gradient,
    tiles::available,
};

/// Parts of the numbers in a forward pass: as exact as f32.
pub const EXACT: usize = 3;
/// Parts of the numbers in a backward pass: gradients to within 4e-6 of their size, a hundred times closer
/// than TF32, the usual choice on a GPU, comes.
pub const CLOSE: usize = 2;

#[cfg(test)]
mod tests;
