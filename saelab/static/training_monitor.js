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
var grow = () => h("span", { class: "sl-grow" });
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
function ticks(low, high, n) {
  if (!(high > low)) return Number.isFinite(low) ? [low] : [];
  const raw = (high - low) / n;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw * 0.999) ?? 10 * power;
  const out = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k += 1) out.push(Number((k * step).toPrecision(12)));
  return out;
}
function short(value, digits = 3) {
  const size = Math.abs(value);
  for (
    const [unit, sign] of
    /** @type {[number, string][]} */
    [[1e9, "G"], [1e6, "M"], [1e3, "k"]]
  ) {
    if (size >= unit) return `${Number((value / unit).toPrecision(digits))}${sign}`;
  }
  return String(Number(value.toPrecision(digits))).replace("-", "−");
}
function labels(values) {
  const step = Math.min(...values.slice(1).map((v, i) => v - values[i]));
  let digits = 3;
  while (digits < 12 && values.some((v) => Math.abs(Number(v.toPrecision(digits)) - v) > 0.01 * step)) digits += 1;
  return values.map((v) => short(v, digits));
}
function range({ lines: lines2, x, mark: mark2, log, zero }, up) {
  let [low, high] = [Infinity, -Infinity];
  const take = (v) => {
    if (Number.isFinite(v)) [low, high] = [Math.min(low, v), Math.max(high, v)];
  };
  const all = ({ y }, i, least2) => {
    const last = Number(x[i][y.length - 1]);
    for (let j = 0; j < y.length; j += 1) if (y.length <= 8 || !(x[i][j] < 0.04 * last)) take(Math.max(up(y[j]), least2));
  };
  lines2.forEach((line, i) => {
    if (!line.minor) all(line, i, -Infinity);
  });
  const least = low - 1;
  lines2.forEach((line, i) => {
    if (line.minor) all(line, i, least);
  });
  if (low > high) return null;
  if (zero) low = Math.min(low, 0);
  if (mark2 !== null && mark2 !== void 0) take(up(mark2));
  if (low === high) return zero ? [0, high || 1] : [low - 0.5, high + 0.5];
  if (!log && !zero) {
    const lacks = Math.max(0, 0.01 * Math.max(Math.abs(low), Math.abs(high)) - (high - low));
    low -= lacks / 2;
    high += lacks / 2;
  }
  const pad = (high - low) * 0.06;
  return [zero ? low : low - pad, high + pad];
}
function lineChart(onCross) {
  const title = h("h3", {});
  const key = h("div", { class: "sl-lines-key" });
  const frm = frame(400, 188, 46, 8, "sl-lines", 40);
  const clip = frm.clip();
  const node = h("figure", { class: "sl-chart" }, h("figcaption", {}, title, key), frm.node);
  const cross = svg("line", { class: "sl-cross", y1: frm.top, y2: frm.bottom, visibility: "hidden" });
  let chart = null;
  let right = 1;
  let at = null;
  const px = (v) => frm.x(v / right);
  function update(next) {
    chart = next;
    const known = next.x.flatMap((xs) => Array.from(xs).filter(Number.isFinite));
    right = known.length ? Math.max(...known, 1) : 1;
    title.textContent = next.title + (next.log ? " (log scale)" : "");
    const last = next.lines.map((line) => `${line.name} ${show(lastOf(line.y))}`).join(", ");
    frm.node.setAttribute("aria-label", `${next.title} over tokens; now ${last || "nothing"}`);
    const along = ticks(0, right, 4), names = labels(along);
    const anchor = (v) => v === 0 ? "start" : px(v) > frm.x(1) - 16 ? "end" : "middle";
    frm.node.replaceChildren(
      clip.node,
      ...curves(frm, next, px, clip.id),
      frm.across("sl-axis", frm.bottom),
      ...along.map((v, i) => frm.xLabel(px(v), names[i], anchor(v))),
      frm.xTitle("tokens seen"),
      cross
    );
    place(at);
  }
  function place(x) {
    at = x;
    if (!chart) return;
    cross.setAttribute("visibility", x === null ? "hidden" : "visible");
    if (x !== null) for (const end of ["x1", "x2"]) cross.setAttribute(end, String(px(x)));
    const { lines: lines2, x: xs, mark: mark2 } = chart;
    const entry = (kind, name, value) => h("span", kind, h("i", { "aria-hidden": "true" }), name && `${name} `, h("b", {}, show(value)));
    key.replaceChildren(...lines2.map((line, i) => entry(
      series(line.color, line.dashed),
      line.key ?? line.name,
      x === null ? lastOf(line.y) : line.y[nearest(xs[i], x)]
    )));
    if (mark2 !== null && mark2 !== void 0) key.append(entry({ class: "sl-aim" }, "wanted", mark2));
    if (x !== null) key.append(h("span", {}, "at ", h("b", {}, short(x)), " tokens"));
  }
  frm.node.addEventListener("pointermove", (event) => {
    const xs = chart?.x[0];
    if (xs?.length) onCross(xs[nearest(xs, frm.shareAt(event) * right)]);
  });
  frm.node.addEventListener("pointerleave", () => onCross(null));
  const size = new ResizeObserver(() => {
    if (frm.node.clientWidth) frm.node.style.setProperty("--k", String(400 / frm.node.clientWidth));
  });
  size.observe(frm.node);
  return { node, update, place, end: () => size.disconnect() };
}
var series = (color, dashed, kind = "") => ({ class: `${kind}${dashed ? " sl-dashed" : ""}`, style: `--c: var(--sl-c${color})` });
function curves(at, chart, px, clip) {
  const up = (v) => chart.log ? v > 0 ? Math.log10(v) : NaN : v;
  const bounds = range(chart, up);
  if (!bounds) return [];
  const [low, high] = bounds;
  const py = (v) => at.y((v - low) / (high - low));
  const grid = yTicks(low, high, !!chart.log).flatMap((tick) => [at.across("sl-grid", py(tick.at)), at.yLabel(py(tick.at), tick.text)]);
  const aim = chart.mark === null || chart.mark === void 0 ? [] : [at.across("sl-mark", py(up(chart.mark)))];
  return [...grid, ...aim, svg("g", { "clip-path": `url(#${clip})` }, ...chart.lines.map((line, i) => svg("path", {
    ...series(line.color, line.dashed, "sl-series"),
    d: path(chart.x[i], line.y, px, (v) => py(up(v)), up)
  })))];
}
function yTicks(low, high, log) {
  const even = (places, value) => {
    const texts = labels(places.map(value));
    return places.map((v, i) => ({ at: v, text: texts[i] }));
  };
  if (!log) return even(ticks(low, high, 4), (v) => v);
  const out = [];
  const wide = high - low;
  const steps = wide > 3 ? [1] : wide > 1 ? [1, 3] : [1, 1.5, 2, 3, 5, 7];
  for (let p = Math.floor(low); p <= high; p += 1) {
    for (const m of steps) {
      const v = p + Math.log10(m);
      if (v >= low && v <= high) out.push({ at: v, text: short(Number((m * 10 ** p).toPrecision(3))) });
    }
  }
  if (out.length < 2) return even(ticks(low, high, 3), (v) => 10 ** v);
  const every = Math.ceil(out.length / 6);
  return out.filter((_, i) => i % every === 0);
}
function lastOf(y) {
  for (let i = y.length - 1; i >= 0; i -= 1) if (Number.isFinite(y[i])) return y[i];
  return NaN;
}
function nearest(xs, x) {
  let best = 0;
  for (let i = 1; i < xs.length; i += 1) if (Math.abs(xs[i] - x) < Math.abs(xs[best] - x)) best = i;
  return best;
}
function path(x, y, px, py, up) {
  let [d, pen] = ["", "M"];
  for (let i = 0; i < y.length; i += 1) {
    const known = Number.isFinite(x[i]) && Number.isFinite(up(y[i]));
    if (known) d += `${pen}${px(x[i]).toFixed(1)} ${py(y[i]).toFixed(1)}`;
    pen = known ? "L" : "M";
  }
  return d.includes("L") ? d : d.replace(/M(\S+) (\S+)/g, "M$1 $2h0.01");
}

