// dom.js
function fill(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === void 0) continue;
    node.setAttribute(key, value === true ? "" : String(value));
  }
  node.append(...children.filter((c) => c !== null));
  return node;
}
var h = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
var svg = (tag, attributes = {}, ...children) => fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
function button(text, name, action) {
  const node = h("button", { type: "button", class: "sl-button", title: name, "aria-label": name }, text);
  node.addEventListener("click", action);
  return node;
}
function link(text, action, more = {}) {
  const node = h("button", { type: "button", class: "sl-link", ...more }, text);
  node.addEventListener("click", action);
  return node;
}
var note = (...text) => h("p", { class: "sl-muted sl-small" }, ...text);
var grow = () => h("span", { class: "sl-grow" });
var closest = (event, selector) => (
  /** @type {HTMLElement | null} */
  /** @type {Element} */
  event.target.closest?.(selector) ?? null
);
var focused = (field) => (
  /** @type {Document} */
  field.getRootNode().activeElement === field
);
function floats(view) {
  if (!view || view.byteLength === 0) return new Float32Array(0);
  return new Float32Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
}
function show(value, digits = 3) {
  if (value === null || value === void 0 || Number.isNaN(value)) return "–";
  const size = Math.abs(value);
  if (!size) return "0";
  if (value < 0) return `−${show(size, digits)}`;
  if (value === Infinity) return "∞";
  if (Number.isInteger(value)) return count(value);
  if (size >= 1e6 || size < 1e-3) return value.toExponential(digits - 1).replace("e+", "e");
  if (size >= 1e3) return count(Math.round(value));
  return String(Number(value.toPrecision(digits)));
}
var signed = (value) => value && value > 0 ? `+${show(value)}` : show(value);
function column(value) {
  if (value === null || value === void 0 || Number.isNaN(value)) return "–";
  const size = Math.abs(value);
  const text = size !== 0 && (size >= 1e3 || size < 1e-3) ? show(size) : size.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3);
  return value < 0 ? `−${text}` : text;
}
var count = (value) => value.toLocaleString("en-US", { maximumFractionDigits: 0 });
var clamp = (value, low, high) => Math.min(Math.max(value, low), high);
function throttle(fn, wait, signal) {
  let timer;
  let last;
  signal.addEventListener("abort", () => clearTimeout(timer));
  return (...args) => {
    if (signal.aborted) return;
    last = args;
    timer ??= setTimeout(() => {
      timer = void 0;
      fn(...last);
    }, wait);
  };
}

// controls.js
function tabs(label, names, choose, role = "tablist") {
  const all = names.map(([key, name, title]) => {
    const node = h("button", { type: "button", role: role === "tablist" ? "tab" : null, title }, name);
    node.addEventListener("click", () => choose(key));
    return node;
  });
  const mark2 = (chosen) => names.forEach(([key], i) => {
    for (const name of ["aria-selected", ...role === "group" ? ["aria-pressed"] : []]) all[i].setAttribute(name, String(key === chosen));
  });
  return { node: h("span", { class: "sl-tabs", role, "aria-label": label }, ...all), mark: mark2 };
}
function check(text, set, more = {}) {
  const input = h("input", { type: "checkbox" });
  input.addEventListener("change", () => set(input.checked));
  return { input, node: h("label", { class: "sl-check sl-small", ...more }, input, text) };
}
var numberField = (label, more = {}) => h("input", { class: "sl-input sl-number", type: "text", inputmode: "decimal", "aria-label": label, ...more });
function onEnter(field, enter, escape) {
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter") enter();
    if (event.key === "Escape") escape?.();
  });
}
function latentIn(field, say, d_sae = Infinity) {
  const latent = Number(field.value.trim() || NaN);
  const known = Number.isInteger(latent) && latent >= 0 && latent < d_sae;
  say(known ? "" : d_sae === Infinity ? "A latent is a whole number from 0 on." : `A latent is a whole number from 0 to ${d_sae - 1}.`);
  return known ? latent : null;
}
var typing = (event) => ["INPUT", "TEXTAREA", "SELECT"].includes(
  /** @type {Element} */
  event.target.tagName
);
var onButton = (event) => (
  /** @type {Element} */
  event.target.tagName === "BUTTON"
);
var alone = (event) => !event.ctrlKey && !event.metaKey && !event.altKey;
function onKeys(node, find) {
  node.addEventListener("keydown", (event) => {
    const action = find(event);
    if (action || typing(event)) event.stopPropagation();
    if (!action) return;
    event.preventDefault();
    action();
  });
}
var tableRow = (tag, cells, more = () => ({})) => h("tr", {}, ...cells.map((cell, i) => h(tag, more(i), ...[cell].flat())));

