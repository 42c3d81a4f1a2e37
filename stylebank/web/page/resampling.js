// Images at other sizes, as Pillow resamples: the same kernels, the same rounding, so that pictures agree with Python's.
// An image is {width, height, data}: RGB, a byte each, row by row. See pixels/resampling.py.

const BITS = 22;
const BAND = 256;

const KERNELS = {
  box: [0.5, (x) => (x > -0.5 && x <= 0.5 ? 1 : 0)],
  linear: [1, (x) => Math.max(0, 1 - Math.abs(x))],
  cubic: [2, (x) => {
    const a = -0.5, y = Math.abs(x);
    if (y < 1) return ((a + 2) * y - (a + 3)) * y * y + 1;
    return y < 2 ? (((y - 5) * y + 8) * y - 4) * a : 0;
  }],
};

/** Python's rounding: halves go to the even number. */
export function rint(x) {
  const low = Math.floor(x), rest = x - low;
  return rest < 0.5 || (rest === 0.5 && low % 2 === 0) ? low : low + 1;
}

/** Weights of the inputs of each output on an axis; `from` and `to` bound the part of the axis that is shown. */
function weights(kind, inputs, outputs, from, to) {
  const [reach, kernel] = KERNELS[kind];
  const start = Math.fround(from), scale = (Math.fround(to) - start) / outputs;
  const wide = Math.max(scale, 1), support = reach * wide;
  const most = Math.ceil(support) * 2 + 1;
  const first = new Int32Array(outputs), count = new Int32Array(outputs), found = new Float64Array(outputs * most);
  for (let place = 0; place < outputs; place++) {
    const centre = start + (place + 0.5) * scale;
    const low = Math.max(0, Math.trunc(centre - support + 0.5));
    const high = Math.min(inputs, Math.trunc(centre + support + 0.5));
    let total = 0;
    for (let x = low; x < high; x++) {
      const weight = kernel((x - centre + 0.5) * (1 / wide));
      found[place * most + x - low] = weight;
      total += weight;
    }
    if (total !== 0) for (let x = 0; x < high - low; x++) found[place * most + x] /= total;
    first[place] = low;
    count[place] = high - low;
  }
  return { first, count, found, most };
}

function asIntegers(table) {
  const whole = new Int32Array(table.found.length);
  for (let i = 0; i < whole.length; i++) {
    const x = table.found[i] * (1 << BITS);
    whole[i] = Math.trunc(x < 0 ? x - 0.5 : x + 0.5);
  }
  return { ...table, found: whole };
}

const clip = (x) => (x < 0 ? 0 : x > 255 ? 255 : x);

function across(image, top, bottom, width) {
  if (image.width === width) return { width, height: bottom - top, data: image.data.subarray(3 * width * top, 3 * width * bottom) };
  const { first, count, found, most } = asIntegers(weights("cubic", image.width, width, 0, image.width));
  const data = new Uint8Array(3 * width * (bottom - top)), source = image.data, half = 1 << (BITS - 1);
  for (let y = top, to = 0; y < bottom; y++) {
    const row = 3 * y * image.width;
    for (let x = 0; x < width; x++, to += 3) {
      let r = half, g = half, b = half, at = row + 3 * first[x];
      for (let i = most * x, end = i + count[x]; i < end; i++, at += 3) {
        const weight = found[i];
        r += weight * source[at];
        g += weight * source[at + 1];
        b += weight * source[at + 2];
      }
      data[to] = clip(r >> BITS);
      data[to + 1] = clip(g >> BITS);
      data[to + 2] = clip(b >> BITS);
    }
  }
  return { width, height: bottom - top, data };
}

function down(image, height, from, to) {
  if (image.height === height && from === 0 && to === height) return image;
  const { first, count, found, most } = asIntegers(weights("cubic", image.height, height, from, to));
  const line = 3 * image.width, data = new Uint8Array(line * height), half = 1 << (BITS - 1), sums = new Float64Array(line);
  for (let y = 0; y < height; y++) {
    sums.fill(half);
    for (let i = 0; i < count[y]; i++) {
      const weight = found[most * y + i], row = line * (first[y] + i);
      for (let x = 0; x < line; x++) sums[x] += weight * image.data[row + x];
    }
    for (let x = 0; x < line; x++) data[line * y + x] = clip(sums[x] >> BITS);
  }
  return { width: image.width, height, data };
}

/** Rows `top` to `bottom` of an image, which may be fractions, at another size. */
function part(image, height, width, top, bottom) {
  const seen = 2 * Math.ceil(Math.max(1, (bottom - top) / height)) + 1;
  const start = Math.max(0, Math.floor(top) - seen), end = Math.min(image.height, Math.ceil(bottom) + seen);
  return down(across(image, start, end, width), height, top - start, bottom - start);
}

/** An image at another size, by bicubic resampling. */
export function resampled(image, [height, width]) {
  return height === image.height && width === image.width ? image : part(image, height, width, 0, image.height);
}

/** A share of an image, and of others enlarged to its size; levels are rounded once. */
function total(image, share, parts) {
  const { width, height } = image, data = new Uint8Array(3 * width * height), factor = Math.fround(share);
  for (let top = 0; top < height; top += BAND) {
    const bottom = Math.min(height, top + BAND), start = 3 * width * top, size = 3 * width * (bottom - top);
    const levels = new Float32Array(size);
    for (let i = 0; i < size; i++) levels[i] = factor * image.data[start + i];
    for (const [other, weight] of parts) {
      const large = part(other, bottom - top, width, (top * other.height) / height, (bottom * other.height) / height).data;
      const times = Math.fround(weight);
      for (let i = 0; i < size; i++) levels[i] += Math.fround(times * large[i]);
    }
    for (let i = 0; i < size; i++) data[start + i] = clip(rint(levels[i]));
  }
  return { width, height, data };
}

/** A painting enlarged to a photo's size, and a share of what the photo has and `before` has not. */
export function detailed(painting, photo, before, share) {
  if (!share) return resampled(painting, [photo.height, photo.width]);
  return total(photo, share, [[painting, 1], [before, -share]]);
}

/** A picture with only a share of what it changed of the forms of what it was painted over. */
export function settled(picture, over, keep) {
  const half = [(picture.height + 1) >> 1, (picture.width + 1) >> 1];
  return total(picture, 1, [[resampled(over, half), 1 - keep], [resampled(picture, half), keep - 1]]);
}

/** Numbers {width, height, data} at another size; of a box (0, 0, right, bottom) of them. */
export function resizedNumbers(numbers, height, width, kind, right = numbers.width, bottom = numbers.height) {
  const flat = weights(kind, numbers.width, width, 0, right), high = weights(kind, numbers.height, height, 0, bottom);
  const narrow = new Float32Array(width * numbers.height), data = new Float32Array(width * height);
  for (let y = 0; y < numbers.height; y++) {
    for (let x = 0; x < width; x++) {
      let sum = 0;
      for (let i = 0; i < flat.count[x]; i++) sum += flat.found[flat.most * x + i] * numbers.data[numbers.width * y + flat.first[x] + i];
      narrow[width * y + x] = sum;
    }
  }
  const sums = new Float64Array(width);
  for (let y = 0; y < height; y++) {
    sums.fill(0);
    for (let i = 0; i < high.count[y]; i++) {
      const weight = high.found[high.most * y + i], row = width * (high.first[y] + i);
      for (let x = 0; x < width; x++) sums[x] += weight * narrow[row + x];
    }
    data.set(sums, width * y);
  }
  return { width, height, data };
}
