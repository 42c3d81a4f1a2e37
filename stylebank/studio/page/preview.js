// The painting as it is now: small while a slider moves, larger at rest; only the newest counts, and nothing waits for it.
// Small and large ask under two names: the page itself gives up a large one that is out of date.

import { send } from "./api.js";
import { $, debounce, word } from "./dom.js";
import { wire } from "./masks.js";
import { complain, tell } from "./notes.js";
import { withPhoto } from "./photo.js";
import { parse, titleOf } from "./recipe.js";
import { listen, store } from "./state.js";
import * as viewer from "./viewer.js";

const SIDES = [512, 1024, 1536, 2048];
const client = word();
let number = 0;
let small = null; // {recipe} in flight
let next = false; // whether the recipe changed since
let large = null; // AbortController of one in flight
let shown = { recipe: null, side: 0, number: 0 };

const rest = debounce(160, () => askLarge());
const finer = debounce(700, () => askLarge());

export function start() {
  listen((changed) => {
    if (!store.photo) return;
    if (changed.has("photo")) shown = { recipe: null, side: 0, number };
    if (changed.has("recipe") || changed.has("photo")) changedNow();
    else if (changed.has("dragging") && !store.dragging) rest();
  });
  viewer.onView(() => store.photo && wanted() > shown.side && finer());
}

export function again() {
  shown = { recipe: null, side: 0, number };
  changedNow();
}

function changedNow() {
  due(true);
  large?.abort();
  large = null;
  askSmall();
  rest();
}

async function askSmall() {
  if (small) {
    next = true;
    return;
  }
  small = store.recipe;
  next = false;
  await ask(small, 512);
  small = null;
  if (next) askSmall();
}

async function askLarge() {
  if (store.dragging || !store.photo) return;
  if (store.recipe === shown.recipe && shown.side >= wanted()) {
    describe(store.recipe); // a small photo, which the quick one painted in full
    due(false);
    return;
  }
  due(true);
  const first = store.recipe !== shown.recipe || shown.side < 1024;
  large?.abort();
  const mine = (large = new AbortController());
  const came = await ask(store.recipe, first ? Math.min(1024, longest()) : wanted(), mine.signal);
  if (large !== mine) return;
  large = null;
  if (shown.recipe === store.recipe) describe(store.recipe);
  if (came && wanted() > shown.side) finer();
  else due(false);
}

/** Whether a painting is on its way to the canvas. */
const due = (whether) => $("view").setAttribute("aria-busy", String(whether));

/** The least side that shows the picture sharp at this zoom. */
function wanted() {
  const need = Math.min(viewer.shownSide(), longest());
  const found = SIDES.find((side) => side >= need) ?? SIDES.at(-1);
  return Math.min(Math.max(1024, found), longest());
}

/** The longest side that there is, or that the server paints for a screen. */
const longest = () => Math.min(Math.max(store.photo.width, store.photo.height), store.server.limits.preview_side);

/** Returns whether it came. */
async function ask(recipe, side, signal) {
  const { photo } = store;
  const mine = ++number;
  const rested = busy();
  try {
    const said = { recipe: await wire(recipe), side: Math.max(64, Math.min(side, longest())), client: client + (signal ? "-fine" : ""), number: mine };
    const words = wordsOf(said.recipe);
    if (words === shown.words && said.side <= shown.side) {
      shown = { ...shown, recipe };
      return true;
    }
    const answer = await withPhoto((id) => send("POST", `/api/photos/${id}/preview`, { json: said, signal }));
    const bitmap = await createImageBitmap(await answer.blob());
    if (store.photo !== photo || mine < shown.number) return false;
    viewer.setAfter(bitmap, { fade: !store.dragging && shown.recipe !== recipe });
    shown = { recipe, words, side: said.side, number: mine };
    document.documentElement.dataset.shown = String(said.side);
    return true;
  } catch (error) {
    complain(error);
    return false;
  } finally {
    rested();
  }
}

/** For those who listen: what is painted now. */
function describe({ style, regions }) {
  const look = [style, ...regions.map((region) => region.style)].map((one) => parse(one).forms.map((part) => titleOf(part.name)).join(" and "));
  const words = `${store.photo.name}: ${[...new Set(look)].join(", ")}`;
  $("view").setAttribute("aria-label", words);
  if (words !== described) tell(`Painted. ${words}`);
  described = words;
}
let described = "";

/** What of a recipe is seen: names are not. */
const wordsOf = (recipe) => JSON.stringify({ ...recipe, regions: recipe.regions.map((region) => ({ ...region, name: "" })) });

/** The line that moves while something is waited for; returns what ends it. */
export function busy() {
  let told = false;
  const slow = setTimeout(() => {
    told = true;
    show(1);
  }, 250);
  return () => {
    clearTimeout(slow);
    if (told) show(-1);
  };
}

let waits = 0;
function show(more) {
  waits += more;
  $("busy").classList.toggle("on", waits > 0);
}
