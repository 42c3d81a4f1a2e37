// The part of a painting that is learnt: a frame moved and sized by its corners, or by keys.

import { $, clamp, follow } from "./dom.js";

const canvas = $("crop-view");
let slot = null;
let done = null;

/** Opens the frame over the slot's image; `told()` runs after each change. */
export function open(chosen, told) {
  slot = chosen;
  done = told;
  slot.crop ??= [0, 0, 1, 1];
  $("crop").hidden = false;
  draw();
  canvas.focus();
}

export function close() {
  $("crop").hidden = true;
  slot = null;
}

export function start() {
  $("crop-done").onclick = close;
  $("crop-all").onclick = () => change([0, 0, 1, 1]);
  canvas.addEventListener("pointerdown", grab);
  canvas.addEventListener("keydown", keys);
}

function change(crop) {
  const [left, top, right, bottom] = crop.map((value) => clamp(value, 0, 1));
  if (right - left < 0.1 || bottom - top < 0.1) return;
  slot.crop = [left, top, right, bottom];
  draw();
  done();
}

function moved([left, top, right, bottom], dx, dy) {
  const x = clamp(dx, -left, 1 - right);
  const y = clamp(dy, -top, 1 - bottom);
  return [left + x, top + y, right + x, bottom + y];
}

function grab(event) {
  const box = canvas.getBoundingClientRect();
  const place = (one) => [(one.clientX - box.left) / box.width, (one.clientY - box.top) / box.height];
  const [x, y] = place(event);
  const first = [...slot.crop];
  const near = (a, b) => Math.abs(a - b) < 0.06;
  const side = [near(x, first[0]) ? 0 : near(x, first[2]) ? 2 : -1, near(y, first[1]) ? 1 : near(y, first[3]) ? 3 : -1];
  const move = (one) => {
    const [u, v] = place(one);
    if (side[0] < 0 && side[1] < 0) return change(moved(first, u - x, v - y));
    const next = [...first];
    if (side[0] >= 0) next[side[0]] = u;
    if (side[1] >= 0) next[side[1]] = v;
    return change(next);
  };
  follow(event, { move });
}

function keys(event) {
  const ways = { ArrowLeft: [-0.02, 0], ArrowRight: [0.02, 0], ArrowUp: [0, -0.02], ArrowDown: [0, 0.02] };
  const by = { "+": -0.02, "=": -0.02, "-": 0.02 }[event.key];
  if (event.key in ways) change(moved(slot.crop, ...ways[event.key]));
  else if (by) change(slot.crop.map((value, at) => value + (at < 2 ? -by : by)));
  else return;
  event.preventDefault();
}

function draw() {
  const { bitmap, crop } = slot;
  const scale = Math.min(560 / bitmap.width, 300 / bitmap.height);
  canvas.width = bitmap.width * scale;
  canvas.height = bitmap.height * scale;
  const context = canvas.getContext("2d");
  const { width, height } = canvas;
  const box = [crop[0] * width, crop[1] * height, (crop[2] - crop[0]) * width, (crop[3] - crop[1]) * height];
  context.drawImage(bitmap, 0, 0, width, height);
  context.fillStyle = "rgba(0,0,0,.55)";
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, ...[crop[0] * bitmap.width, crop[1] * bitmap.height, (crop[2] - crop[0]) * bitmap.width, (crop[3] - crop[1]) * bitmap.height], ...box);
  context.strokeStyle = "#fff";
  context.lineWidth = 2;
  context.strokeRect(...box);
  context.fillStyle = "#fff";
  for (const x of [box[0], box[0] + box[2]]) for (const y of [box[1], box[1] + box[3]]) context.fillRect(x - 5, y - 5, 10, 10);
}
