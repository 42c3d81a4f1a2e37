// The network on a graphics processor, by WebGPU: a few kernels in float32 that compute what the graphs of network.js do.
// It costs 3 kB to load where a library for it would be 4 MB. What it paints is compared before it is used.

const THREADS = 256; // that take the statistics of a channel
const MOST = 1 << 22; // pixels: what lies between two layers takes some 80 bytes of each

/** A convolution, its border mirrored; what it reads may be scaled, shifted and cut off below, and enlarged by two. */
function convolution({ inputs, outputs, side, stride, up, isNormed, isLast, sigmoid }) {
  const fours = Math.ceil(outputs / 4), each = [5, 4, 3, 2, 1].find((count) => fours % count === 0);
  const list = Array.from({ length: each }, (_, i) => i);
  return {
    each: fours / each,
    code: `
@group(0) @binding(0) var<uniform> size: vec4<i32>;
@group(0) @binding(1) var<storage, read> source: array<f32>;
@group(0) @binding(2) var<storage, read> weights: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> result: array<f32>;
${isNormed ? "@group(0) @binding(4) var<storage, read> norm: array<f32>;" : ""}
${isLast ? "@group(0) @binding(5) var<storage, read> bias: array<f32>;" : ""}
fn mirrored(i: i32, n: i32) -> i32 {
  let j = abs(i);
  return select(j, 2 * n - 2 - j, j >= n);
}
fn put(channel: i32, place: i32, value: f32) {
  if (channel >= ${outputs}) { return; }
  ${isLast ? "let y = value + bias[channel];" : "let y = value;"}
  result[channel * size.z * size.w + place] = ${isLast && sigmoid ? "1.0 / (1.0 + exp(-y))" : "y"};
}
@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let x = i32(id.x);
  let y = i32(id.y);
  let group = i32(id.z) * ${each};
  if (y >= size.z || x >= size.w) { return; }
  ${list.map((i) => `var s${i} = vec4<f32>(0.0);`).join(" ")}
  for (var c = 0; c < ${inputs}; c++) {
    ${isNormed ? `let times = norm[c]; let plus = norm[${inputs} + c]; let low = norm[${2 * inputs} + c];` : ""}
    for (var ky = 0; ky < ${side}; ky++) {
      let row = (c * size.x + (mirrored(y * ${stride} + ky - ${side >> 1}, size.x * ${up}) / ${up})) * size.y;
      for (var kx = 0; kx < ${side}; kx++) {
        let found = source[row + mirrored(x * ${stride} + kx - ${side >> 1}, size.y * ${up}) / ${up}];
        let value = ${isNormed ? "max(found * times + plus, low)" : "found"};
        let place = ((c * ${side} + ky) * ${side} + kx) * ${fours} + group;
        ${list.map((i) => `s${i} += value * weights[place + ${i}];`).join(" ")}
      }
    }
  }
  let place = y * size.w + x;
  ${list.map((i) => [0, 1, 2, 3].map((j) => `put(4 * (group + ${i}) + ${j}, place, s${i}[${j}]);`).join(" ")).join("\n  ")}
}`,
  };
}

/** Scale, shift and floor of each channel by its own statistics; sums are short, so that they keep their digits. */
const statistics = (channels, epsilon, relu) => `
@group(0) @binding(0) var<uniform> size: vec4<i32>;
@group(0) @binding(1) var<storage, read> source: array<f32>;
@group(0) @binding(2) var<storage, read> given: array<f32>;
@group(0) @binding(3) var<storage, read_write> norm: array<f32>;
var<workgroup> parts: array<f32, ${THREADS}>;
fn total(start: i32, count: i32, middle: f32, power: i32, own: i32) -> f32 {
  var sum = 0.0;
  for (var i = own; i < count; i += ${THREADS * 64}) {
    var part = 0.0;
    for (var j = i; j < min(count, i + ${THREADS * 64}); j += ${THREADS}) {
      let x = source[start + j] - middle;
      part += select(x, x * x, power == 2);
    }
    sum += part;
  }
  parts[own] = sum;
  for (var half = ${THREADS / 2}; half > 0; half /= 2) {
    workgroupBarrier();
    if (own < half) { parts[own] += parts[own + half]; }
  }
  workgroupBarrier();
  let found = parts[0];
  workgroupBarrier();
  return found;
}
@compute @workgroup_size(${THREADS})
fn main(@builtin(workgroup_id) place: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let c = i32(place.x);
  let count = size.x * size.y;
  let first = source[c * count];
  let mean = first + total(c * count, count, first, 1, i32(thread)) / f32(count);
  let variance = total(c * count, count, mean, 2, i32(thread)) / f32(count);
  if (thread == 0u) {
    let scale = given[c] / sqrt(variance + ${epsilon});
    norm[c] = scale;
    norm[${channels} + c] = given[${channels} + c] - mean * scale - given[${2 * channels} + c];
    norm[${2 * channels} + c] = ${relu ? `-given[${2 * channels} + c]` : "-3e38"};
  }
}`;

