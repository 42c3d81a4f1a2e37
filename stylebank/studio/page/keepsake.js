// The photo's file, kept in this browser so that a reload can send it again to a studio that has forgotten it. One day at most.

const NAME = "stylebank";
const STORES = ["photos", "masks"];
const DAY = 86_400_000;
const MOST = 3; // tabs that have a photo each
let opened = null;
let bucket = null; // held on to: once Chromium has collected it, nothing more is ever written

/** The database; where the browser can, in a bucket that it empties by itself. */
async function factory() {
  bucket = await navigator.storageBuckets?.open(NAME, { expires: Date.now() + DAY }).catch(() => null);
  return bucket?.indexedDB ?? indexedDB;
}

const answer = (request) => new Promise((found, failed) => {
  request.onsuccess = () => found(request.result);
  request.onerror = () => failed(request.error);
});

async function open() {
  const request = (await factory()).open(NAME, 1);
  request.onupgradeneeded = () => STORES.forEach((name) => request.result.createObjectStore(name, { keyPath: "id" }));
  return answer(request);
}

async function shelves(mode) {
  opened ??= open();
  const change = (await opened).transaction(STORES, mode);
  return STORES.map((name) => change.objectStore(name));
}

/** Keeps a file and forgets the one before it, and what is old. A browser that keeps nothing is no error. */
export async function keep(id, file, before) {
  try {
    const both = await shelves("readwrite");
    const forget = (one) => both.forEach((shelf) => shelf.delete(one));
    if (before && before !== id) forget(before);
    both[0].put({ id, file, when: Date.now() });
    const all = (await answer(both[0].getAll())).sort((a, b) => b.when - a.when);
    all.forEach((one, place) => (place >= MOST || one.when < Date.now() - DAY) && forget(one.id));
  } catch {
    opened = null;
  }
}

/** Keeps the masks of a photo's areas: a Map of digests and blobs. */
export async function keepMasks(id, masks) {
  try {
    const [, shelf] = await shelves("readwrite");
    shelf.put({ id, masks });
  } catch {
    opened = null;
  }
}

/** {file, masks} of a photo; file is null where nothing was kept. */
export async function find(id) {
  try {
    const [photo, masks] = await Promise.all((await shelves("readonly")).map((shelf) => answer(shelf.get(id))));
    return { file: photo?.when > Date.now() - DAY ? photo.file : null, masks: masks?.masks ?? new Map() };
  } catch {
    return { file: null, masks: new Map() };
  }
}
