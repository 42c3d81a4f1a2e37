// The server: every request with its token, errors as one line, streams in frames; says when the server went and came.

import { banner } from "./notes.js";

const KEY = "stylebank-token";
const others = new BroadcastChannel("stylebank");
const returned = new Set();
let waiting = null;
let told = () => {};
let refused = false; // a key or password that a person typed
let token = takeToken() || sessionStorage.getItem(KEY) || "";

export class ApiError extends Error {
  constructor(status, told) {
    super(told.error || `The studio answered ${status}.`);
    Object.assign(this, { status, gone: !!told.gone, superseded: !!told.superseded });
  }
}

/** Runs after the server was away and is there again. */
export const whenBack = (run) => returned.add(run);

/** The token of the address, which then leaves the address. */
function takeToken() {
  const found = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!found) return null;
  sessionStorage.setItem(KEY, found);
  history.replaceState(null, "", location.pathname);
  return found;
}

function renew(found) {
  if (!found || found === token) return;
  const first = !token;
  token = found;
  sessionStorage.setItem(KEY, found);
  if (!first) away();
}

/** A key or password that a person typed. */
export function unlock(words) {
  refused = true;
  renew(words.includes("#token=") ? words.split("#token=")[1] : words);
}

addEventListener("hashchange", () => {
  const found = takeToken();
  if (found) others.postMessage({ token: found });
  renew(found);
});
others.onmessage = ({ data }) => {
  if (data.token) {
    renew(data.token);
    told();
  } else if (data.ask && token) others.postMessage({ token });
};

/** A tab that was opened without a key asks the others, and waits for them a moment. */
const keyed = token ? null : new Promise((done) => {
  told = done;
  setTimeout(done, 400);
});
others.postMessage(token ? { token } : { ask: true });

/** Sends a request; returns the Response if it is well, raises ApiError or, while the server is away, one with `offline`. */
export async function send(method, path, { json, body, signal, keepalive } = {}) {
  await keyed;
  let response;
  try {
    const headers = { "X-StyleBank-Token": token, ...(json === undefined ? {} : { "Content-Type": "application/json" }) };
    response = await fetch(path, { method, headers, signal, keepalive, body: json === undefined ? body : JSON.stringify(json) });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    away();
    throw Object.assign(new Error("The studio does not answer."), { offline: true });
  }
  if (response.ok) return response;
  const told = await response.json().catch(() => ({}));
  if (response.status === 403) {
    away();
    throw Object.assign(new ApiError(403, told), { offline: true });
  }
  throw new ApiError(response.status, told);
}

export const getJson = async (path, options) => (await send("GET", path, options)).json();
export const postJson = async (path, json, options) => (await send("POST", path, { json, ...options })).json();
export const postBytes = async (path, body, options) => (await send("POST", path, { body, ...options })).json();
export const blobOf = async (path, options) => (await send("GET", path, options)).blob();

/** Asks each second until the server is there again and takes the token; then runs what waits for it. */
export function away() {
  waiting ??= (async () => {
    for (let tries = 0; ; tries++) {
      const answer = await fetch("/api/state", { headers: { "X-StyleBank-Token": token } }).catch(() => null);
      if (answer?.ok) break;
      if (tries || answer) banner(words(answer), answer?.status === 403);
      await new Promise((done) => setTimeout(done, 1000));
    }
    waiting = null;
    refused = false;
    banner("");
    for (const run of returned) run();
  })();
  return waiting;
}

function words(answer) {
  if (answer?.status !== 403 && answer?.status !== 429) return "The studio is away. Start it again and this page goes on by itself.";
  if (answer.status === 429) return "Too many tries. Wait a minute, then type the password again.";
  if (refused) return "That is not the password of this studio. Type it again.";
  return "This studio is locked. Type its password, or open the address that “stylebank studio” printed.";
}

/** Frames of a stream: 4 bytes of length, a JSON header, and `bytes` bytes; calls `each(header, blob)`. */
export async function frames(path, each, { signal } = {}) {
  const reader = (await send("GET", path, { signal })).body.getReader();
  let held = new Uint8Array(0);
  const take = async (count) => {
    while (held.length < count) {
      const { done, value } = await reader.read();
      if (done) return null;
      const joined = new Uint8Array(held.length + value.length);
      joined.set(held);
      joined.set(value, held.length);
      held = joined;
    }
    const taken = held.slice(0, count);
    held = held.slice(count);
    return taken;
  };
  for (let size = await take(4); size; size = await take(4)) {
    const header = JSON.parse(new TextDecoder().decode(await take(new DataView(size.buffer).getUint32(0))));
    each(header, new Blob([await take(header.bytes)], { type: header.type }));
  }
}

/** What a job tells until it ends; asks again by itself where the stream breaks. Returns the last. */
export async function followJob(id, each) {
  for (let job = null; ; ) {
    try {
      await listenTo(id, (one) => each((job = one)));
    } catch (error) {
      if (!error.offline) throw error;
      await away();
    }
    if (ENDS.includes(job?.state)) return job;
    await new Promise((done) => setTimeout(done, 300));
  }
}
const ENDS = ["done", "failed", "stopped"];

/** Events of a job until its stream ends or breaks. */
async function listenTo(id, heard) {
  const reader = (await send("GET", `/api/jobs/${id}/events`)).body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read().catch(() => ({ done: true }));
    if (done) return;
    text += decoder.decode(value, { stream: true });
    const parts = text.split("\n\n");
    text = parts.pop();
    for (const part of parts) {
      const line = part.split("\n").find((one) => one.startsWith("data:"));
      if (line) heard(JSON.parse(line.slice(5)));
    }
  }
}
