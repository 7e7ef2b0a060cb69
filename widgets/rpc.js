/** Requests from a view to Python (or to the answers stored in a saved page) by custom messages. */

/** @typedef {{ on(name: string, fn: (message: any, buffers?: any) => void): void, off(name?: string | null, fn?: any): void, send(content: any): void }} Port */

let made = 0;
// crypto.randomUUID does not exist on a page served by plain http
const uuid = () => `${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}-${(made += 1)}`;

export const GONE = "Python is not there: the kernel was restarted or has ended. Run the cell that makes this widget again.";
const SILENT = "Python does not answer. Its kernel has ended, or was restarted: run the cell that makes this widget again. "
  + "Or it is busy: some front ends deliver clicks only when no cell is running; the notebook's own stop button always works.";
const PATIENCE = 1500; // milliseconds until Python must have said that it has a request

/**
 * @param {Port} model @param {AbortSignal} signal @param {(message: string) => void} [say] of an answer that does not come
 * @returns {Ask} rejects with the message of an error raised in Python
 */
export function requests(model, signal, say = () => {}) {
  /** @type {Map<string, { resolve(value: any): void, reject(reason: Error): void, timer: ReturnType<typeof setTimeout> }>} */
  const waiting = new Map();
  let silent = false; // whether it says so
  const heard = () => { if (silent) say(""); silent = false; };
  const late = () => { say(SILENT); silent = true; };
  const receive = (/** @type {any} */ message, /** @type {DataView[] | undefined} */ buffers) => {
    const entry = waiting.get(message?.request); // answers to another view of the same model are not ours
    if (!entry) return;
    clearTimeout(entry.timer);
    heard();
    if (message.taken) return; // the answer may take its time
    waiting.delete(message.request);
    if (message.error !== undefined) entry.reject(new Error(message.error));
    else entry.resolve(buffers?.length ? { ...message.result, buffers } : message.result);
  };
  model.on("msg:custom", receive);
  signal.addEventListener("abort", () => {
    model.off("msg:custom", receive);
    for (const { timer } of waiting.values()) clearTimeout(timer);
    waiting.clear();
  });
  return (method, params = {}) =>
    new Promise((resolve, reject) => {
      const id = uuid();
      waiting.set(id, { resolve, reject, timer: setTimeout(late, PATIENCE) });
      try {
        model.send({ request: id, method, params });
      } catch { // the front end has closed the way to Python
        clearTimeout(waiting.get(id)?.timer);
        waiting.delete(id);
        reject(new Error(GONE));
      }
    });
}
