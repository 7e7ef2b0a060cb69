/** A page and a model for node's test runner. */
import { JSDOM } from "jsdom";
import { Model } from "../standalone.js";

/** Install a document; every test file calls it before importing a widget. */
export function browser() {
  const dom = new JSDOM("<!doctype html><body></body>", { pretendToBeVisual: true });
  const names = ["window", "document", "Node", "Event", "KeyboardEvent", "MouseEvent", "HTMLElement", "AbortController", "AbortSignal"];
  for (const name of names) globalThis[name] = name === "window" ? dom.window : dom.window[name];
  for (const name of ["requestAnimationFrame", "getComputedStyle", "MutationObserver"]) globalThis[name] = dom.window[name].bind?.(dom.window) ?? dom.window[name];
  globalThis.MutationObserver = dom.window.MutationObserver;
  globalThis.ResizeObserver = class { observe() {} disconnect() {} }; // nothing has a size in jsdom
  for (const name of ["Element", "Text", "SVGSVGElement", "HTMLCanvasElement", "XMLSerializer", "DOMRect"]) globalThis[name] = dom.window[name];
  dom.window.HTMLCanvasElement.prototype.getContext = () => null;
  // jsdom has no pointer events; a mouse event with the same fields does for the tests
  globalThis.PointerEvent = class extends dom.window.MouseEvent {};
  return dom;
}

/** float32 bytes at an odd offset, as they arrive in a notebook. @param {number[]} values */
export function bytes(values) {
  const view = new DataView(new ArrayBuffer(1 + 4 * values.length), 1);
  values.forEach((v, i) => view.setFloat32(4 * i, v, true));
  return view;
}

/** A model that records what was saved and sent, and answers requests by `answer(method, params)`. */
export class FakeModel extends Model {
  saved = 0;
  /** @type {any[]} */
  sent = [];
  /** @type {(method: string, params: any) => any} may give a promise */
  answer = () => null;
  #custom = new Set();
  on(name, fn) {
    if (name === "msg:custom") this.#custom.add(fn);
    else super.on(name, fn);
  }
  off(name, fn) {
    if (name === "msg:custom") this.#custom.delete(fn);
    else super.off(name, fn);
  }
  /** @param {any} message from Python */
  tell(message) { for (const fn of this.#custom) fn(message); }
  get listening() { return this.#custom.size; }
  save_changes() { this.saved += 1; }
  send(message) {
    if (message.method !== "alive") this.sent.push(message);
    const answered = (/** @type {any} */ reply) => {
      const { buffers, ...result } = reply.result ?? {};
      for (const fn of this.#custom) fn({ request: message.request, ...(buffers ? { result } : reply) }, buffers);
    };
    Promise.resolve().then(() => message.method !== "alive" && this.answer(message.method, message.params))
      .then((result) => answered({ result }), (error) => answered({ error: error.message }));
  }
}

/** Draw a widget. @param {{ render: Function }} widget @param {Record<string, any>} state */
export function mount(widget, state) {
  const model = new FakeModel({ error: {}, ...state });
  const el = document.body.appendChild(document.createElement("div"));
  const controller = new AbortController();
  const cleanup = widget.render({ model, el, signal: controller.signal });
  return { model, el, controller, cleanup };
}

/** Let pending drawings and answers happen. */
export const settle = () => new Promise((resolve) => setTimeout(resolve, 20));

export const all = (el, selector) => [...el.querySelectorAll(selector)];
export const press = (el, key, more = {}) => el.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...more }));
export const point = (el, type, more = {}) => el.dispatchEvent(new PointerEvent(type, { bubbles: true, cancelable: true, button: 0, ...more }));
export const HOSTILE = ["<img src=x onerror=alert(1)>", "</script>", "\u2028", " $", "x", "<b>", "&amp;", "\"", "\n", "\t", "", "\\xf0"];