const addition = (channels) => `
@group(0) @binding(0) var<uniform> size: vec4<i32>;
@group(0) @binding(1) var<storage, read> source: array<f32>;
@group(0) @binding(2) var<storage, read> norm: array<f32>;
@group(0) @binding(3) var<storage, read_write> result: array<f32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let count = size.x * size.y;
  let i = i32(id.x);
  let c = i32(id.y);
  if (i < count) { result[c * count + i] += source[c * count + i] * norm[c] + norm[${channels} + c]; }
}`;

export class Gpu {
  /** On the processor that there is; null for none. One that is imitated is slower than no such one. */
  static async found(bank, { imitated = false } = {}) {
    const adapter = await navigator.gpu?.requestAdapter({ powerPreference: "high-performance" }).catch(() => null);
    if (!adapter) return null;
    if (!imitated && (adapter.isFallbackAdapter || adapter.info?.isFallbackAdapter || /swiftshader|llvmpipe/i.test(`${adapter.info?.architecture} ${adapter.info?.description}`))) return null;
    const { maxStorageBufferBindingSize, maxBufferSize } = adapter.limits;
    const device = await adapter.requestDevice({ requiredLimits: { maxStorageBufferBindingSize, maxBufferSize } });
    return new Gpu(device, bank);
  }

  constructor(device, bank) {
    this._device = device;
    this._bank = bank;
    this._pipelines = new Map();
    this._weights = new Map();
    this.name = device.adapterInfo?.description || device.adapterInfo?.vendor || "WebGPU";
    this.most = Math.min(MOST, Math.floor(device.limits.maxStorageBufferBindingSize / bank.index.network.channels));
  }

  /** Features of planes (3, height, width); `release` them when nobody needs them. */
  async encode(planes, height, width) {
    const run = new Run(this), [part] = this._bank.index.encoder;
    let map = run.map(this._buffer(planes), 3, height, width);
    for (const layer of part.layers) map = run.normed(layer, run.layer(layer, map));
    await run.done([map.data, map.norm]);
    return { ...map, release: () => [map.data, map.norm].forEach((buffer) => buffer.destroy()) };
  }

  /** The planes that a filter {data, shape} makes of features. */
  async decode(features, filter) {
    const run = new Run(this), parts = this._bank.index.decoder;
    let map = run.convolved("filter", features, this._arranged(filter), { side: filter.shape[2], outputs: filter.shape[0] });
    for (const part of parts) {
      let next = map;
      for (const layer of part.layers) next = layer.norm ? run.normed(layer, run.layer(layer, next)) : run.layer(layer, next);
      map = part.residual ? run.added(map, next) : next;
    }
    return run.read(map, features);
  }

  _buffer(data, usage = GPUBufferUsage.STORAGE) {
    const buffer = this._device.createBuffer({ size: Math.max(16, data.byteLength), usage: usage | GPUBufferUsage.COPY_DST });
    this._device.queue.writeBuffer(buffer, 0, data);
    return buffer;
  }

  /** A kernel as the shader reads it: four output channels side by side. */
  _arranged({ data, shape: [outputs, inputs, side] }) {
    const fours = Math.ceil(outputs / 4) * 4, square = side * side, found = new Float32Array(inputs * square * fours);
    for (let o = 0; o < outputs; o++) {
      for (let i = 0; i < inputs * square; i++) found[i * fours + o] = data[o * inputs * square + i];
    }
    return this._buffer(found);
  }

  /** Something that is made once. */
  kept(name, make) {
    if (!this._weights.has(name)) this._weights.set(name, make());
    return this._weights.get(name);
  }

  pipeline(code) {
    if (!this._pipelines.has(code)) {
      this._pipelines.set(code, this._device.createComputePipeline({ layout: "auto", compute: { module: this._device.createShaderModule({ code }), entryPoint: "main" } }));
    }
    return this._pipelines.get(code);
  }
}

