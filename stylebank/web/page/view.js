// The picture, and the photo beside it behind a border that moves.

const at = (id) => document.getElementById(id);
const stage = at("stage"), frame = at("frame"), painting = at("painting"), photo = at("photo"), handle = at("handle");
let ratio = 1, cut = 50;

function fit() {
  const style = getComputedStyle(stage);
  const wide = stage.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
  const high = stage.clientHeight - parseFloat(style.paddingTop) - parseFloat(style.paddingBottom);
  const width = Math.max(1, Math.min(wide, high * ratio));
  frame.style.width = `${width}px`;
  frame.style.height = `${width / ratio}px`;
}

new ResizeObserver(fit).observe(stage);

/** Show a photo; until it is painted it stands for the painting too. */
export function showPhoto({ canvas, width, height }) {
  ratio = width / height;
  for (const shown of [photo, painting]) {
    const scale = Math.min(1, 2048 / Math.max(width, height));
    [shown.width, shown.height] = [width, height].map((length) => Math.max(1, Math.round(length * scale)));
    shown.getContext("2d").drawImage(canvas, 0, 0, shown.width, shown.height);
  }
  frame.hidden = false;
  fit();
}

/** Show a painting {width, height, data}, RGBA. */
export function showPainting({ width, height, data }, words) {
  painting.width = width;
  painting.height = height;
  painting.getContext("2d").putImageData(new ImageData(data, width, height), 0, 0);
  painting.setAttribute("aria-label", `The photo painted as ${words}`);
}

function move(share) {
  cut = Math.min(100, Math.max(0, share));
  frame.style.setProperty("--cut", `${cut}%`);
  handle.setAttribute("aria-valuenow", Math.round(cut));
}

/** Compare with the photo, or not. */
export function compare(on) {
  for (const shown of [photo, handle, at("tag-before"), at("tag-after")]) shown.hidden = !on;
  move(cut);
}

const follow = (event) => move((100 * (event.clientX - frame.getBoundingClientRect().left)) / frame.clientWidth);

handle.addEventListener("pointerdown", (event) => {
  handle.setPointerCapture(event.pointerId);
  follow(event);
});
handle.addEventListener("pointermove", (event) => handle.hasPointerCapture(event.pointerId) && follow(event));
handle.addEventListener("keydown", (event) => {
  const to = { ArrowLeft: cut - 2, ArrowRight: cut + 2, ArrowDown: cut - 2, ArrowUp: cut + 2, Home: 0, End: 100, PageDown: cut - 10, PageUp: cut + 10 }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  move(to);
});
