// What computes, beside the page, which stays quick: one task after another; those that nobody waits for any more stop.

import * as ort from "./runtime/ort.wasm.min.mjs";
import { Bank, loaded } from "./bank.js";
import { Gpu } from "./gpu.js";
import { Network } from "./network.js";
import { Painting } from "./painting.js";
import { resampled, rint } from "./resampling.js";

const KEPT = 3; // sizes of the photo that are kept with what the encoder made of them
const THREADS = 8;

const waiting = [], stopped = new Set();
const channel = new MessageChannel();
let network, photo, paintings = new Map(), running = null, isBusy = false;

class Stopped extends Error {}

/** Let messages in, and see whether the task is still wanted. */
async function pause() {
  await new Promise((next) => {
    channel.port1.onmessage = next;
    channel.port2.postMessage(0);
  });
  if (stopped.has(running)) throw new Stopped();
}

const tasks = {
  /** Load everything: the library and the bank, {loaded, total} bytes told. */
  async start({ whole, gpu = true }, told) {
    const here = (name) => new URL(name, import.meta.url).href;
    const index = await fetch(here("bank.json"), { cache: "no-cache" }).then((answer) => answer.json());
    const come = [0, 0], total = index.bytes;
    const telling = (place) => (bytes) => {
      come[place] = bytes;
      told({ loaded: Math.min(come[0] + come[1], total), total });
    };
    const [library, data] = await Promise.all([
      loaded(here("runtime/ort-wasm-simd-threaded.wasm.bin"), telling(0)),
      loaded(here(`bank.bin?${index.digest.slice(0, 12)}`), telling(1)),
    ]);
    ort.env.wasm.wasmBinary = library.buffer;
    ort.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(THREADS, navigator.hardwareConcurrency || 1) : 1;
    ort.env.logLevel = "error";
    network = new Network(ort, new Bank(index, data), pause, whole);
    const processor = gpu ? await Gpu.found(network.bank, { imitated: gpu === "imitated" }).catch(() => null) : null;
    const isUsed = processor ? await network.useGpu(processor) : false;
    return { threads: ort.env.wasm.numThreads, engine: isUsed ? "WebGPU" : "WebAssembly" };
  },

  /** Another photo {width, height, data}, RGB. */
  async open({ image }) {
    photo = image;
    for (const painting of paintings.values()) painting.release();
    paintings = new Map();
  },

  /** The photo painted, its long side `long` pixels at most, as RGBA. */
  async paint({ look, long }, told) {
    const scale = Math.min(1, (long ?? Infinity) / Math.max(photo.width, photo.height));
    const size = [photo.height, photo.width].map((length) => Math.max(1, rint(length * scale)));
    const key = size.join();
    if (!paintings.has(key)) {
      if (paintings.size >= KEPT) {
        const [first, old] = paintings.entries().next().value;
        old.release();
        paintings.delete(first);
      }
      paintings.set(key, new Painting(network, resampled(photo, size)));
    }
    const start = performance.now();
    const picture = await paintings.get(key).paint(look, (pass, passes) => told({ pass, passes }));
    return { ...coloured(picture), milliseconds: performance.now() - start, engine: network.gpu ? "WebGPU" : "WebAssembly" };
  },
};

function coloured({ width, height, data }) {
  const found = new Uint8ClampedArray(4 * width * height);
  for (let i = 0, to = 0; to < found.length; i += 3, to += 4) {
    found[to] = data[i];
    found[to + 1] = data[i + 1];
    found[to + 2] = data[i + 2];
    found[to + 3] = 255;
  }
  return { width, height, data: found };
}

async function work() {
  if (isBusy) return;
  isBusy = true;
  while (waiting.length) {
    const { id, task, ...given } = waiting.shift();
    running = id;
    try {
      if (stopped.has(id)) throw new Stopped();
      const found = await tasks[task](given, (news) => self.postMessage({ id, news }));
      self.postMessage({ id, found }, found?.data ? [found.data.buffer] : []);
    } catch (error) {
      self.postMessage(error instanceof Stopped ? { id, stopped: true } : { id, error: String(error?.message ?? error) });
    }
    stopped.delete(id);
  }
  isBusy = false;
}

self.onmessage = ({ data }) => {
  if (data.task === "stop") stopped.add(data.id);
  else waiting.push(data);
  work();
};
