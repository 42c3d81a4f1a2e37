// Where strokes run: along the forms of a photo, and where it has none as wind would. As priming/flow.py has it.

import { smooth } from "./grain.js";
import { resizedNumbers, rint } from "./resampling.js";

/** Parts of a place's side in which steps are counted. */
export const UNIT = 64;

const NEIGHBOURHOODS = [4, 12, 32], EDDY = 36, WIND = 1, FAINT = 0.01;
const f = Math.fround;

/** Steps along strokes, down and to the right, of a luma {width, height, data}; rounded where Python rounds. */
export function steps(luma, contrast) {
  const { width, height } = luma, count = width * height, slope = slopes(luma), blown = wind(height, width);
  let cos = new Float32Array(count), sin = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    const y = slope.down[i], x = slope.right[i];
    cos[i] = f(x * x) - f(y * y);
    sin[i] = f(2 * x) * y;
  }
  cos = seen(cos, width, height);
  sin = seen(sin, width, height);
  const strength = f(f(contrast * f(FAINT)) ** 2), down = new Int32Array(count), right = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    let c = f(f(strength * blown.cos[i]) - cos[i]);
    const s = f(f(strength * blown.sin[i]) - sin[i]);
    c = f(c / f(f(Math.sqrt(f(f(c * c) + f(s * s)))) + f(1e-30)));
    const half = f(Math.sqrt(f(Math.max(0, f(1 - c)) / 2)));
    down[i] = rint(f(UNIT * (s < 0 ? -half : half)));
    right[i] = rint(f(UNIT * f(Math.sqrt(f(Math.max(0, f(1 + c)) / 2)))));
  }
  return { down, right };
}

function wind(height, width) {
  const slope = slopes(smooth(height, width, EDDY)), count = width * height;
  const cos = new Float32Array(count), sin = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    const across = f(f(EDDY * slope.down[i]) + WIND), descent = f(-EDDY * slope.right[i]);
    const square = f(f(f(across * across) + f(descent * descent)) + f(1e-9));
    cos[i] = f(f(across * across) - f(descent * descent)) / square;
    sin[i] = f(f(2 * across) * descent) / square;
  }
  return { cos, sin };
}

function slopes({ width, height, data }) {
  const down = new Float32Array(width * height), right = new Float32Array(width * height);
  for (let i = width; i < width * (height - 1); i++) down[i] = f(data[i + width] - data[i - width]) * 0.5;
  for (let y = 0; y < height; y++) {
    for (let i = width * y + 1; i < width * (y + 1) - 1; i++) right[i] = f(data[i + 1] - data[i - 1]) * 0.5;
  }
  return { down, right };
}

function seen(data, width, height) {
  const total = new Float32Array(width * height);
  for (const side of NEIGHBOURHOODS) {
    const [rows, columns] = [height, width].map((length) => Math.max(1, rint(length / side)));
    const means = resizedNumbers({ width, height, data }, rows, columns, "box");
    const large = resizedNumbers(means, height, width, "cubic").data;
    for (let i = 0; i < total.length; i++) total[i] += large[i];
  }
  return total;
}
