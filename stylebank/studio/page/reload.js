// What a reload of this tab goes on with: the look and which photo it was; the photo itself is in keepsake.js.

import { whenBack } from "./api.js";
import { debounce } from "./dom.js";
import { keepMasks } from "./keepsake.js";
import { blobOfMask, digestOf, isEmpty } from "./masks.js";
import { listen, store } from "./state.js";

const KEPT = "stylebank-page";

export function start() {
  const later = debounce(150, () => keep().catch(() => {}));
  listen((changed) => (changed.has("recipe") || changed.has("photo")) && store.photo && later());
  whenBack(() => store.photo && later());
}

async function keep() {
  const { photo, recipe } = store;
  const { id, name, width, height } = photo;
  const some = recipe.regions.filter((region) => !isEmpty(region.mask));
  const kept = new Map();
  const regions = await Promise.all(some.map(async (region) => {
    const mask = await digestOf(region.mask);
    if (blobOfMask(region.mask)) kept.set(mask, blobOfMask(region.mask));
    return { ...region, mask };
  }));
  if (store.photo !== photo || store.recipe !== recipe) return; // what is newer is kept soon
  sessionStorage.setItem(KEPT, JSON.stringify({ photo: { id, name, width, height }, recipe: { ...recipe, regions } }));
  const masks = [...kept.keys()].join();
  if (masks !== sent) keepMasks(id, kept);
  sent = masks;
}
let sent = "";

export function kept() {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT));
  } catch {
    return null;
  }
}
