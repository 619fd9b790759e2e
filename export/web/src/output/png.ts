/** PNG files of label values: one byte a pixel with the VOC colours, or 16 bits of grey. */

import type { Size } from "../label/maps.ts";
import { voc } from "../draw/palette.ts";

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

/** Values up to 255 with a palette, larger ones as 16-bit grey. */
export async function png(values: ArrayLike<number>, { height, width }: Size): Promise<Blob> {
  let wide = false;
  for (let i = 0; i < values.length; i++) wide ||= values[i]! > 255;
  const bytes = wide ? 2 : 1;
  const raw = new Uint8Array(height * (1 + width * bytes));
  for (let y = 0, to = 0; y < height; y++) {
    // Every row begins with the number of its filter: none.
    to++;
    for (let x = 0; x < width; x++) {
      const value = values[y * width + x]!;
      if (wide) raw[to++] = value >> 8;
      raw[to++] = value & 255;
    }
  }
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header.set([8 * bytes, wide ? 0 : 3], 8);
  const palette = Uint8Array.from({ length: 768 }, (_, i) => voc(Math.floor(i / 3))[i % 3]!);
  const parts = [Uint8Array.from(SIGNATURE), chunk("IHDR", header)];
  if (!wide) parts.push(chunk("PLTE", palette));
  parts.push(chunk("IDAT", await deflate(raw)), chunk("IEND", new Uint8Array()));
  return new Blob(parts, { type: "image/png" });
}

async function deflate(raw: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const stream = new Blob([raw]).stream().pipeThrough(new CompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Length, name, data, checksum over name and data. */
function chunk(name: string, data: Uint8Array): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(12 + data.length);
  const view = new DataView(out.buffer);
  view.setUint32(0, data.length);
  out.set(new TextEncoder().encode(name), 4);
  out.set(data, 8);
  view.setUint32(8 + data.length, crc32(out.subarray(4, 8 + data.length)));
  return out;
}

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

function crc32(bytes: Uint8Array): number {
  let sum = 0xffffffff;
  for (const byte of bytes) sum = TABLE[(sum ^ byte) & 255]! ^ (sum >>> 8);
  return (sum ^ 0xffffffff) >>> 0;
}
