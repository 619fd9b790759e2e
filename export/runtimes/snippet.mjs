// Runs the JavaScript of docs/exporting.md in headless Chromium: node snippet.mjs FOLDER, which holds
// page.js, the models and the photo. Prints the mask and the probabilities as JSON.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { serve } from "../web/scripts/server.mjs";

const web = new URL("../web/", import.meta.url).pathname;
const { chromium } = createRequire(`${web}package.json`)("playwright-core");
const executablePath = process.env.IRN_CHROMIUM ?? "/usr/bin/chromium";

const folder = process.argv[2];
const server = await serve([folder, `${web}node_modules/onnxruntime-web/dist`], 0);
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
try {
  const page = await browser.newPage();
  await page.route("**/blank", (route) => route.fulfill({ contentType: "text/html", body: "" }));
  await page.goto(`http://127.0.0.1:${server.address().port}/blank`);
  const told = await page.evaluate(`(async () => {
    const ort = await import("/ort.wasm.min.mjs");
    ${readFileSync(join(folder, "page.js"), "utf8")}
    return { label: [...label.data], dims: label.dims, probabilities: [...probabilities] };
  })()`);
  console.log(JSON.stringify(told));
} finally {
  await browser.close();
  server.close();
}
