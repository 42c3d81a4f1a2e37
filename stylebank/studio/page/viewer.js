// The canvas: photo and painting at any zoom, moved by pointer, wheel, pinch and keys; others draw over it.

import { $, clamp, follow } from "./dom.js";
import { store } from "./state.js";

const canvas = $("view");
const context = canvas.getContext("2d");
const overlaid = matchMedia("(max-width: 1180px)");
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const overlays = new Set();
const watchers = new Set();
const pictures = { before: null, after: null, old: null, faded: 1 };
const parts = { before: [], after: [] }; // at full size: {box: [left, top, width, height] in pixels of the photo, bitmap}
const view = { scale: 1, x: 0, y: 0, fitted: true };
export const compare = { on: false, at: 0.5, hold: false };
let frame = 0;
let taps = new Map();
let pinched = false;
let tool = null; // (event) => true if a tool takes the pointer

/** `draw(context, toView)` after each picture; toView maps (x, y) in 0..1 of the photo to CSS pixels. */
export const overlay = (draw) => overlays.add(draw);
export const onView = (run) => watchers.add(run);
export const setTool = (take) => (tool = take);

export function start() {
  const sized = new ResizeObserver(() => (view.fitted ? fit() : invalidate()));
  for (const id of ["stage", "brush-box"]) sized.observe($(id));
  canvas.addEventListener("wheel", wheel, { passive: false });
  canvas.addEventListener("pointerdown", down);
  canvas.addEventListener("dblclick", (event) => store.tool === "move" && (view.fitted ? zoomTo(1, ...at(event)) : fit()));
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
}

export function setBefore(bitmap) {
  pictures.before?.close();
  pictures.before = bitmap;
  invalidate();
}

export function setAfter(bitmap, { fade = false } = {}) {
  pictures.old?.close();
  pictures.old = pictures.after;
  pictures.after = bitmap;
  pictures.faded = fade && pictures.old && !calm.matches ? 0 : 1;
  invalidate();
}

/** Puts parts at full size over photo or painting; those that were there and are not kept are closed. */
export function setParts(side, kept) {
  for (const { bitmap } of parts[side].filter((one) => !kept.includes(one))) bitmap.close();
  parts[side] = kept;
  invalidate();
}

export const partsOf = (side) => parts[side];

/** The part of the photo that is seen: [left, top, width, height] in its pixels. */
export function inSight() {
  const { width, height } = room();
  const { photo } = store;
  const edge = (value, most) => clamp(Math.round(value / view.scale), 0, most);
  const [left, right] = [edge(-view.x, photo.width), edge(width - view.x, photo.width)];
  const [top, bottom] = [edge(-view.y, photo.height), edge(height - view.y, photo.height)];
  return right > left && bottom > top ? [left, top, right - left, bottom - top] : null;
}

export function clear() {
  for (const key of ["before", "after", "old"]) {
    pictures[key]?.close();
    pictures[key] = null;
  }
  fit();
}

/** CSS pixels of the stage that the picture may fill. */
function room() {
  const { width, height } = $("stage").getBoundingClientRect();
  const edge = Math.min(width, height) > 420 ? 24 : 8;
  return { width, height, edge };
}

/** What the brush's sliders cover at the foot. */
const foot = () => (overlaid.matches ? $("brush-box").offsetHeight : 0);

/** At which the whole photo is seen. */
function wholeScale() {
  const { width, height, edge } = room();
  return Math.min((width - 2 * edge) / store.photo.width, (height - foot() - 2 * edge) / store.photo.height);
}

export function fit() {
  if (store.photo) {
    const { width, height } = room();
    const { photo } = store;
    view.scale = wholeScale();
    view.x = (width - photo.width * view.scale) / 2;
    view.y = (height - foot() - photo.height * view.scale) / 2;
    view.fitted = true;
  }
  told();
}

export function zoomTo(scale, x, y) {
  if (!store.photo) return;
  const { width, height } = room();
  [x, y] = [x ?? width / 2, y ?? height / 2];
  const least = wholeScale();
  if (scale <= Math.min(least, 1)) return fit();
  const now = Math.min(scale, Math.max(8, least));
  view.x = x - ((x - view.x) / view.scale) * now;
  view.y = y - ((y - view.y) / view.scale) * now;
  view.scale = now;
  view.fitted = false;
  hold();
  told();
}

export const zoomBy = (factor, x, y) => zoomTo(view.scale * factor, x, y);

export function pan(dx, dy) {
  view.x += dx;
  view.y += dy;
  view.fitted = false;
  hold();
  told();
}

