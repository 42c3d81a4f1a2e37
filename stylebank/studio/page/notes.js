// What the page says to a person: a line that goes by itself, and the banner of a server that is away.

import { $, h } from "./dom.js";

/** One line for some seconds; `kind` is "info" or "error". */
export function say(words, kind = "info") {
  for (const one of $("notes").children) if (one.textContent === words) one.remove();
  const note = h("p", { class: `note ${kind}` }, words);
  $("notes").append(note);
  while ($("notes").children.length > 3) $("notes").firstChild.remove();
  setTimeout(() => note.remove(), kind === "error" ? 9000 : 4000);
}

/** Says what failed, except what nobody needs to know: what is superseded, and what waits for the server. */
export function complain(error) {
  if (error.name === "AbortError" || error.superseded || error.offline) return;
  say(error.message, "error");
}

/** For those who listen: what others see by themselves. */
export function tell(words) {
  $("told").textContent = words;
}

export function banner(words, locked = false) {
  const turned = locked !== document.body.classList.contains("is-locked");
  $("offline").hidden = !words;
  $("unlock").hidden = !locked;
  document.body.classList.toggle("is-locked", locked);
  if (turned) (locked ? $("key") : document.body.matches(".is-empty") ? $("pick") : $("view")).focus();
  if ($("offline-words").textContent !== words) $("offline-words").textContent = words;
}
