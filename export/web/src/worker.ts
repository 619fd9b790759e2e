/**
 * The worker: loads models, analyses the latest photo, makes masks for the latest choice. Requests that a
 * newer one has overtaken are dropped between two steps.
 */

import { analyse } from "./network/analyse.ts";
import { download, listing } from "./network/beside.ts";
import type { Kind } from "./network/description.ts";
import { Model, prepareRuntime } from "./network/model.ts";
import { decode } from "./photo/decode.ts";
import type { Request, Response, Timing } from "./protocol.ts";
import { type Choice, Scene } from "./scene.ts";

/** IRNet's least side where `model.json` says nothing. */
const PAD = 512;

type Job = Extract<Request, { kind: "photo" }>;

/** Thrown where a newer photo makes the work on this one useless. */
class Overtaken extends Error {}

const models: Partial<Record<Kind, Model>> = {};
/** Models that others have replaced, perhaps still at work. */
const retired: Model[] = [];
let pad = PAD;
let job: Job | undefined;
let choice: Choice | undefined;
let scene: Scene | undefined;
let shown = "";
let [photoWaits, choiceWaits, busy] = [false, false, false];

const tell = (response: Response): void => postMessage(response);
/** Lets messages in. */
const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve));

addEventListener("message", (event: MessageEvent<Request>) => {
  const request = event.data;
  switch (request.kind) {
    case "start":
      return guard(start(request.base));
    case "model":
      return guard(dropped(request.file, request.name));
    case "photo":
      [job, choice, photoWaits] = [request, request.choice, true];
      return guard(work());
    case "choice":
      [choice, choiceWaits] = [request.choice, true];
      return guard(work());
  }
});

function guard(work: Promise<void>): void {
  work.catch((error: unknown) => {
    if (error instanceof Overtaken) return;
    tell({ kind: "error", message: error instanceof Error ? error.message : exhausted(error) });
  });
}

/** WebAssembly throws bare numbers, most often for lack of memory. */
function exhausted(code: unknown): string {
  return `ONNX Runtime gave up (${String(code)}): a shorter longest side or fewer scales need less memory`;
}

async function start(base: string): Promise<void> {
  prepareRuntime(base);
  const found = await listing(base);
  if (!found) return tell({ kind: "missing" });
  pad = found.pad ?? PAD;
  const total = found.cam.bytes + found.irn.bytes;
  let before = 0;
  for (const { file, bytes } of [found.cam, found.irn]) {
    const heard = (at: number): void => tell({ kind: "progress", step: "loading models", part: (before + at) / total });
    await install(await download(new URL(file, base), bytes, heard), file);
    before += bytes;
  }
}

async function dropped(file: Blob, name: string): Promise<void> {
  await install(new Uint8Array(await file.arrayBuffer()), name);
}

async function install(bytes: Uint8Array, name: string): Promise<void> {
  tell({ kind: "progress", step: `opening ${name}`, part: 1 });
  const model = await Model.open(bytes, name);
  const kind = model.about.network;
  const former = models[kind];
  models[kind] = model;
  if (former) retired.push(former);
  const { cam, irn } = models;
  tell({ kind: "models", cam: cam?.about ?? null, irn: irn?.about ?? null, threads: threads() });
  photoWaits = job !== undefined;
  await work();
}

function threads(): number {
  return globalThis.crossOriginIsolated ? Math.min(8, navigator.hardwareConcurrency || 1) : 1;
}

/** Works until nothing waits. */
async function work(): Promise<void> {
  const { cam, irn } = models;
  if (busy || !cam || !irn) return;
  busy = true;
  try {
    while (photoWaits || (choiceWaits && scene)) {
      if (photoWaits) await photograph({ cam, irn });
      await masks();
      await pause();
    }
  } catch (error) {
    if (!(error instanceof Overtaken)) throw error;
  } finally {
    busy = false;
    for (const model of retired.splice(0)) await model.close();
  }
  if (photoWaits) await work();
}

/** Milliseconds by step; steps that differ after a colon count as one. */
let timings = new Map<string, number>();
let [running, since] = ["", 0];

/** Ends the former step's time, begins that of `step`, and lets messages in. */
async function report(step: string, part: number): Promise<void> {
  stopwatch(step);
  tell({ kind: "progress", step, part });
  await pause();
  if (photoWaits) throw new Overtaken();
}

function stopwatch(step: string): void {
  const now = performance.now();
  if (running) timings.set(running, (timings.get(running) ?? 0) + now - since);
  [running, since] = [step.split(":")[0]!, now];
}

async function photograph(both: { cam: Model; irn: Model }): Promise<void> {
  const { file, effort } = job!;
  [photoWaits, scene, shown, running] = [false, undefined, "", ""];
  timings = new Map();
  await report("reading the photo", 0);
  const { photo, original } = await decode(file, effort.limit);
  const analysis = await analyse(photo, effort.scales, both, pad, report);
  stopwatch("");
  const { height, width, rgb } = photo;
  const { probabilities, edge, displacement } = analysis;
  const mapSize = [edge.height, edge.width] as const;
  const maps = { mapSize, edge: edge.data, displacement: displacement.data };
  tell({ kind: "findings", findings: { height, width, original, rgb, probabilities, ...maps } });
  [scene, choiceWaits] = [new Scene(analysis), true];
}

async function masks(): Promise<void> {
  if (!scene || !choice) return;
  choiceWaits = false;
  const made = await scene.masks(choice, report);
  stopwatch("");
  const keys = made.keys.join();
  // An empty choice has a map of its own: `shown` of a new photo must differ from it.
  const activation = shown === `:${keys}` ? null : scene.activation(made.keys);
  shown = `:${keys}`;
  const steps: Timing[] = Array.from(timings, ([step, milliseconds]) => ({ step, milliseconds }));
  tell({ kind: "masks", masks: made, activation, timings: steps });
}
