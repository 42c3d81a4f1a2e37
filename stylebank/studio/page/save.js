// The picture at full size in a format of choice, with progress and cancel; as a command; and recipes out and in.

import { followJob, postBytes, postJson, send } from "./api.js";
import { $, download, h, pickFiles } from "./dom.js";
import { wire } from "./masks.js";
import { complain, say } from "./notes.js";
import { withPhoto } from "./photo.js";
import { newKey } from "./regions.js";
import { slider } from "./sliders.js";
import { edit, FIRST, store } from "./state.js";
import { lasting, megapixels } from "./words.js";

let job = null;
let quality = 95;
const NAMES = { ".jpg": "JPEG", ".png": "PNG", ".webp": "WebP", ".tif": "TIFF", ".tiff": "TIFF", ".avif": "AVIF", ".heic": "HEIC", ".jxl": "JPEG XL", ".bmp": "BMP" };
const level = slider({
  label: "Quality", ends: ["smaller file", "finer"], usual: 95, words: (value) => String(value),
  scale: { to: (at) => Math.round(50 + at * 50), from: (value) => (value - 50) / 50, step: 0.02 },
  onlive: (value) => (quality = value),
});

export function start() {
  addEventListener("pagehide", () => job && send("DELETE", `/api/jobs/${job}`, { keepalive: true }).catch(() => {}));
  $("quality-row").append(level.row);
  $("save").onclick = open;
  $("format").onchange = show;
  $("lossless").onchange = show;
  $("render").onclick = render;
  $("render-stop").onclick = cancel;
  $("copy").onclick = copy;
  $("recipe-out").onclick = recipeOut;
  $("recipe-in").onclick = async () => {
    const [file] = await pickFiles("file-recipe");
    if (file) openRecipe(file);
  };
}

/** Formats once each: of suffixes that mean one format the first. */
export function fill() {
  const seen = new Set();
  const kinds = (store.server.formats ?? [{ suffix: ".jpg", quality: true }]).filter(({ suffix }) => {
    const name = NAMES[suffix] ?? suffix;
    return !seen.has(name) && seen.add(name);
  });
  $("format").replaceChildren(...kinds.map(({ suffix }) => h("option", { value: suffix }, NAMES[suffix] ?? suffix)));
  const usual = kinds.find(({ suffix }) => suffix === ".jpg") ?? kinds[0];
  $("format").value = usual?.suffix;
  level.show(quality);
}

export function open() {
  if (!store.photo) return say("Choose a photo first.");
  $("save-size").textContent = `${store.photo.name}: ${megapixels(store.photo)}`;
  $("command").hidden = true;
  show();
  $("save-dialog").showModal();
  $("render").focus();
  return null;
}

const kind = () => store.server.formats?.find(({ suffix }) => suffix === $("format").value) ?? {};

function show() {
  const { quality: has, lossless } = kind();
  $("lossless-row").hidden = !lossless;
  $("quality-row").hidden = !has || (lossless && $("lossless").checked);
}

/** What the server needs to make the file. */
export async function wanted() {
  const { quality: has, lossless: can } = kind();
  const lossless = Boolean(can && $("lossless").checked);
  return {
    recipe: await wire(store.recipe),
    format: $("format").value,
    quality: has && !lossless ? quality : null,
    lossless,
    keep_metadata: $("metadata").value,
  };
}

async function render() {
  $("render").disabled = true;
  $("render-stop").hidden = false;
  $("render-progress").hidden = false;
  tell({ state: "waiting", done: 0 });
  try {
    const told = await withPhoto(async (id) => postJson(`/api/photos/${id}/renders`, await wanted()));
    job = told.job;
    const last = await followJob(job, tell);
    if (last.state === "done") {
      await fetchResult(job);
      say("Saved to your downloads.");
      $("render-words").textContent = "Saved to your downloads.";
    } else if (last.state === "failed") throw new Error(last.error);
  } catch (error) {
    const isCancelled = !job && error.status === 404;
    if (!isCancelled) complain(error);
    $("render-words").textContent = isCancelled ? "Cancelled." : error.message;
  } finally {
    job = null;
    $("render").disabled = false;
    $("render-stop").hidden = true;
  }
}

async function cancel() {
  if (!job) return;
  const id = job;
  job = null;
  $("render-words").textContent = "Cancelled.";
  await send("DELETE", `/api/jobs/${id}`).catch(complain);
}

function tell(now) {
  const bar = $("render-progress").querySelector("progress");
  bar.value = now.done ?? 0;
  const left = now.left_s ? `, about ${lasting(now.left_s)} left` : "";
  $("render-words").textContent = { waiting: "Waiting…", running: `Painting, ${Math.round((now.done ?? 0) * 100)} %${left}`, stopped: "Cancelled.", done: "Saving…", failed: now.error }[now.state];
}

/** The finished picture of a job under the name that the server gives it. */
export async function result(id) {
  const answer = await send("GET", `/api/jobs/${id}/result`);
  const said = answer.headers.get("Content-Disposition") ?? "";
  const coded = said.match(/filename\*=UTF-8''([^;]+)/i)?.[1];
  const name = coded ? decodeURIComponent(coded) : (said.match(/filename="?([^";]+)"?/)?.[1] ?? `painting${$("format").value}`);
  return { name, blob: await answer.blob() };
}

async function fetchResult(id) {
  const { blob, name } = await result(id);
  download(blob, name);
  send("DELETE", `/api/jobs/${id}`).catch(() => {});
}

async function copy() {
  try {
    const told = await withPhoto(async (id) => postJson("/api/command", { photo: id, ...(await wanted()) }));
    const text = told.lines.join("\n");
    $("command").textContent = text;
    $("command").hidden = false;
    const copied = navigator.clipboard?.writeText(text) ?? Promise.reject(); // by plain http from another machine there is none
    await copied.then(() => say("Copied."), () => say("Select the line and copy it."));
    if (told.files?.length) say("The masks it names are in the recipe file.");
  } catch (error) {
    complain(error);
  }
}

async function recipeOut() {
  try {
    const recipe = await wire(store.recipe);
    const answer = await withPhoto((id) => send("POST", "/api/recipes/export", { json: { photo: id, recipe } }));
    download(await answer.blob(), `${store.photo.name.replace(/\.[^.]*$/, "")}.stylebank.zip`);
  } catch (error) {
    complain(error);
  }
}

export async function openRecipe(file) {
  if (!store.photo) return say("Choose a photo first; then open the recipe.");
  try {
    const { recipe } = await withPhoto((id) => postBytes(`/api/recipes/import?photo=${id}`, file));
    const regions = (recipe.regions ?? []).map((region) => ({ ...region, key: newKey() }));
    edit(() => ({ ...FIRST, ...recipe, regions }), { selected: null });
    say("The recipe is open.");
  } catch (error) {
    complain(error);
  }
  return null;
}

