// From images to what the network sees, and back.

import { rint } from "./resampling.js";

const STRIDE = 4, LEAST = 16;

/** An image mirrored at the right and the bottom until the stride divides its sides, and its mean colour. */
export function extended(image) {
  const [height, width] = [image.height, image.width].map((length) => Math.ceil(Math.max(LEAST, length) / STRIDE) * STRIDE);
  const [rows, columns] = [[height, image.height], [width, image.width]].map(([long, length]) =>
    Int32Array.from({ length: long }, (_, i) => length - 1 - Math.abs(length - 1 - (i % Math.max(2 * (length - 1), 1)))));
  const data = new Uint8Array(3 * width * height), sums = [0, 0, 0];
  for (let y = 0, to = 0; y < height; y++) {
    const row = 3 * image.width * rows[y];
    for (let x = 0; x < width; x++) {
      for (let c = 0, from = row + 3 * columns[x]; c < 3; c++, to++) {
        data[to] = image.data[from + c];
        sums[c] += data[to] - image.data[c];
      }
    }
  }
  const mean = sums.map((sum, c) => image.data[c] + sum / (width * height));
  return { width, height, data, mean };
}

/** A window of an extended image, channel by channel, less its mean colour. */
export function floats({ width, data, mean }, top, left, bottom, right) {
  const count = (bottom - top) * (right - left), found = new Float32Array(3 * count);
  for (let y = top, to = 0; y < bottom; y++) {
    for (let x = left, from = 3 * (y * width + left); x < right; x++, to++, from += 3) {
      for (let c = 0; c < 3; c++) found[c * count + to] = (data[from + c] - mean[c]) / 255;
    }
  }
  return found;
}

/** Give a picture back what the style's share leaves of brightness and contrast of what it is painted over. */
export function restore(data, seen, share, flat) {
  const count = seen.width * seen.height;
  for (let c = 0; c < 3; c++) {
    const own = moments(count, (i) => data[c * count + i]), wanted = moments(count, (i) => seen.data[3 * i + c] / 255);
    const scale = Math.sqrt(wanted.variance / Math.max(own.variance, flat)), shift = wanted.mean - own.mean * scale;
    const times = Math.fround(1 + (1 - share) * (scale - 1)), plus = Math.fround((1 - share) * shift);
    for (let i = c * count; i < (c + 1) * count; i++) data[i] = data[i] * times + plus;
  }
}

function moments(count, value) {
  const first = value(0);
  let sum = 0, square = 0;
  for (let i = 0; i < count; i++) {
    const x = value(i) - first;
    sum += x;
    square += x * x;
  }
  return { mean: first + sum / count, variance: Math.max(0, square / count - (sum / count) ** 2) };
}

/** Planes in [0, 1] as an image, without what it was extended by. */
export function asImage(planes, { width, height }, image) {
  const count = width * height, data = new Uint8Array(3 * image.width * image.height);
  for (let y = 0, to = 0; y < image.height; y++) {
    for (let x = 0; x < image.width; x++) {
      for (let c = 0; c < 3; c++, to++) {
        data[to] = rint(255 * Math.min(1, Math.max(0, planes[c * count + y * width + x])));
      }
    }
  }
  return { width: image.width, height: image.height, data };
}
