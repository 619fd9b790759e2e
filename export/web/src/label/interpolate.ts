/** Bilinear resizing as PyTorch does it: `align_corners=False`, f32 coordinates, no antialiasing. */

import type { Plane, Size } from "./maps.ts";

/** The two source positions of one output position, and the second one's weight. */
interface Taps {
  readonly low: Int32Array;
  readonly high: Int32Array;
  readonly weight: Float32Array;
}

function taps(input: number, output: number, count: number): Taps {
  const ratio = Math.fround(input / output);
  const [low, high] = [new Int32Array(count), new Int32Array(count)];
  const weight = new Float32Array(count);
  for (let position = 0; position < count; position++) {
    const source = Math.max(0, Math.fround(Math.fround(ratio * (position + 0.5)) - 0.5));
    const first = Math.min(Math.trunc(source), input - 1);
    low[position] = first;
    high[position] = Math.min(first + 1, input - 1);
    weight[position] = Math.min(1, source - first);
  }
  return { low, high, weight };
}

/** A map of its final width; the rows of the final height are made one by one. */
export class Stretched {
  private readonly rows: Taps;
  private readonly stretched: Float32Array;
  private readonly width: number;

  /** For a result of size `full`, of which only the top left `cut` is asked for. */
  constructor(map: Plane, full: Size, cut: Size) {
    this.rows = taps(map.height, full.height, cut.height);
    this.width = cut.width;
    this.stretched = new Float32Array(map.height * cut.width);
    const { low, high, weight } = taps(map.width, full.width, cut.width);
    for (let y = 0; y < map.height; y++) {
      const [from, to] = [y * map.width, y * cut.width];
      for (let x = 0; x < cut.width; x++) {
        const w = weight[x]!;
        const [a, b] = [map.data[from + low[x]!]!, map.data[from + high[x]!]!];
        this.stretched[to + x] = Math.fround(1 - w) * a + w * b;
      }
    }
  }

  /** Writes row `y` of the result. */
  row(y: number, out: Float32Array): void {
    const w = this.rows.weight[y]!;
    const rest = Math.fround(1 - w);
    const [a, b] = [this.rows.low[y]! * this.width, this.rows.high[y]! * this.width];
    for (let x = 0; x < this.width; x++) {
      out[x] = rest * this.stretched[a + x]! + w * this.stretched[b + x]!;
    }
  }
}

/** Resizes to `full` but computes only the top left part of size `cut`. */
export function resize(map: Plane, full: Size, cut: Size = full): Plane {
  const { height, width } = cut;
  const data = new Float32Array(height * width);
  const source = new Stretched(map, full, cut);
  for (let y = 0; y < height; y++) source.row(y, data.subarray(y * width, (y + 1) * width));
  return { height, width, data };
}

/** Four times as large, ready to be cut to `size`. */
export function stretch4(map: Plane, size: Size): Stretched {
  return new Stretched(map, { height: 4 * map.height, width: 4 * map.width }, size);
}
