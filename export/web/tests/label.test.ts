/** Golden groups 6 and 8-10: merging, centroids, clusters, detections, the walk, labels from network outputs. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { affinities, census } from "../src/label/affinity.ts";
import { settle } from "../src/label/centroids.ts";
import { clusters, findClusters, weakComponents } from "../src/label/clusters.ts";
import { type Instance, detect, instances, split } from "../src/label/instances.ts";
import { type Plane, type Size, plane } from "../src/label/maps.ts";
import { merge } from "../src/label/merge.ts";
import { type Walk, Walker } from "../src/label/random_walk.ts";
import { labels } from "../src/label/semantic.ts";
import { winners } from "../src/label/winners.ts";
import { Case, disagreement, maxAbs, relL2, within } from "./golden.ts";

const every = (group: string, run: (one: Case) => void): void => {
  for (const one of Case.group(group)) test(`${group}: ${one.name}`, () => run(one));
};

const photoSize = (one: Case): Size => {
  const [height, width] = one.param("size") as [number, number];
  return { height, width };
};

const walkOf = (one: Case): Walk => ({
  radius: one.number("radius"),
  beta: one.number("beta"),
  expTimes: one.number("exp_times"),
});

/** Not `Math.max(...)`, which has room for some ten thousand numbers only. */
const largest = (values: Iterable<number>): number => [...values].reduce((a, b) => Math.max(a, b), -Infinity);

const joined = (planes: readonly Plane[]): number[] => planes.flatMap(({ data }) => [...data]);

every("6_make_cam", (one) => {
  const scales = one.names.filter((name) => name.startsWith("in.scale")).map((_, i) => one.maps(`in.scale${i}`));
  const merged = one.list("out.keys").map((key) => merge(scales, photoSize(one), key));
  const { width } = photoSize(one);
  for (const name of one.names.filter((name) => name.startsWith("out.") && name !== "out.keys")) {
    let ours = joined(merged.map((map) => (name === "out.cam" ? map.cam : map.highRes)));
    const step = Number(/every_(\d+)/.exec(name)?.[1] ?? 1);
    assert.match(name, /^out\.(cam|high_res(_every_\d+\w*)?)$/);
    if (step > 1) {
      ours = merged.flatMap(({ highRes: { data } }) =>
        [...data].filter((_, i) => (i % width) % step === 0 && Math.floor(i / width) % step === 0),
      );
    }
    within(name, maxAbs(ours, one.tensor(name).data), one.tolerance("max_abs"));
  }
});

every("8_instances", (one) => {
  const [field, scores] = [one.names.includes("in.dp"), one.names.includes("in.score_map")];
  assert.notEqual(field, scores, "an unknown kind of case");
  if (field) centroids(one);
  else detections(one);
});

function centroids(one: Case): void {
  const dp = one.maps("in.dp");
  const ends = settle(dp, one.number("iterations"));
  const once = settle(dp, 1);
  const weak = weakComponents(dp, one.number("thres"));
  const found = clusters(ends, weak);
  const sizes = Array.from({ length: found.count }, (_, k) => found.map.filter((of) => of === k).length);
  assert.equal(found.count, one.number("n_clusters"));
  assert.deepEqual(sizes, one.param("cluster_sizes"));
  assert.equal(largest(weak), one.number("n_weak_components"));
  const rowsAndColumns = (pixels: Int32Array): number[] => [
    ...Array.from(pixels, (pixel) => Math.floor(pixel / dp.width)),
    ...Array.from(pixels, (pixel) => pixel % dp.width),
  ];
  const ours: Record<string, [ArrayLike<number>, number]> = {
    "out.centroids": [rowsAndColumns(ends), 0],
    "out.centroids_after_1_iteration": [rowsAndColumns(once), one.tolerance("centroids_after_1_iteration")],
    "out.weak_components": [weak, one.tolerance("weak_components")],
    "out.cluster_map": [found.map, one.tolerance("cluster_map_disagreement_fraction")],
  };
  for (const name of one.names.filter((name) => name.startsWith("out."))) {
    assert.ok(ours[name], `unknown output ${name}`);
    within(name, disagreement(ours[name][0], one.tensor(name).data), ours[name][1]);
  }
}

