/** Class activation maps of several scales become one map a class. */

import { resize } from "./interpolate.ts";
import { type Maps, type Plane, type Size, maximum, plane } from "./maps.ts";

/** The map of one class. */
export interface MergedCam {
  /** A quarter of the photo's size, rounded up: for the random walk. */
  readonly cam: Plane;
  /** The photo's size: for looking at. */
  readonly highRes: Plane;
}

/** Sums channel `key` of `maps` (one a scale, mirror halves added) at both resolutions. */
export function merge(maps: readonly Maps[], size: Size, key: number): MergedCam {
  const quarter = stridedSize(size, 4);
  const cells = stridedSize(size, 16);
  const full = { height: 16 * cells.height, width: 16 * cells.width };
  const channels = maps.map((map) => plane(map, key));
  return { cam: sum(channels, quarter, quarter), highRes: sum(channels, full, size) };
}

/** The number of cells of `stride` pixels that cover a photo. */
export function stridedSize({ height, width }: Size, stride: number): Size {
  return { height: Math.ceil(height / stride), width: Math.ceil(width / stride) };
}

/** The sum of all maps, divided by its maximum + 1e-5: zeros stay zeros. */
function sum(maps: readonly Plane[], full: Size, cut: Size): Plane {
  const total = new Float32Array(cut.height * cut.width);
  for (const map of maps) {
    const { data } = resize(map, full, cut);
    for (let i = 0; i < total.length; i++) total[i]! += data[i]!;
  }
  const divisor = Math.fround(maximum(total, -Infinity) + 1e-5);
  return { ...cut, data: total.map((value) => value / divisor) };
}
