// Writes the page into dist/: bundles the scripts, copies ONNX Runtime's WebAssembly and the static files.
import { cpSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { build } from "esbuild";

const root = new URL("..", import.meta.url).pathname;
const [fresh, dist] = [`${root}dist.new`, `${root}dist`];
const runtime = `${root}node_modules/onnxruntime-web`;

rmSync(fresh, { recursive: true, force: true });
mkdirSync(`${fresh}/ort`, { recursive: true });
await build({
  absWorkingDir: root,
  entryPoints: { main: "src/page/main.ts", worker: "src/worker.ts" },
  outdir: fresh,
  bundle: true,
  minify: true,
  format: "esm",
  target: ["es2022"],
  // The build of ONNX Runtime that loads its WebAssembly from files beside the page.
  conditions: ["onnxruntime-web-use-extern-wasm"],
  legalComments: "linked",
  logLevel: "warning",
});
for (const name of ["index.html", "style.css", "icon.svg", "THIRD-PARTY.txt"]) {
  cpSync(`${root}src/${name}`, `${fresh}/${name}`);
}
for (const name of ["ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"]) {
  cpSync(`${runtime}/dist/${name}`, `${fresh}/ort/${name}`);
}
rmSync(dist, { recursive: true, force: true });
renameSync(fresh, dist);
console.log(`wrote ${dist}`);
