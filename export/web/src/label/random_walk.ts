/**
 * The random walk that spreads class maps over whole objects (section 4.3 of the paper).
 *
 * With the affinities A, their row sums D and `S = D^-1/2 A D^-1/2`, a map `x` after n steps is
 * `(x D^1/2) S^n D^-1/2`; `S` has few bands and eigenvalues in `[-1, 1]`, so `S^n` is a short sum of
 * Chebyshev polynomials. No matrix is ever formed, and every map is walked by itself.
 */

import { type Banded, affinities, degrees, scale } from "./affinity.ts";
import { coefficients } from "./chebyshev.ts";
import type { Plane } from "./maps.ts";

/** How far and how willingly scores spread. */
export interface Walk {
  /** Pixels of the map that are closer than this are neighbours. */
  readonly radius: number;
  /** Affinities are raised to this power. */
  readonly beta: number;
  /** The walk takes `2^expTimes` steps. */
  readonly expTimes: number;
}

/** The original's. */
export const USUAL_WALK: Walk = { radius: 5, beta: 10, expTimes: 8 };

/** A walk prepared for one boundary map. */
export class Walker {
  private readonly edge: Plane;
  private readonly matrix: Banded | undefined;
  private readonly roots: Float64Array;
  private readonly weights: number[];

  /** `edge` holds boundary probabilities. */
  constructor(edge: Plane, walk: Walk = USUAL_WALK) {
    this.edge = edge;
    this.weights = weights(walk.expTimes);
    const plain = walk.radius < 2 ? undefined : affinities(edge, walk.radius, walk.beta);
    this.roots = plain ? degrees(plain).map(Math.sqrt) : new Float64Array();
    this.matrix = plain && scale(plain, this.roots.map((root) => 1 / root));
  }

  /** Spreads one map of the boundary map's size. Those on boundaries are reduced by their probability. */
  walk(map: Plane): Plane {
    const start = map.data.map((value, i) => Math.fround(value * Math.fround(1 - this.edge.data[i]!)));
    const { height, width } = map;
    if (!this.matrix || start.every((value) => value === 0)) return { height, width, data: start };
    const state = Float64Array.from(start, (value, i) => value * this.roots[i]!);
    const end = polynomial(this.matrix, state, this.weights);
    return { height, width, data: Float32Array.from(end, (value, i) => value / this.roots[i]!) };
  }
}

/** Weights of the polynomials whose sum is the power `2^times`. */
function weights(times: number): number[] {
  return times === 0 ? [0, 1] : coefficients(2 ** times);
}

/** `sum weights[k] T_k(matrix) x`, by `T_k = 2 matrix T_{k-1} - T_{k-2}`. */
function polynomial(matrix: Banded, x: Float64Array, weights: readonly number[]): Float64Array {
  const sum = x.map((value) => weights[0]! * value);
  let before = new Float64Array(x.length);
  let now: Float64Array<ArrayBuffer> = Float64Array.from(x);
  for (let k = 1; k < weights.length; k++) {
    const next = product(matrix, now);
    const weight = weights[k]!;
    const [factor, minus] = k === 1 ? [1, 0] : [2, 1];
    for (let i = 0; i < next.length; i++) {
      const value = factor * next[i]! - minus * before[i]!;
      next[i] = value;
      sum[i]! += weight * value;
    }
    before = now;
    now = next;
  }
  return sum;
}

/** Every stored value counts for the pair in both directions. */
function product({ bands, diagonal }: Banded, x: Float64Array): Float64Array<ArrayBuffer> {
  const out = new Float64Array(x.length);
  for (let i = 0; i < out.length; i++) out[i] = diagonal[i]! * x[i]!;
  for (const { offset, values } of bands) {
    const end = out.length - offset;
    for (let i = 0; i < end; i++) {
      const value = values[i]!;
      out[i]! += value * x[i + offset]!;
      out[i + offset]! += value * x[i]!;
    }
  }
  return out;
}
