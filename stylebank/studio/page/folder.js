// A whole folder by the current look: photos go up one by one, pictures come down one by one.

import { away, followJob, postBytes, postJson, send } from "./api.js";
import { $, download, pickFiles } from "./dom.js";
import { complain, say } from "./notes.js";
import { result, wanted } from "./save.js";
import { store } from "./state.js";

const PHOTOS = /\.(jpe?g|png|webp|tiff?|avif|hei[cf]|jxl|bmp|gif|jp2|ppm|pgm)$/i;
let stopped = false;

export function start() {
  $("folder").onclick = paint;
  $("folder-stop").onclick = () => (stopped = true);
}

/** Photos of a folder, and how to put a picture beside them. */
async function choose() {
  if (window.showDirectoryPicker && !navigator.webdriver) {
    const folder = await window.showDirectoryPicker({ mode: "readwrite" });
    const files = [];
    for await (const entry of folder.values()) if (entry.kind === "file" && PHOTOS.test(entry.name)) files.push(await entry.getFile());
    const into = await folder.getDirectoryHandle("painted", { create: true });
    const put = async (blob, name) => {
      const out = await (await into.getFileHandle(name, { create: true })).createWritable();
      await out.write(blob);
      await out.close();
    };
    return { files, put, where: "the folder “painted” in it" };
  }
  const files = (await pickFiles("file-folder")).filter((file) => PHOTOS.test(file.name));
  return { files, put: async (blob, name) => download(blob, name), where: "your downloads" };
}

async function paint() {
  stopped = false;
  const chosen = await choose().catch((error) => complain(error));
  if (!chosen?.files.length) return chosen && say("There is no photo in this folder.");
  const { files, put, where } = chosen;
  const order = await wanted().catch((error) => complain(error));
  if (!order) return null;
  $("folder-progress").hidden = false;
  $("folder").disabled = true;
  const bar = $("folder-progress").querySelector("progress");
  const tell = (words) => ($("folder-words").textContent = words);
  if (order.recipe.regions.length) say("Areas belong to this one photo; the folder gets the style of everything else.");
  order.recipe = { ...order.recipe, regions: [] };
  const used = new Set();
  let failed = 0;
  let done = 0;
  for (const file of files.sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }))) {
    if (stopped) break;
    tell(`${done + 1} of ${files.length}: ${file.name}`);
    const part = (job) => (bar.value = (done + (job.done ?? 0)) / files.length);
    await steadily(() => one(file, order, part, put, used)).catch((error) => {
      failed += 1;
      complain(new Error(`${file.name}: ${error.message}`));
    });
    bar.value = ++done / files.length;
  }
  $("folder").disabled = false;
  tell(`${done - failed} of ${files.length} painted, in ${where}.${stopped ? " Stopped." : ""}`);
  return store.photo;
}

/** Does it, and once more each time that the studio was away meanwhile. */
async function steadily(run) {
  for (;;) {
    try {
      return await run();
    } catch (error) {
      if (!error.offline || stopped) throw error;
      await away();
    }
  }
}

/** A name that no picture of this folder has yet. */
function free(name, used) {
  const [, stem, suffix] = name.match(/^(.*?)(\.[^.]*)?$/);
  let found = name;
  for (let number = 2; used.has(found); number++) found = `${stem}-${number}${suffix ?? ""}`;
  used.add(found);
  return found;
}

async function one(file, order, part, put, used) {
  const photo = await postBytes(`/api/photos?name=${encodeURIComponent(file.name)}`, file);
  const { job } = await postJson(`/api/photos/${photo.id}/renders`, order);
  const last = await followJob(job, part);
  if (last.state !== "done") throw new Error(last.error ?? "was not painted");
  const { blob, name } = await result(job);
  await put(blob, free(name, used));
  await send("DELETE", `/api/jobs/${job}`).catch(() => {});
}