/** The case's masks may overlap, so each is looked at by itself. */
function detections(one: Case): void {
  const [scores, masks] = [one.maps("in.score_map"), one.maps("in.mask")];
  const found: Instance[] = [];
  const pixels: number[] = [];
  one.list("in.class_id").forEach((of, k) => {
    const map = Int32Array.from(plane(masks, k).data, (set) => (set === 0 ? 0 : 1));
    const made = detect(plane(scores, k).data, map, masks, [of], one.number("max_fragment_size"));
    found.push(...made.instances);
    made.instances.forEach((_, i) => pixels.push(...Array.from(made.map, (n) => (n === i + 1 ? 1 : 0))));
  });
  assert.equal(found.length, one.number("n"));
  within("score", maxAbs(found.map(({ score }) => score), one.tensor("out.score").data), one.tolerance("score"));
  within("mask", disagreement(pixels, one.tensor("out.mask").data), one.tolerance("mask"));
  within("class", disagreement(found.map((i) => i.class), one.tensor("out.class").data), one.tolerance("class"));
}

every("9_random_walk", (one) => {
  const [x, edge] = [one.maps("in.x"), one.plane("in.edge")];
  const walk = walkOf(one);
  const { count, sum } = census(affinities(edge, walk.radius, 1));
  assert.equal(count, one.number("affinity_nnz_with_both_directions_and_diagonal"));
  within("sum of affinities", Math.abs(sum / one.number("affinity_sum") - 1), 1e-6);
  const walker = new Walker(edge, walk);
  const ours = joined(Array.from({ length: x.channels }, (_, c) => walker.walk(plane(x, c))));
  const theirs = one.list("out.rw");
  within("rw", relL2(ours, theirs), one.tolerance("rel_l2"));
  within("rw", maxAbs(ours, theirs) / largest(theirs), one.tolerance("max_abs_over_max"));
  within("rw_f64", relL2(ours, one.list("out.rw_f64")), 1e-4);
});

every("10_labels", (one) => {
  const [cam, dp] = [one.maps("in.cam"), one.maps("in.dp")];
  const keys = one.list("in.keys");
  const size = photoSize(one);
  const walker = new Walker(one.plane("in.edge"), walkOf(one));
  const limit = one.tolerance("rw_rel_l2");

  const classMaps = keys.map((_, k) => walker.walk(plane(cam, k)));
  within("sem_rw", relL2(joined(classMaps), one.list("out.sem_rw")), limit);
  const label = labels(winners(classMaps, size), keys, one.number("sem_seg_bg_thres"));
  const differing = disagreement(label, one.tensor("out.sem_png").data);
  within("sem_png", differing, one.tolerance("sem_png_disagreement_fraction"));

  const found = findClusters(dp);
  assert.equal(found.count, one.number("n_clusters"));
  const parts = keys.flatMap((key, k) =>
    split(plane(cam, k), found).map((part) => ({ key, k, cluster: part.cluster, map: walker.walk(part.map) })),
  );
  const theirs = one.maps("out.ins_rw");
  const ours = new Float32Array(theirs.data.length);
  for (const { k, cluster, map } of parts) ours.set(map.data, (k * found.count + cluster) * map.data.length);
  within("ins_rw", relL2(ours, theirs.data), limit);

  const best = winners(parts.map(({ map }) => map), size);
  const masks = instances(best, parts.map(({ key }) => key), one.number("ins_seg_bg_thres"));
  counterparts(one, masks);
});

/** Every detection of theirs has one of ours; where tiny fragments differ, only those. */
function counterparts(one: Case, ours: ReturnType<typeof instances>): void {
  const masks = one.maps("out.ins_mask");
  const [scores, classes] = [one.list("out.ins_score"), one.list("out.ins_class")];
  const free = new Set(ours.instances.keys());
  scores.forEach((score, i) => {
    const theirs = plane(masks, i).data;
    const ranked = [...free].map((k) => ({ k, iou: overlap(ours.map, k + 1, theirs) }));
    const best = ranked.sort((a, b) => b.iou - a.iou)[0];
    if (!best || best.iou < 0.5) {
      assert.equal(score, 0, `class ${classes[i]}: no counterpart`);
      return;
    }
    free.delete(best.k);
    const found = ours.instances[best.k]!;
    assert.equal(found.class, classes[i]);
    within("score", Math.abs(found.score - score), one.tolerance("ins_score_max_abs"));
    const mask = ours.map.map((number) => (number === best.k + 1 ? 1 : 0));
    within("mask", disagreement(mask, theirs), one.tolerance("ins_mask_disagreement_fraction"));
  });
  for (const k of free) assert.equal(ours.instances[k]!.score, 0, "more detections than theirs");
}

function overlap(map: Int32Array, number: number, mask: Float32Array): number {
  let [both, either] = [0, 0];
  map.forEach((of, pixel) => {
    const [a, b] = [of === number, mask[pixel] !== 0];
    both += a && b ? 1 : 0;
    either += a || b ? 1 : 0;
  });
  return both / Math.max(1, either);
}
