/** The semantic label of every pixel from the walked class maps. */

import { type Winners, above } from "./winners.ts";

/** Label values: class + 1 of the first highest score, or 0 where none is above `threshold`. */
export function labels(winners: Winners, keys: readonly number[], threshold: number): Uint8Array {
  const values = [0, ...keys.map(labelValue)];
  const numbers = above(winners, threshold);
  const label = new Uint8Array(numbers.length);
  for (let pixel = 0; pixel < label.length; pixel++) label[pixel] = values[numbers[pixel]!]!;
  return label;
}

/** Label values are one byte; 255 means unknown. */
export function labelValue(key: number): number {
  return Math.min(key + 1, 255);
}
