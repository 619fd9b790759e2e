/** Photos as the browser decodes them: upright by their EXIF data, no colour management. */

import { type Photo, bicubic, limitedSize } from "./resize.ts";

/** Decodes a picture and reduces it to a long side of at most `limit`; also the size it had. */
export async function decode(file: Blob, limit: number): Promise<{ photo: Photo; original: [number, number] }> {
  const options: ImageBitmapOptions = { colorSpaceConversion: "none", premultiplyAlpha: "none" };
  const bitmap = await createImageBitmap(file, options).catch(() => {
    throw new Error("this browser can't decode the file: try a JPEG, PNG or WebP picture");
  });
  const { height, width } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("this browser can't draw outside the page");
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const { data } = context.getImageData(0, 0, width, height);
  const rgb = new Uint8Array(height * width * 3);
  for (let from = 0, to = 0; from < data.length; from += 4, to += 3) {
    rgb[to] = data[from]!;
    rgb[to + 1] = data[from + 1]!;
    rgb[to + 2] = data[from + 2]!;
  }
  const whole = { height, width, rgb };
  return { photo: bicubic(whole, limitedSize(whole, limit)), original: [height, width] };
}
