/** Photos and models that the visitor drops, picks or pastes. */

import { element } from "./elements.ts";

/** Calls `photo` or `model` with every file that comes in. */
export function receive(photo: (file: File) => void, model: (file: File) => void): void {
  const take = (files: Iterable<File> | null | undefined): void => {
    let pictures = 0;
    for (const file of files ?? []) {
      if (file.name.toLowerCase().endsWith(".onnx")) model(file);
      else if (pictures++ === 0) photo(file);
    }
  };
  for (const id of ["photo-file", "model-files"]) {
    const input = element(id, HTMLInputElement);
    input.addEventListener("change", () => {
      take(input.files);
      // The same file again is a change, too.
      input.value = "";
    });
  }
  document.addEventListener("paste", (event) => take(event.clipboardData?.files));
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dragging");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) document.body.classList.remove("dragging");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dragging");
    take(event.dataTransfer?.files);
  });
}
