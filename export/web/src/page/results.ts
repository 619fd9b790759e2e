/** What was found as a list, how long it took, and files to take along. */

import { coco } from "../output/coco.ts";
import { png } from "../output/png.ts";
import type { Findings, Timing } from "../protocol.ts";
import type { Masks } from "../scene.ts";
import { element, make, percent } from "./elements.ts";
import { swatch } from "./stage.ts";

/** All that the files are made from. */
export interface Result {
  readonly name: string;
  readonly findings: Findings;
  readonly masks: Masks;
  readonly classes: readonly string[];
}

/** Lists the instances, fragments left out. */
export function list({ findings, masks, classes }: Result): void {
  const kept = masks.detections.instances.filter(({ score }) => score > 0);
  const pixels = findings.height * findings.width;
  const rows = kept.map((instance, index) => {
    const row = make("tr");
    const name = make("th", "", { scope: "row" });
    const dot = make("span", "", { class: "dot" });
    dot.style.background = swatch("instance", index);
    name.append(dot, classes[instance.class] ?? `class ${instance.class}`);
    row.append(name, make("td", instance.score.toFixed(2)), make("td", percent(instance.area / pixels, 1)));
    return row;
  });
  element("found", HTMLTableSectionElement).replaceChildren(...rows);
  element("nothing", HTMLElement).hidden = kept.length > 0;
  element("found-table", HTMLTableElement).hidden = kept.length === 0;
  const [height, width] = findings.original;
  const reduced = height === findings.height && width === findings.width ? "" : `, reduced from ${width} × ${height}`;
  element("size", HTMLElement).textContent = `${findings.width} × ${findings.height} pixels${reduced}`;
}

/** Lists the steps. */
export function times(timings: readonly Timing[]): void {
  const total = timings.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  const row = (step: string, milliseconds: number): HTMLTableRowElement => {
    const made = make("tr");
    const time = milliseconds < 1000 ? `${milliseconds.toFixed(0)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
    made.append(make("th", step, { scope: "row" }), make("td", time));
    return made;
  };
  const rows = timings.map(({ step, milliseconds }) => row(step, milliseconds));
  element("times", HTMLTableSectionElement).replaceChildren(...rows, row("in total", total));
}

/** Connects the buttons; `result` is undefined as long as there is nothing to save. */
export function offer(result: () => Result | undefined): void {
  const button = (id: string, ending: string, content: (one: Result) => Blob | Promise<Blob>): void => {
    element(id, HTMLButtonElement).addEventListener("click", async () => {
      const one = result();
      if (one) save(await content(one), `${one.name.replace(/\.[^.]*$/, "")}${ending}`);
    });
  };
  button("save-semantic", "_sem.png", ({ masks, findings }) => png(masks.label, findings));
  button("save-instances", "_ins.png", ({ masks, findings }) => png(numbered(masks), findings));
  button("save-coco", ".json", ({ name, findings, masks, classes }) => {
    const file = coco(name, findings, masks.detections, classes);
    return new Blob([JSON.stringify(file)], { type: "application/json" });
  });
  button("save-view", "_view.png", () => {
    const canvas = element("picture", HTMLCanvasElement);
    return new Promise((resolve, reject) => {
      canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("no picture"))));
    });
  });
}

/** Instance numbers from 1 without gaps where fragments were. */
function numbered({ detections: { instances, map } }: Masks): Int32Array {
  let count = 0;
  const numbers = [0, ...instances.map(({ score }) => (score > 0 ? ++count : 0))];
  return map.map((number) => numbers[number]!);
}

function save(content: Blob, name: string): void {
  const url = URL.createObjectURL(content);
  make("a", "", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