// text.js
var MARKS = (
  /** @type {Record<string, string>} */
  { "\n": "↵", "\r": "␍", "	": "⇥", " ": "·", " ": "⍽" }
);
var APART = /([\n\r\t \u00a0]|(?:\\x[0-9a-f]{2})+)/;
var RTL = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]/;
var LETTER = /[A-Za-z\u00c0-\u02af\u0370-\u08ff\u0900-\u1fff\u3040-\ud7ff\ufb1d-\ufdff\ufe70-\ufefc]/;
function direction(text) {
  const said = typeof text === "string" ? text : groups(text).map((g) => text.special?.includes(g.start) ? "" : g.text).join("");
  return RTL.test(said.replace(/<\|\w+\|>|\\x[0-9a-f]{2}/g, "").match(LETTER)?.[0] ?? "") ? "rtl" : "ltr";
}
function marked(text) {
  if (!APART.test(text)) return [text];
  return text.split(APART).filter(Boolean).map((part) => part.startsWith("\\x") ? h("bdi", { dir: "ltr" }, part) : MARKS[part] === void 0 ? part : h("span", { class: part === " " ? "sl-ws sl-space" : "sl-ws", "data-mark": MARKS[part] }, part));
}
function chip(label) {
  const dir = label.includes("\\x") ? "ltr" : null;
  const node = h("code", { class: "sl-chip" }, h("bdi", { dir }, ...marked(label)));
  if (!label) node.append("(empty)");
  return node;
}
var called = (token, label) => [
  ...token === void 0 || token === "" ? [] : [token === null ? h("span", { class: "sl-muted" }, "never fires") : chip(token)],
  ...label ? [" ", h("bdi", {}, label)] : []
];
function groups(text) {
  let start = 0;
  return text.text.map((piece, i) => {
    const group = { start, stop: start + (text.size?.[i] ?? 1), text: piece };
    start = group.stop;
    return group;
  });
}
var groupAt = (text, position) => groups(text).find((g) => g.start <= position && position < g.stop);
var labelOf = (text, position) => text.labels?.[String(position)] ?? groupAt(text, position)?.text ?? "";
var covers = (span, position) => position !== null && Number(span.dataset.start) <= position && position < Number(span.dataset.stop);
function select(nodes, chosen) {
  for (const node of nodes) node.setAttribute("aria-selected", String(chosen(node)));
}
var paragraph = (text, spans) => h("bdi", { class: "sl-text", dir: direction(text) }, ...spans);
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
    const apart = special.has(start);
    const node = h(apart ? "bdi" : "span", { class: "sl-tok", "data-start": start, "data-stop": stop, dir: apart ? "ltr" : null }, ...marked(piece));
    node.classList.toggle("sl-special", apart);
    if (Number.isNaN(value)) node.classList.add("sl-nan");
    const a = shade(value, low, high);
    if (a > 0) {
      node.style.setProperty("--a", a.toFixed(3));
      node.classList.add("sl-hot");
    }
    out.push(node);
  }
  return out;
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
var facts = (pairs, kind) => h("dl", { class: kind }, ...pairs.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
function tokenTip(tip, node, describe, most = 6) {
  node.addEventListener("pointerover", (event) => {
    const span = closest(event, ".sl-tok");
    const [start, stop] = span ? [Number(span.dataset.start), Number(span.dataset.stop)] : [0, 0];
    const all = [];
    for (let i = start; span && i < Math.min(stop, start + most); i += 1) all.push(describe(span, i));
    if (span && all.length && all[0]) tip.show(span, ...all.map((pairs) => facts(pairs ?? [])));
    else tip.hide();
  });
  node.addEventListener("pointerleave", () => tip.hide());
}

// effects.js
var NAMES = (
  /** @type {[Measure, string][]} */
  [["loss_diff", "loss difference"], ["kl", "KL"], ["activation", "activation"]]
);
var NOTES = (
  /** @type {Record<Measure, string>} */
  {
    loss_diff: "Loss without the latent minus loss with it, in nats, about the token after each one. A + means that the latent helps to predict it, a − that it harms.",
    kl: "Divergence in nats of the prediction without the latent from the one with it, KL(with ‖ without), about the token after each one.",
    activation: "How strongly the latent fires at each token."
  }
);
var numbers = ({ numbers: all, direct }, name) => floats(all[direct && name === "kl" ? "direct_kl" : name]);
function voted({ text, direct, votes: votes2, weights }, way, position) {
  const key = direct ? `direct_${way}` : way;
  const all = floats(weights[key]);
  const width = all.length / Math.max(1, text.ids?.length ?? 0);
  return (votes2[key]?.[position] ?? []).map((name, i) => [name, all[position * width + i]]);
}
function head(get, set) {
  const measures = tabs("What colours the text", NAMES, (measure) => set({ measure, vmax: null }));
  const direct = check("direct effect", (on) => set({ direct: on }), {
    class: "sl-check",
    title: "Only what the latent's own write changes in the last layer's residual stream"
  });
  const white = check("white space", (on) => set({ show_whitespace: on }), { class: "sl-check" });
  const ramp = h("span", { class: "sl-scale" });
  const note2 = h("p", { class: "sl-muted sl-small sl-note" });
  const draw = () => {
    const of = get();
    direct.node.hidden = !of.has_direct;
    direct.input.checked = of.direct;
    white.input.checked = of.show_whitespace;
    measures.mark(of.measure);
    note2.textContent = NOTES[of.measure] + (of.edited.length ? " Dotted: where it fires and was set to 0." : " It fires nowhere in this text.");
  };
  return { node: h("div", { class: "sl-bar" }, measures.node, direct.node, white.node, grow(), ramp), ramp, note: note2, draw };
}
function paint(span, of, values, high) {
  let value = 0;
  for (let i = Number(span.dataset.start); i < Number(span.dataset.stop); i += 1) {
    if (Math.abs(values[i]) > Math.abs(value)) value = values[i];
    if (of.edited.includes(i)) span.classList.add("sl-edited");
  }
  const a = shade(Math.abs(value), 0, high);
  if (a > 0) {
    span.style.setProperty("--a", a.toFixed(3));
    span.classList.add(value > 0 ? "sl-hot" : "sl-less");
  }
  span.setAttribute("role", "option");
  const name = NAMES.find(([measure]) => measure === of.measure)?.[1];
  span.title = `${name} ${of.measure === "loss_diff" ? signed(value) : show(value)}`;
}
function detail(of, at) {
  const next = of.following[at];
  const [loss, change] = [numbers(of, "loss")[at], numbers(of, "loss_diff")[at]];
  const both = { up: voted(of, "up", at), down: voted(of, "down", at) };
  const high = Math.max(...[...both.up, ...both.down].map(([, v]) => Math.abs(v)), 1e-9);
  const votes2 = (way) => h(
    "div",
    { class: `sl-voted sl-${way}` },
    h("h3", {}, way === "up" ? "the latent votes up (+)" : "the latent votes down (−)"),
    ...both[way].map(([name, value]) => {
      const bar = h("i", {});
      bar.style.width = `${100 * Math.abs(value) / high}%`;
      return h("div", { class: "sl-vote" }, chip(name), h("output", {}, signed(value)), h("span", {}, bar));
    }),
    both[way].length ? null : h("span", { class: "sl-muted" }, "nothing")
  );
  return [facts([
    ["position", String(at)],
    ["token", chip(labelOf(of.text, at))],
    ["next", next === null ? "(end)" : chip(next)],
    ["activation", show(numbers(of, "activation")[at]) + (of.edited.includes(at) ? " → 0" : "")],
    ["loss with / without", Number.isNaN(loss) ? "–" : `${show(loss)} / ${show(loss + change)}`],
    ["loss difference", signed(change)],
    [of.direct ? "KL (direct)" : "KL", show(numbers(of, "kl")[at])]
  ], "sl-place"), votes2("up"), votes2("down")];
}
function positions(get, set, drawSelection) {
  const body = h("tbody", {});
  const kind = (i) => ({ class: [0, 2, 3, 4].includes(i) ? "sl-num" : "" });
  const names = ["", "token", "activation", "loss difference", "KL", "up", "down"];
  const node = h("div", { class: "sl-table", hidden: true }, h("table", {}, h("thead", {}, tableRow("th", names, kind)), body));
  const more = link("all positions as a table", () => {
    node.hidden = !node.hidden;
    more.setAttribute("aria-expanded", String(!node.hidden));
    draw();
  }, { class: "sl-link sl-small sl-live", "aria-expanded": "false" });
  function draw() {
    if (node.hidden) return;
    const of = get();
    const [activation, change, kl] = ["activation", "loss_diff", "kl"].map((name) => numbers(of, name));
    const few = (way, i) => h(
      "td",
      { class: "sl-many" },
      ...voted(of, way, i).slice(0, 3).map(([name, v]) => h("span", { class: "sl-one" }, chip(name), ` ${signed(v)}`))
    );
    body.replaceChildren(...of.text.ids.map((_, i) => {
      const row = tableRow(
        "td",
        [String(i), chip(labelOf(of.text, i)), show(activation[i]), signed(change[i]), show(kl[i])],
        (c) => ({ class: c === 0 ? "sl-num sl-muted" : kind(c).class })
      );
      row.append(few("up", i), few("down", i));
      return row;
    }));
    drawSelection();
  }
  body.addEventListener("click", (event) => {
    const row = closest(event, "tr");
    if (row) set({ selected_token: [...body.children].indexOf(row) });
  });
  return { node, more, body, draw };
}
function effectsPicture(get, set) {
  const top = head(get, set);
  const strip = h("div", { class: "sl-strip", role: "listbox", tabindex: "0", "aria-label": "Text; arrow keys move" });
  const about = h("section", { class: "sl-detail", "aria-live": "polite" });
  const table = positions(get, set, drawSelection);
  let spans = [];
  function drawText() {
    const of = get();
    const values = numbers(of, of.measure);
    const high = of.vmax ?? values.reduce((most, v) => Math.abs(v) > most ? Math.abs(v) : most, 0);
    spans = tokens(of.text, [], { high: 1 });
    for (const span of spans) paint(span, of, values, high);
    const body = paragraph(of.text, spans);
    body.classList.toggle("sl-show-space", of.show_whitespace);
    strip.replaceChildren(body);
    const both = of.measure === "loss_diff";
    top.ramp.replaceChildren(
      h("span", {}, both ? signed(-high) : "0"),
      h("span", { class: `sl-ramp${both ? " sl-both" : ""}` }),
      h("span", {}, both ? signed(high) : show(high))
    );
    drawSelection();
  }
  function drawSelection() {
    const of = get(), at = of.selected_token;
    select(spans, (span) => covers(span, at));
    [...table.body.children].forEach((row, i) => select([row], () => i === at));
    about.hidden = at === null;
    if (at !== null && at < (of.text.ids?.length ?? 0)) about.replaceChildren(...detail(of, at));
  }
  strip.addEventListener("click", (event) => {
    const token = closest(event, ".sl-tok");
    if (token) set({ selected_token: Number(token.dataset.start) });
  });
  function keyOf(event) {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const pieces = groups(get().text);
    if (event.key === "Escape") return () => set({ selected_token: null });
    if (step === void 0 || !pieces.length) return void 0;
    return () => {
      const at = get().selected_token;
      const to = at === null ? 0 : clamp(pieces.findIndex((g) => g.start <= at && at < g.stop) + step, 0, pieces.length - 1);
      set({ selected_token: pieces[to].start });
      spans[to]?.scrollIntoView?.({ block: "nearest" });
    };
  }
  const draw = () => {
    top.draw();
    drawText();
    table.draw();
  };
  const node = h("div", { class: "sl-effects" }, top.node, top.note, strip, about, table.more, table.node);
  return { node, draw, drawSelection, keyOf };
}

// ablation.js
function ablationBox({ state, ask, say }, example) {
  let shown = { measure: "loss_diff", direct: false, selected_token: null, vmax: null, show_whitespace: false };
  let drawn;
  const picture = effectsPicture(() => ({ .../** @type {Ablated} */
  state.ablated, ...shown }), (changes) => {
    shown = { ...shown, ...changes };
    if (Object.keys(changes).join() === "selected_token") picture.drawSelection();
    else picture.draw();
  });
  const go = button(
    "Ablate here",
    "Set this latent to 0 in the whole row of the example that is selected, else of the strongest, and see what changes (a)",
    run
  );
  const where = h("span", { class: "sl-muted sl-small", role: "status" });
  const title = h("h3", { title: "The loss and the predictions with the latent set to 0, all else as it was" }, "Effects of ablating");
  const node = h("section", { class: "sl-ablation" }, h("div", { class: "sl-bar" }, title, go, where), picture.node);
  function run() {
    const at = example();
    if (!at || go.disabled || go.hidden) return;
    say("");
    ask("ablate", { row: at.row, position: at.position });
  }
  function draw() {
    const { ablated, cannot_try: reason, read_only: fixed } = state;
    const at = example(), there = !!ablated?.text;
    node.hidden = fixed && !there;
    node.classList.toggle("sl-live", !there);
    go.hidden = fixed || !!reason;
    go.disabled = !at || !!ablated?.running;
    picture.node.hidden = !there;
    const target = at ? `${at.chosen ? "the selected example" : "the strongest example"}, row ${at.row}` : "no example to ablate it in";
    where.textContent = ablated?.running ? `running on row ${ablated.row} …` : there ? `in row ${ablated.row}` : reason && !fixed ? reason : target;
    if (!there) return;
    if (drawn !== ablated) {
      drawn = /** @type {Ablated} */
      ablated;
      shown = { ...shown, selected_token: drawn.selected, vmax: null };
    }
    picture.draw();
  }
  onKeys(picture.node, (event) => !!state.ablated?.text && picture.keyOf(event));
  return { node, draw, run };
}

// chart.js
var RIGHT = 8;
var BOTTOM = 22;
var clips = 0;
function frame(width, height, left, top, kind, below = BOTTOM) {
  const node = svg("svg", { viewBox: `0 0 ${width} ${height}`, class: kind, role: "img" });
  const [right, bottom] = [width - RIGHT, height - below];
  return {
    node,
    top,
    bottom,
    x: (share) => left + share * (right - left),
    y: (share) => bottom - share * (bottom - top),
    /** Share of the x axis at a pointer. @param {PointerEvent} event */
    shareAt(event) {
      const box = node.getBoundingClientRect();
      return ((event.clientX - box.left) / (box.width || 1) * width - left) / (right - left);
    },
    /** A line from left to right. @param {string} name @param {number} y */
    across: (name, y) => svg("line", { class: name, x1: left, x2: right, y1: y, y2: y }),
    /** @param {number} y @param {string} text */
    yLabel: (y, text) => svg("text", { x: left - 5, y: y + 4, "text-anchor": "end" }, text),
    /** @param {number} x @param {string} text @param {"start" | "middle" | "end"} anchor */
    xLabel: (x, text, anchor) => svg("text", { x, y: bottom + 16, "text-anchor": anchor }, text),
    /** What the x axis is. @param {string} text */
    xTitle: (text) => svg("text", { class: "sl-title", x: (left + right) / 2, y: height - 4, "text-anchor": "middle" }, text),
    /** A clip of what is drawn between the axes; its id. */
    clip() {
      const id = `saelab-chart-${clips += 1}`;
      return { id, node: svg("clipPath", { id }, svg("rect", { x: left, y: top, width: right - left, height: bottom - top })) };
    }
  };
}
var logHeight = (n, most) => n <= 0 ? 0 : (Math.log10(n) + 0.4) / (Math.log10(most) + 0.4);
function histogram(data, { brush, onBrush, tip }) {
  const at = frame(320, 132, 34, 6, "sl-histogram");
  const most = Math.max(...data.count, 1);
  const low = data.lo[0], high = Math.max(data.hi[data.hi.length - 1], low + 1e-9);
  const sum = (n) => n.reduce((a, b) => a + b, 0);
  const x = (v) => at.x((v - low) / (high - low));
  const y = (n) => at.y(logHeight(n, most));
  at.node.setAttribute(
    "aria-label",
    `Histogram of ${count(sum(data.count))} activations from ${show(low)} to ${show(high)}, logarithmic counts`
  );
  for (let n = 1; n <= most; n *= 10) at.node.append(at.across("sl-grid", y(n)), at.yLabel(y(n), short(n)));
  data.count.forEach((n, i) => {
    const width = Math.max(x(data.hi[i]) - x(data.lo[i]) - 0.6, 0.8);
    if (n > 0) at.node.append(svg("rect", { class: "sl-bin", x: x(data.lo[i]), width, y: y(n), height: at.bottom - y(n) }));
  });
  const mark2 = svg("rect", { class: "sl-brush", y: at.top, height: at.bottom - at.top });
  const place = (range) => {
    mark2.setAttribute("visibility", range ? "visible" : "hidden");
    if (!range) return;
    const [a, b] = range.map((v) => x(clamp(v, low, high)));
    mark2.setAttribute("x", String(a));
    mark2.setAttribute("width", String(Math.max(b - a, 1)));
  };
  place(brush);
  at.node.append(
    at.across("sl-axis", at.bottom),
    at.xLabel(x(low), show(low), "start"),
    at.xLabel(at.x(0.5), show((low + high) / 2), "middle"),
    at.xLabel(x(high), show(high), "end"),
    mark2
  );
  drag(at.node, {
    binAt(event) {
      const v = low + at.shareAt(event) * (high - low);
      const bin = data.hi.findIndex((edge) => v < edge);
      return bin === -1 ? data.hi.length - 1 : bin;
    },
    over: (bin) => tip.show(at.node, facts([
      ["activation", `${show(data.lo[bin])} – ${show(data.hi[bin])}`],
      ["firings", count(data.count[bin])],
      ["at least this strong", `${show(100 * sum(data.count.slice(bin)) / sum(data.count))} %`]
    ])),
    out: () => tip.hide(),
    along: (a, b) => place([data.lo[a], data.hi[b]]),
    // a click on a brushed histogram takes the brush away
    done: (a, b, moved) => onBrush(!moved && brush ? null : [data.lo[a], data.hi[b]]),
    undone: () => place(brush)
  });
  return at.node;
}
function drag(node, on) {
  let from = -1, moved = false;
  node.addEventListener("pointerdown", (event) => {
    from = on.binAt(event);
    moved = false;
    node.setPointerCapture?.(event.pointerId);
    event.preventDefault();
  });
  node.addEventListener("pointermove", (event) => {
    const bin = on.binAt(event);
    if (from < 0) return on.over(bin);
    moved ||= bin !== from;
    on.out();
    on.along(Math.min(from, bin), Math.max(from, bin));
  });
  node.addEventListener("pointerleave", on.out);
  node.addEventListener("pointerup", (event) => {
    if (from < 0) return;
    const [a, b] = [from, on.binAt(event)];
    from = -1;
    on.done(Math.min(a, b), Math.max(a, b), moved);
  });
  node.addEventListener("pointercancel", () => {
    from = -1;
    on.undone();
  });
}
function barRow(name, value, most, kind = "") {
  const bar = h("span", { class: `sl-hbar ${kind}` });
  bar.style.setProperty("--w", `${(100 * clamp(Math.abs(value) / (most || 1), 0, 1)).toFixed(1)}%`);
  return [h("span", { class: "sl-cell" }, name), bar, h("span", { class: "sl-value" }, column(value))];
}
function short(value, digits = 3) {
  const size = Math.abs(value);
  for (
    const [unit2, sign] of
    /** @type {[number, string][]} */
    [[1e9, "G"], [1e6, "M"], [1e3, "k"]]
  ) {
    if (size >= unit2) return `${Number((value / unit2).toPrecision(digits))}${sign}`;
  }
  return String(Number(value.toPrecision(digits))).replace("-", "−");
}

// stats.js
var fires = (state) => (state.payload.stats.n ?? 0) > 0;
var percent = (v) => v === null ? "–" : show(100 * v);
function unit(length) {
  if (Math.abs(length - 1) < 0.01) return ["decoder row", "length 1", "", "The decoder row is what an activation of 1 adds to the model; all rows have length 1, so activations of latents can be compared"];
  return [
    "decoder row",
    `length ${show(length)}`,
    "not folded",
    "The decoder row is what an activation of 1 adds to the model. Public dashboards may show activations times this length: sae.fold_norms() does that"
  ];
}
function statistics({ state }) {
  const node = h("dl", { class: "sl-stats" });
  function draw() {
    const { stats: s, counted, excluded, decoder_norm: length } = state.payload;
    const lines2 = [
      ["tokens counted", count(counted), excluded ? `+ ${count(excluded)} special, left out` : "", "Positions all numbers are about"],
      ["fires on", count(s.n ?? 0), "", "Positions with an activation above 0"],
      [
        "density",
        `${percent(s.density)} %`,
        s.density_lo === null ? "no interval" : `${percent(s.density_lo)} – ${percent(s.density_hi)}`,
        "Share of the counted tokens, with its 95 % interval, if there are 20 documents and it fires in 5 of them"
      ]
    ];
    if (fires(state)) lines2.push(
      ["mean, max", `${show(s.mean)}, ${show(s.max)}`, "", "mean activation where it fires"],
      ["E[a²]", show(s.mean_sq), "", "Mean of the squared activation over all counted tokens, 0 where it is silent: large if it fires often or strongly"],
      [
        "skew, kurtosis",
        `${show(s.skew)}, ${show(s.kurtosis)}`,
        "",
        "Large: it is silent on most tokens and strong on few. Over all counted tokens, skew is E[a³] / E[a²]^1.5 and kurtosis E[a⁴] / E[a²]², where E is the mean"
      ]
    );
    if (length !== void 0 && length !== null) lines2.push(unit(length));
    node.replaceChildren(...lines2.flatMap(([name, value, more, title]) => [
      h("dt", { title }, name),
      h("dd", { title }, value, more ? h("small", {}, ` ${more}`) : null)
    ]));
  }
  return { node, draw };
}

// examples.js
function sources({ state, ask }, draw) {
  let interval = null;
  let sample = null;
  let seed = 0;
  function shown() {
    const { latent, examples: held } = state.payload;
    if (state.tab === "interval") return interval?.latent === latent ? interval.examples : [];
    return state.tab === "random" && sample?.latent === latent ? sample.examples : held[state.tab];
  }
  function resample() {
    seed += 1;
    ask("random", { seed }, (examples2) => {
      sample = { latent: state.payload.latent, examples: examples2 };
      draw();
    });
  }
  function load() {
    const [{ latent, examples: held }, brush] = [state.payload, state.brush];
    const range = brush?.join() ?? "";
    if (!brush || interval?.latent !== latent || interval.range !== range) interval = null;
    draw();
    if (!brush || interval) return;
    const [lo, hi] = brush;
    const done = (examples2, said2) => {
      if (state.payload.latent !== latent || state.brush?.join() !== range) return;
      interval = { latent, range, examples: examples2, said: said2 };
      draw();
    };
    if (!state.available) return ask("interval", { lo, hi }, (r) => done(r.examples, `of ${count(r.total)} firings`));
    const inside = [...held.top, ...held.random].filter((e) => e.value >= lo && e.value <= hi);
    const once = new Map(inside.map((e) => [`${e.row} ${e.position}`, e]));
    done([...once.values()].sort((a, b) => b.value - a.value), "of the examples in this page");
  }
  const said = () => ({
    top: state.one_per_document ? "strongest first, one of each document" : "strongest first",
    random: "of all firings",
    interval: interval ? interval.said + (atFirst(state) ? "; ¼ to ½ of the maximum at first: where it fires weakly, its meaning is tested" : "") : ""
  })[state.tab];
  return { shown, resample, load, said, waiting: () => state.tab === "interval" && !interval };
}
var first = (state) => [(state.payload.stats.max ?? 0) / 4, (state.payload.stats.max ?? 0) / 2];
var atFirst = (state) => state.brush?.join() === first(state).join();
function rangeFields({ state, set }) {
  const [low, high] = [numberField("Lowest activation", { inputmode: null }), numberField("Highest activation", { inputmode: null })];
  const draw = () => [low, high].forEach((field, i) => {
    field.value = state.brush ? show(state.brush[i]) : "";
  });
  for (const field of [low, high]) field.addEventListener("change", () => {
    const [a, b] = [Number(low.value), Number(high.value)];
    if (low.value.trim() !== "" && high.value.trim() !== "" && a <= b) set({ brush: [a, b], tab: "interval" });
    else draw();
  });
  return { node: h("span", { class: "sl-range" }, low, "to", high), draw };
}
function exampleLine(e, range) {
  const dir = direction(e.text);
  const line = (from, to) => h("bdi", { class: "sl-line", dir }, ...tokens(e.text, e.values, { ...range, from, to }));
  const begin = groupAt(e.text, e.centre)?.start ?? Infinity;
  const halves = [line(0, begin), line(begin, Infinity)];
  halves[1].firstElementChild?.classList.add("sl-centre");
  if (dir === "rtl") halves.reverse();
  return [
    h("span", { class: "sl-act" }, column(e.value)),
    h("span", { class: "sl-side sl-left" }, halves[0]),
    h("span", { class: "sl-side sl-right" }, halves[1])
  ];
}
function exampleRow(e, i, range) {
  const again = e.count > 1 ? `; this text occurs ${e.count} times` : "";
  return h(
    "div",
    { class: "sl-example", role: "option", "data-i": i, "aria-selected": "false" },
    ...exampleLine(e, range),
    h(
      "span",
      { class: "sl-where", title: `document ${e.doc}, row ${e.row}, position ${e.position}${again}` },
      again ? h("b", {}, `×${count(e.count)}`) : null,
      `doc ${e.doc}`
    )
  );
}
function unfold({ state, ask }, node, e, range) {
  const whole = () => node?.nextElementSibling?.classList.contains("sl-whole") ? node.nextElementSibling : null;
  if (whole()) return whole()?.remove();
  if (!node || state.read_only) return;
  ask("row", { row: e.row }, (row) => {
    if (node.isConnected && !whole()) node.after(h("div", { class: "sl-whole" }, paragraph(row.text, tokens(row.text, row.values, range()))));
  });
}
function examples(ui, ends, figure) {
  const { state, set, tip, view } = ui;
  const list = h("div", { class: "sl-examples", role: "listbox", "aria-label": "Examples" });
  const from = sources(ui, draw);
  const range = rangeFields(ui);
  const names = (
    /** @type {[Dashboard["tab"], string][]} */
    [["top", "Top"], ["interval", "Interval"], ["random", "Random"]]
  );
  const kinds = tabs("Examples", names, (tab) => set(tab === "interval" && !state.brush ? { tab, brush: first(state) } : { tab }));
  const other = button("another sample", "Draw other examples", from.resample);
  const thin = check("one per document", (on) => set({ one_per_document: on }), { title: "Else one long document can fill the list" });
  const spaces = check("spaces", (on) => set({ show_whitespace: on }));
  const said = h("span", { class: "sl-muted sl-small" });
  const bar = h("div", { class: "sl-bar" }, kinds.node, range.node, other, said, grow(), thin.node, spaces.node, ends.node, figure);
  const index = () => from.shown().findIndex((e) => e.row === state.selected_sequence && e.position === state.selected_token);
  const empty = (text) => h("div", { class: "sl-empty" }, text);
  function draw() {
    bar.hidden = !fires(state);
    if (bar.hidden) return list.replaceChildren(empty(`0 of ${count(state.payload.counted)} tokens: never active in this sample.`));
    kinds.mark(state.tab);
    range.node.hidden = state.tab !== "interval";
    range.draw();
    other.hidden = state.tab !== "random" || !!state.available;
    thin.node.hidden = state.tab !== "top" || !!state.available;
    thin.input.checked = state.one_per_document;
    said.textContent = from.said();
    ends.draw();
    list.replaceChildren(...from.shown().map((e, i) => exampleRow(e, i, ends.range())));
    if (!from.shown().length && !from.waiting()) list.append(empty("No example in this range."));
    drawSelection();
  }
  const drawSelection = () => [...list.querySelectorAll(".sl-example")].forEach((node) => select([node], () => Number(
    /** @type {HTMLElement} */
    node.dataset.i
  ) === index()));
  const white = () => {
    list.classList.toggle("sl-show-space", spaces.input.checked = state.show_whitespace);
  };
  const choose = (i) => {
    const e = from.shown()[i];
    if (e) set({ selected_sequence: e.row, selected_token: e.position });
  };
  const fold = (i) => {
    if (from.shown()[i]) unfold(ui, list.querySelector(`.sl-example[data-i="${i}"]`), from.shown()[i], ends.range);
  };
  list.addEventListener("click", (event) => {
    const row = closest(event, ".sl-example");
    if (!row) return;
    choose(Number(row.dataset.i));
    fold(Number(row.dataset.i));
    view.focus({ preventScroll: true });
  });
  tokenTip(tip, list, (span, i) => {
    const row = (
      /** @type {HTMLElement | null} */
      span.closest(".sl-example")
    );
    const e = row && from.shown()[Number(row.dataset.i)];
    return e ? [["token", chip(labelOf(e.text, i))], ["id", String(e.text.ids[i])], ["position", String(e.start + i)], ["activation", show(e.values[i])]] : null;
  });
  const chosen = () => {
    const at = from.shown()[index()] ?? state.payload.examples.top[0];
    return at ? { row: at.row, position: at.position, chosen: index() >= 0 } : null;
  };
  return {
    node: h("section", {}, bar, list),
    draw,
    drawSelection,
    white,
    load: from.load,
    chosen,
    unfold: () => fold(index()),
    move: (by) => choose(Math.max(0, Math.min(index() + by, from.shown().length - 1)))
  };
}

// figure.js
var NS = "http://www.w3.org/2000/svg";
var WRAPS = ".sl-field, .sl-range, .sl-search";
var SVG_STYLE = [
  "fill",
  "fill-opacity",
  "stroke",
  "stroke-width",
  "stroke-dasharray",
  "stroke-opacity",
  "font-family",
  "font-size",
  "font-style",
  "font-weight",
  "text-anchor",
  "opacity",
  "visibility",
  "white-space"
];
var ILLEGAL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;
function shape(tag, attributes, text) {
  const node = document.createElementNS(NS, tag);
  for (const [key, value] of Object.entries(attributes)) {
    node.setAttribute(key, typeof value === "number" ? String(Math.round(value * 100) / 100) : value);
  }
  if (text !== void 0) node.append(text.replace(ILLEGAL, "�"));
  return node;
}
var inFrame = ({ at }, { left, top, width, height }) => ({ x: left - at.left, y: top - at.top, width, height });
function rgba(colour) {
  const parts = (colour.replace("color(srgb", "").match(/-?[\d.]+(?:e-?\d+)?/g) ?? []).map(Number);
  if (parts.length < 3) return [0, 0, 0, 0];
  const [r, g, b] = parts.slice(0, 3).map((v) => Math.round(colour.startsWith("color(") ? 255 * v : v));
  return [r, g, b, parts[3] ?? 1];
}
function ink(kind, colour) {
  const [r, g, b, opacity] = rgba(colour);
  return { [kind]: `rgb(${r},${g},${b})`, ...opacity < 1 ? { [`${kind.replace("-color", "")}-opacity`]: opacity } : {} };
}
var paints = (colour) => rgba(colour)[3] > 0;
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
function letters({ at }, text, box, style, own = style) {
  const size = parseFloat(own.fontSize) || 13;
  const rtl = style.direction === "rtl";
  return shape("text", {
    x: (rtl ? box.right : box.left) - at.left,
    y: box.top - at.top + (box.height && box.height / 2 + size * 0.36),
    ...ink("fill", own.color),
    "font-family": style.fontFamily,
    "font-size": size,
    "font-weight": style.fontWeight,
    style: "white-space: pre",
    ...rtl ? { direction: "rtl" } : {}
  }, text);
}
function background(frame2, style, b) {
  const box = inFrame(frame2, b), out = [], [left, right, bottom] = [box.x, box.x + box.width, box.y + box.height];
  const fill2 = style.backgroundColor, rx = parseFloat(style.borderTopLeftRadius) || 0;
  if (paints(fill2)) out.push(shape("rect", { ...box, ...ink("fill", fill2), rx }));
  out.push(...gradient(frame2, style, box));
  const line = (y, colour, width, dashes) => out.push(shape("line", {
    x1: left,
    x2: right,
    y1: y,
    y2: y,
    ...ink("stroke", colour),
    "stroke-width": width,
    ...dashes ? { "stroke-dasharray": dashes } : {}
  }));
  const framed = parseFloat(style.borderLeftWidth) > 0 && parseFloat(style.borderRightWidth) > 0 && parseFloat(style.borderTopWidth) > 0;
  if (framed && paints(style.borderTopColor)) {
    out.push(shape("rect", { ...box, rx, fill: "none", ...ink("stroke", style.borderTopColor), "stroke-width": parseFloat(style.borderTopWidth) }));
  } else for (
    const side of
    /** @type {const} */
    ["Top", "Bottom"]
  ) {
    const width = parseFloat(style[`border${side}Width`]), colour = style[`border${side}Color`];
    const dashes = { dashed: "5 4", dotted: "1.5 3" }[style[`border${side}Style`]];
    if (width && paints(colour)) line(side === "Top" ? box.y : bottom, colour, width, dashes);
  }
  if (style.display === "inline" && style.textDecorationLine.includes("underline")) {
    line(bottom, style.textDecorationColor, 1.5, style.textDecorationStyle === "dotted" ? "1.5 2" : "");
  }
  const shadow = style.boxShadow.match(/^(.*\)) 0px -(\d+)px 0px 0px inset$/);
  if (shadow) line(bottom - Number(shadow[2]) / 2, shadow[1], Number(shadow[2]));
  if (style.outlineStyle === "solid") {
    out.push(shape("rect", { ...box, rx, fill: "none", ...ink("stroke", style.outlineColor), "stroke-width": parseFloat(style.outlineWidth) }));
  }
  return out;
}
function gradient(frame2, style, box) {
  if (!style.backgroundImage.includes("gradient")) return [];
  const stops = [...style.backgroundImage.matchAll(/((?:rgba?|color)\([^()]*\))(?: ([\d.]+)%)?/g)].map(([, colour, at]) => ({ colour, at }));
  const share = style.backgroundSize.match(/^([\d.]+)%/);
  if (share) return stops.slice(-1).map(({ colour }) => shape("rect", { ...box, width: box.width * Number(share[1]) / 100, ...ink("fill", colour) }));
  frame2.clips += 1;
  const id = `saelab-ramp-${frame2.clips}`, ramp = shape("linearGradient", { id });
  stops.forEach(({ colour, at }, i) => {
    const offset = at === void 0 ? i / Math.max(1, stops.length - 1) : Number(at) / 100;
    for (const near of paints(colour) ? [colour] : [stops[i - 1]?.colour, stops[i + 1]?.colour].filter(Boolean)) {
      ramp.append(shape("stop", { ...ink("stop-color", near), offset, ...paints(colour) ? {} : { "stop-opacity": 0 } }));
    }
  });
  return [ramp, shape("rect", { ...box, fill: `url(#${id})` })];
}
function mark(frame2, node, style) {
  const sign = node instanceof HTMLElement ? node.dataset.mark : void 0;
  const before = sign ? getComputedStyle(node, "::before") : null;
  const b = node.getClientRects()[0];
  if (!sign || !before || before.display === "none" || !b) return [];
  return [letters(frame2, sign, b, style, before)];
}
function styled(node) {
  const copy = (
    /** @type {E} */
    node.cloneNode(true)
  );
  const to = [copy, ...copy.querySelectorAll("*")];
  [node, ...node.querySelectorAll("*")].forEach((source, i) => {
    const style = getComputedStyle(source);
    const look = (
      /** @type {SVGElement} */
      to[i].style
    );
    for (const name of SVG_STYLE) {
      const value = style.getPropertyValue(name);
      if (value) look.setProperty(name, value);
    }
    for (const kind of ["fill", "stroke"]) {
      const value = style.getPropertyValue(kind);
      if (!/^(rgb|color)/.test(value)) continue;
      const [r, g, b, alpha] = rgba(value);
      look.setProperty(kind, `rgb(${r}, ${g}, ${b})`);
      look.setProperty(`${kind}-opacity`, String(alpha * Number(style.getPropertyValue(`${kind}-opacity`) || 1)));
    }
  });
  return copy;
}
function walk(frame2, node, into) {
  const style = getComputedStyle(node);
  if (style.display === "none" || style.visibility === "hidden") return;
  const box = node.getBoundingClientRect();
  if (node instanceof SVGSVGElement) {
    const copy = styled(node);
    for (const [key, value] of Object.entries(inFrame(frame2, box))) copy.setAttribute(key, String(value));
    return into.append(copy);
  }
  if (node instanceof HTMLCanvasElement) {
    if (box.width) into.append(shape("image", { ...inFrame(frame2, box), href: node.toDataURL("image/png") }));
    return;
  }
  for (const b of style.display === "inline" ? node.getClientRects() : [box]) into.append(...background(frame2, style, b));
  let inner = into;
  if (style.overflowX !== "visible" && box.width) {
    frame2.clips += 1;
    const id = `saelab-clip-${frame2.clips}`, clip = shape("clipPath", { id });
    clip.append(shape("rect", inFrame(frame2, box)));
    inner = shape("g", { "clip-path": `url(#${id})` });
    into.append(clip, inner);
  }
  inner.append(...mark(frame2, node, style));
  for (const child of node.childNodes) {
    if (child instanceof Element) walk(frame2, child, inner);
    else if (child instanceof Text) inner.append(...lines(child).map((line) => letters(frame2, line.text, line.box, style)));
  }
}
function saying(node) {
  if (node instanceof HTMLSelectElement) return node.selectedOptions[0]?.text ?? "";
  if (node instanceof HTMLTextAreaElement) return node.value;
  if (!(node instanceof HTMLInputElement) || node.type === "range") return "";
  return node.type === "checkbox" ? node.checked ? "✓" : "" : node.value;
}
function still(view) {
  const copy = (
    /** @type {HTMLElement} */
    view.cloneNode(true)
  );
  const kinds = "input, select, textarea, canvas";
  const [from, to] = [view, copy].map((root) => [...root.querySelectorAll(kinds)]);
  copy.classList.add("sl-still");
  for (const wrap of copy.querySelectorAll(WRAPS)) {
    const fields = to.filter((c) => wrap.contains(c) && !(c instanceof HTMLSelectElement && wrap.querySelector("input")));
    if (!fields.some((field) => saying(from[to.indexOf(field)]))) wrap.remove();
  }
  from.forEach((node, i) => {
    const text = saying(node), label = to[i].closest(".sl-check");
    if (node instanceof HTMLCanvasElement) {
      if (node.width && node.height) to[i].getContext("2d")?.drawImage(node, 0, 0);
    } else if (!text) (label ?? to[i]).remove();
    else if (node.tagName !== "TEXTAREA") to[i].replaceWith(h("span", { class: "sl-said" }, text));
    else to[i].replaceWith(h(
      "div",
      { class: `sl-said ${node.classList.contains("sl-live") ? "sl-live" : ""}` },
      h("span", { class: "sl-muted" }, `${node.getAttribute("aria-label")}: `),
      text
    ));
  });
  copy.style.cssText += `position: absolute; inset-inline-start: -99999px; width: ${Math.ceil(view.getBoundingClientRect().width) + 20}px`;
  view.after(copy);
  const [there, here] = [view, copy].map((root) => root.querySelector(".sl-grid"));
  if (there && here) [here.scrollTop, here.scrollLeft] = [there.scrollTop, there.scrollLeft];
  return copy;
}
function toSvg(view) {
  const copy = still(view);
  try {
    const at = copy.getBoundingClientRect(), [width, height] = [at.width, at.height].map(Math.ceil);
    const out = shape("svg", { xmlns: NS, width, height, viewBox: `0 0 ${width} ${height}` });
    const probe = h("span", { style: "color: var(--sl-bg)" });
    copy.append(probe);
    out.append(shape("rect", { width: "100%", height: "100%", ...ink("fill", getComputedStyle(probe).color) }));
    probe.remove();
    walk({ at, clips: 0 }, copy, out);
    return (
      /** @type {SVGSVGElement} */
      out
    );
  } finally {
    copy.remove();
  }
}
var svgBlob = (figure) => new Blob([new XMLSerializer().serializeToString(figure)], { type: "image/svg+xml" });
async function toPng(figure, scale2 = 2) {
  const [width, height] = ["width", "height"].map((k) => Number(figure.getAttribute(k)));
  const image = new Image();
  const url = URL.createObjectURL(svgBlob(figure));
  try {
    await new Promise((resolve, reject) => {
      image.onload = resolve;
      image.onerror = () => reject(new Error("the figure could not be drawn"));
      image.src = url;
    });
    const canvas = h("canvas", { width: Math.ceil(width * scale2), height: Math.ceil(height * scale2) });
    canvas.getContext("2d")?.drawImage(image, 0, 0, canvas.width, canvas.height);
    return await new Promise((resolve, reject) => canvas.toBlob((blob) => {
      if (blob) resolve(blob);
      else reject(new Error("the figure is too large for a picture"));
    }, "image/png"));
  } finally {
    URL.revokeObjectURL(url);
  }
}
function save(blob, name) {
  const link2 = h("a", { href: URL.createObjectURL(blob), download: name });
  link2.click();
  setTimeout(() => URL.revokeObjectURL(link2.href), 1e4);
}
function figureMenu({ view, say }, name, draw = () => toSvg(view)) {
  const menu = h(
    "details",
    { class: "sl-figure sl-live" },
    h("summary", { class: "sl-button", title: "Take what is shown as a figure" }, "figure")
  );
  const item = (label, title, action) => button(label, title, () => {
    menu.open = false;
    Promise.resolve().then(action).catch((e) => say(e.message));
  });
  menu.append(h(
    "div",
    { class: "sl-menu" },
    item("save SVG", "Save as an SVG file, to be edited or printed", () => save(svgBlob(draw()), `${name()}.svg`)),
    item("save PNG", "Save as a picture with twice the screen's resolution", async () => save(await toPng(draw()), `${name()}.png`)),
    item("copy PNG", "Copy as a picture", async () => {
      const picture = toPng(draw());
      if (!navigator.clipboard?.write) throw new Error("this page may not write to the clipboard; save the picture instead");
      await navigator.clipboard.write([new ClipboardItem({ "image/png": picture })]);
    })
  ));
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !menu.open) return;
    menu.open = false;
    event.stopPropagation();
  });
  return menu;
}

