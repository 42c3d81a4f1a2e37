// Brush and eraser: strokes drawn on a canvas of the page at the screen's own pace, sent when they end.

import { $, clamp, follow } from "./dom.js";
import * as masks from "./masks.js";
import { complain } from "./notes.js";
import { percent, slider, doubling } from "./sliders.js";
import { edit, listen, set, store } from "./state.js";
import { colorOf } from "./regions.js";
import * as viewer from "./viewer.js";

let canvas = null; // of the stroke that was begun last
let before = Promise.resolve(); // until the strokes before it are in their masks
let color = "";
let glow = 0; // how visible the area is that was drawn last
let stamp = null;
const cursor = $("cursor");

const size = slider({
  label: "Size", words: percent, scale: doubling(0.01, 0.5),
  onlive: (value) => set({ brush: { ...store.brush, size: value } }),
});
const soft = slider({
  label: "Softness", words: percent,
  onlive: (value) => set({ brush: { ...store.brush, softness: value } }),
});

export function start() {
  $("brush-sliders").append(size.row, soft.row);
  for (const tool of ["move", "brush", "eraser"]) $(`tool-${tool}`).onclick = () => choose(tool);
  viewer.setTool(take);
  viewer.overlay(draw);
  $("view").addEventListener("pointermove", hover);
  $("view").addEventListener("pointerleave", () => (cursor.hidden = true));
  viewer.onView(() => (cursor.hidden = true));
  listen((changed) => {
    if (changed.has("selected") && store.selected === null && store.tool !== "move") set({ tool: "move" });
    if (["selected", "tool", "brush", "recipe", "found"].some((key) => changed.has(key))) show();
  });
  show();
}

export function choose(tool) {
  if (store.selected !== null) set({ tool });
}

export function resize(factor) {
  set({ brush: { ...store.brush, size: clamp(store.brush.size * factor, 0.01, 0.5) } });
}

export function soften(step) {
  set({ brush: { ...store.brush, softness: clamp(store.brush.softness + step, 0, 1) } });
}

function show() {
  size.show(store.brush.size);
  soft.show(store.brush.softness);
  $("brush-box").hidden = store.selected === null || store.found.length > 0;
  $("brush-box").dataset.tool = store.tool;
  for (const tool of ["move", "brush", "eraser"]) $(`tool-${tool}`).setAttribute("aria-pressed", store.tool === tool);
  $("view").classList.toggle("is-drawing", store.tool !== "move");
  stamp = null;
  viewer.invalidate();
}

const current = () => store.recipe.regions.find((region) => region.key === store.selected);

/** Takes the pointer for a stroke; the right button erases. */
function take(event) {
  const region = current();
  if (store.tool === "move" || !region) return false;
  const erase = store.tool === "eraser" || event.button === 2 || event.buttons === 32;
  const { photo } = store;
  const points = [viewer.toPhoto(event)];
  let own = null; // the canvas of this stroke
  let far = false;
  const stroke = before.then(async () => {
    const { mask } = store.recipe.regions.find((one) => one.key === region.key) ?? region;
    const old = await masks.canvasOf(mask, photo);
    own = canvas = masks.blank(photo);
    color = colorOf(region.key);
    own.getContext("2d").drawImage(old, 0, 0);
    flush(own, points, erase);
  });
  follow(event, {
    move: (moved) => {
      if (viewer.isPinched()) return;
      far ||= Math.hypot(moved.clientX - event.clientX, moved.clientY - event.clientY) > DAB;
      for (const one of moved.getCoalescedEvents?.() ?? [moved]) points.push(viewer.toPhoto(one));
      hover(moved);
      if (own) flush(own, points, erase);
    },
    up: () => {
      const isZoom = viewer.isPinched() && !far;
      before = stroke.then(() => (isZoom ? fade(own) : finish(region.key, own, photo))).catch(complain);
    },
  });
  return true;
}
const DAB = 12; // pixels of the screen that a finger moves before a second one comes to zoom

