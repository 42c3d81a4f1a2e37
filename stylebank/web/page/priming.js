// What flat parts of a photo lack for strokes to begin on: a faint grain along its forms. As priming/ground.py has it.

import { UNIT, steps } from "./flow.js";
import { smooth } from "./grain.js";
import { resizedNumbers, rint } from "./resampling.js";

const CELL = 8, GRAIN = 0.08, FLAT = 0.06, FAINT = 0.1;
const HALF = 2, DAB = 3, FADED = 0.44, REACH = 7;
const f = Math.fround;
const WEIGHTS = Float32Array.from({ length: REACH }, (_, i) => Math.cos((Math.PI / 2) * (i + 1) / (REACH + 1)));
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
  const teeth = grains({ width, height, data: luma }, contrast), found = new Uint8Array(3 * count);
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

/** Noise along the forms of a photo's luma. */
function grains({ width, height, data }, contrast) {
  const wide = width + (width % HALF), high = height + (height % HALF), whole = new Float32Array(wide * high);
  for (let y = 0; y < high; y++) {
    const row = width * Math.min(y, height - 1);
    for (let x = 0; x < wide; x++) whole[wide * y + x] = data[row + Math.min(x, width - 1)];
  }
  const half = resizedNumbers({ width: wide, height: high, data: whole }, high / HALF, wide / HALF, "box");
  const strokes = drawnOut(smooth(half.height, half.width, DAB), steps(half, contrast));
  for (let i = 0; i < strokes.data.length; i++) strokes.data[i] /= f(FADED);
  const large = resizedNumbers(strokes, high, wide, "cubic").data, found = new Float32Array(width * height);
  for (let y = 0; y < height; y++) found.set(large.subarray(wide * y, wide * y + width), width * y);
  return found;
}

/** Means along strokes, as priming/grain.py takes them. */
function drawnOut({ width, height, data }, { down, right }) {
  const found = new Float32Array(width * height), bottom = UNIT * (height - 1), end = UNIT * (width - 1);
  let all = 0;
  for (const weight of WEIGHTS) all = f(all + weight);
  const total = f(1 + 2 * all);
  for (let own = 0; own < found.length; own++) {
    const row = Math.trunc(own / width);
    let sum = data[own];
    for (let sign = 1; sign > -2; sign -= 2) {
      let y = UNIT * row, x = UNIT * (own - row * width), dy = sign * down[own], dx = sign * right[own];
      for (const weight of WEIGHTS) {
        y = Math.min(bottom, Math.max(0, y + dy));
        x = Math.min(end, Math.max(0, x + dx));
        const at = Math.trunc((y + UNIT / 2) / UNIT) * width + Math.trunc((x + UNIT / 2) / UNIT);
        sum = f(sum + f(weight * data[at]));
        const turn = dy * down[at] + dx * right[at] < 0 ? -1 : 1;
        dy = turn * down[at];
        dx = turn * right[at];
      }
    }
    found[own] = sum / total;
  }
  return { width, height, data: found };
}
