// The first visit, and every way in for a photo: dropped, pasted, picked, or the sample.

import { $, pickFiles } from "./dom.js";
import { complain, say } from "./notes.js";
import { bring } from "./photo.js";
import { openRecipe } from "./save.js";

export function start() {
  $("pick").onclick = $("open").onclick = pick;
  $("sample").onclick = sample;
  if (!["127.0.0.1", "localhost", "[::1]"].includes(location.hostname)) $("where").textContent = `It goes to ${location.hostname} and to nobody else.`;
  document.addEventListener("paste", pasted);
  for (const kind of ["dragenter", "dragover"]) document.addEventListener(kind, over);
  document.addEventListener("dragleave", (event) => event.relatedTarget || lit(false));
  document.addEventListener("drop", dropped);
}

export async function pick() {
  const [file] = await pickFiles("file-photo");
  if (file) bring(file);
}

async function sample() {
  try {
    const answer = await fetch("/page/sample.jpg");
    if (!answer.ok) throw new Error("The sample photo is missing.");
    await bring(new File([await answer.blob()], "coffee.jpg", { type: "image/jpeg" }));
  } catch (error) {
    complain(error);
  }
}

function pasted(event) {
  const file = [...event.clipboardData.files][0];
  if (!file) return;
  event.preventDefault();
  bring(file);
}

const lit = (on) => document.body.classList.toggle("is-dropping", on);
const busy = () => document.querySelector("dialog[open]");

function over(event) {
  if (!event.dataTransfer.types.includes("Files")) return;
  event.preventDefault();
  if (!busy()) lit(true);
}

function dropped(event) {
  lit(false);
  const [file, ...others] = event.dataTransfer.files;
  if (!file) return;
  event.preventDefault();
  if (busy()) return;
  if (/\.zip$/i.test(file.name)) openRecipe(file);
  else {
    if (others.length) say("One photo at a time; a whole folder is under Save.");
    bring(file);
  }
}
