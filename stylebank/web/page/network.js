// The network by ONNX Runtime: whole pictures at once, larger ones in tiles that have the whole picture's statistics.

import { asImage, extended, floats, restore } from "./pixels.js";
import { Tiles } from "./tiles.js";

/** Pixels up to which a picture is painted at once. */
export const WHOLE = 1 << 20;

export class Network {
  /** `pause` is awaited before each piece of work; it may throw. */
  constructor(ort, bank, pause, whole = WHOLE) {
    this.bank = bank;
    this._ort = ort;
    this._pause = pause;
    this._whole = whole;
    this.gpu = null;
    this._sessions = new Map();
    this._kernels = new Map();
    for (const part of [...bank.index.encoder, ...bank.index.decoder]) {
      for (const { name, form } of part.layers) this._kernels.set(name, formed(bank.layer(name), form));
    }
  }

  /** Compute by a graphics processor from now on, if it paints a probe as the library does, to a level. */
  async useGpu(gpu) {
    const probe = { width: 64, height: 48, data: Uint8Array.from({ length: 9216 }, (_, i) => 128 + 90 * Math.sin(i / 7) * Math.cos(i / 1000) + (i % 37)) };
    const filter = this.bank.filter([[this.bank.index.styles[0].name, 1]], 1, false);
    const wanted = await this.paint(await this.encoded(probe), filter, 1);
    try {
      this.gpu = gpu;
      const found = await this.paint(await this.encoded(probe), filter, 1);
      if (this.gpu && found.data.every((x, i) => Math.abs(x - wanted.data[i]) <= 1)) return true;
    } catch {
      // Then without.
    }
    this.gpu = null;
    return false;
  }

  /** What the encoder makes of an image; to be given to `paint`, which may be done often, and to `release` once. */
  async encoded(image) {
    const seen = extended(image), { width, height } = seen;
    await this._pause();
    if (this.gpu && width * height <= this.gpu.most) {
      try {
        const onGpu = await this.gpu.encode(floats(seen, 0, 0, height, width), height, width);
        return { image, seen, onGpu, release: onGpu.release };
      } catch {
        this.gpu = null; // it is lost, or has too little memory
      }
    }
    const release = () => {};
    if (width * height > this._whole) {
      const tiles = new Tiles(this, seen);
      await tiles.encode();
      return { image, seen, tiles, release };
    }
    const { out } = await this.run("encode", { x: this.tensor(floats(seen, 0, 0, height, width), [1, 3, height, width]) });
    return { image, seen, features: out, release };
  }

  /** The picture of what was encoded, by a filter; `share` is that of the style in it. */
  async paint(encoded, filter, share) {
    const { image, seen } = encoded, data = await this._planes(encoded, filter);
    if (share < 1 && this.bank.index.network.restores) restore(data, seen, share, this.bank.index.network.flat);
    return asImage(data, seen, image);
  }

  async _planes({ image, features, tiles, onGpu }, filter) {
    await this._pause();
    if (onGpu && this.gpu) {
      try {
        return await this.gpu.decode(onGpu, filter);
      } catch {
        this.gpu = null;
      }
    }
    if (onGpu) return this._planes(await this.encoded(image), filter);
    const kernel = this.tensor(filter.data, filter.shape);
    return tiles ? tiles.paint(kernel) : (await this.run("decode", { x: features, kernel })).out.data;
  }

  tensor(data, shape) {
    return new this._ort.Tensor("float32", data, shape);
  }

  integers(...values) {
    return new this._ort.Tensor("int64", BigInt64Array.from(values, BigInt), [values.length]);
  }

  kernel(name) {
    const { data, shape } = this._kernels.get(name);
    return this.tensor(data, shape);
  }

  /** One graph; kernels that it has as inputs, and that are not given, are its layers' own. */
  async run(name, inputs) {
    await this._pause();
    if (!this._sessions.has(name)) this._sessions.set(name, await this._ort.InferenceSession.create(this.bank.graph(name)));
    const session = this._sessions.get(name), feeds = {};
    for (const input of session.inputNames) feeds[input] = inputs[input] ?? this.kernel(input);
    return session.run(feeds);
  }
}

/** A kernel as a graph takes it; see `form` in page_graphs.py, and graphs.py. */
function formed({ data, shape }, form) {
  if (form === "plain") return { data, shape };
  const [outputs, inputs, side] = shape, square = side * side, planes = outputs * inputs;
  const large = form === "up" ? 2 : side + 1, found = new Float32Array(4 * planes * large * large);
  const folds = [[[1, 1, 0], [0, 0, 1]], [[1, 0, 0], [0, 1, 1]]];
  for (let row = 0; row < 2; row++) {
    for (let column = 0; column < 2; column++) {
      for (let plane = 0; plane < planes; plane++) {
        const to = ((2 * row + column) * planes + plane) * large * large;
        for (let y = 0; y < side; y++) {
          for (let x = 0; x < side; x++) {
            const weight = data[plane * square + y * side + x];
            if (form === "four") found[to + (y + row) * large + x + column] = weight;
            else {
              for (let a = 0; a < 2; a++) {
                for (let b = 0; b < 2; b++) if (folds[row][a][y] && folds[column][b][x]) found[to + 2 * a + b] += weight;
              }
            }
          }
        }
      }
    }
  }
  return { data: found, shape: [4 * outputs, inputs, large, large] };
}
