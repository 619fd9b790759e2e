/**
 * Which walked map is highest at every pixel of the photo.
 *
 * The threshold that background has is compared afterwards, since it changes nothing about who is first
 * among the others: so a slider needs no more than one look at every pixel.
 */

import { stretch4 } from "./interpolate.ts";
import type { Plane, Size } from "./maps.ts";

/** The highest map of every pixel. */
export interface Winners extends Size {
  /** Its score; the highest of all pixels has 1. */
  readonly score: Float32Array;
  /** Its number from 1; 0 where there is no map or all are 0. */
  readonly map: Int32Array;
}

/** Compares walked maps at the photo's size, divided by their common maximum; the first of equals wins. */
export function winners(walked: readonly Plane[], size: Size): Winners {
  const { height, width } = size;
  const score = new Float32Array(height * width);
  const map = new Int32Array(height * width);
  const row = new Float32Array(width);
  walked.forEach((one, index) => {
    const source = stretch4(one, size);
    for (let y = 0; y < height; y++) {
      source.row(y, row);
      for (let x = 0, pixel = y * width; x < width; x++, pixel++) {
        if (row[x]! > score[pixel]!) {
          score[pixel] = row[x]!;
          map[pixel] = index + 1;
        }
      }
    }
  });
  const highest = score.reduce((most, value) => Math.max(most, value), 0);
  return { height, width, score: highest > 0 ? score.map((value) => value / highest) : score, map };
}

/** The winners' numbers where they are above `threshold`, 0 elsewhere. */
export function above({ score, map }: Winners, threshold: number): Int32Array {
  const limit = Math.fround(threshold);
  return map.map((number, pixel) => (score[pixel]! > limit ? number : 0));
}
