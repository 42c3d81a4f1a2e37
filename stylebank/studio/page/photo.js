// The photo: brought to the server, brought again when the server has forgotten it, and shown as it is.

import { ApiError, blobOf, postBytes } from "./api.js";
import * as keepsake from "./keepsake.js";
import { complain, say, tell } from "./notes.js";
import { sendAgain } from "./masks.js";
import { kept } from "./reload.js";
import { FIRST, startPhoto, store } from "./state.js";

const SIDE = 1536;
let sending = null;

/** Does `run(id)` with the photo; where the server has forgotten it, sends photo and masks again and tries once more. */
export async function withPhoto(run) {
  const { photo } = store;
  try {
    return await run(photo.id);
  } catch (error) {
    if (!(error instanceof ApiError && error.gone)) throw error;
    sending ??= bringAgain(photo).finally(() => (sending = null));
    await sending;
    return run(photo.id);
  }
}

async function bringAgain(photo) {
  if (photo.file) await postBytes(`/api/photos?name=${encodeURIComponent(photo.name)}`, photo.file);
  await sendAgain(photo.id, store.recipe.regions.map((region) => region.mask));
}

/** Takes a file that was dropped, pasted or picked; the last one counts, however long those before it take. */
export async function bring(file) {
  const mine = ++brought;
  document.body.classList.add("is-bringing");
  tell(`Opening ${file.name || "the photo"}`);
  try {
    const told = await postBytes(`/api/photos?name=${encodeURIComponent(file.name || "photo.png")}`, file);
    if (mine !== brought) return false;
    for (const note of told.notes ?? []) say(note);
    keepsake.keep(told.id, file, store.photo?.id);
    startPhoto({ ...told, file });
    return true;
  } catch (error) {
    complain(error);
    return false;
  } finally {
    if (mine === brought) document.body.classList.remove("is-bringing");
  }
}
let brought = 0;

/** What was open before this tab was loaded again, or the photo of the command line. */
export async function reopen() {
  const last = kept();
  if (last && (await again(last))) return true;
  if (store.server.photo && !store.photo) startPhoto(store.server.photo);
  return Boolean(store.server.photo);
}

/** The photo of before with its look, if the server has it still or this browser kept it; masks that are lost leave no areas. */
async function again({ photo, recipe }) {
  const { id, name } = photo;
  const { file, masks } = await keepsake.find(id);
  const has = (path) => blobOf(path).then(() => true, (error) => {
    if (error.offline) throw error;
    return false;
  });
  try {
    if (!(await has(`/api/photos/${id}/picture?side=64`))) {
      if (!file) return false;
      await postBytes(`/api/photos?name=${encodeURIComponent(name)}`, file);
    }
    const there = async ({ mask }) => (await has(`/api/photos/${id}/masks/${mask}`)) || (masks.has(mask) && Boolean(await postBytes(`/api/photos/${id}/masks`, masks.get(mask))));
    const kept = await Promise.all(recipe.regions.map(there));
    if (store.photo) return true; // brought in the meantime
    if (kept.includes(false)) say("The areas are lost: the studio was started anew.");
    startPhoto({ ...photo, file }, { ...FIRST, ...recipe, regions: recipe.regions.filter((_, at) => kept[at]) });
    return true;
  } catch (error) {
    if (error.offline) throw error;
    return false;
  }
}

/** The photo as a bitmap of a long side. */
export async function picture(side = SIDE) {
  return createImageBitmap(await withPhoto((id) => blobOf(`/api/photos/${id}/picture?side=${side}`)));
}

