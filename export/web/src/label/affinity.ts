/**
 * Affinities of pixel pairs from the boundary map (equation 3 of the paper): 1 - the strongest boundary on
 * the straight line between two pixels, both ends included. They form a symmetric matrix with few bands.
 */

import type { Plane } from "./maps.ts";
import { directions } from "./pairs.ts";

/** One band: what every pixel `i` has with pixel `i + offset`; 0 where that is outside the map. */
export interface Band {
  readonly offset: number;
  readonly values: Float32Array;
}

/** Symmetric; the diagonal has a value of its own. */
export interface Banded {
  readonly bands: readonly Band[];
  readonly diagonal: Float64Array;
}

/** Affinities of all pairs closer than `radius`, raised to the power `beta`; 1 on the diagonal. */
export function affinities(edge: Plane, radius: number, beta: number): Banded {
  const { height, width } = edge;
  const bands = directions(radius)
    .filter(({ dy, dx }) => dy < height && Math.abs(dx) < width)
    .map(({ dy, dx, path }) => {
      const values = new Float32Array(height * width);
      const offsets = path.map(([y, x]) => y * width + x);
      const [left, right] = [Math.max(0, -dx), width - Math.max(0, dx)];
      for (let y = 0; y < height - dy; y++) {
        for (let pixel = y * width + left; pixel < y * width + right; pixel++) {
          values[pixel] = Math.fround(1 - strongest(edge.data, pixel, offsets)) ** beta;
        }
      }
      return { offset: dy * width + dx, values };
    });
  return { bands, diagonal: new Float64Array(height * width).fill(1) };
}

function strongest(edge: Float32Array, pixel: number, offsets: readonly number[]): number {
  let largest = -Infinity;
  for (const offset of offsets) {
    const value = edge[pixel + offset] ?? 0;
    if (value > largest) largest = value;
  }
  return largest;
}

/** The sum of every row. */
export function degrees({ bands, diagonal }: Banded): Float64Array {
  const sums = diagonal.slice();
  for (const { offset, values } of bands) {
    for (let i = 0; i + offset < sums.length; i++) {
      const value = values[i]!;
      sums[i]! += value;
      sums[i + offset]! += value;
    }
  }
  return sums;
}

/** Multiplies rows and columns by `factors`. */
export function scale({ bands, diagonal }: Banded, factors: Float64Array): Banded {
  const scaled = bands.map(({ offset, values }) => {
    const out = values.map((value, i) => value && value * factors[i]! * factors[i + offset]!);
    return { offset, values: out };
  });
  return { bands: scaled, diagonal: diagonal.map((value, i) => value * factors[i]! * factors[i]!) };
}

/** Entries that are not 0, both directions and the diagonal, and their sum. */
export function census({ bands, diagonal }: Banded): { count: number; sum: number } {
  let [count, sum] = [diagonal.length, diagonal.reduce((total, value) => total + value, 0)];
  for (const { values } of bands) {
    for (const value of values) {
      count += value === 0 ? 0 : 2;
      sum += 2 * value;
    }
  }
  return { count, sum };
}
