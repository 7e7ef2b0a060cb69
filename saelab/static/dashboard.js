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
function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
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
function show(value, digits = 3) {
  if (value === null || value === void 0 || Number.isNaN(value)) return "–";
  const size = Math.abs(value);
  if (value < 0) return `−${show(size, digits)}`;
  if (Number.isInteger(value)) return count(value);
  if (size >= 1e6 || size < 1e-3) return value.toExponential(digits - 1).replace("e+", "e");
  if (size >= 1e3) return count(Math.round(value));
  return String(Number(value.toPrecision(digits)));
}
function column(value) {
  if (value === null || value === void 0 || Number.isNaN(value)) return "–";
  const size = Math.abs(value);
  const text = size !== 0 && (size >= 1e3 || size < 1e-3) ? show(size) : size.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3);
  return value < 0 ? `−${text}` : text;
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

// tip.js
function tooltip(parent, signal) {
  const box = h("div", { class: "sl-tip", role: "tooltip", popover: "manual" });
  parent.append(box);
  let open = false;
  const hide = () => {
    if (!open) return;
    open = false;
    box.classList.remove("sl-open");
    box.hidePopover?.();
  };
  const show2 = (anchor, ...content) => {
    box.replaceChildren(...content);
    if (!open) {
      open = true;
      box.classList.add("sl-open");
      box.showPopover?.();
    }
    const at = anchor.getClientRects()[0] ?? anchor.getBoundingClientRect();
    const size = box.getBoundingClientRect();
    const above = at.bottom + 6 + size.height > window.innerHeight && at.top - 6 - size.height > 0;
    box.style.left = `${clamp(at.left, 4, Math.max(4, window.innerWidth - size.width - 4))}px`;
    box.style.top = `${above ? at.top - 6 - size.height : at.bottom + 6}px`;
  };
  window.addEventListener("scroll", hide, { capture: true, passive: true, signal });
  signal.addEventListener("abort", hide);
  return { show: show2, hide };
}
function facts(pairs) {
  return h("dl", {}, ...pairs.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

// chart.js
var W = 320;
var H = 132;
var LEFT = 34;
var RIGHT = 8;
var TOP = 6;
var BOTTOM = 22;
function logHeight(n, most) {
  return n <= 0 ? 0 : (Math.log10(n) + 0.4) / (Math.log10(most) + 0.4);
}
function histogram(data, { brush, onBrush, tip }) {
  const most = Math.max(...data.count, 1);
  const low = data.lo[0], high = Math.max(data.hi[data.hi.length - 1], low + 1e-9);
  const total = data.count.reduce((a, b) => a + b, 0);
  const x = (v) => LEFT + (v - low) / (high - low) * (W - LEFT - RIGHT);
  const y = (n) => H - BOTTOM - logHeight(n, most) * (H - TOP - BOTTOM);
  const node = svg("svg", {
    viewBox: `0 0 ${W} ${H}`,
    class: "sl-histogram",
    role: "img",
    "aria-label": `Histogram of ${count(total)} activations from ${show(low)} to ${show(high)}, logarithmic counts`
  });
  for (let n = 1; n <= most; n *= 10) {
    node.append(
      svg("line", { class: "sl-grid", x1: LEFT, x2: W - RIGHT, y1: y(n), y2: y(n) }),
      svg("text", { x: LEFT - 5, y: y(n) + 4, "text-anchor": "end" }, n >= 1e6 ? `${n / 1e6}M` : n >= 1e3 ? `${n / 1e3}k` : String(n))
    );
  }
  data.count.forEach((n, i) => {
    const width = Math.max(x(data.hi[i]) - x(data.lo[i]) - 0.6, 0.8);
    if (n > 0) node.append(svg("rect", { class: "sl-bin", x: x(data.lo[i]), width, y: y(n), height: H - BOTTOM - y(n) }));
  });
  node.append(svg("line", { class: "sl-axis", x1: LEFT, x2: W - RIGHT, y1: H - BOTTOM, y2: H - BOTTOM }));
  for (const share of [0, 0.5, 1]) {
    const v = low + share * (high - low);
    node.append(svg("text", { x: x(v), y: H - 6, "text-anchor": share === 0 ? "start" : share === 1 ? "end" : "middle" }, show(v)));
  }
  const mark = svg("rect", { class: "sl-brush", y: TOP, height: H - TOP - BOTTOM });
  const place = (range2) => {
    mark.setAttribute("visibility", range2 ? "visible" : "hidden");
    if (!range2) return;
    const [a, b] = [x(clamp(range2[0], low, high)), x(clamp(range2[1], low, high))];
    mark.setAttribute("x", String(a));
    mark.setAttribute("width", String(Math.max(b - a, 1)));
  };
  place(brush);
  node.append(mark);
  const binAt = (event) => {
    const box = node.getBoundingClientRect();
    const at = (event.clientX - box.left) / (box.width || 1) * W;
    const v = low + (at - LEFT) / (W - LEFT - RIGHT) * (high - low);
    const bin = data.hi.findIndex((edge) => v < edge);
    return bin === -1 ? data.hi.length - 1 : bin;
  };
  const range = (a, b) => (
    /** @type {[number, number]} */
    [data.lo[Math.min(a, b)], data.hi[Math.max(a, b)]]
  );
  let from = -1, moved = false;
  node.addEventListener("pointerdown", (event) => {
    from = binAt(event);
    moved = false;
    node.setPointerCapture?.(event.pointerId);
    event.preventDefault();
  });
  node.addEventListener("pointermove", (event) => {
    const bin = binAt(event);
    if (from >= 0) {
      moved = moved || bin !== from;
      tip.hide();
      return place(range(from, bin));
    }
    const above = data.count.slice(bin).reduce((a, b) => a + b, 0);
    tip.show(node, facts([
      ["activation", `${show(data.lo[bin])} – ${show(data.hi[bin])}`],
      ["firings", count(data.count[bin])],
      ["at least this strong", `${show(100 * above / total)} %`]
    ]));
  });
  node.addEventListener("pointerleave", () => tip.hide());
  node.addEventListener("pointerup", (event) => {
    if (from < 0) return;
    const [a, b] = [from, binAt(event)];
    from = -1;
    if (!moved && brush) onBrush(null);
    else onBrush(range(a, b));
  });
  node.addEventListener("pointercancel", () => {
    from = -1;
    place(brush);
  });
  return node;
}
function barRow(name, value, most, kind = "") {
  const bar = h("span", { class: `sl-hbar ${kind}` });
  bar.style.setProperty("--w", `${(100 * clamp(Math.abs(value) / (most || 1), 0, 1)).toFixed(1)}%`);
  return [h("span", { class: "sl-cell" }, name), bar, h("span", { class: "sl-value" }, column(value))];
}

// rpc.js
var made = 0;
var uuid = () => `${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}-${made += 1}`;
function requests(model, signal) {
  const waiting = /* @__PURE__ */ new Map();
  const receive = (message) => {
    const entry = waiting.get(message?.request);
    if (!entry) return;
    waiting.delete(message.request);
    if (message.error !== void 0) entry.reject(new Error(message.error));
    else entry.resolve(message.result);
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

// dashboard.js
var MEANING = (
  /** @type {Record<string, string>} */
  {
    mean: "mean activation where it fires",
    mean_sq: "E[a²] over all counted tokens",
    skew: "E[a³] / E[a²]^1.5 over all counted tokens",
    kurtosis: "E[a⁴] / E[a²]² over all counted tokens"
  }
);
function tabs(label, names, chosen, choose) {
  return h("div", { class: "sl-tabs", role: "tablist", "aria-label": label }, ...names.map(([key, name]) => {
    const node = h("button", { type: "button", role: "tab", "aria-selected": String(key === chosen), tabindex: key === chosen ? 0 : -1 }, name);
    node.addEventListener("click", () => choose(key));
    return node;
  }));
}
function render({ model, el, signal }) {
  const abort = new AbortController();
  signal?.addEventListener("abort", () => abort.abort());
  const request = requests(model, abort.signal);
  const view = root("dashboard", "Latent dashboard");
  const alert = alertBox(model);
  const tip = tooltip(view, abort.signal);
  function set(changes) {
    for (const [key, value] of Object.entries(changes)) model.set(
      /** @type {any} */
      key,
      value
    );
    model.save_changes();
  }
  const data = () => model.get("payload");
  const fires = () => (data().stats.n ?? 0) > 0;
  const high = () => model.get("vmax") ?? data().stats.max ?? 0;
  const fail = (e) => alert.say(e.message);
  const box = h("input", { class: "sl-input sl-number", type: "text", inputmode: "numeric", "aria-label": "Latent", title: "Latent; press / to come here" });
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter") open(Number(box.value.trim() || NaN));
    if (event.key === "Escape") {
      box.value = String(model.get("latent"));
      view.focus();
    }
  });
  const of = h("span", { class: "sl-muted sl-of" });
  const back = button("‹", "Previous latent (←)", () => step(-1));
  const on = button("›", "Next latent (→)", () => step(1));
  const any = button("random", "A random latent that fires", () => step("random"));
  function open(latent) {
    const held = model.get("available");
    alert.say("");
    if (!Number.isInteger(latent) || latent < 0 || latent >= data().d_sae) {
      alert.say(`A latent is a whole number from 0 to ${data().d_sae - 1}.`);
    } else if (held && !held.includes(latent)) {
      alert.say(`Latent ${latent} is not in this page; it holds ${held.join(", ")}.`);
    } else {
      request("open", { latent }).catch(fail);
      return;
    }
    box.value = String(model.get("latent"));
  }
  function step(by2) {
    const held = model.get("available");
    alert.say("");
    if (!held) return void request("step", { by: by2 }).catch(fail);
    if (held.length < 2) return;
    const at = held.indexOf(model.get("latent"));
    const jump = by2 === "random" ? 1 + Math.floor(Math.random() * (held.length - 1)) : by2;
    open(held[(at + jump + held.length) % held.length]);
  }
  const label = h("input", { class: "sl-input", type: "text", placeholder: "Label", "aria-label": "Label of this latent", maxlength: 200 });
  const note = h("textarea", { class: "sl-input", rows: 2, placeholder: "Note", "aria-label": "Note on this latent" });
  const notes = h("div", { class: "sl-notes" });
  let writing = model.get("latent");
  const save = () => {
    if (model.get("read_only") || label.value === model.get("label") && note.value === model.get("note") && writing === model.get("latent")) return;
    request("save", { latent: writing, label: label.value, note: note.value }).catch(fail);
  };
  const saveSoon = throttle(save, 700, abort.signal);
  for (const field of [label, note]) {
    field.addEventListener("input", saveSoon);
    field.addEventListener("change", save);
  }
  function drawNotes() {
    if (model.get("read_only")) {
      const [a, b] = [model.get("label"), model.get("note")];
      notes.replaceChildren(...a ? [h("p", { class: "sl-read sl-label" }, a)] : [], ...b ? [h("p", { class: "sl-read" }, b)] : []);
      notes.hidden = !a && !b;
      return;
    }
    if (!notes.firstChild) notes.append(label, note);
    const same = writing === model.get("latent");
    writing = model.get("latent");
    if (!same || label.getRootNode && /** @type {Document} */
    label.getRootNode().activeElement !== label) label.value = model.get("label");
    if (!same || label.getRootNode && /** @type {Document} */
    note.getRootNode().activeElement !== note) note.value = model.get("note");
  }
  const stats = h("dl", { class: "sl-stats" });
  const chart = h("div");
  const near = h("section");
  let by = (
    /** @type {"decoder" | "encoder" | "coactivation"} */
    "decoder"
  );
  function drawStats() {
    const { stats: s, counted, excluded } = data();
    const percent = (v) => v === null ? "–" : show(100 * v);
    const lines = [
      ["tokens counted", count(counted), excluded ? `+ ${count(excluded)} special, left out` : "", "Positions all numbers are about"],
      ["fires on", count(s.n ?? 0), "", "Positions with an activation above 0"],
      ["density", `${percent(s.density)} %`, `${percent(s.density_lo)} – ${percent(s.density_hi)}`, "Share of the counted tokens, with its 95 % interval (Wilson)"]
    ];
    if (fires()) {
      lines.push(["mean, max", `${show(s.mean)}, ${show(s.max)}`, "", MEANING.mean]);
      lines.push(["E[a²]", show(s.mean_sq), "", MEANING.mean_sq]);
      lines.push(["skew, kurtosis", `${show(s.skew)}, ${show(s.kurtosis)}`, "", `${MEANING.skew}; ${MEANING.kurtosis}`]);
    }
    stats.replaceChildren(...lines.flatMap(([name, value, more, title]) => [
      h("dt", { title }, name),
      h("dd", { title }, value, more ? h("small", {}, ` ${more}`) : null)
    ]));
  }
  function drawChart() {
    chart.replaceChildren();
    if (!fires()) return;
    chart.append(
      h("h3", {}, "Activations, log counts; drag to see a range"),
      histogram(data().histogram, { brush: model.get("brush"), tip, onBrush: (brush) => set({ brush, tab: brush ? "interval" : "top" }) })
    );
  }
  function drawNear() {
    const found = data().nearest[by];
    near.replaceChildren(
      h(
        "div",
        { class: "sl-bar" },
        h("h3", {}, "Nearest latents by"),
        tabs("Kind of neighbour", [["decoder", "decoder"], ["encoder", "encoder"], ["coactivation", "co-activation"]], by, (k) => {
          by = k;
          drawNear();
        })
      )
    );
    if (!Array.isArray(found)) return near.append(h("p", { class: "sl-muted sl-small" }, found.reason));
    if (!found.length) return near.append(h("p", { class: "sl-muted sl-small" }, "None."));
    const held = model.get("available");
    const rows = h("div", { class: "sl-rows" });
    for (const n of found) {
      const link = !held || held.includes(n.latent) ? h("button", { type: "button", class: "sl-link", title: `Open latent ${n.latent}` }, String(n.latent)) : h("span", { title: "Not in this page" }, String(n.latent));
      link.addEventListener("click", () => {
        if (link.tagName === "BUTTON") open(n.latent);
      });
      const name = h("span", {}, link, " ");
      name.append(n.token === null ? h("span", { class: "sl-muted" }, "never fires ") : chip(n.token), " ");
      name.append(n.label);
      rows.append(...barRow(name, n.similarity, 1));
    }
    near.append(rows);
  }
  const bar = h("div", { class: "sl-bar" });
  const list = h("div", { class: "sl-examples", role: "listbox", "aria-label": "Examples" });
  const votes = h("section");
  const space = h("input", { type: "checkbox" });
  space.addEventListener("change", () => set({ show_whitespace: space.checked }));
  const low = h("input", { class: "sl-input sl-number", type: "text", "aria-label": "Lowest activation" });
  const top = h("input", { class: "sl-input sl-number", type: "text", "aria-label": "Highest activation" });
  for (const field of [low, top]) {
    field.addEventListener("change", () => {
      const [a, b] = [Number(low.value), Number(top.value)];
      if (low.value.trim() !== "" && top.value.trim() !== "" && a <= b) set({ brush: [a, b], tab: "interval" });
      else drawBar("");
    });
  }
  let interval = null;
  let sample = null;
  let seed = 0;
  function shown() {
    const tab = model.get("tab"), latent = data().latent;
    if (tab === "interval") return interval?.latent === latent ? interval.examples : [];
    if (tab === "random" && sample?.latent === latent) return sample.examples;
    return data().examples[tab];
  }
  function drawBar(text) {
    const tab = model.get("tab");
    const parts = [
      tabs("Examples", [["top", "Top"], ["interval", "Interval"], ["random", "Random"]], tab, (key) => {
        if (key === "interval" && !model.get("brush")) {
          const max = data().stats.max ?? 0;
          set({ tab: key, brush: [max / 4, max / 2] });
        } else set({ tab: key });
      })
    ];
    if (tab === "interval") {
      const brush = model.get("brush");
      low.value = brush ? show(brush[0]) : "";
      top.value = brush ? show(brush[1]) : "";
      parts.push(h("span", { class: "sl-range" }, low, "to", top));
    }
    if (tab === "random" && !model.get("available")) parts.push(button("another sample", "Draw other examples", () => {
      seed += 1;
      request("random", { seed }).then((examples) => {
        sample = { latent: data().latent, examples };
        drawExamples();
      }).catch(fail);
    }));
    bar.replaceChildren(
      ...parts,
      h("span", { class: "sl-muted sl-small" }, text),
      h("span", { class: "sl-grow" }),
      h("label", { class: "sl-check sl-small" }, space, "spaces"),
      h("span", { class: "sl-scale sl-small" }, "0", h("span", { class: "sl-ramp", role: "img", "aria-label": "colour scale" }), show(high()))
    );
  }
  function drawExamples() {
    const tab = model.get("tab");
    bar.hidden = !fires();
    if (!fires()) {
      list.replaceChildren(h("div", { class: "sl-empty" }, `0 of ${count(data().counted)} tokens: never active in this sample.`));
      return;
    }
    drawBar(tab === "interval" ? interval?.note ?? "" : tab === "top" ? "strongest first" : "of all firings");
    list.replaceChildren(...shown().map(exampleRow));
    if (!shown().length && (tab !== "interval" || interval)) list.append(h("div", { class: "sl-empty" }, "No example in this range."));
    drawSelection();
  }
  function exampleRow(e, i) {
    const rtl = direction(e.text.text.join("")) === "rtl";
    const line = (from, to) => h("bdi", { class: "sl-line", dir: rtl ? "rtl" : "ltr" }, ...tokens(e.text, e.values, { high: high(), from, to }));
    const begin = groupStart(e.text, e.centre);
    const [before, rest] = [line(0, begin), line(begin, Infinity)];
    rest.firstElementChild?.classList.add("sl-centre");
    const row = h(
      "div",
      { class: "sl-example", role: "option", "data-i": i, "aria-selected": "false" },
      h("span", { class: "sl-act" }, column(e.value)),
      h("span", { class: "sl-side sl-left" }, rtl ? rest : before),
      h("span", { class: "sl-side sl-right" }, rtl ? before : rest),
      h(
        "span",
        { class: "sl-where", title: `document ${e.doc}, row ${e.row}, position ${e.position}${e.count > 1 ? `; this text occurs ${e.count} times` : ""}` },
        e.count > 1 ? h("b", {}, `×${count(e.count)}`) : null,
        `doc ${e.doc}`
      )
    );
    return row;
  }
  function groupStart(text, position) {
    let start = 0;
    for (let i = 0; i < text.text.length; i += 1) {
      const stop = start + (text.size?.[i] ?? 1);
      if (position < stop) return start;
      start = stop;
    }
    return start;
  }
  function drawSelection() {
    const [row, token] = [model.get("selected_sequence"), model.get("selected_token")];
    for (const node of list.querySelectorAll(".sl-example")) {
      const e = shown()[Number(
        /** @type {HTMLElement} */
        node.dataset.i
      )];
      node.setAttribute("aria-selected", String(!!e && e.row === row && e.position === token));
    }
  }
  function choose(i) {
    const e = shown()[i];
    if (e) set({ selected_sequence: e.row, selected_token: e.position });
  }
  function unfold(i) {
    const node = list.querySelector(`.sl-example[data-i="${i}"]`);
    const e = shown()[i];
    if (!node || !e) return;
    if (node.nextElementSibling?.classList.contains("sl-whole")) return node.nextElementSibling.remove();
    if (model.get("read_only")) return;
    request("row", { row: e.row }).then((whole) => {
      if (!node.isConnected || node.nextElementSibling?.classList.contains("sl-whole")) return;
      node.after(h("div", { class: "sl-whole" }, h("bdi", { class: "sl-text", dir: direction(whole.text.text.join("")) }, ...tokens(whole.text, whole.values, { high: high() }))));
    }).catch(fail);
  }
  list.addEventListener("click", (event) => {
    const node = (
      /** @type {HTMLElement | null} */
      /** @type {HTMLElement} */
      event.target.closest(".sl-example")
    );
    if (!node) return;
    const i = Number(node.dataset.i);
    choose(i);
    unfold(i);
    view.focus({ preventScroll: true });
  });
  list.addEventListener("pointerover", (event) => {
    const token = (
      /** @type {HTMLElement | null} */
      /** @type {HTMLElement} */
      event.target.closest(".sl-tok")
    );
    const row = (
      /** @type {HTMLElement | null} */
      token?.closest(".sl-example")
    );
    const e = row ? shown()[Number(row.dataset.i)] : void 0;
    if (!token || !e) return tip.hide();
    const [a, b] = [Number(token.dataset.start), Number(token.dataset.stop)];
    tip.show(token, ...Array.from({ length: Math.min(b - a, 6) }, (_, k) => facts([
      ["token", chip(labelOf(e.text, a + k))],
      ["id", String(e.text.ids[a + k])],
      ["position", String(e.start + a + k)],
      ["activation", show(e.values[a + k])]
    ])));
  });
  list.addEventListener("pointerleave", () => tip.hide());
  function drawVotes() {
    const found = data().logits;
    votes.replaceChildren(h("h3", { title: "Change of the next-token logits per unit of activation, through the final norm's gain and the unembedding" }, "Votes of the decoder direction (logit lens)"));
    if ("reason" in found) return votes.append(h("p", { class: "sl-muted sl-small" }, found.reason));
    const most = Math.max(...[...found.up, ...found.down].map(([, v]) => Math.abs(v)), 1e-12);
    const side = (pairs, kind) => h("div", { class: "sl-rows" }, ...pairs.flatMap(([token, value]) => barRow(chip(token), value, most, kind)));
    votes.append(h("div", { class: "sl-votes" }, side(found.up, "sl-warm"), side(found.down, "")));
  }
  function fetchInterval() {
    const brush = model.get("brush");
    if (!brush) {
      interval = null;
      return drawExamples();
    }
    const latent = data().latent, range = brush.join();
    if (interval?.latent === latent && interval.range === range) return drawExamples();
    interval = null;
    drawExamples();
    const [lo, hi] = brush;
    const done = (examples, text) => {
      if (data().latent !== latent || model.get("brush")?.join() !== range) return;
      interval = { latent, range, examples, note: text };
      drawExamples();
    };
    if (model.get("available")) {
      const all = [...data().examples.top, ...data().examples.random];
      const seen = /* @__PURE__ */ new Set();
      const inside = all.filter((e) => e.value >= lo && e.value <= hi && !seen.has(`${e.row} ${e.position}`) && seen.add(`${e.row} ${e.position}`));
      return done(inside.sort((a, b) => b.value - a.value), "of the examples in this page");
    }
    request("interval", { lo, hi }).then((r) => done(r.examples, `of ${count(r.total)} firings`)).catch(fail);
  }
  view.addEventListener("keydown", (event) => {
    if (typing(event)) return event.stopPropagation();
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const i = shown().findIndex((e) => e.row === model.get("selected_sequence") && e.position === model.get("selected_token"));
    const actions = (
      /** @type {Record<string, () => void>} */
      {
        ArrowLeft: () => step(-1),
        ArrowRight: () => step(1),
        ArrowDown: () => choose(Math.min(i + 1, shown().length - 1)),
        ArrowUp: () => choose(Math.max(i - 1, 0)),
        Enter: () => unfold(i),
        Escape: () => {
          tip.hide();
          set({ selected_sequence: null, selected_token: null });
        },
        "/": () => {
          box.focus();
          box.select();
        }
      }
    );
    const action = actions[event.key];
    if (!action || event.key === "Enter" && /** @type {HTMLElement} */
    event.target.tagName === "BUTTON") return;
    event.preventDefault();
    event.stopPropagation();
    action();
  });
  function drawHead() {
    const held = model.get("available");
    box.value = String(model.get("latent"));
    of.textContent = held ? `${held.indexOf(model.get("latent")) + 1} of ${held.length} here` : `of ${count(data().d_sae)}`;
    for (const node of [back, on, any]) node.disabled = !!held && held.length < 2;
  }
  function drawAll() {
    if (data().latent === void 0) return;
    tip.hide();
    drawHead();
    drawNotes();
    drawStats();
    drawChart();
    drawNear();
    drawExamples();
    drawVotes();
  }
  const redraw = throttle(() => {
    drawAll();
    if (model.get("brush")) fetchInterval();
  }, 0, abort.signal);
  for (
    const key of
    /** @type {const} */
    ["payload", "vmax", "read_only", "available"]
  ) model.on(`change:${key}`, redraw);
  model.on("change:latent", drawHead);
  for (
    const key of
    /** @type {const} */
    ["label", "note"]
  ) model.on(`change:${key}`, drawNotes);
  model.on("change:tab", () => drawExamples());
  model.on("change:brush", () => {
    drawChart();
    fetchInterval();
  });
  for (
    const key of
    /** @type {const} */
    ["selected_sequence", "selected_token"]
  ) model.on(`change:${key}`, drawSelection);
  const white = () => {
    space.checked = model.get("show_whitespace");
    list.classList.toggle("sl-show-space", space.checked);
  };
  model.on("change:show_whitespace", white);
  view.append(alert.box, h(
    "div",
    { class: "sl-columns" },
    h("aside", {}, h("div", { class: "sl-head" }, h("h2", {}, "Latent"), box, of, h("span", { class: "sl-grow" }), back, on, any), notes, stats, chart, near),
    h("div", { class: "sl-main" }, h("section", {}, bar, list), votes)
  ));
  el.append(view);
  white();
  drawAll();
  if (model.get("brush")) fetchInterval();
  return () => abort.abort();
}
var dashboard_default = { render };
export {
  dashboard_default as default
};
