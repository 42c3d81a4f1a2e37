// Masks of regions: each version kept as a small PNG, decoded when it is drawn, uploaded when the server needs it.

import { blobOf, postBytes } from "./api.js";
import { clamp } from "./dom.js";
import { greyPng } from "./png.js";
import { withPhoto } from "./photo.js";

const SIDE = 1536;
const OPEN = 12;
const known = new Map(); // id -> {blob, digest, sending}
const open = new Map(); // id -> canvas, the last used last
let count = 0;

/** (width, height) in which masks of a photo are drawn. */
export function sizeFor(photo) {
  const scale = Math.min(1, SIDE / Math.max(photo.width, photo.height));
  return [Math.max(1, Math.round(photo.width * scale)), Math.max(1, Math.round(photo.height * scale))];
}

export function blank(photo) {
  const [width, height] = sizeFor(photo);
  return new OffscreenCanvas(width, height);
}

/** A new version of a mask from a canvas whose alpha it is; the canvas belongs to it from now on. */
export async function add(canvas) {
  const id = `local-${++count}`;
  remember(id, canvas);
  known.set(id, { blob: await greyPng(canvas), digest: null, sending: null });
  return id;
}

export const addEmpty = (photo) => add(blank(photo));

/** The mask as a canvas of white with its alpha. */
export async function canvasOf(id, photo) {
  if (open.has(id)) return remember(id, open.get(id));
  const blob = known.get(id)?.blob ?? (await withPhoto((key) => blobOf(`/api/photos/${key}/masks/${id}`)));
  if (!known.has(id)) known.set(id, { blob, digest: id, sending: null });
  return remember(id, await alphaOf(await createImageBitmap(blob), blank(photo)));
}

async function alphaOf(grey, canvas) {
  const context = canvas.getContext("2d");
  context.drawImage(grey, 0, 0, canvas.width, canvas.height);
  const image = context.getImageData(0, 0, canvas.width, canvas.height);
  const { data } = image;
  for (let at = 0; at < data.length; at += 4) {
    data[at + 3] = data[at];
    data[at] = data[at + 1] = data[at + 2] = 255;
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

function remember(id, canvas) {
  open.delete(id);
  open.set(id, canvas);
  if (open.size > OPEN) open.delete(open.keys().next().value);
  return canvas;
}

/** The name by which the server knows a mask; sends it first if need be. */
export async function digestOf(id) {
  const mask = known.get(id);
  if (!mask) return id;
  if (mask.digest) return mask.digest;
  mask.sending ??= withPhoto((key) => postBytes(`/api/photos/${key}/masks`, mask.blob))
    .then((told) => (mask.digest = told.mask))
    .finally(() => (mask.sending = null));
  return mask.sending;
}

/** Sends all again that a recipe needs: the server has forgotten them. */
export async function sendAgain(key, ids) {
  for (const id of ids) {
    const mask = known.get(id);
    if (mask) mask.digest = (await postBytes(`/api/photos/${key}/masks`, mask.blob)).mask;
  }
}

export const blobOfMask = (id) => known.get(id)?.blob ?? null;

/** A mask as the server's recipe has it. */
export async function wire(recipe) {
  const regions = await Promise.all(
    recipe.regions.map(async ({ key, ...region }) => ({ ...region, mask: await digestOf(region.mask) })),
  );
  return { ...recipe, regions };
}

/** How much of the picture a canvas covers at a point (x, y) in 0..1. */
export function coverAt(canvas, x, y) {
  const column = clamp(Math.floor(x * canvas.width), 0, canvas.width - 1);
  const row = clamp(Math.floor(y * canvas.height), 0, canvas.height - 1);
  return canvas.getContext("2d").getImageData(column, row, 1, 1).data[3] / 255;
}
