/**
 * Colours: the VOC colour map for files, and even, distinct colours for pictures.
 *
 * Drawn colours come from OKLCh (Ottosson 2020), where equal steps look equal; the heat map is
 * matplotlib's inferno, whose lightness grows steadily.
 */

/** Red, green, blue. */
export type Rgb = readonly [number, number, number];

/** Turn of hue between neighbours in a list: the golden angle, which never repeats itself. */
const GOLDEN_ANGLE = 2.3999632;

/** Inferno at eleven even steps. */
const INFERNO: readonly Rgb[] = [
  [0, 0, 4],
  [22, 11, 57],
  [66, 10, 104],
  [106, 23, 110],
  [147, 38, 103],
  [188, 55, 84],
  [221, 81, 58],
  [243, 120, 25],
  [252, 165, 10],
  [246, 215, 70],
  [252, 255, 164],
];

/** The VOC devkit's colour of a label value: bits of the index spread over the high bits of R, G, B. */
export function voc(value: number): Rgb {
  const colour: [number, number, number] = [0, 0, 0];
  for (let place = 0; place < 8; place++) {
    if ((value >> place) & 1) colour[place % 3]! |= 0x80 >> Math.floor(place / 3);
  }
  return colour;
}

/** A vivid colour for class `key` (0-based); the first dozens are well apart. */
export function classColour(key: number): Rgb {
  return oklch([0.76, 0.6, 0.86][key % 3]!, 0.19, 0.5 + key * GOLDEN_ANGLE);
}

/** A colour for the `index`-th instance of a photo. */
export function instanceColour(index: number): Rgb {
  return oklch([0.7, 0.82, 0.62][index % 3]!, 0.18, 0.9 + index * GOLDEN_ANGLE);
}

/** Heat of `value` in 0..1, black over red to pale yellow. */
export function heat(value: number): Rgb {
  const place = Math.min(1, Math.max(0, value || 0)) * (INFERNO.length - 1);
  const low = Math.min(Math.trunc(place), INFERNO.length - 2);
  return mix(INFERNO[low]!, INFERNO[low + 1]!, place - low);
}

/** Hue = direction, colour = strength (0..1): right is red, down green, left cyan, up violet. */
export function direction(dy: number, dx: number, strength: number): Rgb {
  const full = Math.min(1, Math.max(0, strength || 0));
  return oklch(0.97 - 0.29 * full, 0.2 * full, full > 0 ? Math.atan2(dy, dx) + 0.35 : 0);
}

/** The colours of all directions, evenly spaced from right over down, left and up to right again. */
export function wheel(strength: number, steps = 24): Rgb[] {
  const angle = (step: number): number => (step / steps) * 2 * Math.PI;
  return Array.from({ length: steps + 1 }, (_, i) => direction(Math.sin(angle(i)), Math.cos(angle(i)), strength));
}

/** Straight mixture of two colours; `amount` of `b`. */
export function mix(a: Rgb, b: Rgb, amount: number): Rgb {
  const at = (i: 0 | 1 | 2): number => Math.round(a[i] + (b[i] - a[i]) * amount);
  return [at(0), at(1), at(2)];
}

/** As CSS writes it. */
export function css([r, g, b]: Rgb): string {
  return `rgb(${r} ${g} ${b})`;
}

/** sRGB of an OKLCh colour (hue in radians); out-of-gamut colours lose chroma until they fit. */
function oklch(lightness: number, chroma: number, hue: number): Rgb {
  const linear = (c: number): Rgb => toLinear(lightness, c * Math.cos(hue), c * Math.sin(hue));
  const fits = (c: number): boolean => linear(c).every((v) => v >= -0.001 && v <= 1.001);
  let [fitting, beyond] = fits(chroma) ? [chroma, chroma] : [0, chroma];
  for (let round = 0; fitting < beyond && round < 10; round++) {
    const middle = (fitting + beyond) / 2;
    if (fits(middle)) fitting = middle;
    else beyond = middle;
  }
  const [r, g, b] = linear(fitting);
  return [gamma(r), gamma(g), gamma(b)];
}

/** Ottosson's inverse: OKLab to linear sRGB. */
function toLinear(lightness: number, a: number, b: number): Rgb {
  const l = (lightness + 0.39633778 * a + 0.21580376 * b) ** 3;
  const m = (lightness - 0.105561346 * a - 0.06385417 * b) ** 3;
  const s = (lightness - 0.08948418 * a - 1.2914855 * b) ** 3;
  return [
    4.0767417 * l - 3.3077116 * m + 0.23096994 * s,
    -1.268438 * l + 2.6097574 * m - 0.34131938 * s,
    -0.0041960863 * l - 0.7034186 * m + 1.7076147 * s,
  ];
}

/** The sRGB transfer curve, as a byte. */
function gamma(linear: number): number {
  const value = Math.min(1, Math.max(0, linear));
  return Math.round(255 * (value <= 0.0031308 ? 12.92 * value : 1.055 * value ** (1 / 2.4) - 0.055));
}
