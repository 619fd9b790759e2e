/** The golden vectors: `index.json` and one safetensors file a case (folder `IRN_GOLDEN`). */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { type Maps, type Plane, plane } from "../src/label/maps.ts";

const FOLDER = process.env["IRN_GOLDEN"] ?? "../../tests/golden";

/** Numbers of a tensor, and its shape. */
export interface Tensor {
  readonly shape: number[];
  readonly data: Float32Array | Uint8Array | Float64Array;
}

interface Entry {
  readonly group: string;
  readonly file: string;
  readonly params: Record<string, unknown>;
  readonly tolerance: Record<string, number>;
  readonly expected?: Record<string, unknown>;
}

const index = (): Record<string, Entry> => JSON.parse(readFileSync(`${FOLDER}/index.json`, "utf8")).cases;

/** One case of the index. */
export class Case {
  private readonly tensors: Map<string, Tensor>;

  constructor(
    readonly name: string,
    private readonly entry: Entry,
  ) {
    this.tensors = safetensors(readFileSync(`${FOLDER}/${entry.file}`));
  }

  /** All cases of a group; none is an error. */
  static group(group: string): Case[] {
    const entries = Object.entries(index()).filter(([, entry]) => entry.group === group);
    assert.ok(entries.length > 0, `no case of ${group}`);
    return entries.map(([name, entry]) => new Case(name, entry));
  }

  /** Names of the tensors, `in.NAME` and `out.NAME`. */
  get names(): string[] {
    return [...this.tensors.keys()];
  }

  tensor(name: string): Tensor {
    const tensor = this.tensors.get(name);
    assert.ok(tensor, `${this.name} has no ${name}`);
    return tensor;
  }

  list(name: string): number[] {
    return [...this.tensor(name).data];
  }

  /** A tensor of two or more axes; all but the last two count as channels. */
  maps(name: string): Maps {
    const { shape, data } = this.tensor(name);
    const [height, width] = shape.slice(-2) as [number, number];
    return { channels: data.length / (height * width), height, width, data: Float32Array.from(data) };
  }

  plane(name: string): Plane {
    return plane(this.maps(name), 0);
  }

  number(key: string): number {
    const value = this.entry.params[key];
    assert.equal(typeof value, "number", `${this.name}: parameter ${key}`);
    return value as number;
  }

  param(key: string): unknown {
    assert.ok(key in this.entry.params, `${this.name} has no parameter ${key}`);
    return this.entry.params[key];
  }

  expected(key: string): unknown {
    return this.entry.expected?.[key];
  }

  tolerance(key: string): number {
    const value = this.entry.tolerance[key];
    assert.ok(value !== undefined, `${this.name} has no tolerance ${key}`);
    return value;
  }
}

/** Length of the header, the header, the data. Whole numbers of 64 bits become f64. */
function safetensors(file: Buffer): Map<string, Tensor> {
  const length = Number(file.readBigUInt64LE(0));
  const header: Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }> = JSON.parse(
    file.subarray(8, 8 + length).toString(),
  );
  const tensors = new Map<string, Tensor>();
  for (const [name, entry] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const [start, end] = entry.data_offsets;
    const bytes = Uint8Array.from(file.subarray(8 + length + start, 8 + length + end)).buffer;
    tensors.set(name, { shape: entry.shape, data: numbers(entry.dtype, bytes) });
  }
  return tensors;
}

function numbers(dtype: string, bytes: ArrayBuffer): Tensor["data"] {
  switch (dtype) {
    case "F32":
      return new Float32Array(bytes);
    case "U8":
      return new Uint8Array(bytes);
    case "I64":
      return Float64Array.from(new BigInt64Array(bytes), Number);
    default:
      throw new Error(`numbers of kind ${dtype}`);
  }
}

/** Fails unless `value` is at most `limit`. */
export function within(what: string, value: number, limit: number): void {
  assert.ok(value <= limit, `${what}: ${value} exceeds ${limit}`);
}

/** Norm of the difference over the norm of `theirs`. */
export function relL2(ours: ArrayLike<number>, theirs: ArrayLike<number>): number {
  assert.equal(ours.length, theirs.length);
  let [difference, norm] = [0, 0];
  for (let i = 0; i < ours.length; i++) {
    difference += (ours[i]! - theirs[i]!) ** 2;
    norm += theirs[i]! ** 2;
  }
  const distance = Math.sqrt(difference) / (Math.sqrt(norm) + 1e-30);
  assert.ok(!Number.isNaN(distance), "NaN");
  return distance;
}

/** Largest difference. */
export function maxAbs(ours: ArrayLike<number>, theirs: ArrayLike<number>): number {
  assert.equal(ours.length, theirs.length);
  let worst = 0;
  for (let i = 0; i < ours.length; i++) {
    assert.ok(!Number.isNaN(ours[i]), "NaN");
    worst = Math.max(worst, Math.abs(ours[i]! - theirs[i]!));
  }
  return worst;
}

/** Share of elements that differ. */
export function disagreement(ours: ArrayLike<number>, theirs: ArrayLike<number>): number {
  assert.equal(ours.length, theirs.length);
  let differing = 0;
  for (let i = 0; i < ours.length; i++) differing += ours[i] === theirs[i] ? 0 : 1;
  return differing / Math.max(1, ours.length);
}
