/** Photos as network input: `(v / 255 - mean) / std` in f64, rounded once, channels first. */

import { type Maps, zeros } from "../label/maps.ts";
import type { Photo } from "./resize.ts";

/** Of each of R, G, B on a scale of 0..1. */
export interface Normalisation {
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** `[3, height, width]`, in the top left of a frame of zeros (the mean colour) if that is larger. */
export function normalise(
  photo: Photo,
  { mean, std }: Normalisation,
  mirrored: boolean,
  frame: { height: number; width: number } = photo,
): Maps {
  const out = zeros(3, frame.height, frame.width);
  for (let channel = 0; channel < 3; channel++) {
    const table = Float32Array.from({ length: 256 }, (_, v) => (v / 255 - mean[channel]!) / std[channel]!);
    for (let y = 0; y < photo.height; y++) {
      const to = (channel * frame.height + y) * frame.width;
      for (let x = 0; x < photo.width; x++) {
        const from = mirrored ? photo.width - 1 - x : x;
        out.data[to + x] = table[photo.rgb[(y * photo.width + from) * 3 + channel]!]!;
      }
    }
  }
  return out;
}
