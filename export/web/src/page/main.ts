/** The page: passes what the visitor does to the worker, and what the worker finds to the page. */

import type { Made, Models, Request, Response } from "../protocol.ts";
import { Classes } from "./classes.ts";
import { element, percent } from "./elements.ts";
import { receive } from "./files.ts";
import * as results from "./results.ts";
import * as settings from "./settings.ts";
import { Stage } from "./stage.ts";

document.body.classList.remove("asleep");
const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
const stage = new Stage();
const classes = new Classes(chosen);
let photo: File | undefined;
let names: readonly string[] = [];
let result: results.Result | undefined;
let findings: results.Result["findings"] | undefined;
let waiting = false;

const ask = (request: Request): void => worker.postMessage(request);

/** The visitor has changed a threshold or the classes. */
function chosen(): void {
  if (photo) ask({ kind: "choice", choice: settings.choice(classes.keys) });
}

/** A photo is there, or has to be looked at again with another effort. */
function look(): void {
  if (!photo) return;
  error("");
  if (waiting) status("waiting for the models", 0);
  ask({ kind: "photo", file: photo, effort: settings.effort(), choice: settings.choice(classes.keys) });
}

function status(text: string, part?: number): void {
  element("status", HTMLElement).textContent = text;
  // Screen readers hear of every step once, not of every map and per cent.
  const heard = part === undefined ? text : text.split(/[:·]/, 1).join();
  const announcement = element("announcement", HTMLElement);
  if (announcement.textContent !== heard) announcement.textContent = heard;
  const bar = element("progress", HTMLProgressElement);
  bar.hidden = part === undefined;
  bar.value = part ?? 0;
  element("stage", HTMLElement).setAttribute("aria-busy", String(part !== undefined));
}

function error(text: string): void {
  const box = element("error", HTMLElement);
  box.textContent = text;
  box.hidden = text === "";
}

worker.addEventListener("message", ({ data }: MessageEvent<Response>) => {
  switch (data.kind) {
    case "models":
      return introduce(data);
    case "missing":
      element("models", HTMLElement).textContent = "No models beside the page";
      return status("Drop cam.onnx and irn.onnx, as irn-export writes them, to begin.");
    case "progress":
      return status(`${data.step}${data.part > 0 ? ` · ${percent(data.part)}` : ""}`, data.part);
    case "findings":
      [findings, result] = [data.findings, undefined];
      classes.rate(findings.probabilities);
      return stage.open(findings);
    case "masks":
      return present(data);
    case "error":
      status("");
      return error(data.message);
  }
});
worker.addEventListener("error", (event) => error(`the page's worker failed: ${event.message}`));

function introduce({ cam, irn, threads }: Models): void {
  waiting = !cam || !irn;
  const missing = cam ? "irn.onnx is still missing" : "cam.onnx is still missing";
  const about = `${cam?.backbone} · ${cam?.classes.length} classes · ${threads} thread${threads > 1 ? "s" : ""}`;
  element("models", HTMLElement).textContent = waiting ? missing : about;
  if (cam && cam.classes.join() !== names.join()) classes.offer((names = cam.classes));
  if (waiting) status("");
  else if (!photo) status("Ready for a photo.");
}

function present({ masks, activation, timings }: Made): void {
  if (!findings || !photo) return;
  result = { name: photo.name || "photo.png", findings, masks, classes: names };
  classes.check(masks.keys);
  stage.show(masks, activation, names);
  results.list(result);
  results.times(timings);
  const count = masks.detections.instances.filter(({ score }) => score > 0).length;
  const shown = masks.keys.map((key) => names[key]).join(", ") || "no class";
  status(`Done: ${shown}; ${count} instance${count === 1 ? "" : "s"}.`);
  for (const button of document.querySelectorAll<HTMLButtonElement>("#downloads button")) button.disabled = false;
  // What tests and other scripts on this page may read.
  Object.assign(globalThis, { irnResult: result });
}

receive(
  (file) => {
    photo = file;
    look();
  },
  (file) => ask({ kind: "model", file, name: file.name }),
);
settings.watch((name) => (name === "overlay" ? stage.fade() : chosen()));
for (const id of ["scales", "limit"]) element(id, HTMLSelectElement).addEventListener("change", look);
element("reset", HTMLButtonElement).addEventListener("click", () => {
  settings.reset();
  chosen();
});
results.offer(() => result);
ask({ kind: "start", base: document.baseURI });
