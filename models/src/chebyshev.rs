//! A high power as a short sum of Chebyshev polynomials.
//!
//! On `[-1, 1]`, `t^n = sum c_k T_k(t)` over the `k` of the parity of `n`, with
//! `c_k = 2^(1-n) C(n, (n-k)/2)`, half of it for `k = 0`. The coefficients fall like
//! `exp(-k^2 / 2n)`, so about `5 sqrt(n)` terms are enough. They are the probabilities of a random
//! walk's end, and sum up to 1.

/// The part of the sum that may be left out.
const TAIL: f64 = 1e-7;

/// Coefficients `c_0, c_1, ..` of `t^n` for even `n`, up to the degree after which less than 1e-7 is
/// missing; what is left is scaled to the sum 1.
pub fn coefficients(n: u64) -> Vec<f64> {
    debug_assert!(n.is_multiple_of(2), "odd powers have other terms");
    let mut terms = vec![0.5];
    let (mut last, mut total, mut k) = (1.0, 0.5, 0);
    loop {
        // C(n, m-1) / C(n, m) with m = (n-k)/2; falls with k, so the tail is below a geometric one.
        let ratio = ((n - k) / 2) as f64 / ((n + k) / 2 + 1) as f64;
        if k == n || last * ratio < TAIL * total * (1.0 - ratio) {
            break;
        }
        last *= ratio;
        total += last;
        k += 2;
        terms.extend([0.0, last]);
    }
    terms.iter().map(|term| term / total).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evaluate(coefficients: &[f64], t: f64) -> f64 {
        let angle = t.acos();
        coefficients.iter().enumerate().map(|(k, c)| c * (k as f64 * angle).cos()).sum()
    }

    #[test]
    fn small_powers_are_exact() {
        assert_eq!(coefficients(2), [0.5, 0.0, 0.5]);
        assert_eq!(coefficients(4), [0.375, 0.0, 0.5, 0.0, 0.125]);
    }

    #[test]
    fn the_sum_is_the_power() {
        for n in [8, 64, 256, 4096, 1 << 20] {
            let sum = coefficients(n);
            for t in [-1.0, -0.99, -0.3, 0.0, 0.5, 0.9, 0.999, 1.0f64] {
                let error = evaluate(&sum, t) - t.abs().powf(n as f64);
                assert!(error.abs() < 3e-7, "{n} {t} {error}");
            }
        }
    }

    #[test]
    fn the_degree_grows_with_the_root() {
        assert!((80..96).contains(&coefficients(256).len()));
        assert!(coefficients(1 << 20).len() < 6000);
    }
}
