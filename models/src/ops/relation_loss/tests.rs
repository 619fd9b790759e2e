//! Gradients by finite differences, no pairs, wrong shapes, any number of threads.

use candle_core::{Device, Var};

use super::*;
use crate::ops::testing::{close, numbers, var};

fn labels(batch: usize, height: usize, width: usize) -> Tensor {
    let value = |i: usize| match (i / 3 + i / width / 2) % 7 {
        0..3 => 0u8,
        3 | 4 => 1,
        5 => 2,
        _ => 255,
    };
    let values = (0..batch * height * width).map(value).collect::<Vec<_>>();
    Tensor::from_vec(values, (batch, height, width), &Device::Cpu).unwrap()
}

#[test]
fn gradients_are_those_of_finite_differences() {
    let (edge, dp) = (var("edge", &[2, 1, 6, 9]), var("dp", &[2, 2, 6, 9]));
    let label = labels(2, 6, 9);
    let loss = || relation_loss(&edge, &dp, &label, 3, 20).unwrap().total;
    let gradients = loss().backward().unwrap();
    for var in [&edge, &dp] {
        let start = var.as_tensor().copy().unwrap();
        let expected: Vec<f32> = (0..var.elem_count())
            .map(|i| {
                (value_at(&loss, var, &start, i, 1e-3) - value_at(&loss, var, &start, i, -1e-3))
                    / 2e-3
            })
            .collect();
        var.set(&start).unwrap();
        let expected = Tensor::from_vec(expected, var.shape(), &Device::Cpu).unwrap();
        close(gradients.get(var).unwrap(), &expected, 1e-3);
    }
}

fn value_at(loss: &impl Fn() -> Tensor, var: &Var, start: &Tensor, i: usize, step: f32) -> f32 {
    let mut values = start.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    values[i] += step;
    var.set(&Tensor::from_vec(values, start.shape(), &Device::Cpu).unwrap()).unwrap();
    loss().to_scalar().unwrap()
}

#[test]
fn without_pairs_the_loss_is_zero() {
    for (radius, height, width) in [(0, 9, 9), (1, 9, 9), (5, 4, 20), (5, 20, 8)] {
        let edge = var("edge", &[1, 1, height, width]);
        let dp = var("dp", &[1, 2, height, width]);
        let loss = relation_loss(&edge, &dp, &labels(1, height, width), radius, 20).unwrap();
        assert_eq!(loss.total.to_scalar::<f32>().unwrap(), 0.0);
        let gradients = loss.total.backward().unwrap();
        let gradient = gradients.get(&edge).unwrap().flatten_all().unwrap();
        assert!(gradient.to_vec1::<f32>().unwrap().iter().all(|x| *x == 0.0));
    }
}

#[test]
fn shapes_are_checked() {
    let (edge, dp) = (numbers("edge", &[1, 1, 6, 9]), numbers("dp", &[1, 2, 6, 8]));
    assert!(relation_loss(&edge, &dp, &labels(1, 6, 9), 3, 20).is_err());
}

#[test]
fn threads_do_not_change_a_bit() {
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let (edge, dp) = (var("edge", &[3, 1, 20, 24]), var("dp", &[3, 2, 20, 24]));
            let loss = relation_loss(&edge, &dp, &labels(3, 20, 24), 5, 20).unwrap().total;
            let gradients = loss.backward().unwrap();
            let gradient = gradients.get(&edge).unwrap().flatten_all().unwrap();
            (loss.to_scalar::<f32>().unwrap(), gradient.to_vec1::<f32>().unwrap())
        })
    };
    assert_eq!(run(1), run(4));
}
