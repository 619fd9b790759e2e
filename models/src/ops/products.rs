//! The products of a convolution, by the processor's matrix unit where it has one.

use super::gemm_conv::{self, Finish, Matrix};
use super::im2col::Geometry;

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
use super::amx;

/// See [`gemm_conv::forward`].
pub fn forward(g: &Geometry, x: &[f32], matrix: Matrix, finish: Finish) -> Vec<f32> {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    if amx::available() {
        return amx::forward::<{ amx::EXACT }>(g, x, matrix, finish);
    }
    gemm_conv::forward(g, x, matrix, finish)
}

/// See [`gemm_conv::matrix_gradient`].
pub fn matrix_gradient(g: &Geometry, x: &[f32], dy: &[f32], stride: usize) -> Vec<f32> {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    if amx::available() {
        return amx::matrix_gradient::<{ amx::CLOSE }>(g, x, dy, stride);
    }
    gemm_conv::matrix_gradient(g, x, dy, stride)
}

/// See [`gemm_conv::input_gradient`].
pub fn input_gradient(g: &Geometry, matrix: &[f32], stride: usize, dy: &[f32]) -> Vec<f32> {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    if amx::available() {
        return amx::input_gradient::<{ amx::CLOSE }>(g, matrix, stride, dy);
    }
    gemm_conv::input_gradient(g, matrix, stride, dy)
}
