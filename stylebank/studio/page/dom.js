// Elements: found by id, made in one call, and their icons.

const SVG = "http://www.w3.org/2000/svg";

export const $ = (id) => document.getElementById(id);

/** An icon of the sprite; decoration only, the button around it has the label. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const use = document.createElementNS(SVG, "use");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `/page/icons.svg#${name}`);
  svg.append(use);
  return svg;
}

/** h("button", {class: "tool", "aria-label": "Undo", onclick: f}, child, ...) */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(props)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Puts icons where the page's markup names them. */
export function dress(root = document) {
  for (const element of root.querySelectorAll("[data-icon]")) element.prepend(icon(element.dataset.icon));
}

export function setIcon(button, name) {
  button.querySelector("use").setAttribute("href", `/page/icons.svg#${name}`);
}

/** A word that nobody else has; `crypto.randomUUID` is for https and this machine alone, and a phone comes by http. */
export const word = () => [...crypto.getRandomValues(new Uint8Array(6))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

export const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

export function debounce(wait, run) {
  let timer = 0;
  const later = (...args) => {
    clearTimeout(timer);
    timer = setTimeout(() => run(...args), wait);
  };
  later.cancel = () => clearTimeout(timer);
  return later;
}

/** Follows a pointer that went down on an element until it goes up; moves carry every event between two frames. */
export function follow(event, { move, up }) {
  const element = event.currentTarget;
  const mine = (other) => other.pointerId === event.pointerId;
  element.setPointerCapture(event.pointerId);
  const stop = new AbortController();
  const end = (other) => {
    if (!mine(other)) return;
    stop.abort();
    up?.(other);
  };
  element.addEventListener("pointermove", (other) => mine(other) && move(other), { signal: stop.signal });
  for (const kind of ["pointerup", "pointercancel"]) element.addEventListener(kind, end, { signal: stop.signal });
}

/** Hands a blob to the browser's downloads. */
export function download(blob, name) {
  const url = URL.createObjectURL(blob);
  const link = h("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

export function pickFiles(id) {
  return new Promise((found) => {
    const input = $(id);
    input.value = "";
    input.onchange = () => found([...input.files]);
    input.oncancel = () => found([]);
    input.click();
  });
}
