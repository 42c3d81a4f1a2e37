// Two to four styles at the ends, corners of a triangle or corners of a square; the knob between them mixes.

import { $, clamp, follow, h } from "./dom.js";
import { editTarget, format, keepAll, parse, target, titleOf } from "./recipe.js";
import { listen, settle, store } from "./state.js";

const CORNERS = {
  2: [[0, 0.5], [1, 0.5]],
  3: [[0.5, 0], [0, 1], [1, 1]],
  4: [[0, 0], [1, 0], [0, 1], [1, 1]],
};
const CELLS = [60, 40];
const knob = $("knob");
let drawn = "";
let at = [0.5, 0.5];
let mine = ""; // the style that the knob itself made

export function start() {
  const pad = $("pad");
  pad.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    event.preventDefault();
    knob.focus();
    const move = (moved) => {
      const box = $("pad-view").getBoundingClientRect();
      put((moved.clientX - box.left) / box.width, (moved.clientY - box.top) / box.height);
    };
    move(event);
    follow(event, { move, up: settle });
  });
  knob.addEventListener("keydown", (event) => {
    const step = event.shiftKey ? 0.2 : 0.05;
    const ways = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    const way = ways[event.key];
    if (!way) return;
    event.preventDefault();
    put(at[0] + way[0], at[1] + way[1]);
  });
  knob.addEventListener("keyup", settle);
  listen((changed) => ["recipe", "selected", "thumbs"].some((key) => changed.has(key)) && show());
}

/** Weights of n styles at a point of the pad; of a triangle the nearest point inside. */
export function weightsAt(n, x, y) {
  [x, y] = [clamp(x, 0, 1), clamp(y, 0, 1)];
  if (n === 2) return [1 - x, x];
  if (n === 4) return [(1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y];
  const right = clamp(x - 0.5 * (1 - y), 0, y);
  return [1 - y, y - right, right];
}

export function pointOf(weights) {
  const corners = CORNERS[weights.length];
  return [0, 1].map((axis) => weights.reduce((sum, weight, i) => sum + weight * corners[i][axis], 0));
}

function put(x, y) {
  const mix = parse(target().style);
  const weights = weightsAt(mix.forms.length, x, y);
  const forms = keepAll(mix.forms.map((part, i) => ({ name: part.name, weight: weights[i] })));
  at = pointOf(weights);
  mine = format({ ...mix, forms });
  editTarget({ style: mine }, { live: true });
}

function show() {
  const { style } = target();
  const { forms } = parse(style);
  const n = forms.length;
  $("pad").hidden = n < 2;
  if (n < 2) return;
  $("pad").dataset.corners = n;
  if (style !== mine) at = pointOf(forms.map((part) => part.weight));
  knob.style.setProperty("--x", `${at[0] * 100}%`);
  knob.style.setProperty("--y", `${at[1] * 100}%`);
  knob.setAttribute("aria-valuenow", Math.round(forms[0].weight * 100));
  knob.setAttribute("aria-valuetext", forms.map((part) => `${titleOf(part.name)} ${Math.round(part.weight * 100)} %`).join(", "));
  const names = forms.map((part) => part.name);
  const now = names.map((name) => name + (store.thumbs.has(name) ? "+" : "")).join();
  if (now !== drawn) {
    drawn = now;
    ground(names);
    $("corners").replaceChildren(...names.map((name, i) => h("span", { class: `corner corner-${n}-${i}` }, titleOf(name))));
  }
}

/** The pad's ground: at each point the thumbnails in the proportions that it stands for. */
function ground(names) {
  const canvas = $("pad-view");
  const [width, height] = CELLS;
  const images = names.map((name) => pixels(store.thumbs.get(name)?.bitmap, canvas));
  const mixed = new ImageData(canvas.width, canvas.height);
  for (let y = 0, to = 0; y < canvas.height; y++) {
    for (let x = 0; x < canvas.width; x++, to += 4) {
      const weights = weightsAt(names.length, Math.round((x / canvas.width) * width) / width, Math.round((y / canvas.height) * height) / height);
      for (let band = 0; band < 3; band++) mixed.data[to + band] = weights.reduce((sum, weight, i) => sum + weight * (images[i]?.[to + band] ?? 128), 0);
      mixed.data[to + 3] = 255;
    }
  }
  canvas.getContext("2d").putImageData(mixed, 0, 0);
}

function pixels(bitmap, { width, height }) {
  if (!bitmap) return null;
  const context = new OffscreenCanvas(width, height).getContext("2d");
  const scale = Math.max(width / bitmap.width, height / bitmap.height);
  const [w, h2] = [bitmap.width * scale, bitmap.height * scale];
  context.drawImage(bitmap, (width - w) / 2, (height - h2) / 2, w, h2);
  return context.getImageData(0, 0, width, height).data;
}
