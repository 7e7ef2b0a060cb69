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
var note = (...text) => h("p", { class: "sl-muted sl-small" }, ...text);
var grow = () => h("span", { class: "sl-grow" });
var closest = (event, selector) => (
  /** @type {HTMLElement | null} */
  /** @type {Element} */
  event.target.closest?.(selector) ?? null
);
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
var facts = (pairs2, kind) => h("dl", { class: kind }, ...pairs2.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
var inline = (pairs2) => pairs2.map(([name, value]) => h("span", {}, name && `${name} `, typeof value === "string" ? h("b", {}, value) : value));
function tokenTip(tip, node, describe, most = 6) {
  node.addEventListener("pointerover", (event) => {
    const span = closest(event, ".sl-tok");
    const [start, stop] = span ? [Number(span.dataset.start), Number(span.dataset.stop)] : [0, 0];
    const all = [];
    for (let i = start; span && i < Math.min(stop, start + most); i += 1) all.push(describe(span, i));
    if (span && all.length && all[0]) tip.show(span, ...all.map((pairs2) => facts(pairs2 ?? [])));
    else tip.hide();
  });
  node.addEventListener("pointerleave", () => tip.hide());
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

// controls.js
function check(text, set, more = {}) {
  const input = h("input", { type: "checkbox" });
  input.addEventListener("change", () => set(input.checked));
  return { input, node: h("label", { class: "sl-check sl-small", ...more }, input, text) };
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
function select(nodes, chosen) {
  for (const node of nodes) node.setAttribute("aria-selected", String(chosen(node)));
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

// examples.js
function exampleLine(e, range) {
  const dir = direction(e.text);
  const line2 = (from, to) => h("bdi", { class: "sl-line", dir }, ...tokens(e.text, e.values, { ...range, from, to }));
  const begin = groupAt(e.text, e.centre)?.start ?? Infinity;
  const halves = [line2(0, begin), line2(begin, Infinity)];
  halves[1].firstElementChild?.classList.add("sl-centre");
  if (dir === "rtl") halves.reverse();
  return [
    h("span", { class: "sl-act" }, column(e.value)),
    h("span", { class: "sl-side sl-left" }, halves[0]),
    h("span", { class: "sl-side sl-right" }, halves[1])
  ];
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
  const line2 = (y, colour, width, dashes) => out.push(shape("line", {
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
    if (width && paints(colour)) line2(side === "Top" ? box.y : bottom, colour, width, dashes);
  }
  if (style.display === "inline" && style.textDecorationLine.includes("underline")) {
    line2(bottom, style.textDecorationColor, 1.5, style.textDecorationStyle === "dotted" ? "1.5 2" : "");
  }
  const shadow = style.boxShadow.match(/^(.*\)) 0px -(\d+)px 0px 0px inset$/);
  if (shadow) line2(bottom - Number(shadow[2]) / 2, shadow[1], Number(shadow[2]));
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
    else if (child instanceof Text) inner.append(...lines(child).map((line2) => letters(frame2, line2.text, line2.box, style)));
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
  const link = h("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1e4);
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
    const side = (pairs2, kind = "") => h("div", { class: "sl-rows" }, ...pairs2.flatMap(([token, value]) => barRow(chip(token), value, most, kind)));
    node.append(h("div", { class: "sl-votes" }, side(found.up, "sl-warm"), side(found.down)));
  }
  return { node, draw };
}

// compare.js
var SIDES = (
  /** @type {const} */
  ["a", "b"]
);
var KINDS = [["both", "Both fire", "strongest in both first"], ["a", "Only a fires", "strongest first"], ["b", "Only b fires", "strongest first"]];
function pairs({ state, atEnd }, open) {
  const node = h("div", { class: "sl-pairs", role: "listbox", "aria-label": "Pairs" });
  const said = h("p", { class: "sl-muted sl-small" });
  node.addEventListener("click", (event) => {
    const row = closest(event, ".sl-pair");
    if (row) open(Number(row.dataset.latent));
  });
  function mark2() {
    const rows = (
      /** @type {HTMLElement[]} */
      [...node.children]
    );
    select(rows, (row2) => Number(row2.dataset.latent) === state.latent);
    const row = rows.find((r) => r.ariaSelected === "true" || r.getAttribute("aria-selected") === "true");
    if (row && (row.offsetTop < node.scrollTop || row.offsetTop + row.offsetHeight > node.scrollTop + node.clientHeight)) {
      node.scrollTop = row.offsetTop - node.clientHeight / 2;
    }
  }
  function draw() {
    node.replaceChildren(...state.pairs.map((p) => h(
      "div",
      {
        class: "sl-pair",
        role: "option",
        "data-latent": p.latent,
        "data-unmatched": !p.matched,
        title: p.matched ? "" : "No more alike than chance"
      },
      h("span", {}, String(p.latent), " ", ...called(p.token)),
      h("span", {}, String(p.partner), " ", ...called(p.partner_token)),
      h("span", { class: "sl-value" }, p.score.toFixed(3))
    )));
    said.textContent = state.read_only || state.n_pairs === state.pairs.length ? `${count(state.pairs.length)} pairs` : `the best ${count(state.pairs.length)} of ${count(state.n_pairs)} pairs`;
    mark2();
  }
  const seen = new ResizeObserver(mark2);
  seen.observe(node);
  atEnd(() => seen.disconnect());
  const head = h("div", { class: "sl-pair sl-muted sl-small" }, h("span", {}, "latent of a"), h("span", {}, "partner of b"), h("span", { class: "sl-value" }, "score"));
  return { node: h("aside", { class: "sl-live" }, head, node, said), draw, mark: mark2 };
}
function card({ state, tip }, side) {
  const title = h("h2"), of = h("p", { class: "sl-muted sl-small" }), chart = h("div");
  const panel = (
    /** @type {any} */
    { state: { get payload() {
      return state.payload.sides[side];
    } } }
  );
  const [stats, voted] = [statistics(panel), votes(panel)];
  function draw() {
    const { latent, label, histogram: bins } = state.payload.sides[side];
    const listed = state.pairs.find((p) => p.latent === state.payload.latent);
    title.replaceChildren(`Latent ${latent} `, ...called(side === "a" ? listed?.token : listed?.partner_token, label));
    of.textContent = `${side}: ${state.about[side]}`;
    stats.draw();
    voted.draw();
    chart.replaceChildren(h("h3", {}, "Activations, log counts"), histogram(bins, { brush: null, tip, onBrush: draw }));
  }
  return { head: h("div", {}, title, of), node: h("div", { class: "sl-card" }, stats.node, chart, voted.node), draw };
}
function line(e, high, where) {
  const node = h("div", { class: "sl-example", "data-at": where }, ...exampleLine(e, { low: 0, high }));
  for (
    const token of
    /** @type {NodeListOf<HTMLElement>} */
    node.querySelectorAll(".sl-tok")
  ) {
    const [start, stop] = [Number(token.dataset.start), Number(token.dataset.stop)];
    const fires2 = e.values.slice(start, stop).some((v) => v > 0), other = e.other.slice(start, stop).some((v) => v > 0);
    if (fires2 && !other) token.classList.add("sl-alone");
    if (other && !fires2) token.classList.add("sl-missed");
  }
  return node;
}
function passages({ state, set, tip }) {
  const node = h("div", { class: "sl-passages" });
  const spaces = check("spaces", (on) => set({ show_whitespace: on }));
  const key = h(
    "p",
    { class: "sl-bar sl-small sl-key" },
    h("span", { class: "sl-tok sl-hot", style: "--a: 0.7" }, "both fire"),
    h("span", { class: "sl-tok sl-hot sl-alone", style: "--a: 0.7" }, "the other is silent"),
    h("span", { class: "sl-tok sl-missed" }, "the other fires, this one is silent"),
    grow(),
    spaces.node
  );
  const at = (where) => {
    const [kind, i, side] = where.split(" ");
    return state.payload.texts[
      /** @type {Kind} */
      kind
    ][Number(i)][
      /** @type {"a" | "b"} */
      side
    ];
  };
  tokenTip(tip, node, (span, position) => {
    const where = (
      /** @type {HTMLElement | null} */
      span.closest("[data-at]")?.dataset.at
    );
    const e = where ? at(where) : null;
    if (!e || !where) return null;
    const mine = where.slice(-1), names = mine === "a" ? ["a", "b"] : ["b", "a"];
    return [["token", labelOf(e.text, position)], [`activation of ${names[0]}`, show(e.values[position])], [`activation of ${names[1]}`, show(e.other[position])]];
  });
  function section([kind, name, order]) {
    const { texts, positions, sides } = state.payload;
    const rows = texts[kind].map((pair, i) => h(
      "div",
      { class: "sl-two", title: `document ${pair.a.doc}` },
      ...SIDES.map((side) => line(pair[side], sides[side].stats.max ?? 0, `${kind} ${i} ${side}`))
    ));
    const head = h("h3", {}, `${name} at ${count(positions[kind])} positions`, h("span", { class: "sl-muted" }, rows.length ? `; ${order}, one text each` : ""));
    return h("section", { "data-kind": kind }, head, h("div", { class: "sl-examples" }, ...rows));
  }
  const draw = () => node.replaceChildren(...KINDS.map(section));
  const white = () => {
    node.classList.toggle("sl-show-space", spaces.input.checked = state.show_whitespace);
  };
  return { node: h("div", {}, key, node), draw, white };
}
function build(ui) {
  const { state, view, request, say, on, soon, tip } = ui;
  let last = state.latent, asked = 0;
  const open = (latent) => {
    last = latent;
    asked += 1;
    request("open", { latent }).catch((error) => {
      last = state.latent;
      say(error.message);
    }).finally(() => {
      asked -= 1;
    });
  };
  const step = (by) => {
    const place = state.pairs.findIndex((p) => p.latent === last);
    const next = state.pairs[(Math.max(place, 0) + by + state.pairs.length) % state.pairs.length];
    open(next.latent);
  };
  const list = pairs(ui, open);
  const [a, b] = SIDES.map((side) => card(ui, side));
  const texts = passages(ui), facts2 = h("span", { class: "sl-scores" });
  const bar = h(
    "div",
    { class: "sl-bar sl-top" },
    button("‹", "Previous pair (←)", () => step(-1)),
    button("›", "Next pair (→)", () => step(1)),
    facts2,
    grow(),
    figureMenu(ui, () => `latent-${state.payload.latent}-and-${state.payload.partner}`)
  );
  function draw() {
    const { score, second, q, matched, mutual } = state.payload;
    tip.hide();
    facts2.replaceChildren(...inline([
      [state.about.of.split(" on ")[0], show(score)],
      ["next best", show(second)],
      ["false-discovery rate", show(q)],
      ["", matched ? mutual ? "each other's best" : "matched, but its partner has a better one" : "no more than chance"]
    ]));
    for (const panel of [a, b, texts]) panel.draw();
    list.mark();
  }
  onKeys(view, (event) => {
    if (typing(event) || !alone(event) || event.key === "Enter" && onButton(event)) return void 0;
    return (
      /** @type {Record<string, () => void>} */
      { ArrowLeft: () => step(-1), ArrowRight: () => step(1), Escape: tip.hide }[event.key]
    );
  });
  soon(["payload", "about"], draw);
  on(["pairs"], list.draw);
  on(["latent"], () => {
    if (!asked) last = state.latent;
    list.mark();
  });
  on(["show_whitespace"], texts.white);
  view.append(h("div", { class: "sl-columns" }, list.node, h(
    "div",
    { class: "sl-main" },
    bar,
    h("div", { class: "sl-two" }, a.head, b.head),
    texts.node,
    h("div", { class: "sl-two" }, a.node, b.node)
  )));
  list.draw();
  draw();
  texts.white();
}
var compare_default = widget("dashboard saelab-compare", "Two latents compared", build);
export {
  compare_default as default
};
