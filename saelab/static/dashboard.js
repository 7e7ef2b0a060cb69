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
    if (signal?.aborted) return;
    last = args;
    timer ??= setTimeout(() => {
      timer = void 0;
      fn(...last);
    }, wait);
  };
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

// effects.js
var NAMES = (
  /** @type {Record<Measure, string>} */
  { loss_diff: "loss difference", kl: "KL", activation: "activation" }
);
var NOTES = (
  /** @type {Record<Measure, string>} */
  {
    loss_diff: "Loss without the latent minus loss with it, in nats, about the token after each one. A + means that the latent helps to predict it, a − that it harms.",
    kl: "Divergence in nats of the prediction without the latent from the one with it, KL(with ‖ without), about the token after each one.",
    activation: "How strongly the latent fires at each token."
  }
);
function signed(value) {
  const text = show(value);
  return value !== null && value !== void 0 && value > 0 ? `+${text}` : text;
}
function effectsPicture(get, set) {
  const size = () => get("text").ids?.length ?? 0;
  const numbers = (name) => floats(get("numbers")[get("direct") && name === "kl" ? "direct_kl" : name]);
  function voted(way, position) {
    const key = get("direct") ? `direct_${way}` : way;
    const names = get("votes")[key]?.[position] ?? [];
    const all = floats(get("weights")[key]);
    const width = all.length / Math.max(1, size());
    return names.map((name, i) => [name, all[position * width + i]]);
  }
  const tabs2 = h("span", { class: "sl-tabs", role: "tablist", "aria-label": "What colours the text" });
  const direct = h("input", { type: "checkbox" });
  direct.addEventListener("change", () => set({ direct: direct.checked }));
  const directBox = h("label", { class: "sl-check", title: "Only what the latent's own write changes in the last layer's residual stream" }, direct, "direct effect");
  const white = h("input", { type: "checkbox" });
  white.addEventListener("change", () => set({ show_whitespace: white.checked }));
  const whiteBox = h("label", { class: "sl-check" }, white, "white space");
  const ramp = h("span", { class: "sl-scale" });
  const note = h("p", { class: "sl-muted sl-small sl-note" });
  function drawHead() {
    directBox.hidden = !get("has_direct");
    direct.checked = get("direct");
    white.checked = get("show_whitespace");
    tabs2.replaceChildren(...Object.entries(NAMES).map(([key, name]) => {
      const tab = h("button", { type: "button", role: "tab", "aria-selected": String(get("measure") === key) }, name);
      tab.addEventListener("click", () => set({ measure: (
        /** @type {Measure} */
        key
      ), vmax: null }));
      return tab;
    }));
    note.textContent = NOTES[get("measure")] + (get("edited").length ? " Dotted: where it fires and was set to 0." : " It fires nowhere in this text.");
  }
  const strip = h("div", { class: "sl-strip", role: "listbox", tabindex: "0", "aria-label": "Text; arrow keys move" });
  let spans = [];
  function drawText() {
    const text = get("text");
    const measure = get("measure");
    const values = numbers(measure);
    let largest = 0;
    for (const v of values) if (Number.isFinite(v)) largest = Math.max(largest, Math.abs(v));
    const high = get("vmax") ?? largest;
    const edited = new Set(get("edited"));
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
    body2.classList.toggle("sl-show-space", get("show_whitespace"));
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
      { class: `sl-voted sl-${way}` },
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
    const at = get("selected_token");
    for (const s of spans) s.setAttribute("aria-selected", String(at !== null && Number(s.dataset.start) <= at && at < Number(s.dataset.stop)));
    for (const row of lines2()) row.setAttribute("aria-selected", String(Number(row.dataset.at) === at));
    detail.hidden = at === null;
    if (at === null || at >= size()) return;
    const next = get("following")[at];
    const [loss, change] = [numbers("loss")[at], numbers("loss_diff")[at]];
    const pairs = [
      ["position", String(at)],
      ["token", chip(labelOf(get("text"), at))],
      ["next", next === null ? "(end)" : chip(next)],
      ["activation", show(numbers("activation")[at]) + (get("edited").includes(at) ? " → 0" : "")],
      ["loss with / without", Number.isNaN(loss) ? "–" : `${show(loss)} / ${show(loss + change)}`],
      ["loss difference", signed(change)],
      [get("direct") ? "KL (direct)" : "KL", show(numbers("kl")[at])]
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
  const lines2 = () => (
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
        h("td", {}, chip(labelOf(get("text"), i))),
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
  function move(event) {
    const at = get("selected_token");
    const pieces = groups(get("text"));
    const here = pieces.findIndex((g) => at !== null && g.start <= at && at < g.stop);
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape") set({ selected_token: null });
    else if (step !== void 0 && pieces.length) {
      const to = at === null ? 0 : Math.min(Math.max(here + step, 0), pieces.length - 1);
      set({ selected_token: pieces[to].start });
      spans[to]?.scrollIntoView?.({ block: "nearest" });
    } else return false;
    return true;
  }
  const draw = () => {
    drawHead();
    drawText();
    drawTable();
  };
  const node = h(
    "div",
    { class: "sl-effects" },
    h("div", { class: "sl-bar" }, tabs2, directBox, whiteBox, h("span", { class: "sl-grow" }), ramp),
    note,
    strip,
    detail,
    more,
    table
  );
  return { node, draw, drawSelection, move };
}

// ablation.js
function ablationBox({ model, example, ask }) {
  let shown = { measure: "loss_diff", direct: false, selected_token: null, vmax: null, show_whitespace: false };
  let drawn;
  const found = () => model.get("ablated") ?? {};
  const picture = effectsPicture(
    (key) => (
      /** @type {any} */
      key in shown ? shown[
        /** @type {keyof Shown} */
        key
      ] : found()[
        /** @type {keyof Effects} */
        key
      ]
    ),
    (changes) => {
      const selection = Object.keys(changes).join() === "selected_token";
      shown = { ...shown, ...changes };
      if (selection) picture.drawSelection();
      else picture.draw();
    }
  );
  const go = button("Ablate here", "Set this latent to 0 in the whole row of the example that is selected, else of the strongest, and see what changes (a)", run);
  const where = h("span", { class: "sl-muted sl-small", role: "status" });
  const node = h("section", { class: "sl-ablation" }, h("div", { class: "sl-bar" }, h("h3", { title: "The loss and the predictions with the latent set to 0, all else as it was" }, "Effects of ablating"), go, where), picture.node);
  function run() {
    const at = example();
    if (at && !go.disabled && !go.hidden) ask({ row: at.row, position: at.position });
  }
  function draw() {
    const ablated = found(), reason = model.get("cannot_try"), readOnly = model.get("read_only"), at = example();
    const there = !!ablated.text;
    node.hidden = readOnly && !there;
    go.hidden = readOnly || !!reason;
    go.disabled = !at || !!ablated.running;
    picture.node.hidden = !there;
    const target = at ? `${at.chosen ? "the selected example" : "the strongest example"}, row ${at.row}` : "no example to ablate it in";
    where.textContent = ablated.running ? `running on row ${ablated.row} …` : there ? `in row ${ablated.row}` : reason && !readOnly ? reason : target;
    if (!there) return;
    if (drawn !== ablated) {
      drawn = /** @type {Ablated} */
      ablated;
      shown = { ...shown, selected_token: drawn.selected, vmax: null };
    }
    picture.draw();
  }
  node.addEventListener("keydown", (event) => {
    if (!picture.node.contains(
      /** @type {Node} */
      event.target
    ) || !found().text || !picture.move(event)) return;
    event.preventDefault();
    event.stopPropagation();
  });
  return { node, draw, run };
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

// figure.js
var NS = "http://www.w3.org/2000/svg";
var CONTROLS = ".sl-button, .sl-tabs, .sl-input, .sl-check, .sl-tip, .sl-alert, .sl-figure, .sl-controls, .sl-pin, [hidden]";
var SVG_STYLE = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "stroke-opacity", "font-family", "font-size", "font-weight", "text-anchor", "opacity", "visibility"];
var ILLEGAL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;
function shape(tag, attributes, text) {
  const node = document.createElementNS(NS, tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, typeof value === "number" ? String(Math.round(value * 100) / 100) : value);
  if (text !== void 0) node.append(text.replace(ILLEGAL, "�"));
  return node;
}
var paints = (colour) => !!colour && colour !== "transparent" && !/rgba\(.*, 0\)$|\/ 0\)$/.test(colour);
function lines(node) {
  const range = document.createRange();
  const text = node.data;
  range.selectNodeContents(node);
  const boxes = [...range.getClientRects()].filter((b) => b.width > 0);
  if (boxes.length <= 1) return boxes.length && text.trim() ? [{ text, box: boxes[0] }] : [];
  const out = [];
  let at = 0;
  for (const character of text) {
    range.setStart(node, at);
    range.setEnd(node, at + character.length);
    at += character.length;
    const box = range.getClientRects()[0];
    if (!box || !box.width) continue;
    const last = out[out.length - 1];
    if (last && Math.abs(last.box.top - box.top) < box.height / 2) {
      last.text += character;
      const left = Math.min(last.box.left, box.left);
      last.box = new DOMRect(left, last.box.top, Math.max(last.box.right, box.right) - left, last.box.height);
    } else out.push({ text: character, box });
  }
  return out.filter((l) => l.text.trim());
}
function toSvg(view) {
  const frame = view.getBoundingClientRect();
  const out = (
    /** @type {SVGSVGElement} */
    shape("svg", { xmlns: NS, width: frame.width, height: frame.height, viewBox: `0 0 ${Math.ceil(frame.width)} ${Math.ceil(frame.height)}` })
  );
  const [x0, y0] = [frame.left, frame.top];
  const probe = h("span", { style: "color: var(--sl-bg)" });
  view.append(probe);
  out.append(shape("rect", { width: "100%", height: "100%", fill: getComputedStyle(probe).color }));
  probe.remove();
  let clips = 0;
  function walk(node, into) {
    if (node.matches(CONTROLS)) return;
    const style = getComputedStyle(node);
    if (style.display === "none" || style.visibility === "hidden") return;
    const box = node.getBoundingClientRect();
    if (node instanceof SVGSVGElement) return void into.append(inline(node, box));
    if (node instanceof HTMLCanvasElement) {
      if (box.width) into.append(shape("image", { x: box.left - x0, y: box.top - y0, width: box.width, height: box.height, href: node.toDataURL("image/png") }));
      return;
    }
    for (const b of style.display === "inline" ? node.getClientRects() : [box]) {
      if (paints(style.backgroundColor)) into.append(shape("rect", { x: b.left - x0, y: b.top - y0, width: b.width, height: b.height, fill: style.backgroundColor, rx: parseFloat(style.borderTopLeftRadius) || 0 }));
      bars(style, b, into);
      for (
        const [side, y] of
        /** @type {[string, number][]} */
        [["Top", b.top], ["Bottom", b.bottom]]
      ) {
        const width = parseFloat(style[
          /** @type {"borderTopWidth"} */
          `border${side}Width`
        ]);
        const colour = style[
          /** @type {"borderTopColor"} */
          `border${side}Color`
        ];
        if (width && paints(colour)) into.append(shape("line", { x1: b.left - x0, x2: b.right - x0, y1: y - y0, y2: y - y0, stroke: colour, "stroke-width": width }));
      }
    }
    let inner = into;
    if (style.overflowX !== "visible" && box.width) {
      clips += 1;
      const clip = shape("clipPath", { id: `saelab-clip-${clips}` });
      clip.append(shape("rect", { x: box.left - x0, y: box.top - y0, width: box.width, height: box.height }));
      inner = shape("g", { "clip-path": `url(#saelab-clip-${clips})` });
      into.append(clip, inner);
    }
    mark(node, style, inner);
    for (const child of node.childNodes) {
      if (child instanceof Element) walk(child, inner);
      else if (child instanceof Text) for (const line of lines(child)) inner.append(letters(line.text, line.box, style));
    }
  }
  function bars(style, b, into) {
    if (!style.backgroundImage.includes("gradient")) return;
    const colours = style.backgroundImage.match(/(?:rgba?|color|oklab|oklch)\([^()]*\)/g) ?? [];
    const share = style.backgroundSize.match(/^([\d.]+)%/);
    const colour = colours[colours.length - 1];
    if (!colour) return;
    const width = b.width * (share ? Number(share[1]) / 100 : 1);
    if (share) return void into.append(shape("rect", { x: b.left - x0, y: b.top - y0, width, height: b.height, fill: colour }));
    for (let i = 0; i < 24; i += 1) into.append(shape("rect", { x: b.left - x0 + i * width / 24, y: b.top - y0, width: width / 24 + 0.3, height: b.height, fill: colour, "fill-opacity": (i + 0.5) / 24 }));
  }
  function mark(node, style, into) {
    if (!(node instanceof HTMLElement) || !node.dataset.mark) return;
    const before = getComputedStyle(node, "::before");
    const b = node.getClientRects()[0];
    if (before.display === "none" || !b) return;
    into.append(letters(node.dataset.mark, new DOMRect(b.left, b.top, 8, b.height), style, before.color));
  }
  function letters(text, box, style, fill = style.color) {
    const size = parseFloat(style.fontSize) || 13;
    const rtl = style.direction === "rtl";
    return shape("text", {
      x: (rtl ? box.right : box.left) - x0,
      y: box.top - y0 + box.height / 2 + size * 0.36,
      fill,
      "font-family": style.fontFamily,
      "font-size": size,
      "font-weight": style.fontWeight,
      style: "white-space: pre",
      ...rtl ? { direction: "rtl" } : {}
    }, text);
  }
  function inline(node, box) {
    const copy = (
      /** @type {SVGSVGElement} */
      node.cloneNode(true)
    );
    const [from, to] = [[node, ...node.querySelectorAll("*")], [copy, ...copy.querySelectorAll("*")]];
    from.forEach((source, i) => {
      const style = getComputedStyle(source);
      for (const name of SVG_STYLE) if (style.getPropertyValue(name)) to[i].style.setProperty(name, style.getPropertyValue(name));
    });
    for (const [key, value] of Object.entries({ x: box.left - x0, y: box.top - y0, width: box.width, height: box.height })) copy.setAttribute(key, String(value));
    return copy;
  }
  walk(view, out);
  return out;
}
var svgText = (figure) => new XMLSerializer().serializeToString(figure);
async function toPng(figure, scale2 = 2) {
  const [width, height] = ["width", "height"].map((k) => Number(figure.getAttribute(k)));
  const image = new Image();
  const url = URL.createObjectURL(new Blob([svgText(figure)], { type: "image/svg+xml" }));
  try {
    await new Promise((resolve, reject) => {
      image.onload = resolve;
      image.onerror = () => reject(new Error("the figure could not be drawn"));
      image.src = url;
    });
    const canvas = h("canvas", { width: Math.ceil(width * scale2), height: Math.ceil(height * scale2) });
    canvas.getContext("2d")?.drawImage(image, 0, 0, canvas.width, canvas.height);
    return await new Promise((resolve, reject) => canvas.toBlob((blob) => blob ? resolve(blob) : reject(new Error("the figure is too large for a picture")), "image/png"));
  } finally {
    URL.revokeObjectURL(url);
  }
}
function save(blob, name) {
  const link = h("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1e4);
}
function figureMenu(view, name, say, draw = () => toSvg(view)) {
  const menu = h("details", { class: "sl-figure" }, h("summary", { class: "sl-button", title: "Take what is shown as a figure" }, "figure"));
  const item = (label, title, action) => button(label, title, () => {
    menu.open = false;
    Promise.resolve().then(action).catch((e) => say(e.message));
  });
  menu.append(h(
    "div",
    { class: "sl-menu" },
    item("save SVG", "Save as an SVG file, to be edited or printed", () => save(new Blob([svgText(draw())], { type: "image/svg+xml" }), `${name()}.svg`)),
    item("save PNG", "Save as a picture with twice the screen's resolution", async () => save(await toPng(draw()), `${name()}.png`)),
    item("copy PNG", "Copy as a picture", async () => {
      const picture = toPng(draw());
      if (!navigator.clipboard?.write) throw new Error("this page may not write to the clipboard; save the picture instead");
      await navigator.clipboard.write([new ClipboardItem({ "image/png": picture })]);
    })
  ));
  menu.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && menu.open) {
      menu.open = false;
      event.stopPropagation();
    }
  });
  return menu;
}

