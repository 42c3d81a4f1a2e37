// Normal numbers, each a function of its place alone: row by row NumPy's generator Philox(key=row), standard_normal in
// float32 (Salmon et al. 2011; the ziggurat of Marsaglia and Tsang 2000), digit for digit as priming/grain.py has them.

import { resizedNumbers } from "./resampling.js";

const MASK = (1n << 64n) - 1n;
const TIMES = [0xd2e7470ee14c6c93n, 0xca5a826395121157n], PLUS = [0x9e3779b97f4a7c15n, 0xbb67ae8584caa73bn];
const END = 3.6541528853610088, AREA = 0.00492867323399, STEPS = 2 ** 23;

const { limit, width, height } = ziggurat();

function ziggurat() {
  const limit = new Float64Array(256), width = new Float32Array(256), height = new Float32Array(256);
  const bell = (x) => Math.exp(-0.5 * x * x), base = AREA / bell(END);
  limit[0] = Math.trunc((END / base) * STEPS);
  width[0] = base / STEPS;
  width[255] = END / STEPS;
  height[0] = 1;
  height[255] = bell(END);
  for (let i = 254, x = END; i > 0; i--) {
    const next = Math.sqrt(-2 * Math.log(AREA / x + bell(x)));
    limit[i + 1] = Math.trunc((next / x) * STEPS);
    x = next;
    width[i] = x / STEPS;
    height[i] = bell(x);
  }
  return { limit, width, height };
}

/** Four words of 64 bits, of ten rounds. */
function philox(counter, key) {
  let [a, b, c, d] = [counter, 0n, 0n, 0n], [first, second] = [key, 0n];
  for (let round = 0; round < 10; round++) {
    const [x, y] = [TIMES[0] * a, TIMES[1] * c];
    [a, b, c, d] = [(y >> 64n) ^ b ^ first, y & MASK, (x >> 64n) ^ d ^ second, x & MASK];
    first = (first + PLUS[0]) & MASK;
    second = (second + PLUS[1]) & MASK;
  }
  return [a, b, c, d];
}

/** Words of 32 bits, one after another. */
function words(key) {
  let counter = 0n, ready = [];
  return () => {
    if (!ready.length) ready = philox(++counter, key).flatMap((word) => [Number(word & 0xffffffffn), Number(word >> 32n)]);
    return ready.shift();
  };
}

function normal(next) {
  const part = () => Math.fround((next() >>> 8) / 2 ** 24);
  for (;;) {
    const word = next(), place = word & 255, size = (word >>> 9) & 0x7fffff;
    const far = Math.fround(size * width[place]), x = word & 256 ? -far : far;
    if (size < limit[place]) return x;
    if (place === 0) {
      for (;;) {
        const over = -Math.log1p(-part()) / END, under = -Math.log1p(-part());
        if (under + under > over * over) return size & 256 ? -(END + over) : END + over;
      }
    }
    if ((height[place - 1] - height[place]) * part() + height[place] < Math.exp(-0.5 * x * x)) return x;
  }
}

let kept = { side: 0, data: new Float32Array(0) };

/** A table of so many numbers a side, at least; those of a place are the same in all tables. */
function table(side) {
  if (kept.side < side) {
    const data = new Float32Array(side * side);
    for (let row = 0; row < side; row++) {
      const next = words(BigInt(row));
      for (let column = 0; column < side; column++) data[row * side + column] = normal(next);
    }
    kept = { side, data };
  }
  return { width: kept.side, height: kept.side, data: kept.data };
}

/** Smooth noise {width, height, data}; `cell` pixels from one number to the next. */
export function smooth(height, width, cell) {
  const right = width / cell, bottom = height / cell;
  return resizedNumbers(table(Math.trunc(Math.max(right, bottom)) + 4), height, width, "cubic", right, bottom);
}
