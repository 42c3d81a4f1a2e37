// A large picture in tiles, each with the statistics of the whole: one pass over the tiles for each norm, as in
// painting/passes.py. Maps of one value for each cell of 4 x 4 pixels are kept, larger ones are made again.

import { floats } from "./pixels.js";

const SIDE = 128; // cells
const HALO = 2; // cells that must be seen around a tile

export class Tiles {
  constructor(network, seen) {
    this._network = network;
    this._seen = seen;
    this._cells = [seen.height / 4, seen.width / 4];
    this._channels = network.bank.index.network.channels;
    this._features = null;
  }

  get _windows() {
    const [rows, columns] = this._cells.map((length) => {
      const count = Math.ceil(length / SIDE);
      return Array.from({ length: count }, (_, i) => [Math.floor((length * i) / count), Math.floor((length * (i + 1)) / count)]);
    });
    return rows.flatMap(([top, bottom]) => columns.map(([left, right]) => ({ top, left, bottom, right })));
  }

  async encode() {
    const part = this._network.bank.index.encoder[0], norms = {};
    let map = null;
    for (const [place, layer] of part.layers.entries()) {
      const last = place + 1 === part.layers.length, step = [4, 2, 1][place];
      map = last ? this._map() : null;
      const found = await this._pass(`encoder${place}`, this._pixels(), norms, step, map);
      const norm = this._norm(layer.norm, found);
      [norms[`scale${place}`], norms[`shift${place}`]] = [norm.scale, norm.shift].map((values) => this._column(values));
      if (last) this._normed(map, norm, true);
    }
    this._features = map;
  }

  /** The picture's planes, not clipped. */
  async paint(kernel) {
    const network = this._network, parts = network.bank.index.decoder;
    let map = this._map();
    await this._pass("filter", this._read(this._features), { kernel }, 1, map);
    for (const part of parts.filter((each) => each.residual)) {
      const [first, second] = part.layers, raw = this._map(), next = this._map();
      const found = this._norm(first.norm, await this._pass("first", this._read(map), { kernel: network.kernel(first.name) }, 1, raw));
      const norms = { scale0: this._column(found.scale), shift0: this._column(found.shift), floor: this._column(found.rest.map((x) => -x)) };
      const last = this._norm(second.norm, await this._pass("second", this._read(raw), { kernel: network.kernel(second.name), ...norms }, 1, next));
      this._normed(next, last, false);
      for (let i = 0; i < map.data.length; i++) map.data[i] += next.data[i];
    }
    const norms = {}, ending = parts.at(-1).layers, picture = { channels: 3, step: 4, data: new Float32Array(3 * this._seen.width * this._seen.height) };
    for (const [place, layer] of ending.entries()) {
      const found = await this._pass(`decoder${place}`, this._read(map), norms, [2, 4, 4][place], layer.norm ? null : picture);
      if (!layer.norm) break;
      const norm = this._norm(layer.norm, found);
      [norms[`scale${place}`], norms[`shift${place}`]] = [norm.scale, norm.shift].map((values) => this._column(values));
    }
    return picture.data;
  }

  _map() {
    return { channels: this._channels, step: 1, data: new Float32Array(this._channels * this._cells[0] * this._cells[1]) };
  }

  _column(values) {
    return this._network.tensor(Float32Array.from(values), [values.length, 1, 1]);
  }

  /** One graph over all tiles: what it makes goes into a map, its moments are returned. */
  async _pass(graph, read, inputs, step, map) {
    let total = null;
    for (const window of this._windows) {
      const around = {
        top: Math.max(0, window.top - HALO),
        left: Math.max(0, window.left - HALO),
        bottom: Math.min(this._cells[0], window.bottom + HALO),
        right: Math.min(this._cells[1], window.right + HALO),
      };
      const place = [step * (window.top - around.top), step * (window.left - around.left)];
      const size = [step * (window.bottom - window.top), step * (window.right - window.left)];
      const start = this._network.integers(...place), end = this._network.integers(place[0] + size[0], place[1] + size[1]);
      const found = await this._network.run(graph, { x: read(around), start, end, ...inputs });
      if (map) this._write(map, window, found.out.data);
      if (found.mean) total = joined(total, { count: size[0] * size[1], mean: Float64Array.from(found.mean.data), variance: Float64Array.from(found.variance.data) });
      for (const each of Object.values(found)) each.dispose();
    }
    return total;
  }

  _pixels() {
    return ({ top, left, bottom, right }) => this._network.tensor(floats(this._seen, 4 * top, 4 * left, 4 * bottom, 4 * right), [1, 3, 4 * (bottom - top), 4 * (right - left)]);
  }

  _read(map) {
    const [height, width] = this._cells;
    return ({ top, left, bottom, right }) => {
      const data = new Float32Array(map.channels * (bottom - top) * (right - left));
      for (let c = 0, to = 0; c < map.channels; c++) {
        for (let y = top; y < bottom; y++, to += right - left) data.set(map.data.subarray((c * height + y) * width + left, (c * height + y) * width + right), to);
      }
      return this._network.tensor(data, [1, map.channels, bottom - top, right - left]);
    };
  }

  _write({ channels, step, data }, { top, left, bottom, right }, values) {
    const height = step * this._cells[0], width = step * this._cells[1], wide = step * (right - left);
    for (let c = 0, from = 0; c < channels; c++) {
      for (let y = step * top; y < step * bottom; y++, from += wide) data.set(values.subarray(from, from + wide), (c * height + y) * width + step * left);
    }
  }

  /** A norm by given statistics, as scale and shift of each channel; the shift lacks the layer's rest. */
  _norm(name, { mean, variance }) {
    const [weight, bias, rest] = this._network.bank.norm(name);
    const scale = Float64Array.from(mean, (_, c) => weight[c] / Math.sqrt(variance[c] + this._network.bank.index.network.epsilon));
    return { scale, shift: scale.map((x, c) => bias[c] - mean[c] * x - rest[c]), rest: Float64Array.from(rest) };
  }

  _normed({ channels, data }, { scale, shift, rest }, relu) {
    const count = data.length / channels;
    for (let c = 0; c < channels; c++) {
      const times = Math.fround(scale[c]), plus = Math.fround(shift[c]), floor = relu ? -rest[c] : -Infinity;
      for (let i = c * count; i < (c + 1) * count; i++) data[i] = Math.max(floor, data[i] * times + plus);
    }
  }
}

/** Moments of two parts together (Chan, Golub, LeVeque 1983). */
function joined(first, second) {
  if (!first) return second;
  const count = first.count + second.count, share = second.count / count;
  const mean = first.mean.map((x, c) => x + (second.mean[c] - x) * share);
  const variance = first.variance.map((x, c) => x * (1 - share) + second.variance[c] * share + (second.mean[c] - first.mean[c]) ** 2 * share * (1 - share));
  return { count, mean, variance };
}
