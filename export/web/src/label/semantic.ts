/** The semantic label of every pixel from the walked class maps. */

import { type Winners, above } from "./winners.ts";

/** Label values: class + 1 of the first highest score, or 0 where none is above `threshold`. */
export function labels(winners: Winners, keys: readonly number[], threshold: number): Uint8Array {
  const values = [0, ...keys.map(labelValue)];
  return Uint8Array.from(above(winners, threshold), (number) => values[number]!);
}

/** Label values are one byte; 255 means unknown. */
export function labelValue(key: number): number {
  return Math.min(key + 1, 255);
}
