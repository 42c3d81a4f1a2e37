// Things found in the photo: shown in colours, taken by a click in the picture or in the list.

import { postJson } from "./api.js";
import { $, h } from "./dom.js";
import { tint } from "./brush.js";
import * as masks from "./masks.js";
import { complain, say } from "./notes.js";
import { withPhoto } from "./photo.js";
import { take } from "./regions.js";
import { listen, set, store } from "./state.js";
import * as viewer from "./viewer.js";

const COLORS = ["#ff5d8f", "#38b6ff", "#ffb300", "#37d67a", "#b388ff", "#ff7043"];
let canvases = [];
let covers = []; // (x, y) => how much, of each
let under = -1;

export function start() {
  $("find").onclick = find;
  viewer.overlay((context, box) => {
    canvases.forEach((canvas, at) => store.found[at] && tint(context, box, canvas, store.found[at].color, at === under ? 0.75 : 0.42));
  });
  $("view").addEventListener("pointermove", hover);
  $("view").addEventListener("click", click);
  listen((changed) => changed.has("found") && show());
}

async function find() {
  if (!store.photo) return;
  if (store.found.length) return set({ found: [] });
  $("find").disabled = true;
  $("busy").classList.add("on");
  const { photo } = store;
  try {
    const told = await withPhoto((id) => postJson(`/api/photos/${id}/segments`, { count: 5, seed: 0 }));
    canvases = await Promise.all(told.masks.map((one) => masks.canvasOf(one.mask, photo)));
    covers = canvases.map(masks.coverOf);
    if (store.photo === photo) set({ found: told.masks.map((one, at) => ({ ...one, color: COLORS[at % COLORS.length] })), tool: "move" });
    if (!told.masks.length) say("Nothing stands out in this photo; paint an area with the brush.");
  } catch (error) {
    complain(error);
  } finally {
    $("find").disabled = false;
    $("busy").classList.remove("on");
  }
  return null;
}

function at(event) {
  const [x, y] = viewer.toPhoto(event);
  if (x < 0 || y < 0 || x > 1 || y > 1) return -1;
  const here = covers.map((cover) => cover(x, y));
  const most = Math.max(...here);
  return most > 0.3 ? here.indexOf(most) : -1;
}

function hover(event) {
  if (!store.found.length || event.buttons) return;
  const now = at(event);
  $("view").classList.toggle("is-picking", now >= 0);
  if (now === under) return;
  under = now;
  viewer.invalidate();
}

function click(event) {
  if (!store.found.length) return;
  const now = at(event);
  if (now >= 0) pick(now);
}

function pick(index) {
  const [one] = store.found.slice(index, index + 1);
  canvases = canvases.filter((_, at) => at !== index);
  covers = covers.filter((_, at) => at !== index);
  under = -1;
  set({ found: store.found.filter((_, at) => at !== index) });
  take([{ mask: one.mask }]);
}

export const cancel = () => store.found.length > 0 && (set({ found: [] }), true);

/** A line over the picture with one button for each, for those who do not point. */
function show() {
  const { found } = store;
  if (!found.length) canvases = covers = [];
  $("pick-hint").hidden = !found.length;
  $("view").classList.toggle("is-picking", false);
  $("find").setAttribute("aria-pressed", found.length > 0);
  const buttons = found.map((one, index) => {
    const button = h("button", { class: "swatch", onclick: () => pick(index), "aria-label": `Take part ${index + 1}, ${Math.round((one.share ?? 0) * 100)} % of the picture` }, String(index + 1));
    const mark = (on) => () => {
      under = on ? index : -1;
      viewer.invalidate();
    };
    button.style.setProperty("--area", one.color);
    for (const [kind, on] of [["pointerenter", true], ["focus", true], ["pointerleave", false], ["blur", false]]) button.addEventListener(kind, mark(on));
    return button;
  });
  $("pick-hint").replaceChildren("Click a part to give it a style.", ...buttons, h("button", { class: "text", onclick: () => set({ found: [] }) }, "Done"));
  viewer.invalidate();
}
