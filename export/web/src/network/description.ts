/**
 * What an exported model says about itself: the `metadata_props` (field 14) of its ONNX file, as
 * `irn-export` writes them. Only the outermost level of the protobuf message is read.
 */

import type { Normalisation } from "../photo/normalise.ts";

/** The two networks. */
export type Kind = "cam" | "irn";

/** A model's description of itself. */
export interface Description extends Normalisation {
  readonly network: Kind;
  readonly backbone: string;
  /** In the order of the scores. */
  readonly classes: readonly string[];
}

/** Reads the description out of a whole file; throws for files that the page can't use. */
export function describe(file: Uint8Array, name: string): Description {
  const entries = metadata(file, name);
  const network = entries.get("network");
  if (network !== "cam" && network !== "irn") {
    const what = network ? `holds the graph “${network}”` : "was not written by irn-export";
    throw new Error(`${name} ${what}. The page needs a CAM and an IRNet model: irn-export onnx CHECKPOINT --out FILE`);
  }
  const form: { size?: unknown; input?: string } = JSON.parse(entries.get("form") ?? "{}");
  if (form.size || form.input === "rgb8" || entries.has("external")) {
    throw new Error(`${name}: export it without --size, --embed-preprocessing and --external-data`);
  }
  const list = <T>(key: string): T[] => JSON.parse(entries.get(key) ?? "[]");
  const [mean, std] = [list<number>("mean"), list<number>("std")];
  if (mean.length !== 3 || std.length !== 3) throw new Error(`${name} does not say its normalisation`);
  return { network, backbone: entries.get("backbone") ?? "", classes: list<string>("classes"), mean, std };
}

function metadata(file: Uint8Array, name: string): Map<string, string> {
  const entries = new Map<string, string>();
  try {
    for (const [field, bytes] of fields(file)) {
      if (field !== 14) continue;
      const pair = new Map([...fields(bytes)].map(([part, text]) => [part, new TextDecoder().decode(text)]));
      entries.set(pair.get(1) ?? "", pair.get(2) ?? "");
    }
  } catch {
    throw new Error(`${name} is not an ONNX file, or a truncated one`);
  }
  return entries;
}

/** Fields of a message that hold bytes; numbers are passed over. */
function* fields(message: Uint8Array): Generator<[number, Uint8Array]> {
  let at = 0;
  const varint = (): number => {
    let [value, factor] = [0, 1];
    for (;;) {
      const byte = message[at++];
      if (byte === undefined) throw new RangeError("a message ends within a number");
      value += (byte & 127) * factor;
      if (byte < 128) return value;
      factor *= 128;
    }
  };
  while (at < message.length) {
    const key = varint();
    const [field, wire] = [Math.floor(key / 8), key % 8];
    if (wire === 0) {
      varint();
      continue;
    }
    const length = wire === 2 ? varint() : wire === 1 ? 8 : wire === 5 ? 4 : NaN;
    if (!(at + length <= message.length)) throw new RangeError("a field ends outside its message");
    if (wire === 2) yield [field, message.subarray(at, at + length)];
    at += length;
  }
}
