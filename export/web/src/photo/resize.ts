/**
 * Pillow's bicubic resizing, bit for bit: two passes in 22-bit fixed point, rows first, with rounding to
 * bytes in between; antialiased when shrinking. The quality of the CAMs depends on it.
 */

import { type Size, roundHalfEven } from "../label/maps.ts";

/** Three bytes (R, G, B) a pixel, row by row. */
export interface Photo extends Size {
  readonly rgb: Uint8Array;
}

const PRECISION = 22;
const HALF = 1 << (PRECISION - 1);

/** The sides times `scale`, rounded half to even, at least one pixel. */
export function scaledSize({ height, width }: Size, scale: number): Size {
  const scaled = (side: number): number => Math.max(1, roundHalfEven(side * scale));
  return { height: scaled(height), width: scaled(width) };
}

/** The size whose long side is at most `limit`, sides in proportion. */
export function limitedSize(size: Size, limit: number): Size {
  const long = Math.max(size.height, size.width);
  return long <= limit ? size : scaledSize(size, limit / long);
}

/** Bicubic resize; a side that keeps its length is not touched. */
export function bicubic(photo: Photo, { height, width }: Size): Photo {
  let { rgb } = photo;
  if (width !== photo.width) rgb = horizontal(rgb, photo, weights(photo.width, width));
  if (height !== photo.height) rgb = vertical(rgb, 3 * width, weights(photo.height, height));
  return { height, width, rgb };
}

/** First source index and fixed-point weights of every output index. */
interface Weights {
  readonly first: Int32Array;
  readonly taps: readonly Int32Array[];
}

function weights(length: number, out: number): Weights {
  const scale = length / out;
  const stretch = Math.max(scale, 1);
  const support = 2 * stretch;
  const first = new Int32Array(out);
  const taps: Int32Array[] = [];
  for (let index = 0; index < out; index++) {
    const center = (index + 0.5) * scale;
    const start = Math.trunc(Math.max(0, center - support + 0.5));
    const end = Math.min(Math.trunc(center + support + 0.5), length);
    first[index] = start;
    taps.push(fixed(start, end, center, 1 / stretch));
  }
  return { first, taps };
}

/** Weights of the source indices from `start` to `end`, divided by their sum. */
function fixed(start: number, end: number, center: number, perPixel: number): Int32Array {
  const exact: number[] = [];
  for (let i = start; i < end; i++) exact.push(cubic((i - center + 0.5) * perPixel));
  const sum = exact.reduce((total, weight) => total + weight, 0);
  return Int32Array.from(exact, (weight) => {
    const scaled = (sum === 0 ? weight : weight / sum) * 2 ** PRECISION;
    return Math.trunc(scaled + (scaled < 0 ? -0.5 : 0.5));
  });
}

/** Keys' cubic with a = -0.5, in Pillow's order of operations. */
function cubic(x: number): number {
  const a = -0.5;
  const d = Math.abs(x);
  if (d < 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
  return d < 2 ? (((d - 5) * d + 8) * d - 4) * a : 0;
}

function horizontal(rgb: Uint8Array, { height, width }: Size, { first, taps }: Weights): Uint8Array {
  const columns = first.length;
  const out = new Uint8ClampedArray(height * columns * 3);
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < columns; x++, to += 3) {
      let [r, g, b] = [HALF, HALF, HALF];
      let from = (y * width + first[x]!) * 3;
      for (const tap of taps[x]!) {
        r += rgb[from]! * tap;
        g += rgb[from + 1]! * tap;
        b += rgb[from + 2]! * tap;
        from += 3;
      }
      out[to] = r >> PRECISION;
      out[to + 1] = g >> PRECISION;
      out[to + 2] = b >> PRECISION;
    }
  }
  return new Uint8Array(out.buffer);
}

/** Rows of `row` values each are summed with the weights of their output row. */
function vertical(rgb: Uint8Array, row: number, { first, taps }: Weights): Uint8Array {
  const out = new Uint8ClampedArray(first.length * row);
  const sums = new Int32Array(row);
  for (let y = 0; y < first.length; y++) {
    sums.fill(HALF);
    let from = first[y]! * row;
    for (const tap of taps[y]!) {
      for (let i = 0; i < row; i++) sums[i]! += rgb[from + i]! * tap;
      from += row;
    }
    for (let i = 0; i < row; i++) out[y * row + i] = sums[i]! >> PRECISION;
  }
  return new Uint8Array(out.buffer);
}
