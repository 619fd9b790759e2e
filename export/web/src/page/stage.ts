/** The large picture and the small ones that choose among views. */

import { classColour, css, instanceColour, wheel } from "../draw/palette.ts";
import { type Layer, OVERLAY, VIEWS, type View, mixed } from "../draw/pictures.ts";
import * as pictures from "../draw/pictures.ts";
import type { Findings } from "../protocol.ts";
import type { Masks } from "../scene.ts";
import { element } from "./elements.ts";
import { move, value } from "./settings.ts";

/** Longest side of the small pictures. */
const SMALL = 192;
/** Smaller photos are enlarged for drawing, so that tags are sharp. */
const LARGE = 800;

/** Shows what was found. */
export class Stage {
  private readonly canvas = element("picture", HTMLCanvasElement);
  private readonly overlay = { ...OVERLAY };
  private readonly layers = new Map<View, Layer>();
  private findings: Findings | undefined;
  private masks: Masks | undefined;
  private names: readonly string[] = [];
  private view: View = "instances";

  constructor() {
    for (const view of VIEWS) {
      const radio = element(`view-${view}`, HTMLInputElement);
      radio.addEventListener("change", () => this.choose(view));
      if (radio.checked) this.view = view;
    }
    this.choose(this.view);
    this.canvas.addEventListener("pointermove", (event) => this.point(event));
    this.canvas.addEventListener("pointerleave", () => this.say(""));
  }

  /** Another photo: nothing is known of its masks yet. */
  open(findings: Findings): void {
    this.findings = findings;
    this.masks = undefined;
    this.layers.clear();
    this.layers.set("boundary", pictures.boundary(findings));
    this.layers.set("displacement", pictures.displacement(findings));
    element("stage", HTMLElement).classList.add("ready");
    VIEWS.forEach((view) => this.small(view));
    this.draw();
  }

  /** Masks for the photo; `activation` where it has changed. */
  show(masks: Masks, activation: Float32Array | null, names: readonly string[]): void {
    if (!this.findings) return;
    this.masks = masks;
    this.names = names;
    if (activation) this.layers.set("cam", pictures.activation(activation, this.findings));
    this.layers.set("semantic", pictures.semantic(masks.label, this.findings));
    this.layers.set("instances", pictures.drawnInstances(masks.detections, this.findings));
    for (const view of ["cam", "semantic", "instances"] as const) this.small(view);
    this.draw();
  }

  /** The overlay slider was moved. */
  fade(): void {
    this.overlay[this.view] = value("overlay");
    this.draw();
  }

  private choose(view: View): void {
    this.view = view;
    move("overlay", this.overlay[view]);
    element("overlay", HTMLInputElement).disabled = view === "photo";
    this.draw();
  }

  private draw(): void {
    if (!this.findings) return;
    const { height, width } = this.findings;
    const scale = Math.ceil(LARGE / Math.max(height, width));
    this.canvas.style.setProperty("--ratio", String(width / height));
    paint(this.canvas, this.findings, this.layers.get(this.view), this.overlay[this.view], scale);
    if (this.view === "instances" && this.masks) this.tag();
    if (this.view === "displacement") legend(this.canvas);
    const count = this.masks?.detections.instances.filter(({ score }) => score > 0).length;
    const what = element(`view-${this.view}`, HTMLInputElement).labels?.[0]?.textContent?.trim();
    this.canvas.setAttribute("aria-label", `${what}${count === undefined ? "" : `; ${count} instances found`}`);
  }

  /** Class and score at the top of every instance. */
  private tag(): void {
    const { instances, map } = this.masks!.detections;
    const context = this.canvas.getContext("2d")!;
    const { width } = this.findings!;
    const scale = this.canvas.width / width;
    const size = (13 * this.canvas.width) / Math.max(1, this.canvas.clientWidth);
    context.font = `600 ${size}px system-ui, sans-serif`;
    let count = 0;
    instances.forEach(({ class: key, score }, index) => {
      if (score === 0) return;
      const text = `${this.names[key] ?? key} ${score.toFixed(2)}`;
      const first = map.indexOf(index + 1);
      const wide = context.measureText(text).width + size;
      const x = Math.max(0, Math.min((first % width) * scale - wide / 2, this.canvas.width - wide));
      const y = Math.max(0, Math.floor(first / width) * scale - 0.8 * size);
      context.fillStyle = css(instanceColour(count++));
      context.beginPath();
      context.roundRect(x, y, wide, 1.6 * size, size / 3);
      context.fill();
      context.fillStyle = "#111";
      context.fillText(text, x + size / 2, y + 1.15 * size);
    });
  }

  private small(view: View): void {
    const { height, width } = this.findings!;
    const canvas = element(`small-${view}`, HTMLCanvasElement);
    paint(canvas, this.findings!, this.layers.get(view), OVERLAY[view], SMALL / Math.max(height, width));
  }

  /** Says what lies under the pointer. */
  private point(event: PointerEvent): void {
    if (!this.findings || !this.masks) return;
    const { height, width } = this.findings;
    const box = this.canvas.getBoundingClientRect();
    const x = Math.floor(((event.clientX - box.left) / box.width) * width);
    const y = Math.floor(((event.clientY - box.top) / box.height) * height);
    const pixel = y * width + x;
    const label = this.masks.label[pixel] ?? 0;
    const instance = this.masks.detections.instances[(this.masks.detections.map[pixel] ?? 0) - 1];
    const semantic = label > 0 ? (this.names[label - 1] ?? `class ${label - 1}`) : "background";
    const score = instance && instance.score > 0 ? `, instance score ${instance.score.toFixed(2)}` : "";
    this.say(`${x}, ${y}: ${semantic}${score}`);
  }

  private say(text: string): void {
    element("pointed", HTMLElement).textContent = text;
  }
}

function paint(
  canvas: HTMLCanvasElement,
  of: Findings,
  layer: Layer | undefined,
  strength: number,
  scale: number,
): void {
  const plain = new OffscreenCanvas(of.width, of.height);
  plain.getContext("2d")!.putImageData(mixed(of.rgb, layer, strength, of), 0, 0);
  const [width, height] = [Math.round(of.width * scale), Math.round(of.height * scale)];
  if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
  canvas.getContext("2d")!.drawImage(plain, 0, 0, width, height);
}

/** A disc in the lower right corner whose every point has the colour of pointing that way. */
function legend(canvas: HTMLCanvasElement): void {
  const context = canvas.getContext("2d")!;
  const radius = Math.min(canvas.width, canvas.height) / 10;
  const [x, y] = [canvas.width - 1.3 * radius, canvas.height - 1.3 * radius];
  const hues = context.createConicGradient(0, x, y);
  wheel(1).forEach((colour, step, all) => hues.addColorStop(step / (all.length - 1), css(colour)));
  const pale = context.createRadialGradient(x, y, 0, x, y, radius);
  pale.addColorStop(0, "rgb(246 246 246)");
  pale.addColorStop(1, "rgb(246 246 246 / 0)");
  context.strokeStyle = "rgb(60 60 66)";
  context.lineWidth = Math.max(1, radius / 18);
  for (const fill of [hues, pale]) {
    context.fillStyle = fill;
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.fill();
  }
  context.stroke();
}

/** The colour that stands for an instance or class in lists. */
export function swatch(kind: "class" | "instance", index: number): string {
  return css(kind === "class" ? classColour(index) : instanceColour(index));
}
