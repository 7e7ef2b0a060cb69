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
function voted({ text, direct, votes, weights }, way, position) {
  const key = direct ? `direct_${way}` : way;
  const all = floats(weights[key]);
  const width = all.length / Math.max(1, text.ids?.length ?? 0);
  return (votes[key]?.[position] ?? []).map((name, i) => [name, all[position * width + i]]);
}
function head(get, set) {
  const measures = tabs("What colours the text", NAMES, (measure) => set({ measure, vmax: null }));
  const direct = check("direct effect", (on) => set({ direct: on }), {
    class: "sl-check",
    title: "Only what the latent's own write changes in the last layer's residual stream"
  });
  const white = check("white space", (on) => set({ show_whitespace: on }), { class: "sl-check" });
  const ramp = h("span", { class: "sl-scale" });
  const note = h("p", { class: "sl-muted sl-small sl-note" });
  const draw = () => {
    const of = get();
    direct.node.hidden = !of.has_direct;
    direct.input.checked = of.direct;
    white.input.checked = of.show_whitespace;
    measures.mark(of.measure);
    note.textContent = NOTES[of.measure] + (of.edited.length ? " Dotted: where it fires and was set to 0." : " It fires nowhere in this text.");
  };
  return { node: h("div", { class: "sl-bar" }, measures.node, direct.node, white.node, grow(), ramp), ramp, note, draw };
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
  const votes = (way) => h(
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
  ], "sl-place"), votes("up"), votes("down")];
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
function background(frame, style, b) {
  const box = inFrame(frame, b), out = [], [left, right, bottom] = [box.x, box.x + box.width, box.y + box.height];
  const fill2 = style.backgroundColor, rx = parseFloat(style.borderTopLeftRadius) || 0;
  if (paints(fill2)) out.push(shape("rect", { ...box, ...ink("fill", fill2), rx }));
  out.push(...gradient(frame, style, box));
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
function gradient(frame, style, box) {
  if (!style.backgroundImage.includes("gradient")) return [];
  const stops = [...style.backgroundImage.matchAll(/((?:rgba?|color)\([^()]*\))(?: ([\d.]+)%)?/g)].map(([, colour, at]) => ({ colour, at }));
  const share = style.backgroundSize.match(/^([\d.]+)%/);
  if (share) return stops.slice(-1).map(({ colour }) => shape("rect", { ...box, width: box.width * Number(share[1]) / 100, ...ink("fill", colour) }));
  frame.clips += 1;
  const id = `saelab-ramp-${frame.clips}`, ramp = shape("linearGradient", { id });
  stops.forEach(({ colour, at }, i) => {
    const offset = at === void 0 ? i / Math.max(1, stops.length - 1) : Number(at) / 100;
    for (const near of paints(colour) ? [colour] : [stops[i - 1]?.colour, stops[i + 1]?.colour].filter(Boolean)) {
      ramp.append(shape("stop", { ...ink("stop-color", near), offset, ...paints(colour) ? {} : { "stop-opacity": 0 } }));
    }
  });
  return [ramp, shape("rect", { ...box, fill: `url(#${id})` })];
}
function mark(frame, node, style) {
  const sign = node instanceof HTMLElement ? node.dataset.mark : void 0;
  const before = sign ? getComputedStyle(node, "::before") : null;
  const b = node.getClientRects()[0];
  if (!sign || !before || before.display === "none" || !b) return [];
  return [letters(frame, sign, b, style, before)];
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
function walk(frame, node, into) {
  const style = getComputedStyle(node);
  if (style.display === "none" || style.visibility === "hidden") return;
  const box = node.getBoundingClientRect();
  if (node instanceof SVGSVGElement) {
    const copy = styled(node);
    for (const [key, value] of Object.entries(inFrame(frame, box))) copy.setAttribute(key, String(value));
    return into.append(copy);
  }
  if (node instanceof HTMLCanvasElement) {
    if (box.width) into.append(shape("image", { ...inFrame(frame, box), href: node.toDataURL("image/png") }));
    return;
  }
  for (const b of style.display === "inline" ? node.getClientRects() : [box]) into.append(...background(frame, style, b));
  let inner = into;
  if (style.overflowX !== "visible" && box.width) {
    frame.clips += 1;
    const id = `saelab-clip-${frame.clips}`, clip = shape("clipPath", { id });
    clip.append(shape("rect", inFrame(frame, box)));
    inner = shape("g", { "clip-path": `url(#${id})` });
    into.append(clip, inner);
  }
  inner.append(...mark(frame, node, style));
  for (const child of node.childNodes) {
    if (child instanceof Element) walk(frame, child, inner);
    else if (child instanceof Text) inner.append(...lines(child).map((line) => letters(frame, line.text, line.box, style)));
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
async function toPng(figure, scale = 2) {
  const [width, height] = ["width", "height"].map((k) => Number(figure.getAttribute(k)));
  const image = new Image();
  const url = URL.createObjectURL(svgBlob(figure));
  try {
    await new Promise((resolve, reject) => {
      image.onload = resolve;
      image.onerror = () => reject(new Error("the figure could not be drawn"));
      image.src = url;
    });
    const canvas = h("canvas", { width: Math.ceil(width * scale), height: Math.ceil(height * scale) });
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

// effect_map.js
function build(ui) {
  const { state, view, say, ask, set, soon } = ui;
  const picture = effectsPicture(() => state, set);
  const title = h("h2", {});
  const box = numberField("Latent to ablate", { inputmode: "numeric" });
  const run = () => {
    const latent = latentIn(box, say, state.d_sae);
    if (latent !== null) ask("ablate", { latent });
  };
  onEnter(box, run, () => view.focus());
  const asking = h("span", { class: "sl-bar" }, box, button("Ablate", "Show the effects of this latent", run));
  function draw() {
    title.textContent = `${typeof state.latent === "string" ? state.latent : `Latent ${state.latent}`} ablated`;
    if (!focused(box)) box.value = String(state.latent);
    asking.hidden = !state.can_ask;
    picture.draw();
  }
  onKeys(view, (event) => {
    if (typing(event)) return void 0;
    return event.key === "/" && state.can_ask ? () => box.focus() : picture.keyOf(event);
  });
  soon([
    "measure",
    "direct",
    "vmax",
    "show_whitespace",
    "latent",
    "text",
    "following",
    "edited",
    "numbers",
    "votes",
    "weights",
    "has_direct",
    "can_ask"
  ], draw);
  soon(["selected_token"], picture.drawSelection);
  view.append(h("div", { class: "sl-bar" }, title, grow(), asking, figureMenu(ui, () => `effects-of-latent-${state.latent}`)), picture.node);
  draw();
}
var effect_map_default = widget("effects", "Effects of ablating a latent", build);
export {
  effect_map_default as default
};
