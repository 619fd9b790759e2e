/**
 * Everything the networks say about a photo: CAMs of all classes at every scale, class probabilities,
 * boundaries and displacements; photo and mirror image each time, as the original does.
 */

import { type Maps, type Plane, type Size, zeros } from "../label/maps.ts";
import { stridedSize } from "../label/merge.ts";
import { normalise } from "../photo/normalise.ts";
import { type Photo, bicubic, scaledSize } from "../photo/resize.ts";
import type { Model } from "./model.ts";

/** What the label rules need. */
export interface Analysis {
  readonly photo: Photo;
  /** One `[classes, h, w]` a scale, the mirror halves added. */
  readonly maps: Maps[];
  /** Of every class. */
  readonly probabilities: Float32Array;
  /** Boundary probabilities, a quarter of the photo's size. */
  readonly edge: Plane;
  /** (down, right) in cells of 4 pixels. */
  readonly displacement: Maps;
}

/** Called before each run of a network; `part` of all work is done. Throws to stop. */
export type Report = (step: string, part: number) => Promise<void>;

/** Runs both networks. `scales` begin with 1, where classes are predicted. */
export async function analyse(
  photo: Photo,
  scales: readonly number[],
  { cam, irn }: { cam: Model; irn: Model },
  pad: number,
  report: Report,
): Promise<Analysis> {
  const cost = [...scales.map((scale) => scale * scale), 1.4];
  const total = cost.reduce((sum, part) => sum + part, 0);
  const before = (index: number): number => cost.slice(0, index).reduce((sum, part) => sum + part, 0) / total;
  const maps: Maps[] = [];
  let probabilities = new Float32Array();
  for (const [index, scale] of scales.entries()) {
    await report(`class activation at scale ${scale}`, before(index));
    const scaled = bicubic(photo, scaledSize(photo, scale));
    const [plain, logits] = await cam.run(normalise(scaled, cam.about, false));
    const [mirror, mirrorLogits] = await cam.run(normalise(scaled, cam.about, true));
    maps.push(sumOfPositive(plain, mirror));
    if (index === 0) {
      const mean = logits.data.map((logit, i) => (logit + mirrorLogits.data[i]!) / 2);
      probabilities = mean.map(sigmoid);
    }
  }
  await report("boundaries and displacements", before(scales.length));
  const { edge, displacement } = await relations(photo, irn, pad);
  return { photo, maps, probabilities, edge, displacement };
}

/** Positive parts of the scores and of the mirror image's, mirrored back, added. */
function sumOfPositive(plain: Maps, mirror: Maps): Maps {
  const { width } = plain;
  const data = plain.data.map((score, i) => {
    const x = i % width;
    return Math.max(0, score) + Math.max(0, mirror.data[i - x + (width - 1 - x)]!);
  });
  return { ...plain, data };
}

/** Both sides are padded to at least `pad`, larger ones to a multiple of 16: group norm sees the padding. */
async function relations(photo: Photo, irn: Model, pad: number): Promise<{ edge: Plane; displacement: Maps }> {
  const side = (length: number): number => Math.max(pad, 16 * Math.ceil(length / 16));
  const frame = { height: side(photo.height), width: side(photo.width) };
  const size = stridedSize(photo, 4);
  const [edge, field] = await irn.run(normalise(photo, irn.about, false, frame));
  const displacement = cut(field, size);
  const plain = cut(edge, size);
  const [mirrored] = await irn.run(normalise(photo, irn.about, true, frame));
  const mirror = cut(mirrored, size);
  const data = plain.data.map((logit, i) => {
    const x = i % size.width;
    return sigmoid(Math.fround(logit + mirror.data[i - x + (size.width - 1 - x)]!) / 2);
  });
  return { edge: { ...size, data }, displacement };
}

/** The top left part. */
function cut(maps: Maps, { height, width }: Size): Maps {
  const out = zeros(maps.channels, height, width);
  for (let row = 0; row < maps.channels * height; row++) {
    const [channel, y] = [Math.floor(row / height), row % height];
    const from = (channel * maps.height + y) * maps.width;
    out.data.set(maps.data.subarray(from, from + width), row * width);
  }
  return out;
}

function sigmoid(logit: number): number {
  return 1 / (1 + Math.exp(-logit));
}
