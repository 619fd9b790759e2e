/** Instance masks: every class in every cluster is walked by itself, and every piece is an instance. */

import type { Clusters } from "./clusters.ts";
import { components } from "./components.ts";
import type { Plane, Size } from "./maps.ts";
import { type Winners, above } from "./winners.ts";

/** The part of the photo below which a piece counts as a fragment. */
export const FRAGMENT = 0.01;

/** One connected piece. */
export interface Instance {
  /** 0-based. */
  readonly class: number;
  /** In `[0, 1]`; 0 for fragments. */
  readonly score: number;
  /** Pixels. */
  readonly area: number;
}

/** The instances of one photo, ordered by map and first pixel. */
export interface Detections {
  readonly instances: Instance[];
  /** The number of each pixel's instance from 1, or 0: no two overlap. */
  readonly map: Int32Array;
}

/** The class map in every cluster by itself; those that are 0 everywhere are left out. */
export function split(cam: Plane, clusters: Clusters): { cluster: number; map: Plane }[] {
  const { height, width } = cam;
  const parts = new Map<number, Float32Array>();
  cam.data.forEach((score, pixel) => {
    if (score === 0) return;
    const cluster = clusters.map[pixel]!;
    const part = parts.get(cluster) ?? new Float32Array(cam.data.length);
    part[pixel] = score;
    parts.set(cluster, part);
  });
  const ordered = [...parts].sort(([a], [b]) => a - b);
  return ordered.map(([cluster, data]) => ({ cluster, map: { height, width, data } }));
}

/**
 * Every connected piece of every map's pixels. `classes[i]` is the class of map `i + 1`; pieces with fewer
 * than `least` pixels stay, with score 0.
 */
export function detect(
  score: Float32Array,
  map: Int32Array,
  size: Size,
  classes: readonly number[],
  least: number,
): Detections {
  const pieces = components(map, size);
  const area = pieces.values.map(() => 0);
  const best = pieces.values.map(() => 0);
  pieces.map.forEach((piece, pixel) => {
    if (piece === 0) return;
    area[piece - 1]!++;
    best[piece - 1] = Math.max(best[piece - 1]!, score[pixel]!);
  });
  // A stable sort: pieces of one map stay in the order of their first pixels.
  const order = pieces.values.map((_, piece) => piece);
  order.sort((a, b) => pieces.values[a]! - pieces.values[b]!);
  const place = new Int32Array(order.length + 1);
  order.forEach((piece, index) => (place[piece + 1] = index + 1));
  const instances = order.map((piece) => ({
    class: classes[pieces.values[piece]! - 1]!,
    score: area[piece]! < least ? 0 : best[piece]!,
    area: area[piece]!,
  }));
  return { instances, map: pieces.map.map((piece) => place[piece]!) };
}

/** The instances of walked maps; `part` is the smallest share of the photo that is no fragment. */
export function instances(
  winners: Winners,
  classes: readonly number[],
  threshold: number,
  part: number = FRAGMENT,
): Detections {
  const least = part * (winners.height * winners.width);
  return detect(winners.score, above(winners, threshold), winners, classes, least);
}
