/** Readers of what `irn-infer one` and the page write: label PNGs and COCO run lengths. */

import assert from "node:assert/strict";
import { inflateSync } from "node:zlib";

/** Values of a PNG with one byte a pixel (grey or palette). */
export function readPng(file: Buffer): { height: number; width: number; values: Uint8Array } {
  const [width, height] = [file.readUInt32BE(16), file.readUInt32BE(20)];
  assert.equal(file[24], 8, "bits a pixel");
  assert.ok(file[25] === 0 || file[25] === 3, "one value a pixel");
  const data: Buffer[] = [];
  for (let at = 8; at < file.length; at += 12 + file.readUInt32BE(at)) {
    const length = file.readUInt32BE(at);
    if (file.toString("latin1", at + 4, at + 8) === "IDAT") data.push(file.subarray(at + 8, at + 8 + length));
  }
  const raw = inflateSync(Buffer.concat(data));
  const values = new Uint8Array(height * width);
  for (let y = 0; y < height; y++) {
    const filter = raw[y * (width + 1)]!;
    for (let x = 0; x < width; x++) {
      const left = x > 0 ? values[y * width + x - 1]! : 0;
      const up = y > 0 ? values[(y - 1) * width + x]! : 0;
      const corner = x > 0 && y > 0 ? values[(y - 1) * width + x - 1]! : 0;
      const guess = [0, left, up, (left + up) >> 1, paeth(left, up, corner)][filter];
      values[y * width + x] = raw[y * (width + 1) + 1 + x]! + (guess ?? assert.fail(`filter ${filter}`));
    }
  }
  return { height, width, values };
}

/** Of three neighbours the one nearest to left + up - corner. */
function paeth(left: number, up: number, corner: number): number {
  const guess = left + up - corner;
  const [a, b, c] = [left, up, corner].map((value) => Math.abs(guess - value)) as [number, number, number];
  return a <= b && a <= c ? left : b <= c ? up : corner;
}

/** A COCO file, as far as it is compared. */
export interface Coco {
  readonly annotations: {
    readonly category_id: number;
    readonly score: number;
    readonly area: number;
    readonly segmentation: { readonly size: [number, number]; readonly counts: string };
  }[];
}

/** The mask of compressed run lengths, column by column. */
export function readRle(text: string, area: number): Uint8Array {
  const counts: number[] = [];
  for (let at = 0; at < text.length; ) {
    let [value, shift, more] = [0, 0, true];
    while (more) {
      const bits = text.charCodeAt(at++) - 48;
      value |= (bits & 0x1f) << shift;
      shift += 5;
      more = (bits & 0x20) !== 0;
      if (!more && bits & 0x10) value |= -1 << shift;
    }
    counts.push(value + (counts.length > 2 ? counts.at(-2)! : 0));
  }
  const mask = new Uint8Array(area);
  let at = 0;
  counts.forEach((run, index) => mask.fill(index % 2, at, (at += run)));
  assert.equal(at, area, "run lengths cover the photo");
  return mask;
}
