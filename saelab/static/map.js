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

// text.js
var MARKS = (
  /** @type {Record<string, string>} */
  { "\n": "↵", "\r": "␍", "	": "⇥", " ": "·", " ": "⍽" }
);
var APART = /([\n\r\t \u00a0]|(?:\\x[0-9a-f]{2})+)/;
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

// columns.js
function unpack(view, tokens, extra = 0) {
  const whole = view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength);
  const n = whole.byteLength / (4 * (5 + extra));
  const part = (i) => (
    /** @type {[ArrayBuffer, number, number]} */
    [
      /** @type {ArrayBuffer} */
      whole,
      4 * n * i,
      n
    ]
  );
  return {
    n,
    tokens,
    latent: new Uint32Array(...part(0)),
    count: new Uint32Array(...part(1)),
    mean: new Float32Array(...part(2)),
    max: new Float32Array(...part(3)),
    token: new Uint32Array(...part(4)),
    rest: new Float32Array(whole, 4 * n * 5)
  };
}
async function load({ packed, read_only: fixed, tokens }, request, extra = 0) {
  if (packed?.byteLength || fixed) return unpack(packed ?? new DataView(new ArrayBuffer(0)), tokens, extra);
  const answer = await request("columns");
  return unpack(answer.buffers[0], answer.tokens, extra);
}
function topToken(columns, place) {
  const token = columns.token[place];
  return token ? chip(columns.tokens[token]) : null;
}

// controls.js
function tabs(label, names, choose, role = "tablist") {
  const all = names.map(([key, name, title]) => {
    const node = h("button", { type: "button", role: role === "tablist" ? "tab" : null, title }, name);
    node.addEventListener("click", () => choose(key));
    return node;
  });
  const mark2 = (chosen2) => names.forEach(([key], i) => {
    for (const name of ["aria-selected", ...role === "group" ? ["aria-pressed"] : []]) all[i].setAttribute(name, String(key === chosen2));
  });
  return { node: h("span", { class: "sl-tabs", role, "aria-label": label }, ...all), mark: mark2 };
}
function check(text, set, more = {}) {
  const input = h("input", { type: "checkbox" });
  input.addEventListener("change", () => set(input.checked));
  return { input, node: h("label", { class: "sl-check sl-small", ...more }, input, text) };
}
function onEnter(field, enter, escape) {
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter") enter();
    if (event.key === "Escape") escape?.();
  });
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
var toggled = (list, item) => list.includes(item) ? list.filter((x) => x !== item) : [...list, item];

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
function figureMenu({ view, say }, name, draw2 = () => toSvg(view)) {
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
    item("save SVG", "Save as an SVG file, to be edited or printed", () => save(svgBlob(draw2()), `${name()}.svg`)),
    item("save PNG", "Save as a picture with twice the screen's resolution", async () => save(await toPng(draw2()), `${name()}.png`)),
    item("copy PNG", "Copy as a picture", async () => {
      const picture2 = toPng(draw2());
      if (!navigator.clipboard?.write) throw new Error("this page may not write to the clipboard; save the picture instead");
      await navigator.clipboard.write([new ClipboardItem({ "image/png": picture2 })]);
    })
  ));
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !menu.open) return;
    menu.open = false;
    event.stopPropagation();
  });
  return menu;
}

