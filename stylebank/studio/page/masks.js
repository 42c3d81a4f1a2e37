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
export async function add(canvas, { empty = false } = {}) {
  const id = `local-${++count}`;
  remember(id, canvas);
  known.set(id, { blob: await greyPng(canvas), digest: null, sending: null, empty });
  return id;
}

export const addEmpty = (photo) => add(blank(photo), { empty: true });

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

export const isEmpty = (id) => Boolean(known.get(id)?.empty);

/** A recipe as the server has it: areas where nothing is painted yet are left out. */
export async function wire(recipe) {
  const some = recipe.regions.filter((region) => !isEmpty(region.mask));
  const regions = await Promise.all(some.map(async ({ key, ...region }) => ({ ...region, mask: await digestOf(region.mask) })));
  return { ...recipe, regions };
}

/** Of a mask, how much is covered at points (x, y) in 0..1, read once at 256 px. */
export function coverOf(canvas) {
  const [width, height] = [256, Math.max(1, Math.round((256 * canvas.height) / canvas.width))];
  const context = new OffscreenCanvas(width, height).getContext("2d");
  context.drawImage(canvas, 0, 0, width, height);
  const { data } = context.getImageData(0, 0, width, height);
  const cell = (at, count) => clamp(Math.floor(at * count), 0, count - 1);
  return (x, y) => data[4 * (cell(y, height) * width + cell(x, width)) + 3] / 255;
}
