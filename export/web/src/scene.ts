/**
 * A photo on its way from network outputs to masks. What was computed is kept: walked maps by class, the
 * winners by choice of classes; a threshold then costs one look at every pixel.
 */

import { type Clusters, findClusters } from "./label/clusters.ts";
import { type Detections, instances, split } from "./label/instances.ts";
import { type Plane, maximum } from "./label/maps.ts";
import { merge } from "./label/merge.ts";
import { Walker } from "./label/random_walk.ts";
import { labels } from "./label/semantic.ts";
import { type Winners, winners } from "./label/winners.ts";
import type { Analysis, Report } from "./network/analyse.ts";

/** What the visitor sets. */
export interface Choice {
  /** Classes, ascending; null lets the network predict them. */
  readonly keys: readonly number[] | null;
  /** Probability from which a class counts as predicted. */
  readonly probability: number;
  /** Score of the background in the semantic mask. */
  readonly semantic: number;
  /** Score of the background among instances. */
  readonly instances: number;
  /** Part of the photo below which a piece is a fragment. */
  readonly fragment: number;
}

/** What is drawn and saved. */
export interface Masks {
  readonly keys: readonly number[];
  /** Label values at the photo's size. */
  readonly label: Uint8Array;
  readonly detections: Detections;
}

/** The maps of one class. */
interface ClassMaps {
  readonly highRes: Plane;
  readonly walked: Plane;
  /** Walked by cluster. */
  readonly parts: readonly Plane[];
}

/** The maps of all chosen classes, compared. */
interface Compared {
  readonly keys: readonly number[];
  readonly semantic: Winners;
  readonly instances: Winners;
  /** The class of every instance map. */
  readonly classes: readonly number[];
}

/** The classes at or above the threshold, or the most probable one. */
export function predicted(probabilities: Float32Array, threshold: number): number[] {
  const limit = Math.fround(threshold);
  const keys = [...probabilities.keys()];
  const above = keys.filter((key) => probabilities[key]! >= limit);
  const best = keys.reduce((a, b) => (probabilities[b]! > probabilities[a]! ? b : a), 0);
  return above.length > 0 ? above : keys.slice(best, best + 1);
}

/** All about one photo. */
export class Scene {
  private readonly byClass = new Map<number, ClassMaps>();
  private clusters: Clusters | undefined;
  private walker: Walker | undefined;
  private compared: Compared | undefined;

  constructor(readonly analysis: Analysis) {}

  /** The masks for a choice; `report` hears of steps that take time. */
  async masks(choice: Choice, report: Report): Promise<Masks> {
    const keys = choice.keys ?? predicted(this.analysis.probabilities, choice.probability);
    if (this.compared?.keys.join() !== keys.join()) this.compared = await this.compare(keys, report);
    const { semantic, instances: best, classes } = this.compared!;
    return {
      keys,
      label: labels(semantic, keys, choice.semantic),
      detections: instances(best, classes, choice.instances, choice.fragment),
    };
  }

  /** The strongest activation of the classes at every pixel of the photo. */
  activation(keys: readonly number[]): Float32Array {
    const { height, width } = this.analysis.photo;
    const strongest = new Float32Array(height * width);
    for (const key of keys) {
      const map = this.byClass.get(key)?.highRes.data;
      map?.forEach((value, pixel) => {
        if (value > strongest[pixel]!) strongest[pixel] = value;
      });
    }
    return strongest;
  }

  private async compare(keys: readonly number[], report: Report): Promise<Compared> {
    const maps: ClassMaps[] = [];
    for (const key of keys) maps.push(this.byClass.get(key) ?? (await this.walk(key, report)));
    await report("comparing classes", 1);
    const { photo } = this.analysis;
    const parts = maps.flatMap((map) => map.parts);
    return {
      keys,
      semantic: winners(maps.map(({ walked }) => walked), photo),
      instances: winners(parts, photo),
      classes: maps.flatMap((map, index) => map.parts.map(() => keys[index]!)),
    };
  }

  private async walk(key: number, report: Report): Promise<ClassMaps> {
    const { maps, photo, edge, displacement } = this.analysis;
    const { cam, highRes } = merge(maps, photo, key);
    if (!this.walker || !this.clusters) {
      await report("centroids and affinities", 0);
      this.walker = new Walker(edge);
      this.clusters = findClusters(displacement);
    }
    const pieces = maximum(cam.data, 0) > 0 ? split(cam, this.clusters) : [];
    await report(`random walk: ${pieces.length + 1} maps`, 0);
    const walked = this.walker.walk(cam);
    const parts: Plane[] = [];
    for (const { map } of pieces) {
      const [done, all] = [parts.length + 1, pieces.length + 1];
      await report(`random walk: map ${done + 1} of ${all}`, done / all);
      parts.push(this.walker.walk(map));
    }
    const made = { highRes, walked, parts };
    this.byClass.set(key, made);
    return made;
  }
}