// map_points.js
var STEPS = 10;
var HIDDEN = 255;
var mix = (percent) => `color-mix(in srgb, var(--sl-fg) ${percent}%, var(--sl-bg))`;
var RAMP = [mix(40), ...Array.from({ length: STEPS }, (_, i) => `color-mix(in oklab, var(--sl-heat) ${Math.round(100 * i / (STEPS - 1))}%, var(--sl-cool))`)];
var GROUPS = [mix(30), "#e69f00", "#56b4e9", "#009e73", "#d6c900", "#0072b2", "#d55e00", "#cc79a7", "#7b5cd6", mix(75)];
var NAMED = GROUPS.length - 2;
function byGroup({ n, latent }, groups, drawn, only) {
  const times = /* @__PURE__ */ new Map();
  let without = 0;
  for (let i = 0; i < n; i += 1) {
    const name = groups[latent[i]];
    if (name && drawn(i)) times.set(name, (times.get(name) ?? 0) + 1);
    else if (drawn(i)) without += 1;
  }
  const names = [...times].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0])).slice(0, NAMED).map(([name]) => name);
  const place = new Map(names.map((name, i) => [name, i + 1]));
  const bucket = Uint8Array.from({ length: n }, (_, i) => {
    const name = groups[latent[i]], colour = place.get(name) ?? (name ? NAMED + 1 : 0);
    return drawn(i) && (!only.size || only.has(colour)) ? colour : HIDDEN;
  });
  const legend = names.map((name, i) => (
    /** @type {[string, number]} */
    [`${name} (${times.get(name)})`, i + 1]
  ));
  if (times.size > names.length) legend.push(["others", NAMED + 1]);
  if (!legend.length) legend.push(["no latent has a label yet", 0]);
  else if (without) legend.push([`none (${without})`, 0]);
  return { bucket, colours: GROUPS, legend };
}
function palette(columns, { kind, groups, dead, counted, only = /* @__PURE__ */ new Set() }) {
  const { n, count: count2, rest } = columns;
  const drawn = (i) => !Number.isNaN(rest[2 * i]) && (dead || count2[i] > 0);
  if (kind === "label") return byGroup(columns, groups, drawn, only);
  const value = (i) => kind === "max" ? columns.max[i] : count2[i] ? Math.log10(count2[i]) : NaN;
  let low = Infinity, high = -Infinity;
  for (let i = 0; i < n; i += 1) if (drawn(i) && count2[i] > 0) [low, high] = [Math.min(low, value(i)), Math.max(high, value(i))];
  const bucket = Uint8Array.from({ length: n }, (_, i) => {
    if (!drawn(i)) return HIDDEN;
    return count2[i] ? 1 + Math.min(STEPS - 1, Math.floor(STEPS * (value(i) - low) / (high - low || 1))) : 0;
  });
  const text = (v) => kind === "max" ? String(Number(v.toPrecision(3))) : `${Number((100 * 10 ** v / Math.max(1, counted)).toPrecision(2))} %`;
  const marks = high < low ? [] : high === low ? [[low, STEPS]] : [[low, 1], [(low + high) / 2, Math.ceil(STEPS / 2)], [high, STEPS]];
  const legend = marks.map(([v, step]) => (
    /** @type {[string, number]} */
    [text(v), step]
  ));
  return { bucket, colours: RAMP, legend: dead ? [["never fires", 0], ...legend] : legend };
}
function paint(inside, name, given) {
  const probe = h("span", { class: name, style: given && `color: ${given}` });
  inside.append(probe);
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour;
}
function toScreen(camera, x, y) {
  const k = Math.min(camera.width, camera.height) / 2 * 0.94 * camera.zoom;
  return [camera.width / 2 + (x - camera.x) * k, camera.height / 2 - (y - camera.y) * k];
}
var pixelOf = ({ rest }, camera, i) => toScreen(camera, rest[2 * i], rest[2 * i + 1]);
function nearest(columns, bucket, camera, pixel, most) {
  let best = -1, least = most * most;
  for (let i = 0; i < columns.n; i += 1) {
    if (bucket[i] === HIDDEN) continue;
    const [x, y] = pixelOf(columns, camera, i);
    const d = (x - pixel[0]) ** 2 + (y - pixel[1]) ** 2;
    if (d <= least) [least, best] = [d, i];
  }
  return best;
}
function towards({ n, rest }, bucket, here, dx, dy) {
  const [x, y] = here >= 0 && !Number.isNaN(rest[2 * here]) ? [rest[2 * here], rest[2 * here + 1]] : [0, 0];
  let best = -1, least = Infinity;
  for (let i = 0; i < n; i += 1) {
    if (bucket[i] === HIDDEN || i === here) continue;
    const [a, b] = [rest[2 * i] - x, rest[2 * i + 1] - y];
    const along = a * dx + b * dy, across = Math.abs(a * dy) + Math.abs(b * dx);
    if (along > 0 && across <= along && along + across < least) [least, best] = [along + across, i];
  }
  return best;
}
function within(columns, bucket, camera, polygon) {
  const out = [];
  for (let i = 0; i < columns.n; i += 1) {
    if (bucket[i] === HIDDEN) continue;
    const [x, y] = pixelOf(columns, camera, i);
    let inside = false;
    for (let a = 0, b = polygon.length - 1; a < polygon.length; b = a, a += 1) {
      const [[ax, ay], [bx, by]] = [polygon[a], polygon[b]];
      if (ay > y !== by > y && x < (bx - ax) * (y - ay) / (by - ay) + ax) inside = !inside;
    }
    if (inside) out.push(columns.latent[i]);
  }
  return out;
}
function draw(canvas, camera, { columns, bucket, colours, picked, current, lasso, ink: ink2, accent }) {
  const pen = canvas.getContext("2d");
  if (!pen) return;
  const scale = canvas.width / camera.width;
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.clearRect(0, 0, camera.width, camera.height);
  const size = clamp((5.4 - Math.log10(columns.n + 10)) * 1.5 + 1 + Math.log2(Math.max(1, camera.zoom)) * 0.6, 1.1, 6) / 1.4;
  const square = columns.n > 3e4;
  const of = colours.map(() => []);
  for (let i = 0; i < columns.n; i += 1) if (bucket[i] !== HIDDEN) of[bucket[i]].push(i);
  of.forEach((places, b) => {
    pen.fillStyle = colours[b];
    const quiet = b === 0;
    pen.globalAlpha = picked.size ? 0.35 : 1;
    const r = quiet ? size * 0.8 : size;
    pen.beginPath();
    for (const i of places) {
      const [x, y] = pixelOf(columns, camera, i);
      if (x < -9 || y < -9 || x > camera.width + 9 || y > camera.height + 9) continue;
      if (square) pen.rect(x - r, y - r, 2 * r, 2 * r);
      else {
        pen.moveTo(x + r, y);
        pen.arc(x, y, r, 0, 7);
      }
    }
    pen.fill();
  });
  pen.globalAlpha = 1;
  const circle = (i, r, stroke, width, fill2 = "transparent") => {
    const [x, y] = pixelOf(columns, camera, i);
    [pen.fillStyle, pen.strokeStyle, pen.lineWidth] = [fill2, stroke, width];
    pen.beginPath();
    pen.arc(x, y, r, 0, 7);
    pen.fill();
    pen.stroke();
  };
  if (picked.size) of.forEach((places, b) => {
    for (const i of places) if (picked.has(columns.latent[i])) circle(i, size + 0.8, ink2, 1, colours[b]);
  });
  if (current >= 0 && !Number.isNaN(columns.rest[2 * current])) circle(current, size + 4.5, accent, 2.5);
  if (lasso.length < 2) return;
  [pen.strokeStyle, pen.lineWidth] = [accent, 1.5];
  pen.setLineDash([4, 3]);
  pen.beginPath();
  for (const [x, y] of lasso) pen.lineTo(x, y);
  pen.closePath();
  pen.stroke();
  pen.setLineDash([]);
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
var inline = (pairs) => pairs.map(([name, value]) => h("span", {}, name && `${name} `, typeof value === "string" ? h("b", {}, value) : value));

// map_pointer.js
function pointer({ state, set, tip }, scene, { canvas, pin, stage, redraw }, { zoom, toggle, about: about2 }) {
  const { camera } = scene;
  let drag = null;
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button > 1) return;
    const pan = scene.moving || event.button === 1 || event.altKey;
    drag = { from: at(event), pan, add: event.shiftKey, x: camera.x, y: camera.y };
    scene.lasso = [drag.from];
    canvas.setPointerCapture?.(event.pointerId);
    tip.hide();
    stage.focus({ preventScroll: true });
    event.preventDefault();
  });
  canvas.addEventListener("pointermove", (event) => {
    const here = at(event), last = scene.lasso[scene.lasso.length - 1];
    if (drag?.pan) {
      const k = 2 / (Math.min(camera.width, camera.height) * camera.zoom);
      camera.x = drag.x - (here[0] - drag.from[0]) * k;
      camera.y = drag.y + (here[1] - drag.from[1]) * k;
      return redraw();
    }
    if (drag) {
      if (Math.hypot(here[0] - last[0], here[1] - last[1]) > 3) scene.lasso.push(here);
      return redraw();
    }
    const place = scene.columns ? nearest(scene.columns, scene.bucket, camera, here, 9) : -1;
    canvas.classList.toggle("sl-over", place >= 0);
    if (place < 0) return tip.hide();
    pin.style.transform = `translate(${here[0]}px, ${here[1]}px)`;
    tip.show(pin, facts(about2(place)));
  });
  canvas.addEventListener("pointerleave", () => tip.hide());
  function click(columns, event) {
    const place = nearest(columns, scene.bucket, camera, at(event), 12);
    if (place < 0) return;
    if (event.shiftKey || event.ctrlKey || event.metaKey) toggle(columns.latent[place]);
    else set({ latent: columns.latent[place] });
  }
  canvas.addEventListener("pointerup", (event) => {
    if (!drag || !scene.columns) return;
    const { pan, add } = drag, lasso = scene.lasso;
    [drag, scene.lasso] = [null, []];
    if (!pan && lasso.length > 2) {
      const inside = within(scene.columns, scene.bucket, camera, lasso);
      set({ selected: add ? [.../* @__PURE__ */ new Set([...state.selected, ...inside])] : inside });
    } else if (!pan) click(scene.columns, event);
    redraw();
  });
  canvas.addEventListener("pointercancel", () => {
    [drag, scene.lasso] = [null, []];
    redraw();
  });
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    zoom(Math.exp(-event.deltaY / 200), at(event));
  }, { passive: false });
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
  const on = (keys, draw2) => {
    for (const key of keys) model.on(`change:${String(key)}`, draw2);
    atEnd(() => {
      for (const key of keys) model.off(`change:${String(key)}`, draw2);
    });
  };
  const tip = tooltip(view, signal);
  const alert = alertBox(() => model.get("error") ?? {}, (draw2) => on(["error"], draw2));
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
    soon: (keys, draw2) => on(keys, throttle(draw2, 0, signal)),
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

