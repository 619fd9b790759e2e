//! The products of a convolution, by the processor's matrix unit where it has one, and how exact they are.
//!
//! Everything is plain f32, unless the unit is there and asked for. With `IRN_AMX=1` backward passes, and
//! forward passes within [`close`], are three products of bf16 parts: each result to within 4e-6 of its
//! size, a hundred times closer than TF32, the usual choice on a GPU; a whole network's output differs by
//! about 1e-5. Other forward passes stay plain f32: six products are as exact, but no faster on a
//! processor whose unit is shared. `IRN_AMX=exact` takes them for everything.

use std::cell::Cell;

use super::gemm_conv::{self, Finish, Matrix};
use super::im2col::Geometry;

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
use super::amx;

thread_local!(static CLOSE: Cell<bool> = const { Cell::new(false) });

/// Calls `f`, a training step, on whose thread forward passes need only be as exact as backward passes.
pub fn close<R>(f: impl FnOnce() -> R) -> R {
    let before = CLOSE.replace(true);
    let result = f();
    CLOSE.set(before);
    result
}

/// See [`gemm_conv::forward`].
pub fn forward(g: &Geometry, x: &[f32], matrix: Matrix, finish: Finish) -> Vec<f32> {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    match amx::wanted() {
        Some(amx::Use::Closely) if CLOSE.get() => {
            return amx::forward::<2>(g, x, matrix, finish);
        }
        Some(amx::Use::Exactly) => return amx::forward::<3>(g, x, matrix, finish),
        _ => {}
    }
    gemm_conv::forward(g, x, matrix, finish)
}

/// See [`gemm_conv::matrix_gradient`].
pub fn matrix_gradient(g: &Geometry, x: &[f32], dy: &[f32], stride: usize) -> Vec<f32> {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    match amx::wanted() {
        Some(amx::Use::Closely) => return amx::matrix_gradient::<2>(g, x, dy, stride),
        Some(amx::Use::Exactly) => return amx::matrix_gradient::<3>(g, x, dy, stride),
        None => {}
    }
    gemm_conv::matrix_gradient(g, x, dy, stride)
}

/// See [`gemm_conv::input_gradient`].
pub fn input_gradient(g: &Geometry, matrix: &[f32], stride: usize, dy: &[f32]) -> Vec<f32> {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    match amx::wanted() {
        Some(amx::Use::Closely) => return amx::input_gradient::<2>(g, matrix, stride, dy),
        Some(amx::Use::Exactly) => return amx::input_gradient::<3>(g, matrix, stride, dy),
        None => {}
    }
    gemm_conv::input_gradient(g, matrix, stride, dy)
}
