// Begins: asks the server what there is, starts the parts, and shows the photo that comes.

import { getJson, unlock, whenBack } from "./api.js";
import * as brush from "./brush.js";
import * as closeup from "./closeup.js";
import * as compare from "./compare.js";
import { $, debounce, dress } from "./dom.js";
import * as folder from "./folder.js";
import * as found from "./found.js";
import * as gallery from "./gallery.js";
import * as keys from "./keys.js";
import * as mixpad from "./mixpad.js";
import * as newstyle from "./newstyle.js";
import { complain, say } from "./notes.js";
import { picture, reopen } from "./photo.js";
import * as preview from "./preview.js";
import * as regions from "./regions.js";
import * as reload from "./reload.js";
import * as save from "./save.js";
import * as sliders from "./sliders.js";
import { listen, redo, set, store, undo } from "./state.js";
import * as viewer from "./viewer.js";
import * as welcome from "./welcome.js";

dress();
for (const part of [viewer, compare, sliders, mixpad, regions, brush, found, gallery, preview, closeup, newstyle, reload, save, folder, welcome, keys]) part.start();
$("undo").onclick = undo;
$("redo").onclick = redo;
$("zoom").onclick = () => (viewer.isFitted() ? viewer.fullSize() : viewer.fit());
$("zoom-in").onclick = () => viewer.zoomBy(1.25);
$("zoom-out").onclick = () => viewer.zoomBy(0.8);
$("unlock").onsubmit = (event) => {
  event.preventDefault();
  unlock($("key").value);
  $("key").value = "";
};
tabs();
listen((changed) => {
  $("undo").disabled = !store.past.length;
  $("redo").disabled = !store.future.length;
  if (changed.has("photo")) showPhoto().catch(complain);
});

/** A new photo: its own picture at once, the painting when it comes. */
async function showPhoto() {
  const { photo } = store;
  document.body.classList.toggle("is-empty", !photo);
  document.title = photo ? `${photo.name} – StyleBank Studio` : "StyleBank Studio";
  viewer.clear();
  if (!photo) return;
  $("view").setAttribute("aria-label", `${photo.name}, painted`);
  const bitmap = await picture();
  if (store.photo !== photo) return bitmap.close();
  gallery.showPhoto(bitmap);
  viewer.setBefore(bitmap);
  sharp = "";
  $("view").focus({ preventScroll: true, focusVisible: false });
}

/** The photo itself, larger when it is looked at closely. */
const sharper = debounce(400, async () => {
  const { photo } = store;
  if (!photo || viewer.shownSide() <= SHARP[0] || Math.max(photo.width, photo.height) <= SHARP[0] || sharp === photo.id) return;
  sharp = photo.id;
  const bitmap = await picture(SHARP[1]);
  if (store.photo === photo) viewer.setBefore(bitmap);
});
const SHARP = [1536, 4096];
let sharp = "";
viewer.onView(() => sharper());

/** On a phone the panel shows the style or the areas. */
function tabs() {
  const both = ["look", "areas"];
  const choose = (name, focus) => {
    document.body.dataset.tab = name;
    for (const one of both) {
      $(`tab-${one}`).setAttribute("aria-selected", one === name);
      $(`tab-${one}`).tabIndex = one === name ? 0 : -1;
    }
    if (focus) $(`tab-${name}`).focus();
  };
  for (const one of both) {
    $(`tab-${one}`).onclick = () => choose(one);
    $(`tab-${one}`).onkeydown = (event) => ["ArrowLeft", "ArrowRight"].includes(event.key) && choose(both.find((other) => other !== one), true);
  }
  choose("look");
}

async function begin() {
  const [server, styles] = await Promise.all([getJson("/api/state"), getJson("/api/styles")]);
  set({ server });
  set({ styles });
  save.fill();
  await reopen();
  newstyle.resume().catch(complain);
  if (server.problem) say(server.problem, "error");
  document.documentElement.dataset.ready = "1";
}

whenBack(() => {
  if (!store.server) begin().catch(complain);
  else if (store.photo) {
    preview.again();
    gallery.reload();
  }
});
begin().catch(complain);
