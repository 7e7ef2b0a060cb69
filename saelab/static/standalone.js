// standalone.js
function bytes(base64) {
  const raw = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  return new DataView(raw.buffer);
}
async function unzip(base64) {
  const stream = new Blob([bytes(base64)]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}
function unpack(value) {
  if (typeof value?.$bytes === "string") return bytes(value.$bytes);
  if (Object.prototype.toString.call(value) !== "[object Object]") return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, unpack(inner)]));
}
function requestKey(method, params) {
  return `${method} ${JSON.stringify(Object.fromEntries(Object.entries(params).sort(([a], [b]) => a < b ? -1 : 1)))}`;
}
var Model = class {
  #listeners = (
    /** @type {Record<string, Set<(...args: any[]) => void>>} */
    {}
  );
  #state = (
    /** @type {Record<string, any>} */
    {}
  );
  #replies;
  /** @param {Record<string, any>} state @param {Stored["replies"]} [replies] */
  constructor(state, replies = {}) {
    this.#state = unpack(state);
    this.#replies = replies;
  }
  /** @param {string} key */
  get(key) {
    return this.#state[key];
  }
  /** @param {string} key @param {unknown} value */
  set(key, value) {
    if (this.#state[key] === value) return;
    this.#state[key] = value;
    this.#emit(`change:${key}`, value);
  }
  save_changes() {
  }
  /** @param {string} name @param {(...args: any[]) => void} fn */
  on(name, fn) {
    (this.#listeners[name] ??= /* @__PURE__ */ new Set()).add(fn);
  }
  /** @param {string | null} [name] @param {((...args: any[]) => void) | null} [fn] */
  off(name, fn) {
    if (!name) this.#listeners = {};
    else if (fn) this.#listeners[name]?.delete(fn);
    else delete this.#listeners[name];
  }
  /** @param {string} name @param {unknown} value */
  #emit(name, value) {
    for (const fn of [...this.#listeners[name] ?? []]) fn(value);
  }
  /** Whether the page has an answer. @param {string} method @param {Record<string, unknown>} params */
  holds(method, params) {
    return requestKey(method, params) in this.#replies;
  }
  /** @param {{ request: string, method: string, params: Record<string, unknown> }} message */
  send({ request, method, params }) {
    const reply = this.#replies[requestKey(method, params)];
    queueMicrotask(() => {
      if (!reply) {
        return this.#emit("msg:custom", { request, error: "This is a saved page. For this, open the notebook it was made in." });
      }
      for (const [key, value] of Object.entries(unpack(reply))) this.set(key, value);
      this.#emit("msg:custom", { request, result: null });
    });
  }
};
function link(models) {
  for (const model of models) {
    model.on("change:latent", (latent) => {
      for (const other of models) {
        if (other === model || other.get("latent") === latent) continue;
        if (other.holds("open", { latent })) other.send({ request: "", method: "open", params: { latent } });
        else if (!other.get("available")) other.set("latent", latent);
      }
    });
  }
}
async function start(page, load = (url) => import(url)) {
  const held = page.getElementById("saelab-data");
  if (!held?.textContent) return;
  const source = held.dataset.packed ? await unzip(held.textContent) : held.textContent;
  const data = JSON.parse(source);
  const modules = /* @__PURE__ */ new Map();
  const moduleOf = (name) => {
    if (!modules.has(name)) {
      modules.set(name, load(URL.createObjectURL(new Blob([data.modules[name]], { type: "text/javascript" }))));
    }
    return modules.get(name);
  };
  const models = data.widgets.map((w) => new Model(w.state, w.replies));
  for (const name of new Set(data.widgets.map((w) => w.link))) if (name) link(models.filter((_, i) => data.widgets[i].link === name));
  const draw = async (slot) => {
    if (slot.dataset.drawn !== void 0) return;
    slot.dataset.drawn = "";
    const number = Number(slot.dataset.widget);
    const widget = (await moduleOf(data.widgets[number].module)).default;
    const el = page.createElement("div");
    slot.replaceChildren(el);
    await widget.render({ model: models[number], el, signal: new AbortController().signal });
  };
  const slots = [...page.querySelectorAll("[data-widget]")].map((s) => (
    /** @type {HTMLElement} */
    s
  ));
  const closed = (s) => s.closest("details:not([open])");
  page.addEventListener("toggle", () => slots.filter((s) => !closed(s)).forEach(draw), true);
  const jump = () => {
    const target = page.getElementById(decodeURIComponent(page.defaultView?.location.hash.slice(1) ?? ""));
    for (let e = (
      /** @type {Element | null} */
      target
    ); e; e = e.parentElement) if (e.tagName === "DETAILS") e.setAttribute("open", "");
    target?.scrollIntoView();
  };
  addEventListener("hashchange", jump);
  jump();
  addEventListener("beforeprint", () => slots.forEach(draw));
  await Promise.all(slots.filter((s) => !closed(s)).map(draw));
}
if (typeof document !== "undefined") start(document);
export {
  Model,
  link,
  requestKey,
  start
};
