/**
 * Pixel pairs within a radius and the cells a straight line between them touches (Ahn, Cho, Kwak 2019,
 * section 3.2). Only the upper half disc is listed: the relation of a pair is symmetric.
 */

/** A displacement from source to destination. */
export interface Direction {
  /** Rows, `0..radius`. */
  readonly dy: number;
  /** Columns. */
  readonly dx: number;
  /** Cells `[y, x]` relative to the source, both ends included. */
  readonly path: readonly (readonly [number, number])[];
}

/** All directions nearer than `radius`; a radius below 2 has none. */
export function directions(radius: number): Direction[] {
  const found: Direction[] = [];
  for (let dx = 1; dx < radius; dx++) found.push({ dy: 0, dx, path: path(0, dx) });
  for (let dy = 1; dy < radius; dy++) {
    for (let dx = 1 - radius; dx < radius; dx++) {
      if (dy * dy + dx * dx < radius * radius) found.push({ dy, dx, path: path(dy, dx) });
    }
  }
  return found;
}

/** Cells of the pair's rectangle nearer than one cell to its line. */
function path(dy: number, dx: number): [number, number][] {
  const length = dy * dy + dx * dx;
  const cells: [number, number][] = [];
  for (let y = 0; y <= dy; y++) {
    for (let x = Math.min(dx, 0); x <= Math.max(dx, 0); x++) {
      if ((dy * x - dx * y) ** 2 < length) cells.push([y, x]);
    }
  }
  return cells;
}
