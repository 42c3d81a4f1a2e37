// The one store: what is shown and chosen, and the history of recipes for undo and redo.

const LIMIT = 200;
const listeners = new Set();

export const PHOTO = "photo";

export const FIRST = Object.freeze({
  style: PHOTO, strength: 1, stroke: 1, keep_color: false, regions: [], feather: 2, overlap: "over",
});

export const store = {
  server: null, // what /api/state says
  styles: [], // what /api/styles says
  thumbs: new Map(), // style -> {url, bitmap}
  photo: null, // {id, name, width, height, file}
  recipe: FIRST,
  selected: null, // key of the region that gallery and sliders work on; null: the whole picture, or the rest
  tool: "move",
  brush: { size: 0.12, softness: 0.5 }, // size: share of the photo's long side
  dragging: false,
  found: [], // regions found, not yet taken: {mask, share}
  past: [],
  future: [],
};
let before = null; // the recipe when a gesture began

/** Calls `run(changed, store)` after each change; `changed` is a Set of the store's keys. */
export const listen = (run) => listeners.add(run);

export function set(patch) {
  Object.assign(store, patch);
  const changed = new Set(Object.keys(patch));
  for (const run of listeners) run(changed, store);
}

/** Makes a new recipe by `change(recipe)`; `live` while a gesture goes on, which is one step of undo when it ends. */
export function edit(change, { live = false, selected = store.selected } = {}) {
  const recipe = { ...store.recipe, ...change(store.recipe) };
  const start = before ?? { recipe: store.recipe, selected: store.selected };
  if (live) {
    before = start;
    set({ recipe, dragging: true });
    return;
  }
  before = null;
  const past = [...store.past, start].slice(-LIMIT);
  set({ recipe, selected, past, future: [], dragging: false });
}

/** Ends a gesture. */
export function settle() {
  if (before) edit(() => ({}));
}

export function undo() {
  settle();
  if (!store.past.length) return;
  const back = store.past.at(-1);
  const here = { recipe: store.recipe, selected: store.selected };
  set({ ...back, past: store.past.slice(0, -1), future: [here, ...store.future] });
}

export function redo() {
  settle();
  if (!store.future.length) return;
  const [next, ...future] = store.future;
  const here = { recipe: store.recipe, selected: store.selected };
  set({ ...next, past: [...store.past, here], future });
}

/** The look for another photo: it stays, but for the areas, which were of the other; at first it is the first style. */
function look() {
  const first = store.photo ? store.recipe.style : (store.styles[0]?.name ?? PHOTO);
  return { ...store.recipe, style: first, regions: [] };
}

export function startPhoto(photo, recipe = look()) {
  before = null;
  set({ photo, recipe, selected: null, past: [], future: [], found: [], tool: "move" });
}
