// The areas: a list with the uppermost first, each with its own picture; order by dragging or keys, seen or not, renamed.

import { postBytes, blobOf } from "./api.js";
import { $, download, h, icon, pickFiles } from "./dom.js";
import * as masks from "./masks.js";
import { complain, say, tell } from "./notes.js";
import { withPhoto } from "./photo.js";
import { parse, PHOTO, titleOf } from "./recipe.js";
import { slider } from "./sliders.js";
import { sortable } from "./sorting.js";
import { edit, listen, set, settle, store } from "./state.js";

const COLORS = ["#ff5d8f", "#38b6ff", "#ffb300", "#37d67a", "#b388ff", "#ff7043", "#26c6da", "#d4e157"];
const SOME = ["wave", "scream", "water_lilies_1919", "kiss", "udnie", "night"];
let count = 0;
let was = null; // the area that was selected before
const edges = slider({
  label: "Soft borders", words: (value) => (value ? value.toFixed(0) : "none"), onend: settle,
  scale: { to: (at) => Math.round(at * 60), from: (value) => value / 60, step: 1 / 60 },
  onlive: (feather) => edit(() => ({ feather }), { live: true }),
});

export const colorOf = (key) => COLORS[Number(key.slice(1)) % COLORS.length];
export const newKey = () => `r${++count}`;

export function start() {
  $("edge-sliders").append(edges.row);
  $("add-area").onclick = () => paintNew();
  $("mask-in").onclick = fromFile;
  listen((changed) => {
    if (changed.has("recipe")) for (const region of store.recipe.regions) count = Math.max(count, Number(region.key?.slice(1)) || 0);
    if (["recipe", "selected", "thumbs", "photo"].some((key) => changed.has(key))) show();
  });
  show();
}

/** A style that no area has yet, well apart from the others. */
function freshStyle() {
  const taken = [store.recipe, ...store.recipe.regions].flatMap((one) => parse(one.style).forms.map((part) => part.name));
  const names = store.styles.map((style) => style.name).filter((name) => !taken.includes(name));
  return SOME.map((words) => names.find((name) => name.includes(words))).find(Boolean) ?? names[0] ?? PHOTO;
}

/** Adds areas on top, each {mask, name?}, as one step; the last is selected. */
export function take(found) {
  const regions = [...store.recipe.regions];
  for (const { mask, name, style } of found) {
    const key = newKey();
    regions.push({ key, name: name || `Area ${regions.length + 1}`, mask, style: style ?? freshStyle(), strength: 1, stroke: 1, visible: true });
    edit(() => ({ regions: [...regions] }), { live: true });
  }
  edit(() => ({ regions }), { selected: regions.at(-1).key });
}

async function paintNew() {
  if (!store.photo) return;
  take([{ mask: await masks.addEmpty(store.photo) }]);
  set({ tool: "brush" });
  say("Paint over the part that gets a style of its own.");
}

async function fromFile() {
  const [file] = await pickFiles("file-mask");
  if (!file || !store.photo) return;
  try {
    const told = await withPhoto((id) => postBytes(`/api/photos/${id}/masks/import?name=${encodeURIComponent(file.name)}`, file));
    take(told.masks);
  } catch (error) {
    complain(error);
  }
}

export function remove(key) {
  const regions = store.recipe.regions.filter((region) => region.key !== key);
  edit(() => ({ regions }), { selected: store.selected === key ? null : store.selected });
}

const change = (key, patch) => edit((recipe) => ({ regions: recipe.regions.map((one) => (one.key === key ? { ...one, ...patch } : one)) }));

/** Moves an area by so many places upwards. */
export function lift(key, places) {
  const regions = [...store.recipe.regions];
  const from = regions.findIndex((region) => region.key === key);
  const to = Math.min(regions.length - 1, Math.max(0, from + places));
  if (from < 0 || from === to) return;
  regions.splice(to, 0, ...regions.splice(from, 1));
  edit(() => ({ regions }));
  $("area-list").querySelector(`[data-key="${key}"] .pick`)?.focus();
  tell(`${regions[to].name}, place ${regions.length - to} of ${regions.length}`);
}

function show() {
  const { recipe, selected } = store;
  const some = recipe.regions.length > 0;
  $("areas-hint").hidden = some;
  $("area-list").hidden = !some;
  $("edge-sliders").hidden = !some;
  edges.show(recipe.feather);
  if (store.dragging || $("area-list").matches(".sorting") || $("area-list").contains(document.activeElement) && document.activeElement.matches("input")) return;
  const at = document.activeElement?.closest?.("#area-list li")?.dataset.key;
  const rows = [...recipe.regions].reverse().map((region) => row(region, selected === region.key));
  if (some) rows.push(restRow(selected === null));
  $("area-list").replaceChildren(...rows);
  if (selected !== was) $("area-list").querySelector(".on")?.scrollIntoView({ block: "nearest" });
  was = selected;
  if (at) $("area-list").querySelector(`[data-key="${at}"] .pick`)?.focus();
}

