/** What page and worker tell each other. */

import type { Description } from "./network/description.ts";
import type { Choice, Masks } from "./scene.ts";

/** How a photo is worked on. */
export interface Effort {
  /** Scales of the CAM network, the first one 1. */
  readonly scales: readonly number[];
  /** Larger photos are reduced to this long side. */
  readonly limit: number;
}

/** From the page. */
export type Request =
  | { readonly kind: "start"; readonly base: string }
  | { readonly kind: "model"; readonly file: Blob; readonly name: string }
  | { readonly kind: "photo"; readonly file: Blob; readonly effort: Effort; readonly choice: Choice }
  | { readonly kind: "choice"; readonly choice: Choice };

/** How long a step took. */
export interface Timing {
  readonly step: string;
  readonly milliseconds: number;
}

/** What the networks found, for drawing. */
export interface Findings {
  readonly height: number;
  readonly width: number;
  /** Height and width of the photo before it was reduced. */
  readonly original: readonly [number, number];
  readonly rgb: Uint8Array;
  readonly probabilities: Float32Array;
  /** Height and width of boundaries and displacements. */
  readonly mapSize: readonly [number, number];
  readonly edge: Float32Array;
  readonly displacement: Float32Array;
}

/** The models that are ready. */
export interface Models {
  readonly cam: Description | null;
  readonly irn: Description | null;
  /** How many threads run them. */
  readonly threads: number;
}

/** Masks for a choice. */
export interface Made {
  readonly masks: Masks;
  /** Strongest activation of the classes at every pixel; null where it is the same as before. */
  readonly activation: Float32Array | null;
  readonly timings: Timing[];
}

/** From the worker. */
export type Response =
  | ({ readonly kind: "models" } & Models)
  | { readonly kind: "missing" }
  | { readonly kind: "progress"; readonly step: string; readonly part: number }
  | { readonly kind: "findings"; readonly findings: Findings }
  | ({ readonly kind: "masks" } & Made)
  | { readonly kind: "error"; readonly message: string };
