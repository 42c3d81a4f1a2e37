// The part in sight at full size: asked for at rest, where the picture is looked at more closely than a preview is sharp.

import { send } from "./api.js";
import { $, debounce, word } from "./dom.js";
import { wire } from "./masks.js";
import { complain } from "./notes.js";
import { withPhoto } from "./photo.js";
import { busy } from "./preview.js";
import { FIRST, listen, store } from "./state.js";
import * as viewer from "./viewer.js";

const MOST = 2048; // pixels of a side that the studio paints at once
const LEAST = 0.45; // zoom from which it is worth the time
const AROUND = 0.15; // of the part in sight, beyond each edge: a short move then needs nothing new
const client = `${word()}-part`;
let number = 0;
let asking = null;
let able = true;

export const look = debounce(350, () => ask().catch(complain));

export function start() {
  viewer.onView(look);
  listen((changed) => {
    if (changed.has("photo")) viewer.setParts("before", []);
    if (changed.has("photo") || changed.has("recipe")) {
      asking?.abort();
      show("");
      viewer.setParts("after", []);
    }
    if (["photo", "recipe", "dragging"].some((key) => changed.has(key))) look();
  });
}

async function ask() {
  asking?.abort();
  show("");
  const { photo, dragging, server } = store;
  if (!able || !photo || dragging) return;
  if (Math.max(photo.width, photo.height) <= server.limits.preview_side || viewer.scaleOf() * devicePixelRatio < LEAST) return;
  const mine = (asking = new AbortController());
  const sides = viewer.compare.on || viewer.compare.hold ? ["after", "before"] : ["after"];
  const told = setTimeout(() => show("Painting this part in full detail…"), 700);
  mine.signal.addEventListener("abort", () => clearTimeout(told));
  for (const side of sides) {
    const sight = viewer.inSight();
    if (!sight || viewer.partsOf(side).some(({ box }) => covers(box, sight))) continue;
    const parts = [];
    for (const box of windows(sight, photo)) {
      const bitmap = await paint(side, box, mine.signal);
      if (mine.signal.aborted) return;
      if (!bitmap) break;
      parts.push({ box, bitmap });
      viewer.setParts(side, [...viewer.partsOf(side).filter((one) => parts.includes(one)), parts.at(-1)]);
    }
  }
  clearTimeout(told);
  show("");
  document.documentElement.dataset.part = String(number);
}

function show(words) {
  $("tag-part").hidden = !words;
  $("tag-part").textContent = words;
}

const covers = ([left, top, width, height], [x, y, w, h]) => left <= x && top <= y && left + width >= x + w && top + height >= y + h;

/** Windows that together show what is in sight and, where one has room for it, some more around. */
export function windows([x, y, w, h], photo) {
  const across = spans(x, w, photo.width);
  return spans(y, h, photo.height).flatMap(([top, height]) => across.map(([left, width]) => [left, top, width, height]));
}

function spans(from, long, all) {
  const count = Math.ceil(long / MOST);
  const more = Math.min(long * AROUND, (count * MOST - long) / 2);
  const first = Math.max(0, Math.floor(from - more));
  const last = Math.min(all, Math.ceil(from + long + more));
  const each = Math.min(MOST, Math.ceil((last - first) / count));
  return Array.from({ length: count }, (_, i) => [first + i * each, Math.min(each, last - first - i * each)]);
}

async function paint(side, window, signal) {
  const rested = busy();
  try {
    const recipe = side === "before" ? { ...FIRST, regions: [] } : await wire(store.recipe);
    const json = { recipe, window, client, number: ++number };
    const answer = await withPhoto((id) => send("POST", `/api/photos/${id}/preview`, { json, signal }));
    return await createImageBitmap(await answer.blob());
  } catch (error) {
    if (error.status === 400) able = false; // an older studio, which knows no windows
    else complain(error);
    return null;
  } finally {
    rested();
  }
}