function row(region, on) {
  const { key, name, visible } = region;
  const canvas = h("canvas", { width: 96, height: 72, class: "thumb", "aria-hidden": "true" });
  drawThumb(canvas, region);
  const pick = h("button", { class: "pick", "aria-pressed": on, onclick: () => set({ selected: key }), ondblclick: () => rename(key), onkeydown: (event) => keys(event, key) },
    canvas, h("span", { class: "words" }, h("span", { class: "title" }, name), h("span", { class: "artist" }, wordsOf(region.style))));
  const seen = h("button", { class: "tool small", "aria-label": `Show ${name}`, "aria-pressed": visible, title: visible ? "Hide" : "Show", onclick: () => change(key, { visible: !visible }) }, icon(visible ? "eye" : "eye-off"));
  const more = h("button", { class: "tool small", "aria-label": `Save the mask of ${name}`, title: "Save the mask", onclick: () => save(region) }, icon("save"));
  const bin = h("button", { class: "tool small", "aria-label": `Delete ${name}`, title: "Delete", onclick: () => remove(key) }, icon("trash"));
  const item = h("li", { class: `area${on ? " on" : ""}${visible ? "" : " unseen"}`, "data-key": key }, h("span", { class: "grip", title: "Drag to order" }), pick, h("span", { class: "area-tools" }, seen, more, bin));
  item.style.setProperty("--area", colorOf(key));
  sortable($("area-list"), item, (places) => (places ? lift(key, -places) : show()));
  return item;
}

function restRow(on) {
  const canvas = h("canvas", { width: 96, height: 72, class: "thumb", "aria-hidden": "true" });
  drawThumb(canvas, { ...store.recipe, mask: null });
  const pick = h("button", { class: "pick", "aria-pressed": on, onclick: () => set({ selected: null }) }, canvas,
    h("span", { class: "words" }, h("span", { class: "title" }, "Everything else"), h("span", { class: "artist" }, wordsOf(store.recipe.style))));
  return h("li", { class: `area rest${on ? " on" : ""}`, "data-key": "" }, h("span", { class: "grip" }), pick);
}

const wordsOf = (style) => parse(style).forms.map((part) => titleOf(part.name)).join(" + ");

/** The photo, faint, and over it the area in its style. */
async function drawThumb(canvas, region) {
  const styled = store.thumbs.get(parse(region.style).forms[0].name)?.bitmap;
  const photo = store.thumbs.get(PHOTO)?.bitmap;
  const context = canvas.getContext("2d");
  const cover = (bitmap, to) => {
    const scale = Math.max(canvas.width / bitmap.width, canvas.height / bitmap.height);
    const [w, h2] = [bitmap.width * scale, bitmap.height * scale];
    to.drawImage(bitmap, (canvas.width - w) / 2, (canvas.height - h2) / 2, w, h2);
  };
  if (!region.mask) return styled && cover(styled, context);
  const mask = await masks.canvasOf(region.mask, store.photo).catch(() => null);
  if (!mask) return null;
  const layer = new OffscreenCanvas(canvas.width, canvas.height);
  const own = layer.getContext("2d");
  cover(mask, own);
  own.globalCompositeOperation = "source-in";
  if (styled ?? photo) cover(styled ?? photo, own);
  if (photo) {
    context.filter = "grayscale(1)";
    context.globalAlpha = 0.35;
    cover(photo, context);
    context.filter = "none";
    context.globalAlpha = 1;
  }
  context.drawImage(layer, 0, 0);
  return null;
}

export function rename(key) {
  const item = $("area-list").querySelector(`[data-key="${key}"]`);
  const title = item?.querySelector(".title");
  if (!title) return;
  const input = h("input", { class: "rename", "aria-label": "Name of the area", maxlength: 40 });
  input.value = title.textContent;
  item.querySelector(".pick").replaceWith(input);
  input.focus();
  input.select();
  const done = (keepIt) => {
    input.onblur = null;
    const name = input.value.trim();
    input.remove();
    if (keepIt && name) change(key, { name });
    else show();
    $("area-list").querySelector(`[data-key="${key}"] .pick`)?.focus();
  };
  input.onblur = () => done(true);
  input.onkeydown = (event) => {
    event.stopPropagation();
    if (event.key === "Enter") done(true);
    if (event.key === "Escape") {
      event.preventDefault();
      done(false);
    }
  };
}

function keys(event, key) {
  const rows = [...$("area-list").querySelectorAll(".pick")];
  const here = rows.indexOf(event.currentTarget);
  const does = {
    F2: () => rename(key),
    Delete: () => remove(key),
    Backspace: () => remove(key),
    ArrowUp: () => (event.altKey ? lift(key, 1) : rows[here - 1]?.focus()),
    ArrowDown: () => (event.altKey ? lift(key, -1) : rows[here + 1]?.focus()),
  }[event.key];
  if (!does) return;
  event.preventDefault();
  event.stopPropagation();
  does();
}

async function save(region) {
  try {
    const digest = await masks.digestOf(region.mask);
    const blob = masks.blobOfMask(region.mask) ?? (await withPhoto((id) => blobOf(`/api/photos/${id}/masks/${digest}`)));
    download(blob, `${region.name.replaceAll(/[^\p{L}\p{N}]+/gu, "_")}.png`);
  } catch (error) {
    complain(error);
  }
}
