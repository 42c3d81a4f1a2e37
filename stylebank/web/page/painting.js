// A picture from coarse to fine: the passes of painting/strokes.py and painting/pyramid.py, over one photo.

import { shareOf } from "./bank.js";
import { primed } from "./priming.js";
import { detailed, resampled, rint, settled } from "./resampling.js";

const FIRST = 600, LEAST = 1.25, STEP = 2, SPARE = 0.25;
const KEEP = [0.75, 0.35, 0.2];
const GROUNDS = 3; // what the encoder made of the photo is kept for so many sizes and strengths

const scaled = (size, factor) => size.map((length) => Math.max(1, rint(length * factor)));

/** The size of the last pass: the photo's own, or what the strokes need if that is more. */
export function paintedSize(size, stroke) {
  const long = Math.max(...size), wanted = FIRST / stroke;
  return wanted <= long * 2 ** SPARE ? size : scaled(size, wanted / long);
}

/** The sizes of all passes. */
export function sizes(size, stroke) {
  const ratio = (Math.max(...size) * stroke) / FIRST, later = Math.max(0, Math.ceil(Math.log2(ratio) - SPARE));
  const factor = later ? Math.min(STEP, Math.max(LEAST, ratio ** (1 / later))) : 1;
  return [...Array.from({ length: later }, (_, i) => scaled(size, factor ** (i - later))), size];
}

export class Painting {
  constructor(network, photo) {
    this._network = network;
    this.photo = photo;
    this._levels = new Map();
    this._grounds = new Map();
  }

  /** The photo in a mixture {mix, strength, stroke}; `told` hears of each pass, its number and that of all. */
  async paint({ mix, strength = 1, stroke = 1 }, told = () => {}) {
    const { bank } = this._network, own = [this.photo.height, this.photo.width], share = shareOf(strength);
    const size = paintedSize(own, stroke), all = sizes(size, stroke);
    let photo = this._level(all[0]), over = null, keep = 1;
    told(0, all.length);
    let picture = await this._network.paint(await this._primed(photo, share), bank.filter(mix, share, false), share);
    if (all.length > 1) {
      const again = bank.filter(mix, share, true);
      for (const [place, next] of all.slice(1).entries()) {
        told(place + 1, all.length);
        const larger = this._level(next);
        over = detailed(picture, larger, photo, 1 - share);
        keep = KEEP[Math.min(place, KEEP.length - 1)];
        const ground = await this._network.encoded(over);
        try {
          picture = settled(await this._network.paint(ground, again, share), over, keep);
        } finally {
          ground.release();
        }
        photo = larger;
      }
    }
    told(all.length, all.length);
    return resampled(picture, own);
  }

  /** Give back what a graphics processor keeps of it. */
  release() {
    for (const ground of this._grounds.values()) ground.release();
    this._grounds.clear();
  }

  _level(size) {
    const key = size.join();
    if (!this._levels.has(key)) this._levels.set(key, resampled(this.photo, size));
    return this._levels.get(key);
  }

  async _primed(photo, share) {
    const key = `${photo.height},${photo.width},${share}`;
    if (!this._grounds.has(key)) {
      if (this._grounds.size >= GROUNDS) {
        const [first, old] = this._grounds.entries().next().value;
        old.release();
        this._grounds.delete(first);
      }
      const ground = share > 0 ? primed(photo, share) : photo;
      this._grounds.set(key, await this._network.encoded(ground));
    }
    return this._grounds.get(key);
  }
}