// alert.js
function alertBox(error, changed) {
  const box = h("div", { class: "sl-alert", role: "alert", hidden: true });
  const say = (message, traceback) => {
    box.hidden = !message;
    box.replaceChildren();
    if (message) box.append(h("span", { class: "sl-alert-text" }, message), button("×", "Dismiss the message", () => say("")));
    if (message && traceback) box.append(h("details", {}, h("summary", {}, "traceback"), h("pre", {}, traceback)));
  };
  const fromPython = () => say(error().message ?? "", error().traceback);
  changed(fromPython);
  fromPython();
  return { box, say };
}

// rpc.js
var made = 0;
var uuid = () => `${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}-${made += 1}`;
var GONE = "Python is not there: the kernel was restarted or has ended. Run the cell that makes this widget again.";
var SILENT = "Python does not answer. Its kernel has ended, or was restarted: run the cell that makes this widget again. Or it is busy: some front ends deliver clicks only when no cell is running; the notebook's own stop button always works.";
var PATIENCE = 1500;
function requests(model, signal, say = () => {
}) {
  const waiting = /* @__PURE__ */ new Map();
  let silent = false;
  const heard = () => {
    if (silent) say("");
    silent = false;
  };
  const late = () => {
    say(SILENT);
    silent = true;
  };
  const receive = (message, buffers) => {
    const entry = waiting.get(message?.request);
    if (!entry) return;
    clearTimeout(entry.timer);
    heard();
    if (message.taken) return;
    waiting.delete(message.request);
    if (message.error !== void 0) entry.reject(new Error(message.error));
    else entry.resolve(buffers?.length ? { ...message.result, buffers } : message.result);
  };
  model.on("msg:custom", receive);
  signal.addEventListener("abort", () => {
    model.off("msg:custom", receive);
    for (const { timer } of waiting.values()) clearTimeout(timer);
    waiting.clear();
  });
  return (method, params = {}) => new Promise((resolve, reject) => {
    const id = uuid();
    waiting.set(id, { resolve, reject, timer: setTimeout(late, PATIENCE) });
    try {
      model.send({ request: id, method, params });
    } catch {
      clearTimeout(waiting.get(id)?.timer);
      waiting.delete(id);
      reject(new Error(GONE));
    }
  });
}

