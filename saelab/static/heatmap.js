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

// heatmap.js
function render({ model, el, signal }) {
  const abort = new AbortController();
  signal?.addEventListener("abort", () => abort.abort());
  const request = requests(model, abort.signal);
  const view = root("heatmap", "Activation heatmap");
  const alert = alertBox(model);
  const chips = h("div", { class: "sl-latents", role: "group", "aria-label": "Latent" });
  const bar = scale(model, () => Math.max(model.get("maxima")[column()] ?? 0, model.get("vmin") ?? 0), "Keep this scale for every latent and page");
  const space = h("input", { type: "checkbox" });
  space.addEventListener("change", () => set({ show_whitespace: space.checked }));
  const pager = h("div", { class: "sl-bar" });
  const add = h("input", { class: "sl-input sl-add", type: "text", inputmode: "numeric", placeholder: "+ latent", "aria-label": "Show another latent", title: "Show another latent; press / to come here" });
  add.addEventListener("keydown", (event) => {
    if (event.key === "Escape") list.focus();
    if (event.key !== "Enter" || !add.value.trim()) return;
    const latent = Number(add.value.trim());
    if (!Number.isInteger(latent) || latent < 0) return alert.say("A latent is a whole number from 0 on.");
    alert.say("");
    request("add", { latent }).then(() => {
      add.value = "";
    }).catch((e) => alert.say(e.message));
  });
  const list = h("div", {
    class: "sl-sequences",
    role: "listbox",
    tabindex: "0",
    "aria-label": "Tokens. Arrow keys move, shift and arrow keys mark a span, Enter pins the facts of a token, Escape clears."
  });
  const status = h("div", { class: "sl-status sl-muted", "aria-live": "polite" });
  const found = h("div", { class: "sl-found", hidden: true });
  const tip = tooltip(view, abort.signal);
  let drawn = [];
  function set(changes) {
    for (const [key, value] of Object.entries(changes)) model.set(
      /** @type {any} */
      key,
      value
    );
    model.save_changes();
  }
  const column = () => Math.max(0, model.get("latents").indexOf(model.get("latent") ?? -1));
  function drawChips() {
    const names = model.get("names");
    chips.replaceChildren(
      ...model.get("latents").map((latent, i) => {
        const node = button(names[i] ? `${latent} ${names[i]}` : String(latent), `Show latent ${latent}`, () => set({ latent }));
        node.setAttribute("aria-pressed", String(i === column()));
        return node;
      })
    );
  }
  function drawTokens() {
    const all = floats(model.get("values"));
    const sequences = model.get("sequences");
    const total = sequences.reduce((n, s) => n + s.ids.length, 0);
    let offset = 0;
    drawn = sequences.map((text, i) => {
      const begin = column() * total + offset;
      const values = all.subarray(begin, begin + text.ids.length);
      const spans = tokens(text, values, bar.range());
      spans.forEach((span) => {
        span.setAttribute("role", "option");
        span.dataset.row = String(i);
      });
      const body = h("bdi", { class: "sl-text", dir: direction(text.text.join("")) }, ...spans);
      const index = model.get("first") + i;
      const row = h("div", { class: "sl-sequence" }, h("div", { class: "sl-name", title: text.name ?? "" }, text.name || String(index)), h("div", {}, body));
      const mine = { row, spans, values, offset };
      offset += text.ids.length;
      return mine;
    });
    list.replaceChildren(...drawn.map((d) => d.row));
    list.classList.toggle("sl-single", model.get("n_sequences") === 1);
    drawSelection();
  }
  function drawPager() {
    const [page, pages] = [model.get("page"), model.get("n_pages")];
    pager.hidden = pages <= 1;
    const go = (to) => {
      request("page", { page: to }).catch((e) => alert.say(e.message));
    };
    const back = button("‹", "Previous page", () => go(page - 1));
    const on = button("›", "Next page", () => go(page + 1));
    back.disabled = page <= 0;
    on.disabled = page >= pages - 1;
    const last = model.get("first") + model.get("sequences").length;
    pager.replaceChildren(
      back,
      on,
      h("span", { class: "sl-muted" }, `texts ${count(model.get("first"))}–${count(last - 1)} of ${count(model.get("n_sequences"))}`)
    );
  }
  function spanAt(row, position) {
    return drawn[row]?.spans.find((s) => Number(s.dataset.start) <= position && position < Number(s.dataset.stop));
  }
  function describe(row, position) {
    const text = model.get("sequences")[row];
    const percentiles = floats(model.get("percentiles"));
    const total = model.get("sequences").reduce((n, s) => n + s.ids.length, 0);
    const percentile = percentiles[column() * total + drawn[row].offset + position];
    const pairs = [
      ["token", chip(labelOf(text, position))],
      ["id", String(text.ids[position])],
      ["position", String(position)],
      ["activation", show(drawn[row].values[position])]
    ];
    if (percentile !== void 0 && !Number.isNaN(percentile)) pairs.push(["percentile", show(100 * percentile, 4)]);
    if (text.special?.includes(position)) pairs.push(["", "not counted: special token"]);
    return pairs;
  }
  function drawSelection() {
    const row = (model.get("selected_sequence") ?? -1) - model.get("first");
    const token = model.get("selected_token");
    const span = model.get("selected_span");
    for (const [i, { spans }] of drawn.entries()) {
      for (const s of spans) {
        const [a, b] = [Number(s.dataset.start), Number(s.dataset.stop)];
        s.setAttribute("aria-selected", String(i === row && token !== null && a <= token && token < b));
        s.classList.toggle("sl-in-span", !!span && span[0] - model.get("first") === i && a < span[2] && b > span[1]);
      }
    }
    status.replaceChildren();
    if (row >= 0 && token !== null && drawn[row] && token < drawn[row].values.length) {
      for (const [name, value] of describe(row, token)) {
        status.append(h("span", {}, name && `${name} `, typeof value === "string" ? h("b", {}, value) : value));
      }
      if (span) status.append(h("span", {}, `span ${span[1]}–${span[2] - 1}`));
    } else if (span) {
      status.append(`span: tokens ${span[1]}–${span[2] - 1} of text ${span[0]}`);
    } else {
      status.append("Click a token, or drag over several.");
    }
    found.hidden = !span;
  }
  function ask(span) {
    found.replaceChildren();
    if (!model.get("can_ask")) return;
    request("span", { sequence: span[0], start: span[1], stop: span[2] }).then((rows) => {
      found.append(h("span", { class: "sl-muted" }, rows.length ? "fire here and least elsewhere in this text:" : "No latent fires here."));
      for (const r of rows) {
        found.append(button(
          String(r.latent),
          `Latent ${r.latent}: fires on ${r.inside} tokens of the span and ${r.outside} others, at most ${show(r.max)}. Click to show it.`,
          () => request("add", { latent: r.latent }).catch((e) => alert.say(e.message))
        ));
      }
    }).catch((e) => found.append(h("span", { class: "sl-muted" }, e.message)));
  }
  const askSoon = throttle(ask, 250, abort.signal);
  let drag = null;
  const tokenOf = (event) => (
    /** @type {HTMLElement | null} */
    /** @type {HTMLElement} */
    event.target.closest?.(".sl-tok") ?? null
  );
  list.addEventListener("pointerdown", (event) => {
    const token = tokenOf(event);
    if (!token || event.button !== 0) return;
    drag = { row: Number(token.dataset.row), start: Number(token.dataset.start), stop: Number(token.dataset.stop), from: token };
  });
  list.addEventListener("pointerover", (event) => {
    const token = tokenOf(event);
    if (!token) return tip.hide();
    const [row, a, b] = [Number(token.dataset.row), Number(token.dataset.start), Number(token.dataset.stop)];
    if (drag && row === drag.row && token !== drag.from) {
      const [start, stop] = [Math.min(a, drag.start), Math.max(b, drag.stop)];
      for (const s of drawn[row].spans) s.classList.toggle("sl-in-span", Number(s.dataset.start) < stop && Number(s.dataset.stop) > start);
      return tip.hide();
    }
    const parts = [];
    for (let i = a; i < Math.min(b, a + 6); i += 1) parts.push(facts(describe(row, i)));
    tip.show(token, ...parts);
  });
  list.addEventListener("pointerleave", () => tip.hide());
  window.addEventListener("pointerup", (event) => {
    if (!drag) return;
    const token = tokenOf(event);
    const from = drag;
    drag = null;
    if (!token || !list.contains(token) || Number(token.dataset.row) !== from.row) return drawSelection();
    const sequence = model.get("first") + from.row;
    if (token === from.from) {
      set({ selected_sequence: sequence, selected_token: from.start, selected_span: null });
    } else {
      const span = [sequence, Math.min(from.start, Number(token.dataset.start)), Math.max(from.stop, Number(token.dataset.stop))];
      set({ selected_sequence: sequence, selected_token: span[1], selected_span: span });
    }
  }, { signal: abort.signal });
  view.addEventListener("keydown", (event) => {
    if (typing(event)) return event.stopPropagation();
    if (event.key !== "/" || event.ctrlKey || event.metaKey || add.hidden) return;
    event.preventDefault();
    event.stopPropagation();
    add.focus();
  });
  list.addEventListener("keydown", (event) => {
    if (event.key === "Enter") {
      const row2 = (model.get("selected_sequence") ?? -1) - model.get("first"), token2 = model.get("selected_token");
      const span = token2 === null ? void 0 : spanAt(row2, token2);
      if (span) tip.show(span, facts(describe(row2, token2 ?? 0)));
      event.preventDefault();
      return event.stopPropagation();
    }
    if (event.key === "Escape") {
      tip.hide();
      set({ selected_sequence: null, selected_token: null, selected_span: null });
      return event.stopPropagation();
    }
    const step = (
      /** @type {Record<string, [number, number]>} */
      { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key]
    );
    if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    const sequences = model.get("sequences");
    if (!sequences.length) return;
    let row = (model.get("selected_sequence") ?? -1) - model.get("first");
    let token = model.get("selected_token");
    if (!sequences[row] || token === null) [row, token] = [0, 0];
    else {
      const rtl = direction(sequences[row].text.join("")) === "rtl" ? -1 : 1;
      if (event.shiftKey && step[1]) return extend(row, token, step[1] * rtl);
      row = Math.min(Math.max(row + step[0], 0), sequences.length - 1);
      token = Math.min(Math.max(token + step[1] * rtl, 0), sequences[row].ids.length - 1);
    }
    set({ selected_sequence: model.get("first") + row, selected_token: token, selected_span: null });
    spanAt(row, token)?.scrollIntoView?.({ block: "nearest" });
  });
  function extend(row, token, by) {
    const sequence = model.get("first") + row;
    const span = model.get("selected_span");
    const anchor = span && span[0] === sequence ? span[1] === token ? span[2] - 1 : span[1] : token;
    const next = Math.min(Math.max(token + by, 0), model.get("sequences")[row].ids.length - 1);
    set({ selected_token: next, selected_span: [sequence, Math.min(anchor, next), Math.max(anchor, next) + 1] });
  }
  const redraw = throttle(() => {
    drawChips();
    bar.draw();
    drawTokens();
    drawPager();
  }, 0, abort.signal);
  for (
    const key of
    /** @type {const} */
    ["latent", "latents", "names", "sequences", "values", "percentiles", "maxima", "vmin", "vmax", "page", "n_pages"]
  ) {
    model.on(`change:${key}`, redraw);
  }
  for (
    const key of
    /** @type {const} */
    ["selected_sequence", "selected_token", "selected_span"]
  ) model.on(`change:${key}`, drawSelection);
  model.on("change:selected_span", () => {
    const span = model.get("selected_span");
    found.replaceChildren();
    if (span) askSoon(span);
  });
  const asking = () => {
    add.hidden = !model.get("can_ask");
  };
  model.on("change:can_ask", asking);
  const white = () => {
    space.checked = model.get("show_whitespace");
    list.classList.toggle("sl-show-space", space.checked);
  };
  model.on("change:show_whitespace", white);
  view.append(
    alert.box,
    h(
      "div",
      { class: "sl-bar" },
      h("span", { class: "sl-muted" }, "latent"),
      chips,
      add,
      h("span", { class: "sl-grow" }),
      h("label", { class: "sl-check sl-small" }, space, "spaces"),
      bar.node,
      figureMenu(view, () => `latent-${model.get("latent") ?? ""}-heatmap`, alert.say)
    ),
    list,
    pager,
    status,
    found
  );
  el.append(view);
  drawChips();
  bar.draw();
  drawTokens();
  drawPager();
  white();
  asking();
  return () => abort.abort();
}
var heatmap_default = { render };
export {
  heatmap_default as default
};
