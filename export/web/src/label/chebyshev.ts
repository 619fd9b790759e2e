/**
 * A high power as a short sum of Chebyshev polynomials.
 *
 * On `[-1, 1]`, `t^n = sum c_k T_k(t)` with `c_k = 2^(1-n) C(n, (n-k)/2)`, half of it for `k = 0`. The
 * coefficients fall like `exp(-k^2 / 2n)`: about `5 sqrt(n)` terms are enough. Their sum is 1.
 */

/** The part of the sum that may be left out. */
const TAIL = 1e-7;

/** Coefficients `c_0, c_1, ..` of `t^n` for even `n`, scaled to the sum 1. */
export function coefficients(n: number): number[] {
  const terms = [0.5];
  let last = 1;
  let total = 0.5;
  for (let k = 0; k < n; k += 2) {
    // C(n, m-1) / C(n, m) with m = (n-k)/2; falls with k, so the tail is below a geometric one.
    const ratio = (n - k) / 2 / ((n + k) / 2 + 1);
    if (last * ratio < TAIL * total * (1 - ratio)) break;
    last *= ratio;
    total += last;
    terms.push(0, last);
  }
  return terms.map((term) => term / total);
}
