/** Golden groups 12 (bicubic resizing, normalising) and 14 (run lengths), as far as the page needs them. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { inflateSync } from "node:zlib";
import { voc } from "../src/draw/palette.ts";
import { encode } from "../src/output/rle.ts";
import { png } from "../src/output/png.ts";
import { normalise } from "../src/photo/normalise.ts";
import { type Photo, bicubic, limitedSize, scaledSize } from "../src/photo/resize.ts";
import { Case, maxAbs, within } from "./golden.ts";

function photoOf(one: Case): Photo {
  const { shape, data } = one.tensor("in.image");
  return { height: shape[0]!, width: shape[1]!, rgb: Uint8Array.from(data) };
}

const imagenet = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };

for (const one of Case.group("12_images")) {
  for (const name of one.names.filter((name) => /^out\.bicubic_[\d.]+(_every_\d+\w*)?$/.test(name))) {
    test(`12_images: ${one.name} ${name}`, () => {
      const [, scale, every] = /^out\.bicubic_([\d.]+)(?:_every_(\d+))?/.exec(name) ?? [];
      const photo = photoOf(one);
      const ours = bicubic(photo, scaledSize(photo, Number(scale)));
      const step = Number(every ?? 1);
      const picked = ours.rgb.filter((_, i) => {
        const [y, x] = [Math.floor(i / (3 * ours.width)), Math.floor(i / 3) % ours.width];
        return y % step === 0 && x % step === 0;
      });
      within(name, maxAbs(picked, one.tensor(name).data), one.tolerance("bicubic_max_abs"));
    });
  }
  if (!one.names.includes("in.image")) continue;
  for (const name of one.names.filter((name) => /^out\.scale_[\d.]+$/.test(name))) {
    test(`12_images: ${one.name} ${name}`, () => {
      const photo = photoOf(one);
      const scaled = bicubic(photo, scaledSize(photo, Number(name.slice("out.scale_".length))));
      const pair = [false, true].flatMap((mirrored) => [...normalise(scaled, imagenet, mirrored).data]);
      within(name, maxAbs(pair, one.tensor(name).data), one.tolerance("max_abs"));
    });
  }
}

test("12_images: whole pictures have the right SHA-256", () => {
  const one = Case.group("12_images").find(({ name }) => name.includes("full"));
  assert.ok(one);
  const photo = photoOf(one);
  for (const [scale, expected] of Object.entries(one.param("sha256_of_full_output") as Record<string, string>)) {
    const { rgb } = bicubic(photo, scaledSize(photo, Number(scale)));
    assert.equal(createHash("sha256").update(rgb).digest("hex"), expected, `scale ${scale}`);
  }
});

for (const one of Case.group("14_coco")) {
  test(`14_coco: ${one.name}`, () => {
    const { shape, data } = one.tensor("in.mask");
    const ours = encode({ height: shape[0]!, width: shape[1]! }, (pixel) => data[pixel] !== 0);
    assert.deepEqual(ours.counts, one.expected("rle_counts"));
    assert.equal(ours.text, one.expected("rle_counts_string"));
    assert.equal(ours.area, one.expected("area"));
    assert.deepEqual(ours.bbox, one.expected("bbox_xywh"));
  });
}

test("a large photo is reduced in proportion, a small one is not touched", () => {
  assert.deepEqual(limitedSize({ height: 3000, width: 4000 }, 640), { height: 480, width: 640 });
  assert.deepEqual(limitedSize({ height: 375, width: 500 }, 640), { height: 375, width: 500 });
});

test("a PNG holds the values as they are", async () => {
  const values = Uint8Array.from([0, 1, 2, 15, 20, 255]);
  const bytes = Buffer.from(await (await png(values, { height: 2, width: 3 })).arrayBuffer());
  const chunk = (name: string): Buffer => {
    const at = bytes.indexOf(name, 0, "latin1");
    return bytes.subarray(at + 4, at + 4 + bytes.readUInt32BE(at - 4));
  };
  assert.deepEqual([...inflateSync(chunk("IDAT"))], [0, 0, 1, 2, 0, 15, 20, 255]);
  assert.deepEqual([...chunk("PLTE").subarray(45, 48)], [...voc(15)]);
  const wide = await png([0, 300], { height: 1, width: 2 });
  assert.equal(Buffer.from(await wide.arrayBuffer())[24], 16);
});