/** Draws stamps along the points that came; the last stays as the next one's beginning. */
function flush(canvas, points, erase) {
  const context = canvas.getContext("2d");
  const diameter = Math.max(2, store.brush.size * Math.max(canvas.width, canvas.height));
  stamp ??= makeStamp(diameter, store.brush.softness);
  context.globalCompositeOperation = erase ? "destination-out" : "source-over";
  const step = Math.max(1, diameter * 0.1);
  let [x, y] = points[0];
  const put = (u, v) => context.drawImage(stamp, u * canvas.width - stamp.width / 2, v * canvas.height - stamp.height / 2);
  put(x, y);
  for (const [nextX, nextY] of points.slice(1)) {
    const way = Math.hypot((nextX - x) * canvas.width, (nextY - y) * canvas.height);
    const count = Math.ceil(way / step);
    for (let i = 1; i <= count; i++) put(x + ((nextX - x) * i) / count, y + ((nextY - y) * i) / count);
    [x, y] = [nextX, nextY];
  }
  points.splice(0, points.length, [x, y]);
  glow = 1;
  viewer.invalidate();
}

function makeStamp(diameter, softness) {
  const side = Math.ceil(diameter) + 2;
  const made = new OffscreenCanvas(side, side);
  const context = made.getContext("2d");
  const radius = diameter / 2;
  const gradient = context.createRadialGradient(side / 2, side / 2, radius * (1 - softness) * 0.98, side / 2, side / 2, radius);
  gradient.addColorStop(0, "rgba(255,255,255,1)");
  if (softness > 0.05) gradient.addColorStop(0.5, `rgba(255,255,255,${0.5 - 0.3 * softness})`);
  gradient.addColorStop(1, "rgba(255,255,255,0)");
  context.fillStyle = gradient;
  context.fillRect(0, 0, side, side);
  return made;
}

async function finish(key, drawn, photo) {
  const mask = await masks.add(drawn);
  if (store.photo !== photo) return fade(drawn);
  masks.digestOf(mask).catch(complain);
  edit((recipe) => ({ regions: recipe.regions.map((one) => (one.key === key ? { ...one, mask } : one)) }));
  setTimeout(fade, 350, drawn);
  return null;
}

/** Of a stroke's canvas, unless another was begun since. */
function fade(drawn) {
  if (canvas !== drawn) return;
  glow = Math.max(0, glow - 0.08);
  if (glow) requestAnimationFrame(() => fade(drawn));
  else canvas = null;
  viewer.invalidate();
}

/** The area in its colour while it is drawn; it fades to show the painting. */
function draw(context, box) {
  if (!canvas || !glow) return;
  tint(context, box, canvas, color, 0.5 * glow);
}

const scratch = new OffscreenCanvas(1, 1);

/** A mask over the picture in a colour. */
export function tint(context, [x, y, width, height], mask, fill, alpha) {
  const scale = Math.min(1, 900 / Math.max(mask.width, mask.height));
  scratch.width = Math.max(1, mask.width * scale);
  scratch.height = Math.max(1, mask.height * scale);
  const own = scratch.getContext("2d");
  own.drawImage(mask, 0, 0, scratch.width, scratch.height);
  own.globalCompositeOperation = "source-in";
  own.fillStyle = fill;
  own.fillRect(0, 0, scratch.width, scratch.height);
  context.save();
  context.globalAlpha = alpha;
  context.drawImage(scratch, x, y, width, height);
  context.restore();
}

/** A circle of the brush's size under the pointer. */
function hover(event) {
  const on = store.tool !== "move" && store.photo && event.pointerType !== "touch";
  cursor.hidden = !on;
  if (!on) return;
  const across = store.brush.size * Math.max(store.photo.width, store.photo.height) * viewer.scaleOf();
  const box = $("stage").getBoundingClientRect();
  cursor.style.width = cursor.style.height = `${across}px`;
  cursor.style.transform = `translate(${event.clientX - box.left - across / 2}px, ${event.clientY - box.top - across / 2}px)`;
}
