// The photo: brought to the server, brought again when the server has forgotten it, and shown as it is.

import { ApiError, blobOf, postBytes } from "./api.js";
import { complain, say } from "./notes.js";
import { sendAgain } from "./masks.js";
import { kept } from "./reload.js";
import { FIRST, startPhoto, store } from "./state.js";

const SIDE = 1536;
let again = null;

/** Does `run(id)` with the photo; where the server has forgotten it, sends photo and masks again and tries once more. */
export async function withPhoto(run) {
  const { photo } = store;
  try {
    return await run(photo.id);
  } catch (error) {
    if (!(error instanceof ApiError && error.gone) || !photo.file) throw error;
    again ??= bringAgain(photo).finally(() => (again = null));
    await again;
    return run(photo.id);
  }
}

async function bringAgain(photo) {
  await postBytes(`/api/photos?name=${encodeURIComponent(photo.name)}`, photo.file);
  await sendAgain(photo.id, store.recipe.regions.map((region) => region.mask));
}

/** Takes a file that was dropped, pasted or picked. */
export async function bring(file) {
  document.body.classList.add("is-bringing");
  try {
    const told = await postBytes(`/api/photos?name=${encodeURIComponent(file.name || "photo.png")}`, file);
    for (const note of told.notes ?? []) say(note);
    startPhoto({ ...told, file });
    return true;
  } catch (error) {
    complain(error);
    return false;
  } finally {
    document.body.classList.remove("is-bringing");
  }
}

/** What was open before this tab was loaded again, or the photo of the command line. */
export async function reopen() {
  const last = kept();
  if (last) {
    try {
      await blobOf(`/api/photos/${last.photo.id}/picture?side=64`);
      startPhoto(last.photo, { ...FIRST, ...last.recipe });
      return true;
    } catch (error) {
      if (error.offline) throw error;
    }
  }
  if (store.server.photo) startPhoto(store.server.photo);
  return Boolean(store.server.photo);
}

/** The photo as a bitmap of a long side. */
export async function picture(side = SIDE) {
  return createImageBitmap(await withPhoto((id) => blobOf(`/api/photos/${id}/picture?side=${side}`)));
}

