// onnxruntime-web (WebAssembly, one thread) in headless Chromium, with the packages that export/web pins.
//
//     node web.mjs onnxruntime-web MODEL CASES OUT INPUT,.. OUTPUT,..
//
// does what engines.py does: a line of JSON for every folder of CASES.
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join, resolve } from "node:path";
import { serve } from "../web/scripts/server.mjs";

const web = new URL("../web/", import.meta.url).pathname;
const { chromium } = createRequire(`${web}package.json`)("playwright-core");
const executablePath = process.env.IRN_CHROMIUM ?? "/usr/bin/chromium";

const [, model, cases, out, inputs, outputs] = process.argv.slice(2);
const server = await serve([`${web}node_modules/onnxruntime-web/dist`, dirname(resolve(model))], 0);
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
try {
  const page = await browser.newPage();
  await page.route("**/blank", (route) => route.fulfill({ contentType: "text/html", body: "" }));
  await page.goto(`http://127.0.0.1:${server.address().port}/blank`);
  for (const name of readdirSync(cases).sort()) {
    const feeds = inputs.split(",").map((input) => [input, readNpy(join(cases, name, `${input}.npy`))]);
    const job = { model: `/${basename(model)}`, feeds, outputs: outputs.split(",") };
    const told = await page.evaluate(run, job).catch((error) => ({ error: error.message }));
    mkdirSync(join(out, name), { recursive: true });
    for (const [output, value] of told.found ?? []) writeNpy(join(out, name, `${output}.npy`), value);
    console.log(JSON.stringify({ case: name, ms: told.ms, error: told.error }));
  }
} finally {
  await browser.close();
  server.close();
}

/** In the page: the outputs and the least time of three. */
async function run({ model, feeds, outputs }) {
  const ort = await import("/ort.wasm.min.mjs");
  ort.env.wasm.numThreads = 1;
  globalThis.session ??= await ort.InferenceSession.create(model);
  const arrays = { float32: Float32Array, uint8: Uint8Array };
  const tensor = ({ type, data, dims }) => new ort.Tensor(type, arrays[type].from(data), dims);
  const given = Object.fromEntries(feeds.map(([name, value]) => [name, tensor(value)]));
  let [ms, results] = [Infinity, {}];
  for (let round = 0; round < 3; round++) {
    const started = performance.now();
    results = await session.run(given, outputs);
    ms = Math.min(ms, performance.now() - started);
  }
  const plain = ({ type, data, dims }) => ({ type, data: [...data], dims: [...dims] });
  return { ms, found: outputs.map((name) => [name, plain(results[name])]) };
}

function readNpy(path) {
  const file = readFileSync(path);
  const start = 10 + file.readUInt16LE(8);
  const header = file.toString("latin1", 10, start);
  const dims = header.match(/\(([^)]*)\)/)[1].split(",").filter((text) => text.trim()).map(Number);
  const bytes = Uint8Array.from(file.subarray(start));
  return header.includes("'<f4'")
    ? { type: "float32", data: [...new Float32Array(bytes.buffer)], dims }
    : { type: "uint8", data: [...bytes], dims };
}

function writeNpy(path, { type, data, dims }) {
  const [kind, values] = type === "float32" ? ["<f4", Float32Array.from(data)] : ["|u1", Uint8Array.from(data)];
  const shape = `(${dims.map((side) => `${side},`).join("")})`;
  const header = `{'descr': '${kind}', 'fortran_order': False, 'shape': ${shape}, }`;
  const length = Math.ceil((header.length + 11) / 64) * 64 - 10;
  const start = Buffer.from(`\x93NUMPY\x01\x00..${header.padEnd(length - 1)}\n`, "latin1");
  start.writeUInt16LE(length, 8);
  writeFileSync(path, Buffer.concat([start, Buffer.from(values.buffer)]));
}
