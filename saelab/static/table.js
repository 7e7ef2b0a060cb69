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

// text.js
var MARKS = (
  /** @type {Record<string, string>} */
  { "\n": "↵", "\r": "␍", "	": "⇥", " ": "·", " ": "⍽" }
);
var WHITE = /[\n\r\t \u00a0]/;
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
async function load(model, request, extra = 0) {
  const packed = model.get("packed");
  if (packed?.byteLength || model.get("read_only")) return unpack(packed ?? new DataView(new ArrayBuffer(0)), model.get("tokens"), extra);
  const answer = await request("columns");
  return unpack(answer.buffers[0], answer.tokens, extra);
}
function topToken(columns, place) {
  const token = columns.token[place];
  return token ? chip(columns.tokens[token]) : null;
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
async function toPng(figure, scale = 2) {
  const [width, height] = ["width", "height"].map((k) => Number(figure.getAttribute(k)));
  const image = new Image();
  const url = URL.createObjectURL(new Blob([svgText(figure)], { type: "image/svg+xml" }));
  try {
    await new Promise((resolve, reject) => {
      image.onload = resolve;
      image.onerror = () => reject(new Error("the figure could not be drawn"));
      image.src = url;
    });
    const canvas = h("canvas", { width: Math.ceil(width * scale), height: Math.ceil(height * scale) });
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

// table_rows.js
function filtered(columns, want) {
  const { n, latent, count: count2, token, tokens } = columns;
  const name = want.name.toLowerCase();
  const hit = name ? tokens.map((t) => t.toLowerCase().includes(name)) : null;
  const out = new Uint32Array(n);
  let size = 0;
  for (let i = 0; i < n; i += 1) {
    if (!want.dead && count2[i] === 0) continue;
    if (count2[i] < want.least || count2[i] > want.most) continue;
    if (want.only && !want.only.has(latent[i])) continue;
    if (want.labelled && !want.labels[latent[i]]) continue;
    if (hit && !(token[i] && hit[token[i]]) && !(want.labels[latent[i]] ?? "").toLowerCase().includes(name)) continue;
    out[size] = i;
    size += 1;
  }
  return out.slice(0, size);
}
function ranks(texts) {
  const order = [...new Set(texts)].sort((a, b) => a === "" ? 1 : b === "" ? -1 : a.localeCompare(b));
  const rank = new Map(order.map((t, i) => [t, i]));
  return texts.map((t) => rank.get(t) ?? 0);
}
function arrange(columns, rows, { key, descending, labels, scores }) {
  const place = ["hits", "precision", "recall", "f1"].indexOf(key);
  let value;
  if (key === "token") {
    const rank = ranks(columns.tokens);
    value = (i) => columns.token[i] ? rank[columns.token[i]] : NaN;
  } else if (key === "label") {
    const named = Object.entries(labels);
    const rank = ranks(named.map(([, text]) => text));
    const of = new Map(named.map(([latent], i) => [Number(latent), rank[i]]));
    value = (i) => of.get(columns.latent[i]) ?? NaN;
  } else if (place >= 0) value = (i) => scores.get(columns.latent[i])?.[place] ?? NaN;
  else {
    const numbers = (
      /** @type {Record<string, ArrayLike<number>>} */
      /** @type {unknown} */
      columns[key]
    );
    value = key === "mean" || key === "max" ? (i) => columns.count[i] ? numbers[i] : NaN : (i) => numbers[i];
  }
  const keys = new Float64Array(columns.n);
  for (const i of rows) {
    const v = value(i);
    keys[i] = Number.isNaN(v) ? Infinity : descending ? -v : v;
  }
  return rows.sort((a, b) => keys[a] - keys[b] || columns.latent[a] - columns.latent[b] || 0);
}

// table.js
var ROW = 26;
var TALL = 8e6;
var EXTRA = 6;
var BASE = (
  /** @type {[string, string, string][]} */
  [
    ["latent", "latent", "Number of the latent"],
    ["count", "density", "Share of the counted tokens on which it fires"],
    ["mean", "mean", "Mean activation where it fires"],
    ["max", "max", "Largest activation"],
    ["token", "strongest on", "The token of its largest activation"],
    ["label", "label", "What somebody called it; double-click or F2 to write"]
  ]
);
var SEARCH = (
  /** @type {[string, string, string][]} */
  [
    ["f1", "F1", "Of precision and recall for the text that is searched for"],
    ["precision", "precision", "Share of its firings that are on the text"],
    ["recall", "recall", "Share of the text's places on which it fires"],
    ["hits", "hits", "Positions of the text on which it fires"]
  ]
);
var HERE = (
  /** @type {[string, string, string][]} */
  [["hits", "examples", "Examples of it in this page that have the text"]]
);
var NUMBERS = /* @__PURE__ */ new Set(["latent", "count", "mean", "max", "f1", "precision", "recall", "hits"]);
function render({ model, el, signal }) {
  const abort = new AbortController();
  signal?.addEventListener("abort", () => abort.abort());
  const request = requests(model, abort.signal);
  const view = root("table", "Table of latents");
  const alert = alertBox(model);
  const fail = (e) => alert.say(e.message);
  const uid = `saelab-row-${made2 += 1}`;
  let columns = null;
  let order = new Uint32Array(0);
  let placeOf = /* @__PURE__ */ new Map();
  let scores = /* @__PURE__ */ new Map();
  let anchor = 0;
  function set(changes) {
    for (const [key, value] of Object.entries(changes)) model.set(
      /** @type {any} */
      key,
      value
    );
    model.save_changes();
  }
  const searching = () => scores.size > 0 || !!model.get("found").mode;
  const shownColumns = () => searching() ? [...BASE.slice(0, 5), ...model.get("read_only") ? HERE : SEARCH, BASE[5]] : BASE;
  const box = h("input", { class: "sl-input sl-query", type: "search", "aria-label": "Search", title: "Search; press / to come here" });
  const mode = h(
    "select",
    { class: "sl-input sl-mode", "aria-label": "What is searched" },
    h("option", { value: "text" }, "fire on the text"),
    h("option", { value: "regex" }, "fire on the regular expression"),
    h("option", { value: "name" }, "label or strongest token")
  );
  const dead = check("dead too", "show_dead");
  const named = check("labelled only", "only_labelled");
  const low = h("input", { class: "sl-input sl-number", type: "text", inputmode: "decimal", "aria-label": "Lowest density in percent" });
  const high = h("input", { class: "sl-input sl-number", type: "text", inputmode: "decimal", "aria-label": "Highest density in percent" });
  const status = h("span", { class: "sl-muted sl-small", "aria-live": "polite" });
  function check(text, key) {
    const input = h("input", { type: "checkbox" });
    input.addEventListener("change", () => set({ [key]: input.checked }));
    return { input, node: h("label", { class: "sl-check sl-small" }, input, text) };
  }
  const ask = () => {
    if (box.value === model.get("query") && mode.value === model.get("mode")) return;
    if (box.value && mode.value !== "name" && !model.get("read_only")) status.textContent = "searching…";
    const local = model.get("read_only") && box.value && mode.value !== "name";
    set({ query: box.value, mode: (
      /** @type {State["mode"]} */
      mode.value
    ), ...local ? { sort: "hits", descending: true } : {} });
  };
  const askSoon = throttle(ask, 350, abort.signal);
  box.addEventListener("input", askSoon);
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter") ask();
    if (event.key === "ArrowDown" || event.key === "Escape") {
      body.focus();
      event.preventDefault();
    }
  });
  mode.addEventListener("change", ask);
  for (const field of [low, high]) {
    field.addEventListener("change", () => {
      const [a, b] = [low.value.trim(), high.value.trim()].map((t) => t === "" ? NaN : Number(t) / 100);
      const bad = [low, high].some((f) => f.value.trim() !== "" && !Number.isFinite(Number(f.value)));
      if (bad) return alert.say("A density is a number, in percent of the counted tokens.");
      set({ density: Number.isNaN(a) && Number.isNaN(b) ? null : [Number.isNaN(a) ? 0 : a, Number.isNaN(b) ? 1 : b] });
    });
  }
  const head = h("div", { class: "sl-row sl-headrow", role: "row" });
  const body = h("div", { class: "sl-grid", role: "grid", tabindex: "0", "aria-label": "Latents. Arrow keys move, Space picks, F2 writes a label." });
  const tall = h("div", { class: "sl-tall", role: "presentation" });
  body.append(head, tall);
  const foot = h("div", { class: "sl-bar sl-foot" });
  const pool = [];
  let version = 0;
  const height = () => Math.min(order.length * ROW, TALL);
  const visible = () => Math.max(1, Math.floor((body.clientHeight - ROW) / ROW));
  function first() {
    const room = height() - visible() * ROW;
    if (order.length * ROW <= TALL) return body.scrollTop / ROW;
    return room <= 0 ? 0 : body.scrollTop / room * (order.length - visible());
  }
  function scrollTo(row) {
    const room = height() - visible() * ROW;
    body.scrollTop = order.length * ROW <= TALL ? row * ROW : row / Math.max(1, order.length - visible()) * room;
  }
  function drawRows() {
    if (!columns) return;
    const from = Math.max(0, Math.floor(first()) - EXTRA);
    const to = Math.min(order.length, Math.floor(first()) + visible() + 1 + EXTRA);
    const size = Math.max(0, to - from);
    while (pool.length < size) {
      const node = h("div", { class: "sl-row", role: "row" });
      tall.append(node);
      pool.push({ node, at: -1, version: -1 });
    }
    const base = order.length * ROW <= TALL ? 0 : body.scrollTop - first() * ROW;
    const used = /* @__PURE__ */ new Set();
    for (let i = from; i < to; i += 1) {
      const slot = i % pool.length;
      const mine = pool[slot];
      used.add(slot);
      if (mine.at !== i || mine.version !== version) fill(mine.node, i);
      mine.node.style.transform = `translateY(${base + i * ROW}px)`;
      mine.node.hidden = false;
      [mine.at, mine.version] = [i, version];
    }
    pool.forEach((p, slot) => {
      if (!used.has(slot)) {
        p.node.hidden = true;
        p.at = -1;
      }
    });
    body.setAttribute("aria-rowcount", String(order.length + 1));
    drawMarks();
  }
  function fill(node, i) {
    if (!columns) return;
    const place = order[i], latent = columns.latent[place];
    const share = columns.count[place] / Math.max(1, model.get("counted"));
    const score = scores.get(latent);
    const label = model.get("labels")[String(latent)] ?? "";
    node.dataset.i = String(i);
    node.setAttribute("aria-rowindex", String(i + 2));
    node.id = `${uid}-${i}`;
    const cells = {
      latent: String(latent),
      count: columns.count[place] ? `${show(100 * share)} %` : "never",
      mean: columns.count[place] ? column(columns.mean[place]) : "–",
      max: columns.count[place] ? column(columns.max[place]) : "–",
      token: topToken(columns, place),
      label: h("bdi", {}, label),
      hits: score ? count(score[0]) : "",
      precision: score ? column(score[1]) : "",
      recall: score ? column(score[2]) : "",
      f1: score ? column(score[3]) : ""
    };
    node.replaceChildren(...shownColumns().map(([key]) => h("span", { role: "gridcell", class: cellClass(key), title: key === "count" ? `${count(columns?.count[place] ?? 0)} of ${count(model.get("counted"))} tokens` : key === "label" ? label : null }, cells[key])));
  }
  function drawMarks() {
    if (!columns) return;
    const current = model.get("latent"), picked = new Set(model.get("selected"));
    for (const { node, at } of pool) {
      if (at < 0) continue;
      const latent = columns.latent[order[at]];
      node.setAttribute("aria-selected", String(picked.has(latent)));
      node.classList.toggle("sl-current", latent === current);
    }
    const place = placeOf.get(current);
    if (place === void 0) body.removeAttribute("aria-activedescendant");
    else body.setAttribute("aria-activedescendant", `${uid}-${place}`);
    const n = picked.size;
    const alone = n && order.length && n === order.length;
    foot.replaceChildren(
      h("span", { class: "sl-muted sl-small" }, n ? `${count(n)} picked` : model.get("read_only") ? "" : "Space picks a row for Python, F2 writes a label"),
      ...n ? [button("clear", "Pick none", () => set({ selected: [] }))] : [],
      ...order.length && !alone && order.length <= 2e4 && !model.get("read_only") ? [button(`pick all ${count(order.length)} shown`, "Pick all rows shown", () => set({ selected: [...order].map((p) => columns?.latent[p] ?? 0) }))] : []
    );
  }
  function drawHead() {
    head.replaceChildren(...shownColumns().map(([key, name, title]) => {
      const mine = model.get("sort") === key;
      const node = h("button", { type: "button", class: "sl-th", title, tabindex: "-1" }, name, mine ? h("span", { class: "sl-arrow", "aria-hidden": "true" }, model.get("descending") ? "▾" : "▴") : null);
      node.addEventListener("click", () => set({ sort: key, descending: mine ? !model.get("descending") : !["latent", "token", "label"].includes(key) }));
      return h("span", { role: "columnheader", class: cellClass(key), "aria-sort": mine ? model.get("descending") ? "descending" : "ascending" : "none" }, node);
    }));
    view.classList.toggle("sl-searching", searching());
    view.classList.toggle("sl-local", !!model.get("read_only"));
  }
  function rearrange() {
    if (!columns) return;
    const query = model.get("query");
    let found = model.get("found");
    if (query && model.get("texts") && model.get("mode") !== "name") found = searchHere(query);
    scores = new Map((found.rows ?? []).map(([latent, ...rest]) => [latent, rest]));
    const share = model.get("density");
    order = arrange(columns, filtered(columns, {
      labels: model.get("labels"),
      dead: model.get("show_dead"),
      labelled: model.get("only_labelled"),
      name: model.get("mode") === "name" ? query : "",
      only: found.mode ? new Set(scores.keys()) : null,
      least: share ? share[0] * model.get("counted") : 0,
      most: share ? share[1] * model.get("counted") : Infinity
    }), { key: model.get("sort"), descending: model.get("descending"), labels: model.get("labels"), scores });
    placeOf = /* @__PURE__ */ new Map();
    order.forEach((p, i) => placeOf.set(columns?.latent[p] ?? 0, i));
    version += 1;
    tall.style.height = `${height()}px`;
    drawHead();
    const matches = found.mode ? found.matches === void 0 ? "" : ` · the text occurs ${count(found.matches)} times` : "";
    status.textContent = `${count(order.length)} of ${count(columns.n)} latents${matches}${order.length === 0 && found.mode ? model.get("read_only") ? " · no example has it" : " · none fires on it" : ""}`;
    drawRows();
  }
  function searchHere(query) {
    const texts = model.get("texts") ?? [];
    let test = (t) => t.includes(query);
    if (model.get("mode") === "regex") {
      try {
        const pattern = new RegExp(query, "u");
        test = (t) => pattern.test(t);
      } catch (error) {
        alert.say(String(
          /** @type {Error} */
          error.message
        ));
        return { mode: "regex", rows: [] };
      }
    }
    const rows = [];
    texts.forEach((all, i) => {
      const lines2 = all.split("\n\n");
      const hits = lines2.filter(test).length;
      if (hits) rows.push([columns?.latent[i] ?? 0, hits, NaN, NaN, NaN]);
    });
    return { mode: model.get("mode"), rows };
  }
  function reveal() {
    const place = placeOf.get(model.get("latent"));
    if (place === void 0) return;
    const top = first();
    if (place < top) scrollTo(place);
    else if (place > top + visible() - 1) scrollTo(place - visible() + 1);
    drawRows();
  }
  const rowOf = (event) => (
    /** @type {HTMLElement | null} */
    /** @type {HTMLElement} */
    event.target.closest(".sl-tall > .sl-row")
  );
  const between = (a, b) => Array.from(order.subarray(Math.min(a, b), Math.max(a, b) + 1), (p) => columns?.latent[p] ?? 0);
  function toggle(latent) {
    const picked = model.get("selected");
    set({ selected: picked.includes(latent) ? picked.filter((x) => x !== latent) : [...picked, latent] });
  }
  body.addEventListener("click", (event) => {
    const row = rowOf(event);
    if (!row || !columns) return;
    const i = Number(row.dataset.i), latent = columns.latent[order[i]];
    if (event.shiftKey) return set({ latent, selected: [.../* @__PURE__ */ new Set([...model.get("selected"), ...between(anchor, i)])] });
    anchor = i;
    if (event.ctrlKey || event.metaKey) toggle(latent);
    else set({ latent });
  });
  body.addEventListener("dblclick", (event) => {
    if (rowOf(event)) rename();
  });
  body.addEventListener("scroll", () => requestAnimationFrame(drawRows), { passive: true });
  function rename() {
    if (model.get("read_only")) return;
    const latent = model.get("latent"), place = placeOf.get(latent);
    const cell = pool.find((p) => p.at === place)?.node.querySelector(".sl-c-label");
    if (place === void 0 || !cell) return;
    const field = h("input", { class: "sl-input", type: "text", maxlength: 200, "aria-label": `Label of latent ${latent}` });
    field.value = model.get("labels")[String(latent)] ?? "";
    let done = false;
    const end = (keep) => {
      if (done) return;
      done = true;
      if (keep) request("label", { latent, text: field.value }).catch(fail);
      version += 1;
      drawRows();
      body.focus({ preventScroll: true });
    };
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter") end(true);
      if (event.key === "Escape") end(false);
    });
    field.addEventListener("blur", () => end(true));
    cell.replaceChildren(field);
    field.focus();
    field.select();
  }
  view.addEventListener("keydown", (event) => {
    if (typing(event)) return event.stopPropagation();
    if (event.altKey || !columns || /** @type {HTMLElement} */
    event.target.tagName === "BUTTON" && event.key !== "/") return;
    const place = placeOf.get(model.get("latent"));
    const move = (to) => {
      if (!order.length || !columns) return;
      const i = clamp(to, 0, order.length - 1), latent = columns.latent[order[i]];
      if (event.shiftKey) set({ latent, selected: [.../* @__PURE__ */ new Set([...model.get("selected"), ...between(place ?? i, i)])] });
      else {
        anchor = i;
        set({ latent });
      }
    };
    const at = place ?? Math.round(first()) - 1;
    const actions = (
      /** @type {Record<string, () => void>} */
      {
        ArrowDown: () => move(at + 1),
        ArrowUp: () => move(Math.max(at - 1, 0)),
        PageDown: () => move(at + visible()),
        PageUp: () => move(at - visible()),
        Home: () => move(0),
        End: () => move(order.length - 1),
        " ": () => toggle(model.get("latent")),
        Enter: () => toggle(model.get("latent")),
        F2: rename,
        "/": () => {
          box.focus();
          box.select();
        },
        Escape: () => model.get("selected").length ? set({ selected: [] }) : set({ query: "" })
      }
    );
    const action = actions[event.key];
    if (!action || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    action();
  });
  function drawControls() {
    const active = (
      /** @type {Document} */
      view.getRootNode().activeElement
    );
    if (active !== box) box.value = model.get("query");
    mode.value = model.get("mode");
    dead.input.checked = model.get("show_dead");
    named.input.checked = model.get("only_labelled");
    const share = model.get("density");
    low.value = share && share[0] > 0 ? show(100 * share[0]) : "";
    high.value = share && share[1] < 1 ? show(100 * share[1]) : "";
    box.placeholder = model.get("texts") ? "text in the examples of this page" : model.get("mode") === "name" ? "part of a label or token" : "text, and which latents fire on it";
    if (model.get("read_only")) [mode.options[0].text, mode.options[1].text] = ["have the text in an example", "match in an example"];
    if (model.get("read_only") && !model.get("texts")) for (const i of [0, 1]) mode.options[i].disabled = true;
  }
  const redraw = throttle(() => {
    drawControls();
    rearrange();
  }, 0, abort.signal);
  for (
    const key of
    /** @type {const} */
    ["query", "mode", "sort", "descending", "density", "show_dead", "only_labelled", "labels", "found"]
  ) model.on(`change:${key}`, redraw);
  model.on("change:latent", reveal);
  model.on("change:selected", drawMarks);
  view.append(
    alert.box,
    h(
      "div",
      { class: "sl-bar sl-controls" },
      h("span", { class: "sl-search" }, box, mode),
      h("span", { class: "sl-small sl-range" }, "density", low, "to", high, "%"),
      dead.node,
      named.node,
      figureMenu(view, () => "latents", alert.say)
    ),
    body,
    h("div", { class: "sl-bar sl-foot" }, status, h("span", { class: "sl-grow" }), foot)
  );
  el.append(view);
  const seen = new ResizeObserver(() => drawRows());
  seen.observe(body);
  abort.signal.addEventListener("abort", () => seen.disconnect());
  drawControls();
  drawHead();
  status.textContent = "loading…";
  load(model, request).then((c) => {
    columns = c;
    rearrange();
    reveal();
  }).catch(fail);
  return () => abort.abort();
}
var cellClass = (key) => `sl-c-${key}${NUMBERS.has(key) ? " sl-num" : ""}`;
var made2 = 0;
var table_default = { render };
export {
  table_default as default
};