// mount.js
function mount(model, el, outer, name, label) {
  const abort = new AbortController();
  const signal = abort.signal;
  const end = () => abort.abort();
  outer?.addEventListener("abort", end);
  const atEnd = (undo) => signal.addEventListener("abort", undo);
  const view = h("div", {
    class: `saelab saelab-${name}`,
    role: "group",
    "aria-label": label,
    tabindex: "-1",
    "data-lm-suppress-shortcuts": "true"
  });
  const on = (keys, draw) => {
    for (const key of keys) model.on(`change:${String(key)}`, draw);
    atEnd(() => {
      for (const key of keys) model.off(`change:${String(key)}`, draw);
    });
  };
  const tip = tooltip(view, signal);
  const alert = alertBox(() => model.get("error") ?? {}, (draw) => on(["error"], draw));
  const request = requests(model, signal, alert.say);
  let asking = false;
  function isHeard() {
    if (asking) return;
    asking = true;
    request("alive").then(() => {
      asking = false;
    }, (error) => {
      if (error.message === GONE) alert.say(GONE);
    });
  }
  view.append(alert.box);
  el.append(view);
  return {
    view,
    tip,
    signal,
    atEnd,
    on,
    end,
    request,
    say: alert.say,
    state: (
      /** @type {S} */
      new Proxy({}, { get: (_, key) => model.get(String(key)) })
    ),
    set(changes) {
      for (const [key, value] of Object.entries(changes)) model.set(key, value);
      model.save_changes();
      isHeard();
    },
    soon: (keys, draw) => on(keys, throttle(draw, 0, signal)),
    ask: (method, params, done = () => {
    }) => {
      request(method, params).then(done).catch((error) => alert.say(error.message));
    }
  };
}
var widget = (name, label, build2) => ({
  render({ model, el, signal }) {
    const ui = mount(model, el, signal, name, label);
    build2(
      /** @type {Ui<S>} */
      ui
    );
    return ui.end;
  }
});

