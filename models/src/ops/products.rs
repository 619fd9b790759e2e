//! The products of a convolution: forward in plain f32 where gradients depend on it, otherwise by the
//! processor's matrix unit where it has one.
//!
//! With the unit (Intel AMX, found at run time) a product is three products of bf16 parts, to within 4e-6 of
//! its size: near enough for everything linear, as a backward pass is, and, for whoever asks for it, for a backbone
//! through which no gradient goes (a GPU's TF32 is a hundred times coarser). A forward pass that trains is neither: a value within
//! rounding of zero passes its gradient on or does not, and where all values move by 4e-6 a few in a million
//! change sides, which moves gradients by several in a thousand.

use super::gemm_conv::Finish;
use super::gemm_gradient;
use super::im2col::Geometry;

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
use super::amx;

pub use super::gemm_conv::forward;

/// Whether there is a matrix unit.
pub fn matrix_unit() -> bool {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    return amx::present();
    #[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
    return false;
}

/// [`forward`] where no gradient goes through the output.
pub fn frozen_forward(g: &Geometry, x: &[f32], weights: &[f32], finish: Finish, y: &mut [f32]) {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    if amx::present() {
        return amx::forward(g, x, weights, finish, y);
    }
    forward(g, x, weights, finish, y);
}

/// See [`gemm_gradient::weight_gradient`].
pub fn weight_gradient(g: &Geometry, x: &[f32], dy: &[f32], gradient: &mut [f32]) {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    if amx::present() {
        return amx::weight_gradient(g, x, dy, gradient);
    }
    gemm_gradient::weight_gradient(g, x, dy, gradient);
}

/// See [`gemm_gradient::input_gradient`].
pub fn input_gradient(
    g: &Geometry,
    weights: &[f32],
    scale: Option<&[f32]>,
    dy: &[f32],
    dx: &mut [f32],
) {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    if amx::present() {
        return amx::input_gradient(g, weights, scale, dy, dx);
    }
    gemm_gradient::input_gradient(g, weights, scale, dy, dx);
}
