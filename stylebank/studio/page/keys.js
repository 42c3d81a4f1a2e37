// One table of shortcuts: what the keys do, and what the dialog under ? says of them.

import * as brush from "./brush.js";
import * as compare from "./compare.js";
import { $, h } from "./dom.js";
import * as found from "./found.js";
import * as gallery from "./gallery.js";
import { remove } from "./regions.js";
import * as save from "./save.js";
import { redo, set, store, undo } from "./state.js";
import * as viewer from "./viewer.js";
import { pick } from "./welcome.js";

const TABLE = [
  ["O", "Open a photo", { o: pick }],
  ["Ctrl S", "Save the picture", { "ctrl+s": save.open }],
  ["Ctrl Z", "Undo", { "ctrl+z": undo }],
  ["Ctrl Shift Z", "Redo", { "ctrl+shift+z": redo, "ctrl+y": redo }],
  ["\\", "See the photo while held", { "\\": () => compare.showPhoto(true) }],
  ["X", "Compare with the photo", { x: () => compare.toggle() }],
  ["0", "Whole picture", { 0: viewer.fit }],
  ["1", "100 %", { 1: viewer.fullSize }],
  ["+  -", "Larger, smaller", { "+": () => viewer.zoomBy(1.25), "=": () => viewer.zoomBy(1.25), "-": () => viewer.zoomBy(0.8) }],
  ["Arrows", "Move the picture", {}],
  ["G", "All styles at once", { g: () => gallery.spread() }],
  ["Shift Enter", "Mix in the style", {}],
  ["B", "Brush", { b: () => brush.choose("brush") }],
  ["E", "Eraser (or the right button)", { e: () => brush.choose("eraser") }],
  ["V", "Move", { v: () => brush.choose("move") }],
  ["[  ]", "Smaller, larger brush", { "[": () => brush.resize(0.8), "]": () => brush.resize(1.25) }],
  ["{  }", "Harder, softer brush", { "{": () => brush.soften(-0.1), "}": () => brush.soften(0.1) }],
  ["Alt ↑ ↓", "Area upwards, downwards", {}],
  ["F2", "Rename the area", {}],
  ["Delete", "Delete the area", { delete: () => store.selected !== null && remove(store.selected) }],
  ["Esc", "Leave the brush, close", { escape: leave }],
  ["?", "This list", { "?": () => $("help-dialog").showModal() }],
];
const DOES = Object.assign({}, ...TABLE.map(([, , keys]) => keys));

export function start() {
  $("shortcuts").append(...TABLE.flatMap(([keys, words]) => [h("dt", {}, ...keys.split(" ").filter(Boolean).map((key) => h("kbd", {}, key))), h("dd", {}, words)]));
  $("help").onclick = () => $("help-dialog").showModal();
  document.addEventListener("keydown", pressed);
  document.addEventListener("keyup", (event) => event.key === "\\" && compare.showPhoto(false));
  addEventListener("blur", () => compare.showPhoto(false));
  $("view").addEventListener("keydown", arrows);
}

function pressed(event) {
  if (event.defaultPrevented || event.isComposing || document.querySelector("dialog[open]")) return;
  if (event.target.matches("input:not([type=range]):not([type=checkbox]), select, textarea")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const ctrl = event.ctrlKey || event.metaKey;
  if (event.altKey) return;
  const name = event.key.toLowerCase();
  const does = DOES[ctrl ? `ctrl+${event.shiftKey ? "shift+" : ""}${name}` : name];
  if (!does || (ctrl && event.repeat && name === "s")) return;
  event.preventDefault();
  does();
}

function arrows(event) {
  const ways = { ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40] };
  if (!(event.key in ways) || !store.photo) return;
  event.preventDefault();
  viewer.pan(...ways[event.key]);
}

function leave() {
  if (found.cancel()) return;
  if (store.tool !== "move") return set({ tool: "move" });
  if (document.body.classList.contains("is-spread")) return gallery.spread(false);
  return set({ selected: null });
}