// neighbours.js
function neighbours({ state }, open) {
  let by = (
    /** @type {"decoder" | "encoder" | "coactivation"} */
    "decoder"
  );
  const kinds = tabs(
    "Kind of neighbour",
    [
      ["decoder", "decoder", "They add nearly the same to the model: cosine of the decoder rows"],
      ["encoder", "encoder", "They look for nearly the same: cosine of the encoder columns"],
      ["coactivation", "co-activation", "They fire on the same tokens"]
    ],
    (kind) => {
      by = kind;
      draw();
    }
  );
  const list = h("div");
  const node = h("section", {}, h("div", { class: "sl-bar" }, h("h3", {}, "Nearest latents by"), kinds.node), list);
  function row({ latent, similarity, label, token }) {
    const here = !state.available || state.available.includes(latent);
    return barRow(h(
      "span",
      {},
      here ? link(String(latent), () => open(latent), { title: `Open latent ${latent}` }) : h("span", { title: "Not in this page" }, String(latent)),
      " ",
      ...called(token, label)
    ), similarity, 1);
  }
  function draw() {
    const found = state.payload.nearest[by];
    kinds.mark(by);
    if (!Array.isArray(found)) list.replaceChildren(note(found.reason));
    else if (!found.length) list.replaceChildren(note("None."));
    else list.replaceChildren(h("div", { class: "sl-rows" }, ...found.flatMap(row)));
  }
  return { node, draw };
}

