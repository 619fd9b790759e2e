/** The controls that decide how masks are made. */

import type { Effort } from "../protocol.ts";
import type { Choice } from "../scene.ts";
import { element, percent } from "./elements.ts";

/** Sliders of the page and how their values are written. */
const SLIDERS = {
  probability: (value: number) => value.toFixed(2),
  semantic: (value: number) => value.toFixed(2),
  instances: (value: number) => value.toFixed(2),
  fragment: (value: number) => percent(value, 1),
  overlay: (value: number) => percent(value),
} as const;

/** Names of the sliders. */
export type Slider = keyof typeof SLIDERS;

const names = Object.keys(SLIDERS) as Slider[];

/** The value of a slider. */
export function value(name: Slider): number {
  return element(name, HTMLInputElement).valueAsNumber;
}

/** Moves a slider without telling anybody. */
export function move(name: Slider, to: number): void {
  element(name, HTMLInputElement).valueAsNumber = to;
  write(name);
}

/** Writes a slider's value beside it and into what screen readers say. */
function write(name: Slider): void {
  const text = SLIDERS[name](value(name));
  element(`${name}-value`, HTMLOutputElement).value = text;
  element(name, HTMLInputElement).setAttribute("aria-valuetext", text);
}

/** Calls `changed` whenever a slider is moved. */
export function watch(changed: (name: Slider) => void): void {
  for (const name of names) {
    write(name);
    element(name, HTMLInputElement).addEventListener("input", () => {
      write(name);
      changed(name);
    });
  }
}

/** All sliders but the overlay back to where they were. */
export function reset(): void {
  for (const name of names.filter((name) => name !== "overlay")) {
    move(name, Number(element(name, HTMLInputElement).defaultValue));
  }
}

/** The sliders as a choice; `keys` null lets the network predict the classes. */
export function choice(keys: readonly number[] | null): Choice {
  const [probability, semantic] = [value("probability"), value("semantic")];
  return { keys, probability, semantic, instances: value("instances"), fragment: value("fragment") };
}

/** What the two select boxes say. */
export function effort(): Effort {
  const scales = element("scales", HTMLSelectElement).value.split(",").map(Number);
  const limit = Number(element("limit", HTMLSelectElement).value);
  return { scales, limit: limit || Infinity };
}
