// dom.js
function setAll(node, attributes) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === void 0) continue;
    node.setAttribute(key, value === true ? "" : String(value));
  }
}
function h(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  setAll(node, attributes);
  node.append(...children.filter((c) => c !== null));
  return node;
}
function button(text, name, action) {
  const node = h("button", { type: "button", class: "sl-button", title: name, "aria-label": name }, text);
  node.addEventListener("click", action);
  return node;
}
function root(name, label) {
  return h("div", {
    class: `saelab saelab-${name}`,
    role: "group",
    "aria-label": label,
    tabindex: "-1",
    "data-lm-suppress-shortcuts": "true"
  });
}
function floats(view) {
  if (!view || view.byteLength === 0) return new Float32Array(0);
  return new Float32Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
}
function show(value, digits = 3) {
  if (value === null || value === void 0 || Number.isNaN(value)) return "–";
  const size = Math.abs(value);
  if (value < 0) return `−${show(size, digits)}`;
  if (Number.isInteger(value)) return count(value);
  if (size >= 1e6 || size < 1e-3) return value.toExponential(digits - 1).replace("e+", "e");
  if (size >= 1e3) return count(Math.round(value));
  return String(Number(value.toPrecision(digits)));
}
function count(value) {
  return value.toLocaleString("en-US", { maximumFractionDigits: 0 });
}
function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}
function typing(event) {
  const target = (
    /** @type {HTMLElement} */
    event.target
  );
  return ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName);
}
function throttle(fn, wait, signal) {
  let timer;
  let last;
  signal?.addEventListener("abort", () => clearTimeout(timer));
  return (...args) => {
    if (signal?.aborted) return;
    last = args;
    timer ??= setTimeout(() => {
      timer = void 0;
      fn(...last);
    }, wait);
  };
}

// alert.js
function alertBox(model) {
  const box = h("div", { class: "sl-alert", role: "alert", hidden: true });
  const say = (message, traceback) => {
    box.hidden = !message;
    box.replaceChildren();
    if (!message) return;
    box.append(
      h("span", { class: "sl-alert-text" }, message),
      button("×", "Dismiss the message", () => say(""))
    );
    if (traceback) box.append(h("details", {}, h("summary", {}, "traceback"), h("pre", {}, traceback)));
  };
  const fromPython = () => {
    const error = model.get("error") ?? {};
    say(error.message ?? "", error.traceback);
  };
  model.on("change:error", fromPython);
  fromPython();
  return { box, say };
}

// rpc.js
var made = 0;
var uuid = () => `${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}-${made += 1}`;
function requests(model, signal) {
  const waiting = /* @__PURE__ */ new Map();
  const receive = (message, buffers) => {
    const entry = waiting.get(message?.request);
    if (!entry) return;
    waiting.delete(message.request);
    if (message.error !== void 0) entry.reject(new Error(message.error));
    else entry.resolve(buffers?.length ? { ...message.result, buffers } : message.result);
  };
  model.on("msg:custom", receive);
  signal.addEventListener("abort", () => {
    model.off("msg:custom", receive);
    waiting.clear();
  });
  return (method, params = {}) => new Promise((resolve, reject) => {
    const id = uuid();
    waiting.set(id, { resolve, reject });
    model.send({ request: id, method, params });
  });
}

