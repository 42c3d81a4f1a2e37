// Sliders with a name and a value in words, and the panel of the style: strength, strokes, colours, marks.

import { $, h } from "./dom.js";
import { artistOf, editTarget, format, parse, PHOTO, reweigh, removeFromMix, target, titleOf } from "./recipe.js";
import { edit, FIRST, listen, settle, store } from "./state.js";

/** A slider; `scale` maps its 0..1 to the value and back. Double-click sets `usual`. */
export function slider({ label, ends, scale = LINEAR, words, usual, onlive, onend }) {
  const id = `slider-${label.toLowerCase().replaceAll(/\W+/g, "-")}-${Math.random().toString(36).slice(2, 6)}`;
  const output = h("output", { for: id });
  const input = h("input", { type: "range", id, min: 0, max: 1, step: scale.step ?? 0.01 });
  const row = h("div", { class: "slider" }, h("label", { for: id }, label), output, input, ends ? h("div", { class: "ends", "aria-hidden": "true" }, h("span", {}, ends[0]), h("span", {}, ends[1])) : null);
  const show = (value) => {
    if (document.activeElement !== input || Math.abs(scale.to(Number(input.value)) - value) > 1e-3) input.value = scale.from(value);
    output.textContent = words(value);
    input.setAttribute("aria-valuetext", words(value));
    input.style.setProperty("--fill", `${scale.from(value) * 100}%`);
  };
  input.addEventListener("input", () => {
    const value = scale.to(Number(input.value));
    show(value);
    onlive(value);
  });
  input.addEventListener("change", () => onend?.());
  row.addEventListener("dblclick", (event) => {
    if (usual === undefined || !event.target.matches("input, output, label")) return;
    onlive(usual);
    onend?.();
    show(usual);
  });
  return { row, show, input };
}

export const LINEAR = { to: (at) => at, from: (value) => value };

/** Equal ways double. */
export const doubling = (low, high) => ({
  to: (at) => Number((low * 2 ** (at * Math.log2(high / low))).toPrecision(3)),
  from: (value) => Math.log2(value / low) / Math.log2(high / low),
  step: 0.005,
});

export const percent = (value) => `${Math.round(value * 100)} %`;

const live = { live: true };
const strength = slider({
  label: "Strength", words: percent, usual: 1, onend: settle,
  onlive: (value) => editTarget({ strength: Math.round(value * 100) / 100 }, live),
});
const stroke = slider({
  label: "Strokes", ends: ["fine", "bold"], scale: doubling(0.5, 8), usual: 1, onend: settle,
  words: (value) => `× ${Number(value.toPrecision(2))}`,
  onlive: (value) => editTarget({ stroke: value }, live),
});

export function start() {
  $("sliders").append(strength.row, stroke.row);
  $("keep-color").onchange = (event) => edit(() => ({ keep_color: event.target.checked }));
  $("marks").onchange = (event) => {
    const mix = parse(target().style);
    editTarget({ style: format({ ...mix, marks: event.target.value }) });
  };
  $("reset").onclick = () => {
    editTarget({ strength: FIRST.strength, stroke: FIRST.stroke, ...(store.selected === null ? { keep_color: false } : {}) });
  };
  listen((changed) => {
    if (["recipe", "selected", "thumbs", "styles", "photo"].some((key) => changed.has(key))) show(changed);
  });
}

function show(changed) {
  const mine = target();
  const region = mine === store.recipe ? null : mine;
  $("target").textContent = region ? region.name : store.recipe.regions.length ? "Everything else" : "Whole picture";
  $("tab-look").textContent = region ? `Style of ${region.name}` : "Style";
  strength.show(mine.strength);
  stroke.show(mine.stroke);
  $("keep-color").checked = store.recipe.keep_color;
  const mix = parse(mine.style);
  const plain = mix.forms[0].name === PHOTO;
  $("sliders").classList.toggle("is-idle", plain);
  for (const one of [strength, stroke]) one.input.disabled = plain;
  $("marks-field").hidden = plain || store.server?.bank?.marks === false;
  if (changed.has("styles")) fillMarks();
  $("marks").value = mix.marks;
  $("mix-hint").hidden = plain || mix.forms.length > 1 || store.recipe.regions.length > 0;
  showChips(mix.forms);
}

function fillMarks() {
  const options = store.styles.map((style) => h("option", { value: style.name }, titleOf(style.name)));
  $("marks").replaceChildren(h("option", { value: "" }, "the same style"), ...options);
}

const chips = new Map();

/** One row for each style of the mix; rows stay while their sliders move. */
function showChips(forms) {
  const names = forms.map((part) => part.name);
  for (const name of [...chips.keys()]) if (!names.includes(name)) chips.delete(name);
  for (const name of names) if (!chips.has(name)) chips.set(name, chip(name));
  const rows = names.map((name) => chips.get(name).row);
  if (rows.some((row, at) => $("chips").children[at] !== row) || rows.length !== $("chips").children.length) $("chips").replaceChildren(...rows);
  for (const { name, weight } of forms) {
    const { row, weigh, image } = chips.get(name);
    row.classList.toggle("alone", forms.length === 1);
    weigh.show(weight);
    const url = store.thumbs.get(name)?.url ?? "";
    if (image.dataset.url !== url) {
      image.dataset.url = url;
      image.replaceChildren(...(url ? [h("img", { src: url, alt: "" })] : []));
    }
  }
}

function chip(name) {
  const title = titleOf(name);
  const weigh = slider({ label: title, words: percent, onend: settle, onlive: (value) => reweigh(name, value, live) });
  const image = h("span", { class: "thumb small" });
  const remove = h("button", { class: "tool small", "data-icon": "", "aria-label": `Take ${title} out`, title: "Take out", onclick: () => removeFromMix(name) }, "×");
  const artist = h("span", { class: "artist" }, artistOf(name));
  return { row: h("li", { class: "chip" }, image, weigh.row, artist, name === PHOTO ? null : remove), weigh, image };
}