// notes.js
function notes({ state, ask, signal }) {
  const label = h("input", { class: "sl-input", type: "text", placeholder: "Label", "aria-label": "Label of this latent", maxlength: 200 });
  const text = h("textarea", { class: "sl-input", rows: 2, placeholder: "Note", "aria-label": "Note on this latent" });
  const source = h("p", { class: "sl-read sl-muted sl-small", title: "Who or what wrote this label, and its score" });
  const node = h("div", { class: "sl-notes" });
  let writing = state.latent;
  const save2 = () => {
    const same = label.value === state.label && text.value === state.note && writing === state.latent;
    if (!state.read_only && !same) ask("save", { latent: writing, label: label.value, note: text.value });
  };
  const saveSoon = throttle(save2, 700, signal);
  for (const field of [label, text]) {
    field.addEventListener("input", saveSoon);
    field.addEventListener("change", save2);
  }
  const read = (written, more = "") => written ? [h("p", { class: `sl-read${more}` }, written)] : [];
  function draw() {
    if (state.read_only) {
      node.replaceChildren(...read(state.label, " sl-label"), ...read(state.source, " sl-muted sl-small"), ...read(state.note));
      node.hidden = !node.firstChild;
      return;
    }
    if (!node.firstChild) node.append(label, source, text);
    source.textContent = state.source;
    source.hidden = !state.source;
    const same = writing === state.latent;
    writing = state.latent;
    if (!same || !focused(label)) label.value = state.label;
    if (!same || !focused(text)) text.value = state.note;
  }
  return { node, draw };
}

