// What a reload of this tab goes on with: the look and which photo it was; nothing of the photo itself.

import { debounce } from "./dom.js";
import { digestOf, isEmpty } from "./masks.js";
import { listen, store } from "./state.js";

const KEPT = "stylebank-page";

export function start() {
  const later = debounce(150, () => keep().catch(() => {}));
  listen((changed) => (changed.has("recipe") || changed.has("photo")) && store.photo && later());
}

async function keep() {
  const { photo, recipe } = store;
  const { id, name, width, height } = photo;
  const some = recipe.regions.filter((region) => !isEmpty(region.mask));
  const regions = await Promise.all(some.map(async (region) => ({ ...region, mask: await digestOf(region.mask) })));
  sessionStorage.setItem(KEPT, JSON.stringify({ photo: { id, name, width, height }, recipe: { ...recipe, regions } }));
}

export function kept() {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT));
  } catch {
    return null;
  }
}
