//! The products of a convolution, by the processor's matrix unit where it has one.
//!
//! With the unit (Intel AMX, found at run time) a product is three products of bf16 parts, to within 4e-6 of
//! its size: near enough for everything linear. Backward passes always take it. Forward passes that
//! gradients go through do not: a value within rounding of zero lets its gradient through or not, and of
//! values moved by 4e-6 a few in a million change sides, which moves gradients by a few in a thousand. So
//! forward passes take it only within [`close`].

use std::cell::Cell;

use super::gemm_conv::{self, Finish, Matrix};
use super::im2col::Geometry;

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
use super::amx;

thread_local!(static CLOSE: Cell<bool> = const { Cell::new(false) });

/// Calls `f`, on whose thread forward passes need only be as exact as backward passes.
pub fn close<R>(f: impl FnOnce() -> R) -> R {
    let before = CLOSE.replace(true);
    let result = f();
    CLOSE.set(before);
    result
}

/// See [`gemm_conv::forward`].
pub fn forward(g: &Geometry, x: &[f32], matrix: Matrix, finish: Finish) -> Vec<f32> {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    if CLOSE.get() && amx::present() {
        return amx::forward(g, x, matrix, finish);
    }
    gemm_conv::forward(g, x, matrix, finish)
}

/// See [`gemm_conv::matrix_gradient`].
pub fn matrix_gradient(g: &Geometry, x: &[f32], dy: &[f32], stride: usize) -> Vec<f32> {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    if amx::present() {
        return amx::matrix_gradient(g, x, dy, stride);
    }
    gemm_conv::matrix_gradient(g, x, dy, stride)
}

/// See [`gemm_conv::input_gradient`].
pub fn input_gradient(g: &Geometry, matrix: &[f32], stride: usize, dy: &[f32]) -> Vec<f32> {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    if amx::present() {
        return amx::input_gradient(g, matrix, stride, dy);
    }
    gemm_conv::input_gradient(g, matrix, stride, dy)
}