// prompt.js
function promptField({ state, set, signal }) {
  const field = h("textarea", {
    class: "sl-input sl-live",
    rows: 1,
    placeholder: "Type a text and see what fires on it",
    "aria-label": "A text of your own",
    spellcheck: "false"
  });
  const fit = () => {
    field.rows = Math.min(5, 1 + Math.floor(field.value.length / 90) + (field.value.match(/\n/g)?.length ?? 0));
  };
  const send = throttle(() => {
    if (field.value !== state.prompt) set({ prompt: field.value });
  }, 120, signal);
  field.addEventListener("input", () => {
    fit();
    send();
  });
  return { field, draw: () => {
    if (!focused(field)) field.value = state.prompt;
    fit();
  } };
}
function firing({ text, strongest = [], labels = {}, tokens: names = {}, values = [] }, at, mine, open) {
  if (!text) return [];
  const fires2 = strongest[at] ?? [];
  const says = text.special?.includes(at) ? ": not counted, a special token" : fires2.length ? " fire" : ": no latent fires";
  return [
    note("on ", chip(labelOf(text, at)), says, values[at] > 0 ? `; this latent ${show(values[at])}` : ""),
    h("div", { class: "sl-rows" }, ...fires2.flatMap(([latent, value]) => {
      const to = link(String(latent), () => open(latent), { title: `Open latent ${latent}` });
      const name = h("span", {}, to, " ", ...called(names[String(latent)], labels[String(latent)]));
      return barRow(latent === mine ? h("b", {}, name) : name, value, fires2[0][1], "sl-warm");
    }))
  ];
}
function lastStrong({ values = [], strongest = [] }) {
  const most = Math.max(0, ...values);
  if (most > 0) return values.indexOf(most);
  const last = strongest.findLastIndex((fires2) => fires2.length);
  return last < 0 ? strongest.length - 1 : last;
}
function promptBox(ui, open, range) {
  const { state, tip } = ui;
  const { field, draw: drawField } = promptField(ui);
  const line = h("div", { class: "sl-tried" });
  const list = h("div", { class: "sl-fires" });
  const node = h("section", { class: "sl-prompt" }, h("h3", {}, "Try a text"), field, line, list);
  let token = -1;
  const tried = () => state.tried ?? {};
  function draw() {
    const { read_only: fixed, cannot_try: reason } = state;
    const { text, values = [], notice } = tried();
    node.hidden = fixed && !text;
    node.classList.toggle("sl-live", !text);
    field.hidden = fixed || !!reason;
    drawField();
    if (reason && !fixed) return line.replaceChildren(note(reason));
    line.replaceChildren();
    if (!text) return list.replaceChildren();
    line.append(paragraph(text, tokens(text, values, range())));
    if (notice) line.append(note(notice));
    if (token >= text.ids.length) token = -1;
    drawList(token < 0 ? lastStrong(tried()) : token);
  }
  function drawList(at) {
    select(
      /** @type {NodeListOf<HTMLElement>} */
      line.querySelectorAll(".sl-tok"),
      (span) => covers(span, at)
    );
    list.replaceChildren(...firing(tried(), at, state.latent, open));
  }
  line.addEventListener("click", (event) => {
    const span = closest(event, ".sl-tok");
    if (span) drawList(token = Number(span.dataset.start));
  });
  tokenTip(tip, line, (_, i) => {
    const { text, values = [], strongest = [] } = tried();
    const top = strongest[i]?.slice(0, 3).map(([latent, v]) => `${latent} (${show(v)})`).join(", ");
    return text ? [
      ["token", chip(labelOf(text, i))],
      ["id", String(text.ids[i])],
      ["position", String(i)],
      ["this latent", show(values[i] ?? 0)],
      ["strongest", top || "none"]
    ] : null;
  }, 4);
  return { node, draw, changed: () => {
    token = -1;
    draw();
  } };
}

