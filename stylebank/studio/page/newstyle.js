// A new style: one painting for everything or five, cropped in place; learnt in the background with a picture of how far.

import { blobOf, followJob, getJson, postBytes, postJson, send } from "./api.js";
import * as crop from "./crop.js";
import * as curve from "./curve.js";
import { $, h, icon, pickFiles } from "./dom.js";
import * as gallery from "./gallery.js";
import { complain, say, tell as announce } from "./notes.js";
import { set } from "./state.js";
import { lasting } from "./words.js";

const SLOTS = ["Finest marks, colour", "Fine marks", "Brush strokes", "Shapes", "Largest forms"];
let slots = Array(5).fill(null); // {image, bitmap, crop, name} or null
let job = null;
let shown = null; // digest of the preview that is shown

export function start() {
  crop.start();
  $("new-style").onclick = open;
  $("style-start").onclick = begin;
  $("style-stop").onclick = () => job && send("DELETE", `/api/jobs/${job.id}`).catch(complain);
  $("style-continue").onclick = proceed;
  $("style-name").oninput = () => ($("style-name").dataset.own = "1");
  $("style-body").addEventListener("dragover", (event) => event.dataTransfer.types.includes("Files") && event.preventDefault());
  $("style-body").addEventListener("drop", dropped);
  show();
}

function open() {
  $("style-dialog").showModal();
  return resume();
}

/** Goes on with a style that is being learnt, or that can be continued. */
export async function resume() {
  const jobs = await getJson("/api/jobs").catch(() => []);
  const newest = (...states) => jobs.findLast((one) => one.kind === "style" && states.includes(one.state));
  const mine = newest("waiting", "running") ?? newest("stopped");
  if (mine && job?.id !== mine.id) await watch(mine);
}

function show() {
  $("slots").replaceChildren(...slots.map((slot, at) => {
    const canvas = h("canvas", { width: 132, height: 132, "aria-hidden": "true" });
    if (slot) thumb(canvas, slot);
    const button = h("button", { class: `slot${slot ? " full" : ""}`, "data-slot": at, onclick: () => choose(at), "aria-label": `${SLOTS[at]}: ${slot ? slot.name : "choose a painting"}` },
      slot ? canvas : icon("plus"), h("span", {}, SLOTS[at]));
    const frame = slot ? h("button", { class: "tool small", "aria-label": `Crop ${SLOTS[at]}`, title: "Crop", onclick: () => crop.open(slot, show) }, icon("crop")) : null;
    const clear = slot ? h("button", { class: "tool small", "aria-label": `Clear ${SLOTS[at]}`, title: "Clear", onclick: () => put(at, null) }, icon("close")) : null;
    return h("div", { class: "slot-box" }, button, slot ? h("div", { class: "slot-tools" }, frame, clear) : null);
  }));
  $("style-start").disabled = !slots.some(Boolean) || ["waiting", "running"].includes(job?.state);
}

function thumb(canvas, { bitmap, crop: part }) {
  const [left, top, right, bottom] = part ?? [0, 0, 1, 1];
  const [w, h2] = [(right - left) * bitmap.width, (bottom - top) * bitmap.height];
  const side = Math.min(w, h2);
  canvas.getContext("2d").drawImage(bitmap, left * bitmap.width + (w - side) / 2, top * bitmap.height + (h2 - side) / 2, side, side, 0, 0, canvas.width, canvas.height);
}

function put(at, slot) {
  slots[at] = slot;
  crop.close();
  show();
}

async function choose(at) {
  fill(await pickFiles("file-style"), at);
}

function dropped(event) {
  const files = [...event.dataTransfer.files];
  if (!files.length) return;
  event.preventDefault();
  event.stopPropagation();
  const own = event.target.closest?.("[data-slot]");
  fill(files, own ? Number(own.dataset.slot) : null);
}

