/** The list of classes: the network's probabilities, and the visitor's own choice. */

import { classColour, css } from "../draw/palette.ts";
import { element, make, percent } from "./elements.ts";

/** Check boxes of all classes. */
export class Classes {
  private readonly list = element("classes", HTMLUListElement);
  private readonly automatic = element("automatic", HTMLInputElement);
  private boxes: HTMLInputElement[] = [];
  private probabilities: HTMLElement[] = [];

  /** `changed` is called when the visitor has chosen. */
  constructor(private readonly changed: () => void) {
    this.automatic.addEventListener("change", changed);
  }

  /** The classes chosen by hand, or null where the network predicts them. */
  get keys(): number[] | null {
    if (this.automatic.checked) return null;
    return [...this.boxes.keys()].filter((key) => this.boxes[key]!.checked);
  }

  /** A model with these classes is ready. */
  offer(names: readonly string[]): void {
    this.automatic.checked = true;
    this.boxes = [];
    this.probabilities = [];
    this.list.replaceChildren(...names.map((name, key) => this.item(name, key)));
  }

  private item(name: string, key: number): HTMLLIElement {
    const [item, label] = [make("li"), make("label")];
    const box = make("input", "", { type: "checkbox" });
    box.addEventListener("change", () => {
      this.automatic.checked = false;
      this.changed();
    });
    const dot = make("span", "", { class: "dot" });
    dot.style.background = css(classColour(key));
    const probability = make("span", "", { class: "number" });
    label.append(box, dot, make("span", name, { class: "name" }), probability);
    item.append(label);
    this.boxes.push(box);
    this.probabilities.push(probability);
    return item;
  }

  /** Writes the network's probabilities beside the names. */
  rate(probabilities: Float32Array): void {
    probabilities.forEach((value, key) => {
      const cell = this.probabilities[key];
      if (cell) cell.textContent = percent(value);
      cell?.closest("label")?.style.setProperty("--part", value.toFixed(3));
    });
  }

  /** Shows the classes that the masks were made for. */
  check(keys: readonly number[]): void {
    this.boxes.forEach((box, key) => (box.checked = keys.includes(key)));
    this.reveal(this.list.children[keys[0] ?? 0]);
  }

  /** Scrolls the list, not the page, to a class that is out of sight, unless the visitor is at work in it. */
  private reveal(item: Element | undefined): void {
    if (!item || this.list.contains(document.activeElement)) return;
    const [box, around] = [item.getBoundingClientRect(), this.list.getBoundingClientRect()];
    const hidden = box.top < around.top || box.bottom > around.bottom;
    if (hidden) this.list.scrollTop += box.top - around.top - around.height / 3;
  }
}
