// What flat parts of a photo lack for strokes to begin on: a faint grain. The same as pixels/priming.py.

import { grain } from "./grain.js";
import { resizedNumbers, rint } from "./resampling.js";

const CELL = 8, GRAIN = 0.08, FLAT = 0.06, FAINT = 0.1;
const f = Math.fround;
const LUMA = [0.299, 0.587, 0.114].map(f);

/** A photo as a first pass wants it, at a share of the style; rounded to float32 where Python rounds. */
export function primed(photo, share) {
  const { width, height, data } = photo, count = width * height, contrast = f(contrastOf(data, count));
  if (!contrast) return photo;
  const levels = Float32Array.from({ length: 256 }, (_, level) => level * f(1 / 255));
  const luma = new Float32Array(count), square = new Float32Array(count);
  let sum = 0;
  for (let i = 0; i < count; i++) {
    const at = 3 * i;
    luma[i] = f(f(LUMA[0] * levels[data[at]]) + f(LUMA[1] * levels[data[at + 1]])) + f(LUMA[2] * levels[data[at + 2]]);
    sum += luma[i];
  }
  const mean = f(sum / count);
  for (let i = 0; i < count; i++) {
    luma[i] -= mean;
    square[i] = luma[i] * luma[i];
  }
  const cells = [height, width].map((length) => Math.max(1, rint(length / CELL)));
  const first = resizedNumbers({ width, height, data: luma }, ...cells, "box");
  const second = resizedNumbers({ width, height, data: square }, ...cells, "box");
  for (let i = 0; i < first.data.length; i++) second.data[i] = Math.max(0, second.data[i] - f(first.data[i] ** 2));
  const variance = resizedNumbers(second, height, width, "linear").data;
  const teeth = grains(height, width), found = new Uint8Array(3 * count);
  const flat = f(contrast * f(FLAT)), wide = f(2 * f(flat * flat)), most = f(contrast * f(GRAIN)), part = f(share);
  for (let i = 0; i < count; i++) {
    const change = f(part * f(f(most * teeth[i]) * f(Math.exp(f(-variance[i] / wide)))));
    for (let c = 3 * i; c < 3 * i + 3; c++) found[c] = rint(f(255 * Math.min(1, Math.max(0, f(levels[data[c]] + change)))));
  }
  return { width, height, data: found };
}

function contrastOf(data, count) {
  let sum = 0;
  for (let c = 0; c < 3; c++) {
    let mean = 0, square = 0;
    for (let i = 0; i < count; i++) {
      const x = data[3 * i + c] - data[c];
      mean += x;
      square += x * x;
    }
    sum += square / count - (mean / count) ** 2;
  }
  return Math.min(1, Math.sqrt(sum / 3) / 255 / FAINT);
}

function grains(height, width) {
  const right = width / CELL, bottom = height / CELL, side = Math.trunc(Math.max(right, bottom)) + 2, table = grain(side);
  const data = new Float32Array(side * side);
  for (let y = 0; y < side; y++) data.set(table.data.subarray(table.width * y, table.width * y + side), side * y);
  return resizedNumbers({ width: side, height: side, data }, height, width, "cubic", right, bottom).data;
}