// text.js
var MARKS = (
  /** @type {Record<string, string>} */
  { "\n": "↵", "\r": "␍", "	": "⇥", " ": "·", " ": "⍽" }
);
var WHITE = /[\n\r\t \u00a0]/;
var RTL = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]/g;
var LTR = /[A-Za-z\u00c0-\u02af\u0370-\u058f\u0900-\u1fff\u3040-\ud7ff]/g;
function direction(text) {
  return (text.match(RTL)?.length ?? 0) > (text.match(LTR)?.length ?? 0) ? "rtl" : "ltr";
}
function marked(text) {
  if (!WHITE.test(text)) return [text];
  const out = [];
  for (const part of text.split(/([\n\r\t \u00a0])/)) {
    const mark = MARKS[part];
    if (mark === void 0) {
      if (part) out.push(part);
    } else out.push(h("span", { class: part === " " ? "sl-ws sl-space" : "sl-ws", "data-mark": mark }, part));
  }
  return out;
}
function chip(label) {
  const dir = label.includes("\\x") ? "ltr" : null;
  const node = h("code", { class: "sl-chip" }, h("bdi", { dir }, ...marked(label)));
  if (!label) node.append("(empty)");
  return node;
}
function groups(text) {
  let start = 0;
  return text.text.map((piece, i) => {
    const group = { start, stop: start + (text.size?.[i] ?? 1), text: piece };
    start = group.stop;
    return group;
  });
}
function labelOf(text, position) {
  const own = text.labels?.[String(position)];
  if (own !== void 0) return own;
  return groups(text).find((g) => g.start <= position && position < g.stop)?.text ?? "";
}
function shade(value, low, high) {
  if (!(value > low)) return 0;
  return high > low ? clamp(0.07 + 0.93 * (value - low) / (high - low), 0, 1) : 1;
}
function tokens(text, values, { low = 0, high, from = 0, to = Infinity }) {
  const special = new Set(text.special ?? []);
  const out = [];
  for (const { start, stop, text: piece } of groups(text)) {
    if (start < from || start >= to) continue;
    let value = -Infinity;
    for (let i = start; i < stop; i += 1) value = Math.max(value, values[i] ?? 0);
    const node = h("span", { class: "sl-tok", "data-start": start, "data-stop": stop }, ...marked(piece));
    if (special.has(start)) node.classList.add("sl-special");
    const a = shade(value, low, high);
    if (a > 0) {
      node.style.setProperty("--a", a.toFixed(3));
      node.classList.add("sl-hot");
    }
    out.push(node);
  }
  return out;
}

