/** Maps of one size: the arrays that the label rules work on. */

/** Height and width. */
export interface Size {
  readonly height: number;
  readonly width: number;
}

/** `[channels, height, width]`, row by row, one channel after the other. */
export interface Maps extends Size {
  readonly channels: number;
  readonly data: Float32Array;
}

/** One map `[height, width]`. */
export interface Plane extends Size {
  readonly data: Float32Array;
}

/** Maps of zeros. */
export function zeros(channels: number, height: number, width: number): Maps {
  return { channels, height, width, data: new Float32Array(channels * height * width) };
}

/** One channel as a view: no copy. */
export function plane(maps: Maps, channel: number): Plane {
  const { height, width } = maps;
  const area = height * width;
  return { height, width, data: maps.data.subarray(channel * area, (channel + 1) * area) };
}

/** Planes of one size as maps; a copy. */
export function stack(planes: readonly Plane[], size: Size): Maps {
  const maps = zeros(planes.length, size.height, size.width);
  planes.forEach((one, channel) => maps.data.set(one.data, channel * size.height * size.width));
  return maps;
}

/** The largest value, at least `least`. */
export function maximum(values: Float32Array, least: number): number {
  let largest = least;
  for (const value of values) {
    if (value > largest) largest = value;
  }
  return largest;
}

/** Half to even, as numpy and Python round. */
export function roundHalfEven(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  if (rest !== 0.5) return Math.round(value);
  return below % 2 === 0 ? below : below + 1;
}