/** A part of the picture always stays in sight. */
function hold() {
  const { width, height } = room();
  const [w, h] = [store.photo.width * view.scale, store.photo.height * view.scale];
  view.x = clamp(view.x, Math.min(60 - w, width - w), Math.max(width - 60, 0));
  view.y = clamp(view.y, Math.min(60 - h, height - h), Math.max(height - 60, 0));
}

function told() {
  $("zoom").textContent = store.photo ? `${Math.round(view.scale * devicePixelRatio * 100)} %` : "";
  for (const run of watchers) run(view);
  invalidate();
}

/** Device pixels of the picture's long side as shown. */
export const shownSide = () =>
  store.photo ? Math.ceil(Math.max(store.photo.width, store.photo.height) * view.scale * devicePixelRatio) : 0;

export const isFitted = () => view.fitted;
export const scaleOf = () => view.scale;

/** One pixel of the photo is one of the screen. */
export const fullSize = () => zoomTo(1 / devicePixelRatio);

/** Of a pointer's event: (x, y) in 0..1 of the photo. */
export function toPhoto(event) {
  const [x, y] = at(event);
  return [(x - view.x) / (store.photo.width * view.scale), (y - view.y) / (store.photo.height * view.scale)];
}

export const toView = (x, y) => [
  view.x + x * store.photo.width * view.scale,
  view.y + y * store.photo.height * view.scale,
];

function at(event) {
  const box = canvas.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
}

function wheel(event) {
  if (!store.photo) return;
  event.preventDefault();
  const step = event.deltaMode === 1 ? event.deltaY * 18 : event.deltaY;
  if (event.shiftKey) pan(-step, 0);
  else zoomBy(Math.exp(-clamp(step, -120, 120) * (event.ctrlKey ? 0.01 : 0.0022)), ...at(event));
}

function down(event) {
  if (!store.photo) return;
  taps.set(event.pointerId, at(event));
  pinched = taps.size > 1;
  const paints = taps.size === 1 && event.button !== 1 && !event.altKey && tool?.(event);
  follow(event, {
    move: (moved) => (paints && !pinched ? taps.set(moved.pointerId, at(moved)) : moveTo(moved)),
    up: () => taps.delete(event.pointerId),
  });
}

/** One pointer moves the picture, two zoom it. */
function moveTo(event) {
  const old = taps.get(event.pointerId);
  const now = at(event);
  const other = [...taps.entries()].find(([id]) => id !== event.pointerId)?.[1];
  if (other) {
    const ratio = Math.hypot(now[0] - other[0], now[1] - other[1]) / Math.max(1, Math.hypot(old[0] - other[0], old[1] - other[1]));
    zoomBy(ratio, (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
    pan((now[0] - old[0]) / 2, (now[1] - old[1]) / 2);
  } else pan(now[0] - old[0], now[1] - old[1]);
  taps.set(event.pointerId, now);
}

/** Whether a second finger came down since the first did. */
export const isPinched = () => pinched;

export function invalidate() {
  frame ||= requestAnimationFrame(draw);
}

function draw() {
  frame = 0;
  const { width, height } = room();
  const ratio = devicePixelRatio;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  if (!store.photo) return;
  const box = [view.x, view.y, store.photo.width * view.scale, store.photo.height * view.scale];
  context.imageSmoothingQuality = "high";
  drawPictures(box);
  for (const run of overlays) run(context, box);
  if (pictures.faded < 1) {
    pictures.faded = Math.min(1, pictures.faded + 0.12);
    invalidate();
  }
}

function drawPictures(box) {
  const { before, after, old, faded } = pictures;
  const border = compare.hold ? 1 : compare.on ? compare.at : 0;
  const ground = before ?? after;
  if (ground && (border > 0 || !after)) {
    context.drawImage(ground, ...box);
    drawParts("before");
  }
  if (!after || border >= 1) return;
  context.save();
  context.beginPath();
  context.rect(box[0] + box[2] * border, box[1], box[2] * (1 - border), box[3]);
  context.clip();
  if (faded < 1 && old) context.drawImage(old, ...box);
  context.globalAlpha = faded;
  context.drawImage(after, ...box);
  drawParts("after");
  context.restore();
}

function drawParts(side) {
  const { scale, x, y } = view;
  if (scale * devicePixelRatio < 0.3) return;
  for (const { box: [left, top, width, height], bitmap } of parts[side]) context.drawImage(bitmap, x + left * scale, y + top * scale, width * scale, height * scale);
}