/** Layers one after another, handed over at once; what lies between them is given back at the end. */
class Run {
  constructor(gpu) {
    this._gpu = gpu;
    this._device = gpu._device;
    this._bank = gpu._bank;
    this._device.pushErrorScope("out-of-memory");
    this._device.pushErrorScope("validation");
    this._encoder = this._device.createCommandEncoder();
    this._used = [];
  }

  map(data, channels, height, width, norm = null) {
    this._used.push(data, ...(norm ? [norm] : []));
    return { data, channels, height, width, norm };
  }

  layer(layer, map) {
    const { shape } = this._gpu.kept(`${layer.name} shape`, () => ({ shape: this._bank.index.halves[layer.name][1] }));
    const weights = this._gpu.kept(layer.name, () => this._gpu._arranged(this._bank.layer(layer.name)));
    const bias = layer.norm ? null : this._gpu.kept(`${layer.name}.bias`, () => this._gpu._buffer(this._bank.bias(layer.name)));
    const how = { side: shape[2], outputs: shape[0], up: layer.form === "up" ? 2 : 1, stride: layer.stride };
    return this.convolved(layer.name, map, weights, { ...how, bias });
  }

  convolved(name, map, weights, { side, outputs, up = 1, stride = 1, bias = null }) {
    const { code, each } = convolution({ inputs: map.channels, outputs, side, stride, up, isNormed: Boolean(map.norm), isLast: Boolean(bias), sigmoid: this._bank.index.network.sigmoid });
    const [height, width] = [map.height, map.width].map((length) => (length * up) / stride);
    const result = this.map(this._empty(outputs * height * width), outputs, height, width);
    if (name === "filter") this._used.push(weights);
    this._dispatch(code, [map.height, map.width, height, width], { 1: map.data, 2: weights, 3: result.data, 4: map.norm, 5: bias }, [Math.ceil(width / 8), Math.ceil(height / 8), each]);
    return result;
  }

  /** The map, with its norm, which whoever reads it applies. */
  normed(layer, map) {
    const given = this._gpu.kept(layer.norm, () => this._gpu._buffer(Float32Array.from(this._bank.norm(layer.norm).flatMap((row) => [...row]))));
    const norm = this._empty(3 * map.channels);
    this._used.push(norm);
    this._dispatch(statistics(map.channels, this._bank.index.network.epsilon, layer.relu), [map.height, map.width, 0, 0], { 1: map.data, 2: given, 3: norm }, [map.channels, 1, 1]);
    return { ...map, norm };
  }

  /** A map plus what a block made of it; into the former. */
  added(map, { data, norm }) {
    this._dispatch(addition(map.channels), [map.height, map.width, 0, 0], { 1: data, 2: norm, 3: map.data }, [Math.ceil((map.height * map.width) / 64), map.channels, 1]);
    return map;
  }

  async read({ data, channels, height, width }) {
    const size = 4 * channels * height * width;
    const shown = this._device.createBuffer({ size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
    this._encoder.copyBufferToBuffer(data, 0, shown, 0, size);
    try {
      await this.done([]);
      await shown.mapAsync(GPUMapMode.READ);
      return new Float32Array(shown.getMappedRange().slice(0));
    } finally {
      shown.destroy();
    }
  }

  async done(kept) {
    this._device.queue.submit([this._encoder.finish()]);
    const problems = await Promise.all([this._device.popErrorScope(), this._device.popErrorScope()]);
    await this._device.queue.onSubmittedWorkDone();
    for (const buffer of this._used) if (!kept.includes(buffer)) buffer.destroy();
    const problem = problems.find(Boolean);
    if (problem) throw new Error(problem.message);
  }

  _empty(count) {
    return this._device.createBuffer({ size: 4 * count, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC });
  }

  _dispatch(code, sizes, buffers, groups) {
    const pipeline = this._gpu.pipeline(code), uniform = this._gpu._buffer(Int32Array.from(sizes), GPUBufferUsage.UNIFORM);
    this._used.push(uniform);
    const entries = Object.entries({ 0: uniform, ...buffers }).filter(([, buffer]) => buffer).map(([binding, buffer]) => ({ binding: Number(binding), resource: { buffer } }));
    const pass = this._encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, this._device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
    pass.dispatchWorkgroups(...groups);
    pass.end();
  }
}
