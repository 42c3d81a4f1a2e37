// The page: what was chosen, and what is painted next. The newest wish goes first; thumbnails when nothing else waits.

import { Client, StoppedError } from "./client.js";
import { Mix } from "./mix.js";
import { opened } from "./photo.js";
import { saving } from "./save.js";
import { compare, showPainting, showPhoto } from "./view.js";

const PREVIEW = 600, SHARP = 1024; // long sides in pixels
const QUICK = 1200; // milliseconds of a preview after which a sharper one follows by itself
const THUMBNAIL = 200;

const at = (id) => document.getElementById(id);
const client = new Client();
let photo = null, mix = null, wish = null, thumbnails = [], current = null, isPumping = false, saves = null, edition = 0;

at("alone").remove();
at("welcome").hidden = false;

function say(words, kind = "") {
  at("status").textContent = words;
  at("status").className = `status ${kind}`;
}

const look = () => ({ mix: mix.value, strength: Number(at("strength").value) / 100, stroke: 2 ** (Number(at("stroke").value) / 2) });

function show() {
  at("strength-out").textContent = `${at("strength").value} %`;
  at("stroke-out").textContent = `× ${(2 ** (Number(at("stroke").value) / 2)).toFixed(2).replace(/\.?0+$/, "")}`;
}

/** Something changed: what is painted now is not wanted any more. */
function changed() {
  show();
  if (!photo || !mix) return;
  wish = { look: look(), long: PREVIEW, words: mix.words };
  if (!saves) current?.stop();
  pump();
}

async function pump() {
  if (isPumping) return;
  isPumping = true;
  while (photo && mix && !saves && (wish || thumbnails.length)) {
    const now = edition, job = wish ?? thumbnails.shift();
    wish = job === wish ? null : wish;
    if (!job.style) say(job.long === SHARP ? "Painting it sharper" : "Painting", "is-busy");
    try {
      current = client.ask("paint", { look: job.look, long: job.long });
      const picture = await current;
      if (now !== edition) continue;
      if (job.style) mix.thumbnail(job.style, picture);
      else shown(job, picture);
    } catch (error) {
      if (!(error instanceof StoppedError)) say(`Not painted: ${error.message}`, "is-bad");
      else if (now !== edition) continue;
      else if (job.style) thumbnails.push(job);
      else if (saves) wish ??= job; // saving goes first
    }
  }
  current = null;
  isPumping = false;
}

function shown(job, picture) {
  showPainting(picture, job.words);
  const sharper = job.long === PREVIEW && Math.max(photo.width, photo.height) > PREVIEW && picture.milliseconds < QUICK;
  if (sharper && !wish) wish = { ...job, long: SHARP };
  at("save").disabled = false;
  say(`${job.words}, ${picture.width} × ${picture.height} in ${(picture.milliseconds / 1000).toFixed(1)} s`);
}

function paintAll() {
  edition++;
  thumbnails = [...mix.styles.keys()].map((style) => ({ style, long: THUMBNAIL, look: { mix: [[style, 1]], strength: 1, stroke: PREVIEW / THUMBNAIL } }));
  changed();
}

/** Shows a photo, or what is promised to be one; the last one counts, however long those before it take. */
async function open(blob, name) {
  const turn = ++turns;
  try {
    say("Opening", "is-busy");
    const found = await opened(await blob, name);
    if (turn !== turns) return;
    current?.stop();
    photo = found;
    document.body.classList.remove("is-empty");
    at("welcome").hidden = true;
    at("save").disabled = true;
    showPhoto(photo);
    say(mix ? "" : "Loading the styles", mix ? "" : "is-busy");
    const { width, height, data } = photo;
    client.ask("open", { image: { width, height, data } }, undefined, [data.buffer]).catch((error) => say(error.message, "is-bad"));
    if (mix) paintAll();
  } catch (error) {
    if (turn === turns) say(error.message, "is-bad");
  }
}
let turns = 0;

async function start() {
  try {
    const index = await fetch("bank.json", { cache: "no-cache" }).then((answer) => answer.json());
    const found = await client.ask("start", {}, ({ loaded, total }) => {
      at("loading-bar").value = loaded / total;
      at("loading-words").textContent = `Loading the styles: ${(loaded / 1e6).toFixed(1)} of ${(total / 1e6).toFixed(1)} MB`;
    });
    at("loading").textContent = `${index.styles.length} styles are ready`;
    const threads = found.threads > 1 ? `${found.threads} threads` : "one thread";
    at("engine").textContent = found.engine === "WebGPU" ? "WebGPU and ONNX Runtime Web" : `ONNX Runtime Web on ${threads}`;
    mix = new Mix(index.styles, changed);
    if (photo) paintAll();
  } catch (error) {
    const words = `The styles do not load: ${error.message}. Reload the page to try again.`;
    at("loading").textContent = words;
    if (photo) say(words, "is-bad");
  }
}

function choose() {
  at("file").value = "";
  at("file").click();
}

at("pick").onclick = at("open").onclick = choose;
at("file").onchange = () => at("file").files[0] && open(at("file").files[0], at("file").files[0].name);
at("sample").onclick = () => open(fetch("sample.jpg").then((answer) => answer.blob()), "sample.jpg");
at("strength").oninput = at("stroke").oninput = changed;
at("reset").onclick = () => {
  at("strength").value = 100;
  at("stroke").value = 0;
  mix?.reset();
  changed();
};
at("compare").onclick = () => {
  const on = at("compare").getAttribute("aria-pressed") !== "true";
  at("compare").setAttribute("aria-pressed", on);
  compare(on);
};

document.addEventListener("paste", (event) => {
  const file = [...(event.clipboardData?.files ?? [])].find((each) => each.type.startsWith("image/"));
  if (file) open(file, file.name || "pasted.png");
});
const holdsFile = (event) => event.dataTransfer?.types.includes("Files");
document.addEventListener("dragover", (event) => {
  if (!holdsFile(event)) return;
  event.preventDefault();
  at("drop").hidden = false;
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) at("drop").hidden = true;
});
document.addEventListener("drop", (event) => {
  if (!holdsFile(event)) return;
  event.preventDefault();
  at("drop").hidden = true;
  if (event.dataTransfer.files[0]) open(event.dataTransfer.files[0], event.dataTransfer.files[0].name);
});
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || at("save-dialog").open || event.target.matches("input, select")) return;
  const button = { o: "open", s: "save", x: "compare" }[event.key.toLowerCase()];
  if (!button || !photo || at(button).disabled) return;
  event.preventDefault();
  at(button).click();
});

saving((long, told) => {
  current?.stop();
  const task = client.ask("paint", { look: look(), long }, told);
  saves = task;
  const done = () => {
    saves = null;
    pump();
  };
  task.then(done, done);
  return task;
}, () => ({ photo, word: mix.value.map(([name]) => name).join("+") }));

show();
start();
