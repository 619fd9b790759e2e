/** The COCO JSON file of one photo's instances, as `irn-infer one` writes it. */

import type { Detections } from "../label/instances.ts";
import type { Size } from "../label/maps.ts";
import { encode } from "./rle.ts";

/** The file as an object; fragments (score 0) are left out. */
export function coco(name: string, size: Size, found: Detections, classes: readonly string[]): object {
  const { height, width } = size;
  const annotations: object[] = [];
  found.instances.forEach((instance, index) => {
    if (instance.score === 0) return;
    const { text, area, bbox } = encode(size, (pixel) => found.map[pixel] === index + 1);
    annotations.push({
      id: annotations.length + 1,
      image_id: 1,
      category_id: instance.class + 1,
      iscrowd: 0,
      area,
      bbox,
      segmentation: { size: [height, width], counts: text },
      width,
      height,
      score: instance.score,
    });
  });
  return {
    info: { description: "instance masks by irn", version: "1" },
    images: [{ id: 1, file_name: name, width, height }],
    annotations,
    categories: classes.map((name, index) => ({ id: index + 1, name, supercategory: "object" })),
  };
}