// prompt.js
function promptBox({ model, open, range, tip, signal }) {
  const field = h("textarea", { class: "sl-input", rows: 1, placeholder: "Type a text and see what fires on it", "aria-label": "A text of your own", spellcheck: "false" });
  const line = h("div", { class: "sl-tried" });
  const list = h("div", { class: "sl-fires" });
  const node = h("section", { class: "sl-prompt" }, h("h3", {}, "Try a text"), field, line, list);
  let token = -1;
  const send = throttle(() => {
    if (field.value === model.get("prompt")) return;
    model.set("prompt", field.value);
    model.save_changes();
  }, 120, signal);
  const fit = () => {
    field.rows = Math.min(5, 1 + Math.floor(field.value.length / 90) + (field.value.match(/\n/g)?.length ?? 0));
  };
  field.addEventListener("input", () => {
    fit();
    send();
  });
  const found = () => model.get("tried") ?? {};
  function draw() {
    const readOnly = model.get("read_only"), reason = model.get("cannot_try");
    const { text, values = [], strongest = [] } = found();
    node.hidden = readOnly && !text;
    field.hidden = readOnly || !!reason;
    const root2 = (
      /** @type {Document} */
      field.getRootNode()
    );
    if (root2.activeElement !== field) field.value = model.get("prompt");
    fit();
    if (reason && !readOnly) return line.replaceChildren(h("p", { class: "sl-muted sl-small" }, reason));
    if (!text) {
      line.replaceChildren();
      return list.replaceChildren();
    }
    const spans = tokens(text, values, range());
    line.replaceChildren(h("bdi", { class: "sl-text", dir: direction(text.text.join("")) }, ...spans));
    if (token >= text.ids.length) token = -1;
    drawList(token < 0 ? lastStrong(values, strongest) : token);
  }
  function lastStrong(values, strongest) {
    const most = Math.max(0, ...values);
    if (most > 0) return values.indexOf(most);
    for (let i = strongest.length - 1; i >= 0; i -= 1) if (strongest[i].length) return i;
    return strongest.length - 1;
  }
  function drawList(at) {
    const { text, strongest = [], labels = {}, values = [] } = found();
    if (!text) return;
    const span = [...line.querySelectorAll(".sl-tok")].find((s) => Number(
      /** @type {HTMLElement} */
      s.dataset.stop
    ) > at);
    for (const s of line.querySelectorAll(".sl-tok")) s.setAttribute("aria-selected", String(s === span));
    const fires = strongest[at] ?? [];
    const rows = h("div", { class: "sl-rows" });
    const most = fires[0]?.[1] ?? 1;
    for (const [latent, value] of fires) {
      const link = h("button", { type: "button", class: "sl-link", title: `Open latent ${latent}` }, String(latent));
      link.addEventListener("click", () => open(latent));
      const name = h("span", {}, link, " ", h("bdi", {}, labels[String(latent)] ?? ""));
      rows.append(...barRow(latent === model.get("latent") ? h("b", {}, name) : name, value, most, "sl-warm"));
    }
    const own = values[at];
    const special = text.special?.includes(at);
    list.replaceChildren(
      h("p", { class: "sl-muted sl-small" }, "on ", chip(labelOf(text, at)), special ? ": not counted, a special token" : fires.length ? " fire" : ": no latent fires", own > 0 ? `; this latent ${show(own)}` : ""),
      rows
    );
  }
  line.addEventListener("click", (event) => {
    const span = (
      /** @type {HTMLElement | null} */
      /** @type {HTMLElement} */
      event.target.closest(".sl-tok")
    );
    if (!span) return;
    token = Number(span.dataset.start);
    drawList(token);
  });
  line.addEventListener("pointerover", (event) => {
    const span = (
      /** @type {HTMLElement | null} */
      /** @type {HTMLElement} */
      event.target.closest(".sl-tok")
    );
    const { text, values = [], strongest = [] } = found();
    if (!span || !text) return tip.hide();
    const [a, b] = [Number(span.dataset.start), Number(span.dataset.stop)];
    tip.show(span, ...Array.from({ length: Math.min(b - a, 4) }, (_, k) => facts([
      ["token", chip(labelOf(text, a + k))],
      ["id", String(text.ids[a + k])],
      ["position", String(a + k)],
      ["this latent", show(values[a + k] ?? 0)],
      ["strongest", strongest[a + k]?.length ? strongest[a + k].slice(0, 3).map(([latent, v]) => `${latent} (${show(v)})`).join(", ") : "none"]
    ])));
  });
  line.addEventListener("pointerleave", () => tip.hide());
  return { node, draw, changed: () => {
    token = -1;
    draw();
  } };
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

// scale.js
function scale(model, most, promise) {
  const low = number("Lowest value of the colour scale", "vmin");
  const high = number("Highest value of the colour scale", "vmax");
  const lock = button("", "", () => {
    const locked = model.get("vmax") !== null;
    set(locked ? null : range().low, locked ? null : range().high);
  });
  const node = h("span", { class: "sl-scale sl-small" }, low, h("span", { class: "sl-ramp", role: "img", "aria-label": "colour scale" }), high, lock);
  function set(vmin, vmax) {
    model.set("vmin", vmin);
    model.set("vmax", vmax);
    model.save_changes();
  }
  function range() {
    return { low: model.get("vmin") ?? 0, high: model.get("vmax") ?? most() };
  }
  function number(label, key) {
    const input = h("input", { class: "sl-input", type: "text", inputmode: "decimal", "aria-label": label, title: label });
    input.addEventListener("change", () => {
      const value = Number(input.value), { low: a, high: b } = range();
      const right = input.value.trim() !== "" && Number.isFinite(value) && (key === "vmin" ? value < b : value > a);
      if (right) set(key === "vmin" ? value : a, key === "vmin" ? b : value);
      else draw();
    });
    return input;
  }
  function draw() {
    const locked = model.get("vmax") !== null;
    low.value = show(range().low);
    high.value = show(range().high);
    lock.textContent = locked ? "locked" : "lock";
    lock.setAttribute("aria-pressed", String(locked));
    lock.title = locked ? "Scale each latent to its own maximum again" : promise;
    lock.setAttribute("aria-label", lock.title);
  }
  return { node, draw, range };
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
  const ends = scale(model, () => Math.max(data().stats.max ?? 0, model.get("vmin") ?? 0), "Keep this scale for every latent");
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
  const save2 = () => {
    if (model.get("read_only") || label.value === model.get("label") && note.value === model.get("note") && writing === model.get("latent")) return;
    request("save", { latent: writing, label: label.value, note: note.value }).catch(fail);
  };
  const saveSoon = throttle(save2, 700, abort.signal);
  for (const field of [label, note]) {
    field.addEventListener("input", saveSoon);
    field.addEventListener("change", save2);
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
    const { stats: s, counted, excluded, decoder_norm: length } = data();
    const percent = (v) => v === null ? "–" : show(100 * v);
    const lines2 = [
      ["tokens counted", count(counted), excluded ? `+ ${count(excluded)} special, left out` : "", "Positions all numbers are about"],
      ["fires on", count(s.n ?? 0), "", "Positions with an activation above 0"],
      ["density", `${percent(s.density)} %`, `${percent(s.density_lo)} – ${percent(s.density_hi)}`, "Share of the counted tokens, with its 95 % interval (Wilson)"]
    ];
    if (fires()) {
      lines2.push(["mean, max", `${show(s.mean)}, ${show(s.max)}`, "", MEANING.mean]);
      lines2.push(["E[a²]", show(s.mean_sq), "", MEANING.mean_sq]);
      lines2.push(["skew, kurtosis", `${show(s.skew)}, ${show(s.kurtosis)}`, "", `${MEANING.skew}; ${MEANING.kurtosis}`]);
    }
    if (length !== void 0 && length !== null) {
      const folded = Math.abs(length - 1) < 0.01;
      lines2.push(["decoder row", `length ${folded ? "1" : show(length)}`, folded ? "" : "not folded", folded ? "Activations are in units of a decoder row of length 1" : "Public dashboards may show activations times this length: sae.fold_norms() does that"]);
    }
    stats.replaceChildren(...lines2.flatMap(([name, value, more, title]) => [
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
      ends.node,
      figure
    );
    ends.draw();
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
    const line = (from, to) => h("bdi", { class: "sl-line", dir: rtl ? "rtl" : "ltr" }, ...tokens(e.text, e.values, { ...ends.range(), from, to }));
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
      node.after(h("div", { class: "sl-whole" }, h("bdi", { class: "sl-text", dir: direction(whole.text.text.join("")) }, ...tokens(whole.text, whole.values, ends.range()))));
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
  const figure = figureMenu(view, () => `latent-${model.get("latent")}`, alert.say);
  const ablation = ablationBox({
    model,
    example: () => {
      const e = shown().find((x) => x.row === model.get("selected_sequence") && x.position === model.get("selected_token"));
      const at = e ?? data().examples.top[0];
      return at ? { row: at.row, position: at.position, chosen: !!e } : null;
    },
    ask: (params) => {
      alert.say("");
      request("ablate", params).catch(fail);
    }
  });
  const prompt = promptBox({ model, open, range: ends.range, tip, signal: abort.signal });
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
        },
        a: ablation.run
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
    prompt.draw();
    ablation.draw();
  }
  const redraw = throttle(() => {
    drawAll();
    if (model.get("brush")) fetchInterval();
  }, 0, abort.signal);
  for (
    const key of
    /** @type {const} */
    ["payload", "vmin", "vmax", "read_only", "available"]
  ) model.on(`change:${key}`, redraw);
  model.on("change:latent", drawHead);
  model.on("change:tried", prompt.changed);
  for (
    const key of
    /** @type {const} */
    ["ablated", "cannot_try"]
  ) model.on(`change:${key}`, ablation.draw);
  for (
    const key of
    /** @type {const} */
    ["prompt", "cannot_try"]
  ) model.on(`change:${key}`, prompt.draw);
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
  ) model.on(`change:${key}`, () => {
    drawSelection();
    ablation.draw();
  });
  const white = () => {
    space.checked = model.get("show_whitespace");
    list.classList.toggle("sl-show-space", space.checked);
  };
  model.on("change:show_whitespace", white);
  view.append(alert.box, h(
    "div",
    { class: "sl-columns" },
    h("aside", {}, h("div", { class: "sl-head" }, h("h2", {}, "Latent"), box, of, h("span", { class: "sl-grow" }), back, on, any), notes, stats, chart, near),
    h("div", { class: "sl-main" }, h("section", {}, bar, list), prompt.node, ablation.node, votes)
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
