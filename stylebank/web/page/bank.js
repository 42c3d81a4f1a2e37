// Weights as they were loaded: kernels of layers, widened to float32, and the filter of a style or a mixture.
// The same as `filter_of` and `mixed_filter` in bank/bundle.py.

const FORM = 1;
const EVENNESS = 1.25;

/** The bytes of a file, unpacked; `told` hears how many have come, still packed. */
export async function loaded(address, told = () => {}) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`${new URL(answer.url).pathname}: is not there (${answer.status})`);
  let come = 0;
  const counted = answer.body.pipeThrough(new TransformStream({
    transform(chunk, next) {
      come += chunk.length;
      told(come);
      next.enqueue(chunk);
    },
  }));
  const bytes = new Uint8Array(await new Response(counted).arrayBuffer());
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes; // a host may unpack by itself
  return new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer());
}

export class Bank {
  constructor(index, bytes) {
    if (index.form !== FORM) throw new Error("bank.json is of another version than this page");
    this.index = index;
    this.styles = new Map(index.styles.map((style) => [style.name, style]));
    const ends = (places) => Object.values(places).reduce((sum, [start, shape]) => Math.max(sum, start + size(shape)), 0);
    const halves = ends(index.halves), floats = ends(index.floats);
    this._words = new Uint16Array(halves);
    for (let i = 0; i < halves; i++) this._words[i] = (bytes[i] << 8) | bytes[halves + i];
    this._floats = new Float32Array(bytes.slice(2 * halves, 2 * halves + 4 * floats).buffer);
    this._graphs = bytes.subarray(2 * halves + 4 * floats);
  }

  graph(name) {
    const [start, length] = this.index.graphs[name];
    return this._graphs.slice(start, start + length);
  }

  /** A style's filter in float32, and its shape. */
  kernel(name) {
    const [start, shape] = this.index.halves[name];
    return { shape, data: widened(this._words.subarray(start, start + size(shape))) };
  }

  /** A layer's kernel in float32, and its shape. */
  layer(name) {
    const [start, shape] = this.index.halves[name], [first] = this.index.floats[name];
    const each = size(shape) / shape[0], wholes = Int16Array.from(this._words.subarray(start, start + size(shape)));
    return { shape, data: Float32Array.from(wholes, (x, i) => x * this._floats[first + Math.floor(i / each)]) };
  }

  /** A norm's weight, bias and rest. */
  norm(name) {
    const [start, [, channels]] = this.index.floats[name];
    return [0, 1, 2].map((row) => this._floats.subarray(start + row * channels, start + (row + 1) * channels));
  }

  /** The bias of a layer that has no norm. */
  bias(name) {
    const [start, [channels]] = this.index.floats[`${name}.bias`];
    return this._floats.slice(start, start + channels);
  }

  /** The filter of a mixture [[name, weight], ...] at a share of the style, of the first pass or of those after it. */
  filter(mix, share, again) {
    const whole = mix.reduce((sum, [, weight]) => sum + weight, 0);
    const parts = mix.map(([name, weight]) => [this.styles.get(name).passes[again ? 1 : 0], weight / whole]);
    const { shape, data } = this.kernel(parts[0][0].kernel);
    let gain = parts[0][0].gain;
    if (parts.length > 1) {
      const strength = parts.reduce((sum, [pass, weight]) => sum + weight / pass.gain, 0);
      data.fill(0);
      for (const [pass, weight] of parts) {
        const other = this.kernel(pass.kernel).data, times = Math.fround(strength * pass.gain * weight);
        for (let i = 0; i < data.length; i++) data[i] += Math.fround(other[i] * times);
      }
      for (let i = 0; i < data.length; i++) data[i] = rounded(data[i]);
      gain = 1 / strength;
    }
    if (share === 1) return { shape, data };
    const strength = Math.fround(1 - share + share / gain), times = Math.fround(Math.fround(share * gain) * strength);
    const [channels, , side] = shape;
    for (let i = 0; i < data.length; i++) data[i] *= times;
    for (let c = 0; c < channels; c++) data[((c * channels + c) * side + (side >> 1)) * side + (side >> 1)] += Math.fround((1 - share) * strength);
    return { shape, data };
  }
}

export const shareOf = (strength) => Math.pow(strength, EVENNESS);

export const size = (shape) => (Array.isArray(shape) ? shape.reduce((all, side) => all * side, 1) : shape);

const view = new DataView(new ArrayBuffer(4));

function widened(words) {
  const found = new Float32Array(words.length);
  for (let i = 0; i < words.length; i++) {
    const word = words[i], power = (word >> 10) & 31, rest = word & 1023;
    const size = power ? (1 + rest / 1024) * 2 ** (power - 15) : rest * 2 ** -24;
    found[i] = word & 0x8000 ? -size : size;
  }
  return found;
}

/** A number rounded to float16, halves to even. */
export function rounded(x) {
  if (!x) return x;
  view.setFloat32(0, x);
  const power = Math.max(-14, ((view.getUint32(0) >>> 23) & 255) - 127), step = 2 ** (power - 10);
  const times = Math.abs(x) / step, low = Math.floor(times), rest = times - low;
  const whole = rest > 0.5 || (rest === 0.5 && low % 2) ? low + 1 : low;
  return Math.sign(x) * whole * step;
}
