/** Pixels whose displacements lead to the same place form one cluster. */

import { settle } from "./centroids.ts";
import { components } from "./components.ts";
import type { Maps } from "./maps.ts";

/** The limit, in pixels of the map, under which a displacement is weak. */
export const WEAK = 2.5;

/** A partition of the pixels. */
export interface Clusters {
  /** Cluster number of each pixel, from 0. */
  readonly map: Int32Array;
  /** How many there are; every number below occurs. */
  readonly count: number;
}

/** Components, from 1, of the region where the displacement is shorter than `limit`; 0 elsewhere. */
export function weakComponents(dp: Maps, limit: number = WEAK): Int32Array {
  const area = dp.height * dp.width;
  const bound = Math.fround(limit);
  const square = (value: number): number => Math.fround(value * value);
  const weak = new Int32Array(area);
  for (let i = 0; i < area; i++) {
    const length = Math.sqrt(Math.fround(square(dp.data[area + i]!) + square(dp.data[i]!)));
    weak[i] = Math.fround(length) < bound ? 1 : 0;
  }
  return components(weak, dp).map;
}

/**
 * Clusters of pixels by the component in which their target `ends` lies. The strong region between the
 * components counts as one of them where it is somebody's target.
 */
export function clusters(ends: Int32Array, components: Int32Array): Clusters {
  const targets = ends.map((pixel) => components[pixel]!);
  const numbers = [...new Set(targets)].sort((a, b) => a - b);
  const rank = new Map(numbers.map((number, index) => [number, index]));
  return { map: targets.map((target) => rank.get(target)!), count: numbers.length };
}

/** Clusters of the displacement field `dp` (down, right). */
export function findClusters(dp: Maps): Clusters {
  return clusters(settle(dp), weakComponents(dp));
}