/** One file for a slot, or for all where none is filled yet; several in order. */
async function fill(files, at) {
  if (!files.length) return;
  try {
    const found = await Promise.all(files.slice(0, 5).map(load));
    const empty = !slots.some(Boolean);
    if (found.length === 1 && (at === null || empty)) slots = slots.map(() => ({ ...found[0] }));
    else if (found.length === 1) slots[at] = found[0];
    else found.forEach((one, i) => (slots[((at ?? 0) + i) % 5] = one));
    if (!$("style-name").dataset.own) $("style-name").value = found[0].name.replace(/\.[^.]*$/, "").toLowerCase().replaceAll(/[^a-z0-9]+/g, "_").replaceAll(/^_+|_+$/g, "");
    show();
  } catch (error) {
    complain(error);
  }
}

async function load(file) {
  const told = await postBytes(`/api/style-images?name=${encodeURIComponent(file.name)}`, file);
  return { image: told.image, name: file.name, crop: null, bitmap: await createImageBitmap(file) };
}

async function begin() {
  const name = $("style-name").value.trim() || "my_style";
  const layer = (slot) => (slot ? { image: slot.image, crop: slot.crop } : "blank");
  const zoom = $("style-zoom").value ? { way: "closer" } : null;
  try {
    const told = await postJson("/api/style-jobs", { name, layers: slots.map(layer), zoom, steps: null });
    watch({ id: told.job, state: "waiting", losses: [], name });
  } catch (error) {
    complain(error);
  }
}

async function proceed() {
  try {
    await postJson(`/api/jobs/${job.id}/continue`, {});
    watch({ ...job, state: "waiting" });
  } catch (error) {
    complain(error);
  }
}

async function watch(found) {
  tell(found);
  try {
    await followJob(found.id, tell);
  } catch (error) {
    tell({ ...(job ?? found), state: "failed", error: error.message });
    complain(error);
  }
}

function tell(now) {
  const fresh = now.state === "done" && job?.state !== "done";
  const turned = job?.state !== now.state;
  job = now;
  const going = ["waiting", "running"].includes(now.state);
  $("learning").hidden = false;
  $("new-style").classList.toggle("going", going);
  $("new-style-words").textContent = going ? `Learning${share(now)}…` : "New style";
  $("style-stop").hidden = !going;
  $("style-continue").hidden = now.state !== "stopped";
  $("style-words").textContent = {
    waiting: "Getting ready…",
    running: now.step ? `Step ${now.step}${now.left_s ? `, about ${lasting(now.left_s)} left` : ""}` : now.stage ? `Getting ready: ${now.stage.replace(/(\d+)\/(\d+)$/, "$1 of $2")}` : "Looking at the painting…",
    done: `Done. The style is in your gallery.${now.warning ? ` ${now.warning}` : ""}`,
    stopped: `Stopped at step ${now.step ?? 0}.`,
    failed: now.error ?? "That did not work.",
  }[now.state];
  if (turned) announce($("style-words").textContent);
  curve.draw($("curve"), now.losses ?? []);
  if (now.preview && now.preview !== shown) picture(now);
  if (fresh) landed(now);
  $("style-start").disabled = going || !slots.some(Boolean);
}

/** How much of it is done, by the steps or else by the time. */
function share({ step, steps }) {
  return step && steps ? ` ${Math.min(99, Math.round((100 * step) / steps))} %` : "";
}

async function picture({ id, preview }) {
  shown = preview;
  try {
    const url = URL.createObjectURL(await blobOf(`/api/jobs/${id}/preview`));
    const image = $("style-preview");
    if (image.src) URL.revokeObjectURL(image.src);
    image.src = url;
    image.hidden = false;
  } catch (error) {
    complain(error);
  }
}

async function landed({ name }) {
  set({ styles: await getJson("/api/styles") });
  gallery.reload();
  say(`${name} is in your gallery.`);
  document.querySelector(`[data-style="${CSS.escape(name ?? "")}"]`)?.scrollIntoView({ inline: "center" });
}