// controls.js
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
  const range2 = document.createRange();
  const text = node.data;
  range2.selectNodeContents(node);
  const boxes = [...range2.getClientRects()].filter((b) => b.width > 0);
  if (boxes.length <= 1) return boxes.length && text.trim() ? [{ text, box: boxes[0] }] : [];
  const out = [];
  let at = 0;
  for (const character of text) {
    range2.setStart(node, at);
    range2.setEnd(node, at + character.length);
    at += character.length;
    const box = range2.getClientRects()[0];
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

// training_monitor.js
var SAID = (
  /** @type {Record<Phase, string>} */
  {
    empty: "no run yet",
    preparing: "reading activations",
    running: "training",
    stopping: "stopping after this step",
    stopped: "stopped",
    ended: "ended",
    failed: "failed"
  }
);
var COLUMNS = (
  /** @type {[name: string, column: string, meaning: string][]} */
  [
    ["loss", "loss", "What is minimized: FVU, the auxiliary loss and the penalty together"],
    ["FVU", "fvu", "Fraction of variance unexplained: squared error of the reconstruction over the variance of the activations; 0 is perfect"],
    ["aux", "aux", "Auxiliary loss, with its coefficient: dead latents reconstruct what the others leave over, and so come back"],
    ["penalty", "penalty", "Sparsity penalty, with its coefficient: what firing costs; 0 where k sets the sparsity"],
    ["explained variance", "explained_variance", "1 − squared error over variance, averaged as the trainer does; 1 is perfect"],
    ["L0", "l0", "Mean number of latents that fire on a token"],
    ["dead", "dead", "Latents that have been silent for dead_after tokens"],
    ["rare", "rare", "Latents that are not dead but fire on fewer than 1 in 100,000 tokens"]
  ]
);
function duration(seconds) {
  if (seconds === null || seconds === void 0 || !Number.isFinite(seconds)) return "–";
  const s = Math.round(seconds);
  const two = (n) => String(n).padStart(2, "0");
  const [hours, minutes] = [Math.floor(s / 3600), Math.floor(s % 3600 / 60)];
  return hours ? `${hours}:${two(minutes)}:${two(s % 60)}` : `${minutes}:${two(s % 60)}`;
}
function unpack(points, columns, n) {
  const flat = floats(points);
  const length = n ? flat.length / (n * columns.length) : 0;
  return Array.from({ length: n }, (_, i) => Object.fromEntries(columns.map((name, c) => [name, Float32Array.from({ length }, (__, j) => flat[(i * length + j) * columns.length + c])])));
}
function buttons({ state, ask, say }) {
  const press = (method) => {
    say("");
    ask(method);
  };
  const stop = button("Stop", "End the run after the step under way; the cell returns the SAE so far", () => press("stop"));
  const resume = button("Resume", "Train the rest, exactly as if the run had not been stopped", () => press("resume"));
  resume.classList.add("sl-primary");
  const draw = (live) => {
    stop.hidden = state.read_only || !live;
    stop.disabled = state.phase === "stopping";
    resume.hidden = state.read_only || !state.can_resume;
  };
  return { nodes: [stop, resume], draw };
}
function head(ui, pick) {
  const { state } = ui;
  const heading = h("h2", {}), phase = h("span", { class: "sl-phase", role: "status" });
  const bar = h("div", { class: "sl-progress", role: "progressbar", "aria-label": "Tokens seen", "aria-valuemin": 0 }, h("span", {}));
  const counts = h("span", { class: "sl-muted" });
  const hints = h("ul", { class: "sl-hints", "aria-label": "Hints", "aria-live": "polite" });
  const does = buttons(ui);
  function progress(live, share) {
    const { tokens: seen, budget, rate, seconds } = state;
    const parts = [`${count(seen)} of ${count(budget)} tokens (${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %)`];
    if (live && rate) parts.push(`${count(rate)} tokens/s`, `${duration((budget - seen) / rate)} left`);
    if (!live && seen && seconds) parts.push(duration(seconds), `${count(seen / seconds)} tokens/s`);
    else if (seconds) parts.push(`${duration(seconds)} so far`);
    return parts.join(" · ");
  }
  function draw() {
    const now = state.phase, live = ["preparing", "running", "stopping"].includes(now);
    heading.textContent = state.heading;
    if (phase.textContent !== SAID[now]) phase.textContent = SAID[now];
    phase.dataset.phase = now;
    const share = state.budget ? clamp(state.tokens / state.budget, 0, 1) : 0;
    bar.style.setProperty("--w", `${(100 * share).toFixed(2)}%`);
    bar.setAttribute("aria-valuemax", String(state.budget));
    bar.setAttribute("aria-valuenow", String(state.tokens));
    bar.hidden = now === "empty";
    counts.textContent = bar.hidden ? "Give this monitor to sl.train(…, monitor=monitor)." : progress(live, share);
    does.draw(live);
    if (state.hints.join("\n") === [...hints.children].map((item) => item.textContent).join("\n")) return;
    hints.replaceChildren(...state.hints.map((text) => h("li", {}, text)));
    hints.hidden = !state.hints.length;
  }
  return { nodes: [h("div", { class: "sl-bar sl-head" }, heading, phase, grow(), pick, ...does.nodes, figureMenu(ui, () => "training")), bar, counts, hints], draw };
}
function chartsOfOne({ target, d_sae }, s, i) {
  const chart = (title, ...lines2) => ({ title, lines: lines2, x: lines2.map(() => s.tokens) });
  const line = (name, column2, color, more = {}) => ({ name, y: s[column2], color, ...more });
  const parts = ["aux", "penalty"].map((name, k) => line(name, name, 2 + k, { minor: true })).filter(({ y }) => y.some((v) => v > 0));
  return [
    { ...chart("Loss and its parts", line("loss", "loss", 0), line("FVU", "fvu", 1, { dashed: true }), ...parts), log: true },
    chart("Explained variance", line("explained variance", "explained_variance", 0, { key: "" })),
    { ...chart("L0, latents per token", line("L0", "l0", 0, { key: "" })), mark: target[i] ?? null },
    { ...chart(`Latents out of ${count(d_sae[i])}`, line("dead", "dead", 1), line("rare", "rare", 0)), zero: true }
  ];
}
function chartsOfAll({ names }, all) {
  const chart = (title, column2, more = {}) => ({
    title,
    x: all.map((s) => s.tokens),
    ...more,
    lines: all.map((s, i) => ({ name: names[i], key: "", y: s[column2], color: i % 6, dashed: i >= 6 }))
  });
  return [
    chart("Loss", "loss", { log: true }),
    chart("Explained variance", "explained_variance"),
    chart("L0, latents per token", "l0", { log: true }),
    chart("Dead latents", "dead", { zero: true })
  ];
}
function newest({ names, d_sae }, all) {
  const cell = (column2, i) => {
    const value = lastOf(all[i][column2]);
    if (!["dead", "rare"].includes(column2) || Number.isNaN(value)) return show(value);
    return `${count(value)} (${show(100 * value / d_sae[i], 2)} %)`;
  };
  if (names.length === 1) return h("dl", {}, ...COLUMNS.map(([label, column2, title]) => h("div", { title }, h("dt", {}, label), h("dd", {}, cell(column2, 0)))));
  const head2 = tableRow("th", ["SAE", ...COLUMNS.map(([label]) => label)], (i) => ({ scope: "col", title: COLUMNS[i - 1]?.[2] }));
  const rows = names.map((name, i) => {
    const row = tableRow("td", COLUMNS.map(([label, column2]) => [h("span", { class: "sl-name" }, `${label} `), cell(column2, i)]));
    row.prepend(h("th", { scope: "row", ...series(i % 6, i >= 6) }, h("i", { "aria-hidden": "true" }), name));
    return row;
  });
  return h("table", {}, h("thead", {}, head2), h("tbody", {}, ...rows));
}
function curves2({ state, atEnd }) {
  const picker = h("select", { class: "sl-input", "aria-label": "SAE to show" });
  const pick = h("label", { class: "sl-field sl-muted" }, "show ", picker);
  const table = h("div", { class: "sl-now" });
  const grid = h("div", {
    class: "sl-charts",
    tabindex: "0",
    role: "group",
    "aria-label": "Curves; the arrow keys move through the run"
  });
  let at = null;
  const cross = (x) => {
    at = x;
    for (const chart of charts) chart.place(x);
  };
  const charts = Array.from({ length: 4 }, () => lineChart(cross));
  grid.append(...charts.map((c) => c.node));
  atEnd(() => charts.forEach((c) => c.end()));
  let chosen = "all";
  picker.addEventListener("change", () => {
    chosen = picker.value;
    draw();
  });
  const all = () => unpack(state.points, state.columns, state.names.length);
  function draw() {
    const { names, dead_after: after } = state, found = all();
    const options = names.length > 1 ? ["all", ...names.keys()].map(String) : [];
    if (picker.children.length !== options.length) {
      picker.replaceChildren(...options.map((value) => h("option", { value }, value === "all" ? "all SAEs" : names[Number(value)])));
      if (!options.includes(chosen)) chosen = "all";
      picker.value = chosen;
    }
    pick.hidden = names.length < 2;
    grid.hidden = table.hidden = !found.length || !found[0].tokens.length;
    if (grid.hidden) return;
    table.replaceChildren(newest(state, found));
    const one = names.length === 1 ? 0 : chosen === "all" ? null : Number(chosen);
    const shown = one === null ? chartsOfAll(state, found) : chartsOfOne(state, found[one], one);
    charts.forEach((chart, i) => chart.update(shown[i]));
    const silent = one !== null && after[one] ? `${count(after[one])} tokens` : "dead_after tokens";
    charts[3].node.title = one === null ? "" : `dead: silent for ${silent}; rare: not dead, but fires on fewer than 1 in 100,000 tokens`;
    cross(at);
  }
  onKeys(grid, (event) => {
    const tokens = all()[0]?.tokens ?? new Float32Array(0);
    const step = event.key === "ArrowLeft" ? -1 : event.key === "ArrowRight" ? 1 : 0;
    if (event.key === "Escape" && at !== null) return () => cross(null);
    if (!step || !tokens.length) return void 0;
    const place = at === null ? tokens.length - (step < 0 ? 0 : 1) : tokens.indexOf(at);
    return () => cross(tokens[clamp(place + step, 0, tokens.length - 1)]);
  });
  return { pick, nodes: [table, grid], draw };
}
function build(ui) {
  const lines2 = curves2(ui), top = head(ui, lines2.pick);
  const draw = () => {
    top.draw();
    lines2.draw();
  };
  ui.soon([
    "phase",
    "heading",
    "names",
    "tokens",
    "budget",
    "rate",
    "seconds",
    "hints",
    "can_resume",
    "points",
    "target",
    "d_sae",
    "dead_after"
  ], draw);
  ui.view.append(...top.nodes, ...lines2.nodes);
  draw();
}
var training_monitor_default = widget("training-monitor", "Training monitor", build);
export {
  training_monitor_default as default,
  duration,
  unpack
};