// effect_map.js
var NAMES = (
  /** @type {Record<Measure, string>} */
  { loss_diff: "loss difference", kl: "KL", activation: "activation" }
);
var NOTES = (
  /** @type {Record<Measure, string>} */
  {
    loss_diff: "Loss without the latent minus loss with it, in nats, about the token after each one. + : the latent helps to predict it. − : it harms.",
    kl: "Divergence in nats of the prediction without the latent from the one with it, KL(with ‖ without), about the token after each one.",
    activation: "How strongly the latent fires at each token."
  }
);
function signed(value) {
  const text = show(value);
  return value !== null && value !== void 0 && value > 0 ? `+${text}` : text;
}
function render({ model, el, signal }) {
  const abort = new AbortController();
  signal?.addEventListener("abort", () => abort.abort());
  const request = requests(model, abort.signal);
  const view = root("effects", "Effects of ablating a latent");
  const alert = alertBox(model);
  const fail = (e) => alert.say(e.message);
  function set(changes) {
    for (const [key, value] of Object.entries(changes)) model.set(
      /** @type {any} */
      key,
      value
    );
    model.save_changes();
  }
  const size = () => model.get("text").ids?.length ?? 0;
  const numbers = (name) => floats(model.get("numbers")[model.get("direct") && name === "kl" ? "direct_kl" : name]);
  function voted(way, position) {
    const key = model.get("direct") ? `direct_${way}` : way;
    const names = model.get("votes")[key]?.[position] ?? [];
    const all = floats(model.get("weights")[key]);
    const width = all.length / Math.max(1, size());
    return names.map((name, i) => [name, all[position * width + i]]);
  }
  const title = h("h2", {});
  const box = h("input", { class: "sl-input sl-number", type: "text", inputmode: "numeric", "aria-label": "Latent to ablate" });
  const ask = () => {
    const latent = Number(box.value.trim() || NaN);
    alert.say("");
    if (!Number.isInteger(latent) || latent < 0 || latent >= model.get("d_sae")) {
      return alert.say(`A latent is a whole number from 0 to ${model.get("d_sae") - 1}.`);
    }
    request("ablate", { latent }).catch(fail);
  };
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter") ask();
  });
  const asking = h("span", { class: "sl-bar" }, box, button("Ablate", "Show the effects of this latent", ask));
  const tabs = h("span", { class: "sl-tabs", role: "tablist", "aria-label": "What colours the text" });
  const direct = h("input", { type: "checkbox" });
  direct.addEventListener("change", () => set({ direct: direct.checked }));
  const directBox = h("label", { class: "sl-check", title: "Only what the latent's own write changes in the last layer's residual stream" }, direct, "direct effect");
  const white = h("input", { type: "checkbox" });
  white.addEventListener("change", () => set({ show_whitespace: white.checked }));
  const whiteBox = h("label", { class: "sl-check" }, white, "white space");
  const ramp = h("span", { class: "sl-scale" });
  const note = h("p", { class: "sl-muted sl-small sl-note" });
  function drawHead() {
    title.textContent = `Latent ${model.get("latent")} ablated`;
    if (!typingIn(box)) box.value = String(model.get("latent"));
    asking.hidden = !model.get("can_ask");
    directBox.hidden = !model.get("has_direct");
    direct.checked = model.get("direct");
    white.checked = model.get("show_whitespace");
    tabs.replaceChildren(...Object.entries(NAMES).map(([key, name]) => {
      const tab = h("button", { type: "button", role: "tab", "aria-selected": String(model.get("measure") === key) }, name);
      tab.addEventListener("click", () => set({ measure: (
        /** @type {Measure} */
        key
      ), vmax: null }));
      return tab;
    }));
    note.textContent = NOTES[model.get("measure")] + (model.get("edited").length ? " Dotted: where it fires and was set to 0." : " It fires nowhere in this text.");
  }
  const typingIn = (node) => (
    /** @type {Document} */
    node.getRootNode().activeElement === node
  );
  const strip = h("div", { class: "sl-strip", role: "listbox", tabindex: "0", "aria-label": "Text; arrow keys move" });
  let spans = [];
  function drawText() {
    const text = model.get("text");
    const measure = model.get("measure");
    const values = numbers(measure);
    let largest = 0;
    for (const v of values) if (Number.isFinite(v)) largest = Math.max(largest, Math.abs(v));
    const high = model.get("vmax") ?? largest;
    const edited = new Set(model.get("edited"));
    spans = tokens(text, [], { high: 1 });
    for (const span of spans) {
      let value = 0;
      for (let i = Number(span.dataset.start); i < Number(span.dataset.stop); i += 1) {
        if (Number.isFinite(values[i]) && Math.abs(values[i]) > Math.abs(value)) value = values[i];
        if (edited.has(i)) span.classList.add("sl-edited");
      }
      const a = shade(Math.abs(value), 0, high);
      if (a > 0) {
        span.style.setProperty("--a", a.toFixed(3));
        span.classList.add(value > 0 ? "sl-hot" : "sl-less");
      }
      span.setAttribute("role", "option");
      span.title = `${NAMES[measure]} ${measure === "loss_diff" ? signed(value) : show(value)}`;
    }
    const body2 = h("bdi", { class: "sl-text", dir: direction(text.text.join("")) }, ...spans);
    body2.classList.toggle("sl-show-space", model.get("show_whitespace"));
    strip.replaceChildren(body2);
    const both = measure === "loss_diff";
    ramp.replaceChildren(h("span", {}, both ? signed(-high) : "0"), h("span", { class: `sl-ramp${both ? " sl-both" : ""}` }), h("span", {}, both ? signed(high) : show(high)));
    drawSelection();
  }
  const detail = h("section", { class: "sl-detail", "aria-live": "polite" });
  function votes(way, position) {
    const rows = voted(way, position);
    const high = Math.max(...voted("up", position).map(([, v]) => Math.abs(v)), ...voted("down", position).map(([, v]) => Math.abs(v)), 1e-9);
    return h(
      "div",
      { class: `sl-votes sl-${way}` },
      h("h3", {}, way === "up" ? "the latent votes up (+)" : "the latent votes down (−)"),
      ...rows.map(([name, value]) => {
        const bar = h("i", {});
        bar.style.width = `${100 * Math.abs(value) / high}%`;
        return h("div", { class: "sl-vote" }, chip(name), h("output", {}, signed(value)), h("span", {}, bar));
      }),
      rows.length ? null : h("span", { class: "sl-muted" }, "nothing")
    );
  }
  function drawSelection() {
    const at = model.get("selected_token");
    for (const s of spans) s.setAttribute("aria-selected", String(at !== null && Number(s.dataset.start) <= at && at < Number(s.dataset.stop)));
    for (const row of lines()) row.setAttribute("aria-selected", String(Number(row.dataset.at) === at));
    detail.hidden = at === null;
    if (at === null || at >= size()) return;
    const next = model.get("following")[at];
    const [loss, change] = [numbers("loss")[at], numbers("loss_diff")[at]];
    const pairs = [
      ["position", String(at)],
      ["token", chip(labelOf(model.get("text"), at))],
      ["next", next === null ? "(end)" : chip(next)],
      ["activation", show(numbers("activation")[at]) + (model.get("edited").includes(at) ? " → 0" : "")],
      ["loss with / without", Number.isNaN(loss) ? "–" : `${show(loss)} / ${show(loss + change)}`],
      ["loss difference", signed(change)],
      [model.get("direct") ? "KL (direct)" : "KL", show(numbers("kl")[at])]
    ];
    detail.replaceChildren(
      h("dl", { class: "sl-place" }, ...pairs.flatMap(([k, v]) => [h("dt", {}, k), h("dd", {}, v)])),
      votes("up", at),
      votes("down", at)
    );
  }
  const body = h("tbody", {});
  const table = h("div", { class: "sl-table", hidden: true }, h(
    "table",
    {},
    h("thead", {}, h("tr", {}, ...["", "token", "activation", "loss difference", "KL", "up", "down"].map((t, i) => h("th", { class: [0, 2, 3, 4].includes(i) ? "sl-num" : "" }, t)))),
    body
  ));
  const more = h("button", { type: "button", class: "sl-link sl-small", "aria-expanded": "false" }, "all positions as a table");
  more.addEventListener("click", () => {
    table.hidden = !table.hidden;
    more.setAttribute("aria-expanded", String(!table.hidden));
    drawTable();
  });
  const lines = () => (
    /** @type {HTMLElement[]} */
    [...body.children]
  );
  function drawTable() {
    if (table.hidden) return;
    const [activation, change, kl] = ["activation", "loss_diff", "kl"].map(numbers);
    body.replaceChildren(...Array.from({ length: size() }, (_, i) => {
      const few = (way) => voted(way, i).slice(0, 3).map(([name, v]) => h("span", { class: "sl-one" }, chip(name), ` ${signed(v)}`));
      return h(
        "tr",
        { "data-at": i },
        h("td", { class: "sl-num sl-muted" }, String(i)),
        h("td", {}, chip(labelOf(model.get("text"), i))),
        h("td", { class: "sl-num" }, show(activation[i])),
        h("td", { class: "sl-num" }, signed(change[i])),
        h("td", { class: "sl-num" }, show(kl[i])),
        h("td", { class: "sl-many" }, ...few("up")),
        h("td", { class: "sl-many" }, ...few("down"))
      );
    }));
    drawSelection();
  }
  body.addEventListener("click", (event) => {
    const row = (
      /** @type {HTMLElement | null} */
      /** @type {HTMLElement} */
      event.target.closest("tr")
    );
    if (row) set({ selected_token: Number(row.dataset.at) });
  });
  strip.addEventListener("click", (event) => {
    const token = (
      /** @type {HTMLElement | null} */
      /** @type {HTMLElement} */
      event.target.closest(".sl-tok")
    );
    if (token) set({ selected_token: Number(token.dataset.start) });
  });
  view.addEventListener("keydown", (event) => {
    if (typing(event)) {
      if (event.key !== "Escape") event.stopPropagation();
      return;
    }
    const at = model.get("selected_token");
    const pieces = groups(model.get("text"));
    const here = pieces.findIndex((g) => at !== null && g.start <= at && at < g.stop);
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (event.key === "/" && model.get("can_ask")) box.focus();
    else if (event.key === "Escape") set({ selected_token: null });
    else if (step !== void 0 && pieces.length) {
      const to = at === null ? 0 : Math.min(Math.max(here + step, 0), pieces.length - 1);
      set({ selected_token: pieces[to].start });
      spans[to]?.scrollIntoView?.({ block: "nearest" });
    } else return;
    event.preventDefault();
    event.stopPropagation();
  });
  const redraw = throttle(() => {
    drawHead();
    drawText();
    drawTable();
  }, 0, abort.signal);
  const keys = (
    /** @type {const} */
    ["measure", "direct", "vmax", "show_whitespace", "latent", "text", "following", "edited", "numbers", "votes", "weights", "has_direct", "can_ask"]
  );
  for (const key of keys) model.on(`change:${key}`, redraw);
  model.on("change:selected_token", throttle(drawSelection, 0, abort.signal));
  view.append(
    alert.box,
    h("div", { class: "sl-bar" }, title, h("span", { class: "sl-grow" }), asking),
    h("div", { class: "sl-bar" }, tabs, directBox, whiteBox, h("span", { class: "sl-grow" }), ramp),
    note,
    strip,
    detail,
    more,
    table
  );
  el.append(view);
  drawHead();
  drawText();
  return () => abort.abort();
}
var effect_map_default = { render };
export {
  effect_map_default as default,
  signed
};
