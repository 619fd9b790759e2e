/** Models are read by what they say about themselves; classes are predicted as `irn-infer one` does. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { describe } from "../src/network/description.ts";
import { predicted } from "../src/scene.ts";

/** A field of bytes of a protobuf message. */
function field(number: number, content: Uint8Array): Uint8Array {
  const varint = (value: number): number[] => (value < 128 ? [value] : [128 | (value & 127), ...varint(value >> 7)]);
  return Uint8Array.from([...varint(8 * number + 2), ...varint(content.length), ...content]);
}

const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const join = (...parts: Uint8Array[]): Uint8Array => Uint8Array.from(parts.flatMap((part) => [...part]));

/** An ONNX file with a large graph (field 7), a version (field 1, a number) and metadata. */
function model(entries: Record<string, string>): Uint8Array {
  const pair = (key: string, value: string): Uint8Array => field(14, join(field(1, text(key)), field(2, text(value))));
  const pairs = Object.entries(entries).map(([key, value]) => pair(key, value));
  return join(Uint8Array.from([8, 200, 1]), field(7, new Uint8Array(70_000)), ...pairs);
}

const cam = {
  backbone: "resnet50",
  classes: '["cat","dog"]',
  mean: "[0.485,0.456,0.406]",
  network: "cam",
  std: "[0.229,0.224,0.225]",
};

test("a model says its network, classes and normalisation", () => {
  const about = describe(model(cam), "cam.onnx");
  assert.deepEqual(about, {
    network: "cam",
    backbone: "resnet50",
    classes: ["cat", "dog"],
    mean: [0.485, 0.456, 0.406],
    std: [0.229, 0.224, 0.225],
  });
});

test("files that the page can't use are refused by name, with advice", () => {
  const refused: [Uint8Array, RegExp][] = [
    [text("plain text, no model"), /x\.onnx/],
    [model(cam).subarray(0, 40_000), /x\.onnx is not an ONNX file, or a truncated one/],
    [model({}), /x\.onnx was not written by irn-export/],
    [model({ ...cam, network: "labels" }), /holds the graph “labels”/],
    [model({ ...cam, form: '{"opset":17,"input":"rgb8"}' }), /without --size, --embed-preprocessing/],
    [model({ ...cam, form: '{"opset":17,"size":[1,375,500]}' }), /without --size/],
    [model({ ...cam, external: '{"file":"x.data"}' }), /--external-data/],
    [model({ ...cam, mean: "[0.5]" }), /normalisation/],
  ];
  for (const [file, message] of refused) assert.throws(() => describe(file, "x.onnx"), { message });
});

test("classes at or above the threshold, or the most probable one", () => {
  const probabilities = Float32Array.of(0.1, 0.7, 0.5, 0.7);
  assert.deepEqual(predicted(probabilities, 0.5), [1, 2, 3]);
  assert.deepEqual(predicted(probabilities, 0.9), [1]);
  assert.deepEqual(predicted(new Float32Array(), 0.5), []);
});