// scale.js
function scale({ state, set }, most, promise) {
  const range = () => ({ low: state.vmin ?? 0, high: state.vmax ?? most() });
  const [low, high] = [["Lowest", "vmin"], ["Highest", "vmax"]].map(([name, key]) => {
    const label = `${name} value of the colour scale`;
    const input = numberField(label, { class: "sl-input", title: label });
    input.addEventListener("change", () => {
      const value = Number(input.value);
      const now = { vmin: range().low, vmax: range().high, [key]: value };
      if (input.value.trim() !== "" && Number.isFinite(value) && now.vmin < now.vmax) set(now);
      else draw();
    });
    return input;
  });
  const lock = button("", "", () => {
    const { low: vmin, high: vmax } = range();
    set(state.vmax === null ? { vmin, vmax } : { vmin: null, vmax: null });
  });
  const node = h("span", { class: "sl-scale sl-small" }, low, h("span", { class: "sl-ramp", role: "img", "aria-label": "colour scale" }), high, lock);
  function draw() {
    const locked = state.vmax !== null;
    low.value = show(range().low);
    high.value = show(range().high);
    lock.textContent = locked ? "locked" : "lock";
    lock.setAttribute("aria-pressed", String(locked));
    lock.title = locked ? "Scale each latent to its own maximum again" : promise;
    lock.setAttribute("aria-label", lock.title);
  }
  return { node, draw, range };
}

// votes.js
function votes({ state }) {
  const node = h("section");
  function draw() {
    const found = state.payload.logits;
    node.replaceChildren(h("h3", {
      title: "Which next tokens the model then expects more (up) or less (down): the change of each token's logit, its score before the softmax, per unit of activation; later layers are left out (logit lens)"
    }, "Votes of the decoder direction (logit lens)"));
    if ("reason" in found) return node.append(note(found.reason));
    const most = Math.max(...[...found.up, ...found.down].map(([, v]) => Math.abs(v)), 1e-12);
    const side = (pairs, kind = "") => h("div", { class: "sl-rows" }, ...pairs.flatMap(([token, value]) => barRow(chip(token), value, most, kind)));
    node.append(h("div", { class: "sl-votes" }, side(found.up, "sl-warm"), side(found.down)));
  }
  return { node, draw };
}

// dashboard.js
function chooser({ state, ask, request, say, view }) {
  const box = numberField("Latent", { inputmode: "numeric", title: "Latent; press / to come here" });
  const back = () => {
    box.value = String(state.latent);
  };
  const of = h("span", { class: "sl-muted sl-of" });
  const steps = [
    button("‹", "Previous latent (←)", () => step(-1)),
    button("›", "Next latent (→)", () => step(1)),
    button("random", "A random latent that fires", () => step("random"))
  ];
  onEnter(box, () => {
    const latent = latentIn(box, say, state.payload.d_sae);
    if (latent === null) back();
    else open(latent);
  }, () => {
    back();
    view.focus();
  });
  function open(latent) {
    const held = state.available;
    say(!held || held.includes(latent) ? "" : `Latent ${latent} is not in this page; it holds ${held.join(", ")}.`);
    if (!held || held.includes(latent)) ask("open", { latent });
    else back();
  }
  let owed = 0, walking = false;
  async function walk2(by) {
    owed += by;
    if (walking) return;
    for (walking = true; owed; ) {
      const next = owed;
      owed = 0;
      await request("step", { by: next }).catch((error) => say(error.message));
    }
    walking = false;
  }
  function step(by) {
    const held = state.available;
    say("");
    if (!held && by === "random") return ask("step", { by });
    if (!held) return walk2(Number(by));
    if (held.length < 2) return;
    const jump = by === "random" ? 1 + Math.floor(Math.random() * (held.length - 1)) : by;
    open(held[(held.indexOf(state.latent) + jump + held.length) % held.length]);
  }
  function draw() {
    const held = state.available;
    back();
    of.textContent = held ? `${held.indexOf(state.latent) + 1} of ${held.length} here` : `of ${count(state.payload.d_sae)}`;
    for (const node of steps) node.disabled = !!held && held.length < 2;
  }
  return { node: h("div", { class: "sl-head" }, h("h2", {}, "Latent"), box, of, grow(), ...steps), box, open, step, draw };
}
function activations({ state, set, tip }) {
  const node = h("div");
  const draw = () => {
    node.replaceChildren();
    if (fires(state)) node.append(h("h3", {}, "Activations, log counts", h("span", { class: "sl-live" }, "; drag to see a range")), histogram(state.payload.histogram, {
      brush: state.tab === "interval" ? state.brush : null,
      tip,
      onBrush: (brush) => set({ brush, tab: brush ? "interval" : "top" })
    }));
  };
  return { node, draw };
}
function build(ui) {
  const { state, set, view, tip, on, soon } = ui;
  const most = () => Math.max(state.payload.stats.max ?? 0, state.vmin ?? 0);
  const ends = scale(ui, most, "Keep this scale for every latent");
  const head2 = chooser(ui);
  const [label, stats, chart] = [notes(ui), statistics(ui), activations(ui)];
  const [near, voted2] = [neighbours(ui, head2.open), votes(ui)];
  const list = examples(ui, ends, figureMenu(ui, () => `latent-${state.latent}`));
  const ablation = ablationBox(ui, list.chosen);
  const prompt = promptBox(ui, head2.open, ends.range);
  onKeys(view, (event) => {
    if (typing(event) || !alone(event) || event.key === "Enter" && onButton(event)) return;
    return (
      /** @type {Record<string, () => void>} */
      {
        ArrowLeft: () => head2.step(-1),
        ArrowRight: () => head2.step(1),
        ArrowDown: () => list.move(1),
        ArrowUp: () => list.move(-1),
        Enter: list.unfold,
        Escape: () => {
          tip.hide();
          set({ selected_sequence: null, selected_token: null });
        },
        "/": () => {
          head2.box.focus();
          head2.box.select();
        },
        a: ablation.run
      }[event.key]
    );
  });
  function draw() {
    if (state.payload.latent === void 0) return;
    tip.hide();
    for (const panel of [head2, label, stats, chart, near, list, voted2, prompt, ablation]) panel.draw();
    if (state.brush) list.load();
  }
  soon(["payload", "vmin", "vmax", "read_only", "available"], draw);
  on(["latent"], head2.draw);
  on(["tried"], prompt.changed);
  on(["ablated", "cannot_try"], ablation.draw);
  on(["prompt", "cannot_try"], prompt.draw);
  on(["label", "note", "source"], label.draw);
  on(["tab"], () => {
    chart.draw();
    list.draw();
  });
  on(["one_per_document"], list.draw);
  on(["show_whitespace"], list.white);
  on(["brush"], () => {
    chart.draw();
    list.load();
  });
  on(["selected_sequence", "selected_token"], () => {
    list.drawSelection();
    ablation.draw();
  });
  view.append(h(
    "div",
    { class: "sl-columns" },
    h("aside", {}, head2.node, label.node, stats.node, chart.node, near.node),
    h("div", { class: "sl-main" }, list.node, prompt.node, ablation.node, voted2.node)
  ));
  list.white();
  draw();
}
var dashboard_default = widget("dashboard", "Latent dashboard", build);
export {
  dashboard_default as default
};
