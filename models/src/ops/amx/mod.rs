//! Convolutions on the processor's matrix unit, where there is one.

mod conv;
mod detect;
mod gradient;
mod scratch;
mod split;
mod tiles;

pub use self::{
    conv::{forward, input_gradient},
    detect::present,
    gradient::weight_gradient,
};

#[cfg(test)]
mod tests;
