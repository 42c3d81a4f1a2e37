// The styles as pictures of one's own photo, which stream in; a click paints, the plus mixes in.

import { frames } from "./api.js";
import { $, h, icon } from "./dom.js";
import { complain, say } from "./notes.js";
import { withPhoto } from "./photo.js";
import { artistOf, editTarget, parse, PHOTO, target, titleOf, toggleInMix } from "./recipe.js";
import { listen, set, store } from "./state.js";

const list = $("cards");
const cards = new Map();
let stream = null;

export function start() {
  listen((changed) => {
    if (changed.has("styles")) build();
    if (changed.has("photo") && store.photo) load();
    if (["recipe", "selected", "styles"].some((key) => changed.has(key))) mark();
  });
  list.addEventListener("keydown", arrows);
  list.addEventListener("wheel", sideways, { passive: false });
  $("search").addEventListener("input", filter);
  $("spread").onclick = () => spread();
}

export function spread(on = !document.body.classList.contains("is-spread")) {
  document.body.classList.toggle("is-spread", on);
  $("spread").setAttribute("aria-pressed", on);
  if (on) $("search").focus();
}

function build() {
  cards.clear();
  const names = [PHOTO, ...store.styles.map((style) => style.name)];
  list.replaceChildren(...names.map(card));
  list.querySelector(".card")?.setAttribute("tabindex", "0");
  $("gallery-count").textContent = store.styles.length || "";
  for (const [name, thumb] of store.thumbs) show(name, thumb.url);
}

function card(name) {
  const [title, artist] = [titleOf(name), artistOf(name)];
  const image = h("span", { class: "thumb" });
  const pick = h(
    "button",
    { class: "card", tabindex: "-1", "data-style": name, "aria-pressed": "false", title: artist ? `${artist}: ${title}` : title, onclick: (event) => choose(name, event.shiftKey) },
    image,
    h("span", { class: "title" }, title),
    h("span", { class: "artist" }, name === PHOTO ? "As it is" : artist || " "),
  );
  const mix = h("button", { class: "mix", tabindex: "-1", "aria-pressed": "false", "aria-label": `Mix in ${title}`, title: "Mix in (Shift+click)", onclick: () => toggleInMix(name) }, icon("plus"));
  const item = h("li", {}, pick, name === PHOTO ? null : mix);
  cards.set(name, { item, pick, mix, image, words: `${name} ${title} ${artist}`.toLowerCase() });
  return item;
}

function choose(name, mixed) {
  if (!store.photo) return say("Choose a photo first.");
  if (mixed && name !== PHOTO) return toggleInMix(name);
  if (target().style !== name) editTarget({ style: name });
  return null;
}

async function load() {
  stream?.abort();
  stream = new AbortController();
  const { signal } = stream;
  for (const thumb of store.thumbs.values()) URL.revokeObjectURL(thumb.url);
  set({ thumbs: new Map() });
  for (const { image } of cards.values()) image.replaceChildren();
  list.classList.add("waits");
  const side = matchMedia("(min-resolution: 1.5dppx)").matches ? 256 : 192;
  const names = store.styles.map((style) => style.name);
  const took = (header, blob) => arrived(header.style, blob);
  const each = (header, blob) => signal.aborted || took(header, blob);
  try {
    await withPhoto((id) => frames(`/api/photos/${id}/thumbnails?side=${side}&styles=${names.map(encodeURIComponent).join(",")}`, each, { signal }));
  } catch (error) {
    complain(error);
  } finally {
    if (!signal.aborted) list.classList.remove("waits");
  }
}

/** Asks for thumbnails that are missing: after the server was away, or for a new style. */
export const reload = () => store.photo && load();

async function arrived(name, blob) {
  const thumb = { url: URL.createObjectURL(blob), bitmap: await createImageBitmap(blob) };
  store.thumbs.set(name, thumb);
  show(name, thumb.url);
  set({ thumbs: store.thumbs });
}

/** The photo itself, for the first card. */
export function showPhoto(bitmap) {
  const scale = 256 / Math.max(bitmap.width, bitmap.height);
  const canvas = new OffscreenCanvas(Math.max(1, bitmap.width * scale), Math.max(1, bitmap.height * scale));
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  canvas.convertToBlob({ type: "image/webp" }).then((blob) => arrived(PHOTO, blob));
}

function show(name, url) {
  cards.get(name)?.image.replaceChildren(h("img", { src: url, alt: "", draggable: "false" }));
}

function mark() {
  const { forms, marks } = parse(target().style);
  const inMix = new Set(forms.map((part) => part.name));
  for (const [name, { item, pick, mix }] of cards) {
    const chosen = inMix.has(name);
    item.classList.toggle("chosen", chosen || name === marks);
    pick.setAttribute("aria-pressed", chosen);
    mix.setAttribute("aria-pressed", chosen && inMix.size > 1);
    const title = titleOf(name);
    mix.setAttribute("aria-label", chosen ? `Take ${title} out of the mix` : `Mix in ${title}`);
  }
}

function filter() {
  const words = $("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  let found = 0;
  for (const { item, words: mine } of cards.values()) {
    item.hidden = !words.every((word) => mine.includes(word));
    found += item.hidden ? 0 : 1;
  }
  $("no-match").hidden = found > 0;
}

function arrows(event) {
  const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: rowLength(), ArrowUp: -rowLength(), Home: -1e6, End: 1e6 };
  const seen = [...cards.values()].filter(({ item }) => !item.hidden).map(({ pick }) => pick);
  const here = seen.findIndex((pick) => pick.parentNode.contains(document.activeElement));
  if (event.key === "Enter" && event.shiftKey && here >= 0) {
    event.preventDefault();
    choose(seen[here].dataset.style, true);
  }
  if (!(event.key in steps) || here < 0) return;
  event.preventDefault();
  const next = seen[Math.min(seen.length - 1, Math.max(0, here + steps[event.key]))];
  for (const pick of seen) pick.tabIndex = pick === next ? 0 : -1;
  next.focus();
}

function rowLength() {
  if (!document.body.classList.contains("is-spread")) return 1;
  return getComputedStyle(list).gridTemplateColumns.split(" ").length;
}

function sideways(event) {
  if (document.body.classList.contains("is-spread") || event.deltaX || !event.deltaY) return;
  event.preventDefault();
  list.scrollLeft += event.deltaMode === 1 ? event.deltaY * 40 : event.deltaY;
}
