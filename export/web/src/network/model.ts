/** An exported model in ONNX Runtime's WebAssembly build. */

import { InferenceSession, Tensor, env } from "onnxruntime-web/wasm";
import type { Maps } from "../label/maps.ts";
import { type Description, describe } from "./description.ts";

/** Outputs of the two networks, in the order they are asked for. */
const OUTPUTS = { cam: ["scores", "logits"], irn: ["edge", "displacement"] } as const;

/** Threads need shared memory, which servers must allow by headers; without them one does the work. */
export function prepareRuntime(base: string): void {
  env.wasm.wasmPaths = new URL("ort/", base).href;
  env.wasm.numThreads = globalThis.crossOriginIsolated ? Math.min(8, navigator.hardwareConcurrency || 1) : 1;
}

/** A model that is ready to run. */
export class Model {
  private constructor(
    private readonly session: InferenceSession,
    /** What it says about itself. */
    readonly about: Description,
    /** Name of its file. */
    readonly name: string,
  ) {}

  /** Reads a whole file. */
  static async open(file: Uint8Array, name: string): Promise<Model> {
    const about = describe(file, name);
    const session = await InferenceSession.create(file, { executionProviders: ["wasm"] });
    return new Model(session, about, name);
  }

  /** Runs one normalised photo `[3, h, w]`; the two outputs without their batch axis. */
  async run(image: Maps): Promise<[Maps, Maps]> {
    const tensor = new Tensor("float32", image.data, [1, 3, image.height, image.width]);
    const results = await this.session.run({ image: tensor });
    const [first, second] = OUTPUTS[this.about.network].map((name) => {
      const result = results[name];
      if (!(result?.data instanceof Float32Array)) throw new Error(`${this.name} has no output ${name}`);
      const [, channels = 1, height = 1, width = 1] = result.dims;
      return { channels, height, width, data: result.data };
    });
    if (!first || !second) throw new Error(`${this.name} has no outputs`);
    return [first, second];
  }

  /** Gives its memory back. */
  async close(): Promise<void> {
    await this.session.release();
  }
}
