// The picture as a file, painted at the size that is asked for.

import { StoppedError } from "./client.js";

const SIDES = [1024, 1600, 2400];
const at = (id) => document.getElementById(id);
const dialog = at("save-dialog");

/** `paint(long, told)` paints; `about` gives the photo and a word for the look. */
export function saving(paint, about) {
  let task = null;
  at("save").onclick = () => {
    const { photo } = about(), long = Math.max(photo.width, photo.height);
    const sides = [...SIDES.filter((side) => side < long), long];
    at("size").replaceChildren(...sides.map((side) => {
      const [width, height] = [photo.width, photo.height].map((length) => Math.max(1, Math.round((length * side) / long)));
      return new Option(`${width} × ${height}${side === long ? ", the whole photo" : ""}`, side);
    }));
    at("size").value = sides.includes(1600) ? 1600 : long;
    words();
    dialog.showModal();
  };
  const words = () => {
    at("save-hint").textContent = Number(at("size").value) > 1600 ? "This takes minutes on most machines; the page stays usable, keep it open." : "";
    at("render-words").textContent = "";
  };
  at("size").onchange = words;
  const busy = (on) => {
    for (const id of ["render", "size", "format"]) at(id).disabled = on;
    for (const id of ["render-bar", "cancel"]) at(id).hidden = !on;
  };
  at("render").onclick = async () => {
    const { photo, word } = about(), kind = at("format").value;
    busy(true);
    at("render-bar").removeAttribute("value");
    at("render-words").textContent = "Painting";
    try {
      task = paint(Number(at("size").value), ({ pass, passes }) => {
        at("render-bar").value = pass / passes;
        at("render-words").textContent = passes > 1 ? `Painting, pass ${Math.min(pass + 1, passes)} of ${passes}` : "Painting";
      });
      const picture = await task, canvas = new OffscreenCanvas(picture.width, picture.height);
      canvas.getContext("2d").putImageData(new ImageData(picture.data, picture.width, picture.height), 0, 0);
      const link = document.createElement("a"), file = await canvas.convertToBlob({ type: kind, quality: 0.93 });
      link.href = URL.createObjectURL(file);
      link.download = `${photo.name}-${word}.${kind === "image/png" ? "png" : "jpg"}`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60000);
      at("render-words").textContent = `Saved ${link.download}, ${(file.size / 1e6).toFixed(1)} MB`;
    } catch (error) {
      at("render-words").textContent = error instanceof StoppedError ? "Stopped" : `Not painted: ${error.message}. Choose a smaller size.`;
    }
    task = null;
    busy(false);
  };
  at("cancel").onclick = () => task?.stop();
  dialog.addEventListener("close", () => task?.stop());
}