// map.js
var HEIGHT = 430;
var LISTED = 60;
function picture({ state, view, signal }, scene) {
  const canvas = h("canvas", { class: "sl-canvas", role: "img" });
  const pin = h("span", { class: "sl-pin", "aria-hidden": "true" });
  const stage = h("div", {
    class: "sl-stage",
    tabindex: "0",
    role: "application",
    "aria-label": "Map of latents. Arrow keys go to the next point, Enter picks it, plus and minus zoom, 0 shows all, Escape clears."
  }, canvas, pin);
  const legend = h("div", { class: "sl-legend sl-small" });
  let asked = false;
  function redraw() {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      const { columns, bucket, colours, lasso, camera } = scene;
      if (!signal.aborted && columns) draw(canvas, camera, {
        columns,
        bucket,
        colours,
        picked: new Set(state.selected),
        current: scene.placeOf[state.latent] ?? -1,
        lasso,
        ink: paint(view, "sl-ink"),
        accent: paint(view, "sl-accent")
      });
    });
  }
  function recolour() {
    if (!scene.columns) return;
    const groups = Object.keys(state.groups).length ? state.groups : state.labels;
    const made2 = palette(scene.columns, { kind: state.colour, groups, dead: state.show_dead, counted: state.counted, only: scene.only });
    scene.bucket = made2.bucket;
    scene.colours = made2.colours.map((colour) => paint(view, "", colour));
    legend.replaceChildren(...made2.legend.map(([name, place]) => {
      const dot = h("span", { class: "sl-dot" });
      dot.style.background = scene.colours[place];
      if (state.colour !== "label") return h("span", { class: "sl-key" }, dot, h("bdi", {}, name));
      const only = scene.only.has(place);
      const key = h(
        "button",
        { type: "button", class: "sl-key", "aria-pressed": String(only), title: only ? "Draw the others again" : "Draw these alone" },
        dot,
        h("bdi", {}, name)
      );
      key.classList.toggle("sl-out", scene.only.size > 0 && !only);
      key.addEventListener("click", () => {
        scene.only = new Set(toggled([...scene.only], place));
        recolour();
      });
      return key;
    }));
    redraw();
  }
  function resize() {
    const { camera } = scene, scale = window.devicePixelRatio || 1;
    camera.width = Math.max(200, stage.clientWidth || 600);
    [canvas.width, canvas.height] = [Math.round(camera.width * scale), Math.round(HEIGHT * scale)];
    [canvas.style.width, canvas.style.height] = [`${camera.width}px`, `${HEIGHT}px`];
    redraw();
  }
  return { canvas, pin, stage, legend, redraw, recolour, resize };
}
function about({ counted, labels, sources, groups }, { columns }, place) {
  if (!columns || place < 0) return [];
  const latent = columns.latent[place], n = columns.count[place], token = topToken(columns, place);
  const pairs = [["latent", String(latent)]];
  if (token) pairs.push(["strongest on", token]);
  pairs.push(["density", n ? `${show(100 * n / Math.max(1, counted))} %` : "never fires"]);
  if (labels[latent]) pairs.push(["label", h("bdi", {}, labels[latent])]);
  if (sources[latent]) pairs.push(["written by", h("bdi", {}, sources[latent])]);
  if (groups[latent]) pairs.push(["group", h("bdi", {}, groups[latent])]);
  return pairs;
}
function chosen({ selected, labels, groups }, { columns, placeOf }, open) {
  if (!columns) return [];
  const often = (latent) => columns.count[placeOf[latent]] ?? -1;
  const first = [...selected].sort((a, b) => often(b) - often(a) || a - b).slice(0, LISTED);
  const out = first.map((latent) => h(
    "span",
    { class: "sl-one" },
    link(String(latent), () => open(latent), { title: `Go to latent ${latent}` }),
    " ",
    topToken(columns, placeOf[latent]) ?? "",
    " ",
    h("bdi", {}, labels[latent] || groups[latent] || "")
  ));
  if (selected.length > LISTED) out.push(h("span", { class: "sl-muted" }, `and ${count(selected.length - LISTED)} more`));
  return out;
}
function cameraman({ camera }, redraw) {
  function zoom(by, [px, py] = [camera.width / 2, camera.height / 2]) {
    const size = Math.min(camera.width, camera.height) / 2;
    const [dx, dy] = [(px - camera.width / 2) / size, (camera.height / 2 - py) / size];
    const next = clamp(camera.zoom * by, 0.5, 400);
    Object.assign(camera, { x: camera.x + dx / camera.zoom - dx / next, y: camera.y + dy / camera.zoom - dy / next, zoom: next });
    redraw();
  }
  const whole = () => {
    Object.assign(camera, { x: 0, y: 0, zoom: 1 });
    redraw();
  };
  return { zoom, whole };
}
function controls(ui, scene, map, { zoom, whole }) {
  const { state, set, say } = ui;
  const box = h("input", {
    class: "sl-input sl-find",
    type: "text",
    placeholder: "latent, label or group",
    "aria-label": "Go to latents, by number, label or group",
    title: "Go to a latent, or choose all of a label or group; press / to come here"
  });
  onEnter(box, () => {
    const text = box.value.trim(), number = Number(text);
    if (text === "") return;
    const named = [state.labels, state.groups].flatMap((names) => Object.entries(names)).filter(([, name]) => name.toLowerCase().includes(text.toLowerCase())).map(([latent]) => Number(latent));
    const found = Number.isInteger(number) && number >= 0 && number < state.d_sae ? [number] : [...new Set(named)].sort((a, b) => a - b);
    say(found.length ? "" : `No latent has the number, label or group ${text}.`);
    if (!found.length) return;
    set({ latent: found[0], ...found.length > 1 ? { selected: found } : {} });
    map.stage.focus();
  }, () => map.stage.focus());
  const colour = h(
    "select",
    { class: "sl-input sl-colour", "aria-label": "Colour" },
    h("option", { value: "density" }, "density"),
    h("option", { value: "max" }, "largest activation"),
    h("option", { value: "label" }, Object.keys(state.groups).length ? "group" : "label")
  );
  colour.addEventListener("change", () => set({ colour: (
    /** @type {LatentMap["colour"]} */
    colour.value
  ) }));
  const dead = check("dead too", (show_dead) => set({ show_dead }));
  const tools = tabs("What dragging does", [["lasso", "lasso"], ["move", "move"]], (mode) => {
    tools.mark(mode);
    scene.moving = mode === "move";
    map.canvas.classList.toggle("sl-moving", scene.moving);
  }, "group");
  tools.mark("lasso");
  tools.node.classList.add("sl-live");
  const draw2 = () => {
    [colour.value, dead.input.checked] = [state.colour, state.show_dead];
  };
  const node = h(
    "div",
    { class: "sl-bar" },
    box,
    h("label", { class: "sl-small sl-by" }, "colour by", colour),
    dead.node,
    grow(),
    tools.node,
    button("−", "Zoom out (−)", () => zoom(1 / 1.4)),
    button("+", "Zoom in (+, or Ctrl and wheel)", () => zoom(1.4)),
    button("all", "Show all (0)", whole),
    figureMenu(ui, () => "latent-map")
  );
  return { box, node, draw: draw2 };
}
function build(ui) {
  const { state, set, view, tip, on, atEnd, request, say } = ui;
  const scene = {
    columns: null,
    placeOf: new Int32Array(0),
    bucket: new Uint8Array(0),
    colours: [],
    lasso: [],
    moving: false,
    only: /* @__PURE__ */ new Set(),
    camera: { x: 0, y: 0, zoom: 1, width: 600, height: HEIGHT }
  };
  const map = picture(ui, scene), man = cameraman(scene, map.redraw), bar = controls(ui, scene, map, man);
  const status = h("div", { class: "sl-status sl-muted", "aria-live": "polite" }), list = h("div", { class: "sl-picked" });
  const toggle = (latent) => set({ selected: toggled(state.selected, latent) });
  pointer(ui, scene, map, { zoom: man.zoom, toggle, about: (place) => about(state, scene, place) });
  const walk2 = (dx, dy) => () => {
    const to = scene.columns ? towards(scene.columns, scene.bucket, scene.placeOf[state.latent] ?? -1, dx, dy) : -1;
    if (scene.columns && to >= 0) set({ latent: scene.columns.latent[to] });
  };
  onKeys(view, (event) => {
    if (typing(event) || !alone(event) || onButton(event) && event.key !== "/") return;
    const pick = () => toggle(state.latent), closer = () => man.zoom(1.4);
    return (
      /** @type {Record<string, () => void>} */
      {
        ArrowRight: walk2(1, 0),
        ArrowLeft: walk2(-1, 0),
        ArrowUp: walk2(0, 1),
        ArrowDown: walk2(0, -1),
        Enter: pick,
        " ": pick,
        "+": closer,
        "=": closer,
        "-": () => man.zoom(1 / 1.4),
        0: man.whole,
        Escape: () => {
          tip.hide();
          set({ selected: [] });
        },
        "/": () => {
          bar.box.focus();
          bar.box.select();
        }
      }[event.key]
    );
  });
  function drawStatus() {
    const n = state.selected.length;
    status.replaceChildren(
      ...inline(about(state, scene, scene.placeOf[state.latent] ?? -1)),
      grow(),
      n ? h("span", {}, `${count(n)} chosen`) : h("span", { class: "sl-live" }, "drag a lasso around points")
    );
    if (n) status.append(button("clear", "Choose none", () => set({ selected: [] })));
    list.hidden = !n;
    list.replaceChildren(...chosen(state, scene, (latent) => set({ latent })));
    map.canvas.setAttribute("aria-label", `${count(state.d_sae)} latents as points, ${state.about}; ${count(n)} selected`);
  }
  on(["colour", "labels", "groups", "show_dead"], () => {
    bar.draw();
    map.recolour();
    drawStatus();
  });
  on(["latent", "selected"], () => {
    map.redraw();
    drawStatus();
  });
  on(["colour"], () => {
    if (scene.only.size) {
      scene.only = /* @__PURE__ */ new Set();
      map.recolour();
    }
  });
  view.append(
    bar.node,
    map.stage,
    h("div", { class: "sl-bar sl-under" }, map.legend, grow(), h("span", { class: "sl-muted sl-small" }, state.about)),
    status,
    list
  );
  const size = new ResizeObserver(() => {
    map.resize();
    map.recolour();
  });
  size.observe(map.stage);
  const theme = new MutationObserver(map.recolour);
  for (const node of [document.body, document.documentElement]) {
    theme.observe(node, { attributes: true, attributeFilter: ["data-jp-theme-light", "data-theme", "class"] });
  }
  const night = window.matchMedia?.("(prefers-color-scheme: dark)");
  night?.addEventListener("change", map.recolour, { signal: ui.signal });
  atEnd(() => {
    size.disconnect();
    theme.disconnect();
  });
  bar.draw();
  status.textContent = "loading…";
  load(state, request, 2).then((columns) => {
    scene.columns = columns;
    scene.placeOf = new Int32Array(state.d_sae).fill(-1);
    columns.latent.forEach((latent, i) => {
      scene.placeOf[latent] = i;
    });
    map.resize();
    map.recolour();
    drawStatus();
  }).catch((error) => say(error.message));
}
var map_default = widget("map", "Map of latents", build);
export {
  map_default as default
};
