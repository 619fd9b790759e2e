/** The views of the page: every one paints over the photo, as strongly as the overlay slider says. */

import { resize } from "../label/interpolate.ts";
import type { Detections } from "../label/instances.ts";
import type { Plane, Size } from "../label/maps.ts";
import type { Findings } from "../protocol.ts";
import { type Rgb, classColour, direction, heat, instanceColour } from "./palette.ts";

/** The six views. */
export const VIEWS = ["photo", "cam", "boundary", "displacement", "semantic", "instances"] as const;
export type View = (typeof VIEWS)[number];

/** How strongly each view covers the photo at first. */
export const OVERLAY: Readonly<Record<View, number>> = {
  photo: 0,
  cam: 0.8,
  boundary: 1,
  displacement: 1,
  semantic: 0.55,
  instances: 0.55,
};

/** Colours of a view; `cover` says where it hides the photo (255) and where it lets it through. */
export interface Layer extends Size {
  readonly rgb: Uint8ClampedArray;
  readonly cover: Uint8ClampedArray;
}

function layer({ height, width }: Size, at: (pixel: number) => readonly [Rgb, number]): Layer {
  const rgb = new Uint8ClampedArray(height * width * 3);
  const cover = new Uint8ClampedArray(height * width);
  for (let pixel = 0; pixel < cover.length; pixel++) {
    const [colour, amount] = at(pixel);
    rgb.set(colour, 3 * pixel);
    cover[pixel] = amount;
  }
  return { height, width, rgb, cover };
}

/** Heat of the strongest activation. */
export function activation(values: Float32Array, size: Size): Layer {
  const table = Array.from({ length: 256 }, (_, i) => heat(i / 255));
  return layer(size, (pixel) => {
    const value = Math.min(1, Math.max(0, values[pixel]! || 0));
    return [table[Math.round(255 * value)]!, 90 + 165 * Math.sqrt(value)];
  });
}

/** Boundary probabilities as ink on paper. */
export function boundary({ edge, mapSize, height, width }: Findings): Layer {
  const map = resize(asPlane(edge, mapSize), { height, width }).data;
  return layer({ height, width }, (pixel) => {
    const ink = map[pixel]!;
    return [[252 - 236 * ink, 250 - 230 * ink, 244 - 196 * ink], 255];
  });
}

/** The field as colours: hue says where a pixel points, colour how far. */
export function displacement({ displacement: field, mapSize, height, width }: Findings): Layer {
  const area = mapSize[0] * mapSize[1];
  const lengths = Float32Array.from({ length: area }, (_, i) => Math.hypot(field[i]!, field[area + i]!)).sort();
  // Full colour stands for the length that 98 % of the pixels stay below.
  const full = Math.max(1e-3, lengths[Math.floor((area - 1) * 0.98)] ?? 0);
  const size = { height, width };
  const down = resize(asPlane(field.subarray(0, area), mapSize), size).data;
  const right = resize(asPlane(field.subarray(area), mapSize), size).data;
  const wheel = colourWheel();
  return layer(size, (pixel) => {
    const [dy, dx] = [down[pixel]!, right[pixel]!];
    return [wheel(dy, dx, Math.hypot(dy, dx) / full), 255];
  });
}

function asPlane(data: Float32Array, [height, width]: readonly [number, number]): Plane {
  return { height, width, data };
}

/** `direction` from a table of 180 hues and 24 strengths. */
function colourWheel(): (dy: number, dx: number, strength: number) => Rgb {
  const [hues, strengths] = [180, 24];
  const table = Array.from({ length: hues * (strengths + 1) }, (_, i) => {
    const angle = ((i % hues) / hues) * 2 * Math.PI;
    return direction(Math.sin(angle), Math.cos(angle), Math.floor(i / hues) / strengths);
  });
  return (dy, dx, strength) => {
    const hue = Math.round((Math.atan2(dy, dx) / (2 * Math.PI) + 1) * hues) % hues;
    return table[Math.round(Math.min(1, strength) * strengths) * hues + hue]!;
  };
}

/** Tinted classes with outlines. */
export function semantic(label: Uint8Array, size: Size): Layer {
  return regions(label, size, (value) => classColour(value - 1));
}

/** Tinted instances with outlines; fragments are left out. */
export function drawnInstances({ map, instances }: Detections, size: Size): Layer {
  let count = 0;
  const colours = instances.map(({ score }) => (score > 0 ? instanceColour(count++) : undefined));
  const kept = map.map((number) => (colours[number - 1] ? number : 0));
  return regions(kept, size, (number) => colours[number - 1]!);
}

function regions(values: ArrayLike<number>, size: Size, colour: (value: number) => Rgb): Layer {
  const { width } = size;
  const known = new Map<number, Rgb>();
  return layer(size, (pixel) => {
    const value = values[pixel]!;
    if (value === 0) return [[0, 0, 0], 0];
    let of = known.get(value);
    if (!of) known.set(value, (of = colour(value)));
    const x = pixel % width;
    const outline =
      (x > 0 && values[pixel - 1] !== value) ||
      (x + 1 < width && values[pixel + 1] !== value) ||
      (values[pixel - width] ?? value) !== value ||
      (values[pixel + width] ?? value) !== value;
    return [of, outline ? 255 : 200];
  });
}

/** Photo and layer, mixed: what the canvas shows. */
export function mixed(photo: Uint8Array, over: Layer | undefined, strength: number, size: Size): ImageData {
  const { height, width } = size;
  const out = new ImageData(width, height);
  for (let pixel = 0; pixel < height * width; pixel++) {
    const share = over ? (over.cover[pixel]! / 255) * strength : 0;
    for (let channel = 0; channel < 3; channel++) {
      const below = photo[3 * pixel + channel]!;
      const above = over ? over.rgb[3 * pixel + channel]! : 0;
      out.data[4 * pixel + channel] = below + (above - below) * share;
    }
    out.data[4 * pixel + 3] = 255;
  }
  return out;
}
