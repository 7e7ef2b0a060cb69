/** What every widget begins with: root, state, requests, the message of what went wrong, a tooltip, and an end. */
import { alertBox } from "./alert.js";
import { h, throttle } from "./dom.js";
import { GONE, requests } from "./rpc.js";
import { tooltip } from "./tip.js";

/**
 * @template S
 * @param {any} model @param {HTMLElement} el @param {AbortSignal | undefined} outer @param {string} name @param {string} label
 * @returns {Ui<S> & { end(): void }}
 */
export function mount(model, el, outer, name, label) {
  const abort = new AbortController();
  const signal = abort.signal;
  const end = () => abort.abort();
  outer?.addEventListener("abort", end);
  const atEnd = (/** @type {() => void} */ undo) => signal.addEventListener("abort", undo);
  // JupyterLab's own shortcuts stay out of a widget
  const view = h("div", {
    class: `saelab saelab-${name}`, role: "group", "aria-label": label, tabindex: "-1", "data-lm-suppress-shortcuts": "true",
  });
  /** @type {Ui<any>["on"]} */
  const on = (keys, draw) => {
    for (const key of keys) model.on(`change:${String(key)}`, draw);
    atEnd(() => { for (const key of keys) model.off(`change:${String(key)}`, draw); });
  };
  const tip = tooltip(view, signal);
  const alert = alertBox(() => model.get("error") ?? {}, (draw) => on(["error"], draw));
  const request = requests(model, signal, alert.say);
  let asking = false;
  /** Whether a change is heard. Where it is not, that is said once: much is drawn here without Python, such as a selection. */
  function isHeard() {
    if (asking) return;
    asking = true;
    request("alive").then(() => { asking = false; }, (error) => { if (error.message === GONE) alert.say(GONE); });
  }
  view.append(alert.box);
  el.append(view);
  return {
    view, tip, signal, atEnd, on, end, request, say: alert.say,
    state: /** @type {S} */ (new Proxy({}, { get: (_, key) => model.get(String(key)) })),
    set(changes) {
      for (const [key, value] of Object.entries(changes)) model.set(key, value);
      model.save_changes();
      isHeard();
    },
    soon: (keys, draw) => on(keys, throttle(draw, 0, signal)),
    ask: (method, params, done = () => {}) => { request(method, params).then(done).catch((error) => alert.say(error.message)); },
  };
}

/**
 * A widget as anywidget takes it.
 * @template S
 * @param {string} name @param {string} label @param {(ui: Ui<S>) => void} build
 * @returns {{ render: import("@anywidget/types").Render<any> }}
 */
export const widget = (name, label, build) => ({
  render({ model, el, signal }) {
    const ui = mount(model, el, signal, name, label);
    build(/** @type {Ui<S>} */ (ui));
    return ui.end;
  },
});
