/** 4-connected components, numbered in raster order of their first pixels. */

import type { Size } from "./maps.ts";

/** Components of a map of values, where 0 belongs to none. */
export interface Components {
  /** The number of each pixel's component from 1, or 0. */
  readonly map: Int32Array;
  /** The value of component `i + 1`. */
  readonly values: number[];
}

/** Neighbouring pixels of one value other than 0 belong together. */
export function components(values: Int32Array, { height, width }: Size): Components {
  const map = new Int32Array(values.length);
  const pending = new Int32Array(values.length);
  const found: number[] = [];
  for (let first = 0; first < values.length; first++) {
    const value = values[first]!;
    if (value === 0 || map[first] !== 0) continue;
    const number = found.push(value);
    let count = 0;
    const visit = (pixel: number): void => {
      if (values[pixel] === value && map[pixel] === 0) {
        map[pixel] = number;
        pending[count++] = pixel;
      }
    };
    visit(first);
    while (count > 0) {
      const pixel = pending[--count]!;
      const x = pixel % width;
      if (pixel >= width) visit(pixel - width);
      if (x > 0) visit(pixel - 1);
      if (x + 1 < width) visit(pixel + 1);
      if (pixel + width < height * width) visit(pixel + width);
    }
  }
  return { map, values: found };
}
