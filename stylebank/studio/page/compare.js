// Before and after: a border that is dragged over the picture, and a button and key that show the photo while held.

import { look } from "./closeup.js";
import { $, clamp, follow } from "./dom.js";
import { listen, store } from "./state.js";
import { compare, invalidate, overlay, toPhoto } from "./viewer.js";

const handle = $("handle");

export function start() {
  $("compare").onclick = () => toggle();
  $("before").addEventListener("pointerdown", (event) => {
    showPhoto(true);
    follow(event, { move: () => {}, up: () => showPhoto(false) });
  });
  $("before").addEventListener("keydown", (event) => event.key === " " && showPhoto(true));
  $("before").addEventListener("keyup", () => showPhoto(false));
  $("before").addEventListener("blur", () => showPhoto(false));
  handle.addEventListener("pointerdown", (event) => follow(event, { move: (moved) => move(toPhoto(moved)[0]) }));
  handle.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: -0.02, ArrowRight: 0.02, PageDown: -0.1, PageUp: 0.1, Home: -1, End: 1 };
    if (!(event.key in steps)) return;
    event.preventDefault();
    move(compare.at + steps[event.key]);
  });
  overlay((_, box) => place(box));
  listen((changed) => changed.has("photo") && (compare.on = false) === false && mark());
}

export function toggle(on = !compare.on) {
  if (!store.photo) return;
  compare.on = on;
  mark();
}

export function showPhoto(on) {
  if (compare.hold === on) return;
  compare.hold = on;
  $("before").classList.toggle("held", on);
  mark();
}

function move(at) {
  compare.at = clamp(at, 0, 1);
  handle.setAttribute("aria-valuenow", Math.round(compare.at * 100));
  invalidate();
}

function mark() {
  $("compare").setAttribute("aria-pressed", compare.on);
  handle.hidden = !compare.on || compare.hold;
  $("tag-before").hidden = !compare.on && !compare.hold;
  $("tag-after").hidden = !compare.on || compare.hold;
  look();
  invalidate();
}

/** The handle and its two words lie over the canvas. */
function place([x, y, width, height]) {
  const stage = $("stage").getBoundingClientRect();
  const [left, right] = [Math.max(x, 0), Math.min(x + width, stage.width)];
  const [top, bottom] = [Math.max(y, 0), Math.min(y + height, stage.height)];
  if (!handle.hidden) {
    handle.style.height = `${Math.max(0, bottom - top)}px`;
    handle.style.transform = `translate(${x + width * compare.at}px, ${top}px)`;
  }
  $("tag-before").style.transform = `translate(${left + 10}px, ${top + 10}px)`;
  $("tag-after").style.transform = `translate(calc(${right - 10}px - 100%), ${top + 10}px)`;
}
