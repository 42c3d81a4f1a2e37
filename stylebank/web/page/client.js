// The worker as the page asks it: every task is a promise, and can be stopped.

export class StoppedError extends Error {}

export class Client {
  constructor() {
    this._worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
    this._tasks = new Map();
    this._next = 1;
    this._worker.onmessage = ({ data }) => this._heard(data);
    this._worker.onerror = (event) => {
      event.preventDefault();
      this._failed(new Error(event.message || "a file of this page is missing"));
    };
  }

  /** Do a task; `told` hears of its progress. The promise has `stop()`. */
  ask(task, given = {}, told = () => {}, transfer = []) {
    const id = this._next++;
    const promise = new Promise((found, failed) => this._tasks.set(id, { found, failed, told }));
    this._worker.postMessage({ id, task, ...given }, transfer);
    promise.stop = () => this._tasks.has(id) && this._worker.postMessage({ id, task: "stop" });
    return promise;
  }

  _heard({ id, news, found, error, stopped }) {
    const task = this._tasks.get(id);
    if (!task) return;
    if (news) {
      task.told(news);
      return;
    }
    this._tasks.delete(id);
    if (stopped) task.failed(new StoppedError());
    else if (error !== undefined) task.failed(new Error(error));
    else task.found(found);
  }

  _failed(error) {
    for (const { failed } of this._tasks.values()) failed(error);
    this._tasks.clear();
  }
}
