/** COCO's run-length encoding: column-major counts that start with the zeros, and their compressed text. */

import type { Size } from "../label/maps.ts";

/** A mask as COCO wants it. */
export interface Encoded {
  readonly counts: number[];
  /** Compressed counts: differences to the run before the last, 5 bits a character. */
  readonly text: string;
  readonly area: number;
  /** x, y, width, height in pixels; all 0 for an empty mask. */
  readonly bbox: readonly [number, number, number, number];
}

/** Encodes the pixels for which `inside` holds. */
export function encode({ height, width }: Size, inside: (pixel: number) => boolean): Encoded {
  const counts: number[] = [];
  let [run, value, area] = [0, false, 0];
  let [left, right, top, bottom] = [width, 0, height, 0];
  for (let x = 0; x < width; x++) {
    for (let y = 0; y < height; y++) {
      const set = inside(y * width + x);
      if (set !== value) {
        counts.push(run);
        [run, value] = [0, set];
      }
      run++;
      if (!set) continue;
      area++;
      [left, right] = [Math.min(left, x), Math.max(right, x + 1)];
      [top, bottom] = [Math.min(top, y), Math.max(bottom, y + 1)];
    }
  }
  counts.push(run);
  const bbox = area > 0 ? ([left, top, right - left, bottom - top] as const) : ([0, 0, 0, 0] as const);
  return { counts, text: compress(counts), area, bbox };
}

function compress(counts: readonly number[]): string {
  return counts.map((run, at) => number(run - (at > 2 ? counts[at - 2]! : 0))).join("");
}

/** Lowest bits first; bit 5 says that more follow, bit 4 of the last character is the sign. */
function number(value: number): string {
  let text = "";
  for (;;) {
    const bits = value & 0x1f;
    value >>= 5;
    const more = value !== (bits & 0x10 ? -1 : 0);
    text += String.fromCharCode(48 + bits + (more ? 0x20 : 0));
    if (!more) return text;
  }
}
