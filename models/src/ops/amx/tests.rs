//! The matrix unit against plain sums, and its convolutions against those of the portable path.

use super::conv::{LINE, SUMS, row_of};
use super::detect::present;
use super::split::{self, Rows};
use super::tiles::{BLOCK, BLOCK_LINES, multiply};
use crate::ops::gemm_conv::{self, Finish};
use crate::ops::gemm_gradient;
use crate::ops::im2col::Geometry;
use crate::ops::testing::numbers;

fn values(name: &str, len: usize) -> Vec<f32> {
    numbers(name, &[len]).to_vec1().unwrap()
}

/// The product of `a`, `(m, k)`, and the transpose of `b`, `(n, k)`, by the unit; `turned` says how the
/// right operand comes.
fn product([m, n, k]: [usize; 3], a: &[f32], b: &[f32], turned: bool) -> Vec<f32> {
    let mut left = vec![LINE; split::lines(m, k)];
    let mut right = vec![LINE; split::lines(n, k)];
    let transposed: Vec<f32> = (0..k * n).map(|i| b[i % n * k + i / n]).collect();
    // SAFETY: asked for by the callers.
    unsafe {
        Rows { values: a, stride: k, rows: m, columns: k }.left(&mut left);
        if turned {
            Rows { values: b, stride: k, rows: n, columns: k }.right_turned(&mut right);
        } else {
            Rows { values: &transposed, stride: n, rows: k, columns: n }.right(&mut right);
        }
    }
    let mut sums = vec![SUMS; m.div_ceil(BLOCK) * n.div_ceil(BLOCK) * BLOCK_LINES];
    multiply(&left, &right, k.div_ceil(BLOCK), &mut sums, true);
    (0..m).flat_map(|row| row_of(&sums, m.div_ceil(BLOCK), row, n).flatten().copied()).collect()
}

#[test]
fn products_are_close() {
    if !present() {
        return;
    }
    for [m, n, k] in
        [[1, 1, 1], [16, 16, 32], [32, 32, 64], [33, 17, 31], [70, 50, 200], [5, 96, 700]]
    {
        let (a, b) = (values("a", m * k), values("b", n * k));
        for turned in [false, true] {
            let ours = product([m, n, k], &a, &b, turned);
            for (i, ours) in ours.iter().enumerate() {
                let (a, b) = (&a[i / n * k..][..k], &b[i % n * k..][..k]);
                let terms = a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b));
                let (sum, size) = terms.fold((0.0, 0.0), |(s, t), x| (s + x, t + x.abs()));
                let error = (f64::from(*ours) - sum).abs();
                assert!(error <= 1.3e-5 * size + 1e-30, "{m} {n} {k} {turned}: {error} of {size}");
            }
        }
    }
}

#[test]
fn numbers_of_every_size_are_split() {
    if !present() {
        return;
    }
    let powers = (-60..60).map(|power| 1.234_567_9f32 * 2f32.powi(power));
    let a: Vec<f32> = powers.flat_map(|x| [x, -x]).collect();
    let ours = product([a.len(), 1, 1], &a, &[1.0], false);
    for (ours, a) in ours.iter().zip(&a) {
        assert!((ours / a - 1.0).abs() <= 1.3e-5, "{a} became {ours}");
    }
    assert!(product([1, 1, 2], &[f32::NAN, 1.0], &[1.0, 1.0], true)[0].is_nan());
}

/// Images, channels in and out, kernel, stride, height, width.
const CASES: [[usize; 7]; 9] = [
    [2, 3, 5, 7, 2, 19, 23],
    [1, 5, 9, 3, 1, 7, 6],
    [2, 9, 4, 3, 2, 7, 11],
    [3, 40, 70, 1, 1, 9, 13],
    [2, 6, 7, 1, 2, 5, 9],
    [1, 1, 1, 3, 1, 1, 1],
    [2, 33, 40, 3, 1, 40, 31],
    [1, 300, 65, 1, 1, 33, 17],
    [1, 60, 600, 3, 2, 9, 9],
];

#[test]
fn convolutions_agree_with_the_portable_path() {
    if !present() {
        return;
    }
    for [images, c_in, c_out, kernel, stride, height, width] in CASES {
        let padding = kernel / 2;
        let g = Geometry { images, c_in, height, width, c_out, kernel, stride, padding };
        let (x, dy) = (values("x", images * g.image_in()), images * c_out * g.pixels_out());
        let dy = values("dy", dy);
        let (weights, scale) = (values("weights", c_out * g.depth()), values("scale", c_out));
        let run = |len: usize, f: &dyn Fn(&mut [f32])| {
            let mut y = vec![f32::NAN; len];
            f(&mut y);
            y
        };
        let len = images * g.image_out();
        let residual = values("residual", len);
        let scale = Some(&scale[..]);
        let finish = Finish { scale, shift: scale, residual: Some(&residual), relu: true };
        for finish in [Finish::default(), finish] {
            let theirs = run(len, &|y| gemm_conv::forward(&g, &x, &weights, finish, y));
            let ours = run(len, &|y| super::forward(&g, &x, &weights, finish, y));
            near(&ours, &theirs, g.depth());
        }
        for scale in [None, scale] {
            let theirs =
                run(x.len(), &|dx| gemm_gradient::input_gradient(&g, &weights, scale, &dy, dx));
            let ours = run(x.len(), &|dx| super::input_gradient(&g, &weights, scale, &dy, dx));
            near(&ours, &theirs, kernel * kernel * c_out);
        }
        let theirs = run(weights.len(), &|d| gemm_gradient::weight_gradient(&g, &x, &dy, d));
        let ours = run(weights.len(), &|d| super::weight_gradient(&g, &x, &dy, d));
        near(&ours, &theirs, images * g.pixels_out());
    }
}

/// By how much results may differ, for each square root of a term below 1.
const ALLOWED: f32 = 1e-5;

fn near(ours: &[f32], theirs: &[f32], terms: usize) {
    assert_eq!(ours.len(), theirs.len());
    let allowed = ALLOWED * (terms as f32).sqrt();
    for (i, (a, b)) in ours.iter().zip(theirs).enumerate() {
        assert!((a - b).abs() <= allowed, "value {i}: {a} and {b}, {terms} terms");
    }
}
