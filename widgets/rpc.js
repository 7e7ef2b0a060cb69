/** Requests from a view to Python (or to the answers stored in a saved page) by custom messages. */

/** @typedef {{ on(name: string, fn: (message: any, buffers?: any) => void): void, off(name?: string | null, fn?: any): void, send(content: any): void }} Port */

let made = 0;
// crypto.randomUUID does not exist on a page served by plain http
const uuid = () => `${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}-${(made += 1)}`;

/** @param {Port} model @param {AbortSignal} signal @returns {Ask} rejects with the message of an error raised in Python */
export function requests(model, signal) {
  /** @type {Map<string, { resolve(value: any): void, reject(reason: Error): void }>} */
  const waiting = new Map();
  const receive = (/** @type {any} */ message, /** @type {DataView[] | undefined} */ buffers) => {
    const entry = waiting.get(message?.request); // answers to another view of the same model are not ours
    if (!entry) return;
    waiting.delete(message.request);
    if (message.error !== undefined) entry.reject(new Error(message.error));
    else entry.resolve(buffers?.length ? { ...message.result, buffers } : message.result);
  };
  model.on("msg:custom", receive);
  signal.addEventListener("abort", () => {
    model.off("msg:custom", receive);
    waiting.clear();
  });
  return (method, params = {}) =>
    new Promise((resolve, reject) => {
      const id = uuid();
      waiting.set(id, { resolve, reject });
      model.send({ request: id, method, params });
    });
}
