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

// table_controls.js
function searching({ state, set, signal }, body, status) {
  const box = h("input", { class: "sl-input sl-query", type: "search", "aria-label": "Search", title: "Search; press / to come here" });
  const mode = h(
    "select",
    { class: "sl-input sl-mode", "aria-label": "What is searched" },
    h("option", { value: "text" }, "fire on the text"),
    h("option", { value: "regex" }, "fire on the regular expression"),
    h("option", { value: "name" }, "label or strongest token")
  );
  const ask = () => {
    if (box.value === state.query && mode.value === state.mode) return;
    const inTexts = box.value && mode.value !== "name";
    if (inTexts && !state.read_only) status.textContent = "searching…";
    set({ query: box.value, mode: (
      /** @type {any} */
      mode.value
    ), ...inTexts && state.read_only ? { sort: "hits", descending: true } : {} });
  };
  box.addEventListener("input", throttle(ask, 350, signal));
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter") ask();
    if (event.key === "ArrowDown" || event.key === "Escape") {
      body.focus();
      event.preventDefault();
    }
  });
  mode.addEventListener("change", ask);
  function draw() {
    if (!focused(box)) box.value = state.query;
    mode.value = state.mode;
    box.placeholder = state.texts ? "text in the examples of this page" : state.mode === "name" ? "part of a label or token" : "text, and which latents fire on it";
    if (!state.read_only) return;
    [mode.options[0].text, mode.options[1].text] = ["have the text in an example", "match in an example"];
    for (const i of [0, 1]) mode.options[i].disabled = !state.texts;
  }
  return { box, node: h("span", { class: "sl-search" }, box, mode), draw };
}
function densities({ state, set, say }) {
  const fields = ["Lowest", "Highest"].map((name) => numberField(`${name} density in percent`));
  for (const field of fields) field.addEventListener("change", () => {
    const shares = fields.map(({ value }, i) => value.trim() === "" ? i : Number(value) / 100);
    if (!shares.every(Number.isFinite)) say("A density is a number, in percent of the counted tokens.");
    else set({ density: fields.every(({ value }) => value.trim() === "") ? null : shares });
  });
  const draw = () => fields.forEach((field, i) => {
    const share = state.density?.[i] ?? i;
    field.value = (i === 0 ? share > 0 : share < 1) ? show(100 * share) : "";
  });
  return { node: h("span", { class: "sl-small sl-range" }, "density", fields[0], "to", fields[1], "%"), draw };
}
function measures({ state, set }) {
  const choice = h(
    "select",
    { class: "sl-input", "aria-label": "Measure shown", title: "Which of the columns kept beside the index is shown" },
    h("option", { value: "" }, "none"),
    ...state.measures.map((name) => h("option", { value: name }, name))
  );
  choice.addEventListener("change", () => set({ measure: choice.value, ...choice.value ? { sort: "measure", descending: true } : {} }));
  const node = h("label", { class: "sl-small sl-range", hidden: !state.measures.length }, "measure", choice);
  return { node, draw: () => {
    choice.value = state.measure;
  } };
}
function controls(ui, body, status) {
  const { state, set } = ui;
  const search = searching(ui, body, status), density = densities(ui), measure = measures(ui);
  const dead = check("dead too", (show_dead) => set({ show_dead }));
  const named = check("labelled only", (only_labelled) => set({ only_labelled }));
  function draw() {
    search.draw();
    density.draw();
    measure.draw();
    dead.input.checked = state.show_dead;
    named.input.checked = state.only_labelled;
  }
  return { search: search.box, nodes: [search.node, density.node, measure.node, dead.node, named.node], draw };
}

// table_grid.js
var ROW = 26;
var TALL = 8e6;
var EXTRA = 6;
var BASE = (
  /** @type {Column[]} */
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
  /** @type {Column[]} */
  [
    ["f1", "F1", "Of precision and recall for the text that is searched for"],
    ["precision", "precision", "Share of its firings that are on the text"],
    ["recall", "recall", "Share of the text's places on which it fires"],
    ["hits", "hits", "Positions of the text on which it fires"]
  ]
);
var measured = (name) => (
  /** @type {Column} */
  ["measure", name, "Kept beside the index; choose another above"]
);
var HERE = (
  /** @type {Column[]} */
  [["hits", "examples", "Examples of it in this page that have the text"]]
);
var TEXTS = ["token", "label"];
var columnsOf = (state, rows) => rows.scores.size || state.found.mode ? [...BASE.slice(0, 5), ...state.read_only ? HERE : SEARCH, BASE[5]] : state.measure ? [...BASE.slice(0, 4), measured(state.measure), ...BASE.slice(4)] : BASE;
var cellClass = (key) => `sl-c-${key}${TEXTS.includes(key) ? "" : " sl-num"}`;
function head({ state, set }, rows) {
  const node = h("div", { class: "sl-row sl-headrow", role: "row" });
  const draw = () => node.replaceChildren(...columnsOf(state, rows).map(([key, name, title]) => {
    const mine = state.sort === key;
    const arrow = mine ? h("span", { class: "sl-arrow", "aria-hidden": "true" }, state.descending ? "▾" : "▴") : null;
    const made3 = h("button", { type: "button", class: "sl-th", title, tabindex: "-1" }, name, arrow);
    const upward = ["latent", ...TEXTS].includes(key);
    made3.addEventListener("click", () => set({ sort: key, descending: mine ? !state.descending : !upward }));
    const order = mine ? state.descending ? "descending" : "ascending" : "none";
    return h("span", { role: "columnheader", class: cellClass(key), "aria-sort": order }, made3);
  }));
  return { node, draw };
}
function cells(state, rows, i) {
  const columns = rows.columns, place = rows.order[i];
  if (!columns) return [];
  const [latent, n] = [columns.latent[place], columns.count[place]];
  const label = state.labels[String(latent)] ?? "", source = state.sources[String(latent)] ?? "";
  const [hits, ...shares] = rows.scores.get(latent) ?? [];
  const [precision, recall, f1] = [0, 1, 2].map((k) => shares[k] === void 0 ? "" : column(shares[k]));
  const value = rows.measured(state)[place];
  const text = (
    /** @type {Record<string, Node | string | null>} */
    {
      latent: String(latent),
      count: n ? `${column(100 * n / Math.max(1, state.counted))} %` : "never",
      mean: n ? column(columns.mean[place]) : "–",
      max: n ? column(columns.max[place]) : "–",
      token: topToken(columns, place),
      label: label && h("span", {}, h("bdi", {}, label), h("span", { class: "sl-muted sl-small" }, source)),
      hits: hits === void 0 ? "" : count(hits),
      precision,
      recall,
      f1,
      measure: value === void 0 || Number.isNaN(value) ? "–" : column(value)
    }
  );
  const title = (
    /** @type {Record<string, string>} */
    { count: `${count(n)} of ${count(state.counted)} tokens`, label: source ? `${label}
${source}` : label }
  );
  return columnsOf(state, rows).map(([key]) => h("span", { role: "gridcell", class: cellClass(key), title: title[key] }, text[key]));
}
var made2 = 0;
function grid({ state }, rows, headings, marked2) {
  const uid = `saelab-row-${made2 += 1}`;
  const tall = h("div", { class: "sl-tall", role: "presentation" });
  const empty = h("div", { class: "sl-empty", hidden: true });
  const node = h("div", {
    class: "sl-grid",
    role: "grid",
    tabindex: "0",
    "aria-label": "Latents. Arrow keys move, Space picks, F2 writes a label."
  }, headings, tall, empty);
  const pool = [];
  const all = () => rows.order.length;
  const height = () => Math.min(all() * ROW, TALL);
  const visible = () => Math.max(1, Math.floor((node.clientHeight - ROW) / ROW));
  const pace = () => all() * ROW <= TALL ? ROW : Math.max(0, height() - visible() * ROW) / Math.max(1, all() - visible());
  const first = () => pace() ? node.scrollTop / pace() : 0;
  function draw() {
    tall.style.height = `${height()}px`;
    const [top, pixel] = [first(), node.scrollTop];
    const from = Math.max(0, Math.floor(top) - EXTRA), to = Math.min(all(), Math.floor(top) + visible() + 1 + EXTRA);
    while (pool.length < to - from) {
      pool.push({ node: h("div", { class: "sl-row", role: "row" }), at: -1, version: -1 });
      tall.append(pool[pool.length - 1].node);
    }
    for (const row of pool) row.node.hidden = true;
    for (let i = from; i < to; i += 1) {
      const row = pool[i % pool.length];
      if (row.at !== i || row.version !== rows.version) row.node.replaceChildren(...cells(state, rows, i));
      Object.assign(row, { at: i, version: rows.version });
      row.node.dataset.i = String(i);
      row.node.setAttribute("aria-rowindex", String(i + 2));
      row.node.id = `${uid}-${i}`;
      row.node.style.transform = `translateY(${pixel + (i - top) * ROW}px)`;
      row.node.hidden = false;
    }
    node.setAttribute("aria-rowcount", String(all() + 1));
    drawMarks();
  }
  function drawMarks() {
    const picked = new Set(state.selected), place = rows.placeOf.get(state.latent);
    for (const row of pool) {
      if (row.node.hidden) continue;
      row.node.setAttribute("aria-selected", String(picked.has(rows.latentAt(row.at))));
      row.node.classList.toggle("sl-current", row.at === place);
    }
    if (place === void 0) node.removeAttribute("aria-activedescendant");
    else node.setAttribute("aria-activedescendant", `${uid}-${place}`);
    marked2();
  }
  function nothing(text) {
    empty.textContent = text;
    empty.hidden = all() > 0 || !text;
  }
  function reveal() {
    const place = rows.placeOf.get(state.latent), top = first();
    if (place === void 0) return;
    if (place < top) node.scrollTop = place * pace();
    else if (place > top + visible() - 1) node.scrollTop = (place - visible() + 1) * pace();
    draw();
  }
  const cellOf = (latent, key) => pool.find((row) => !row.node.hidden && row.at === rows.placeOf.get(latent))?.node.querySelector(`.sl-c-${key}`);
  node.addEventListener("scroll", () => requestAnimationFrame(draw), { passive: true });
  return { node, draw, drawMarks, nothing, reveal, cellOf, first, visible };
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
function arrange(columns, rows, { key, descending, labels, scores, measure = new Float32Array(0) }) {
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
  } else if (key === "measure") value = (i) => measure[i] ?? NaN;
  else if (place >= 0) value = (i) => scores.get(columns.latent[i])?.[place] ?? NaN;
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
function searchHere({ query, mode, texts }, columns, say) {
  let test = (t) => t.includes(query);
  if (mode === "regex") {
    try {
      const pattern = new RegExp(query, "u");
      test = (t) => pattern.test(t);
    } catch (error) {
      const failed = (
        /** @type {Error} */
        error.message
      );
      say(failed);
      return { mode, rows: [], failed };
    }
  }
  const hits = (texts ?? []).map((all) => all.split("\n\n").filter(test).length);
  return { mode, rows: hits.flatMap((n, i) => n ? [[columns.latent[i], n, NaN, NaN, NaN]] : []) };
}
var Rows = class {
  /** @type {Columns | null} */
  columns = null;
  /** @type {Uint32Array} places in the columns, in the order shown */
  order = new Uint32Array(0);
  /** @type {Map<number, number>} latent -> place in `order` */
  placeOf = /* @__PURE__ */ new Map();
  /** @type {Map<number, number[]>} latent -> hits, precision, recall, f1 */
  scores = /* @__PURE__ */ new Map();
  version = 0;
  // goes up when what a row says may have changed
  /** @param {number} i */
  latentAt(i) {
    return this.columns?.latent[this.order[i]] ?? 0;
  }
  /** Latents of a range of rows, both ends included. @param {number} a @param {number} b */
  latents(a, b) {
    return Array.from(this.order.subarray(Math.min(a, b), Math.max(a, b) + 1), (place) => this.columns?.latent[place] ?? 0);
  }
  /** The measure that is shown, by place. @param {Table} state */
  measured({ measure, measures: measures2 }) {
    const at = measures2.indexOf(measure), n = this.columns?.n ?? 0;
    return at < 0 || !this.columns ? new Float32Array(0) : this.columns.rest.subarray(at * n, (at + 1) * n);
  }
  /** Rows anew, as the traits ask for them; what was searched and found. @param {Table} state @param {(message: string) => void} say */
  arrange(state, say) {
    const columns = (
      /** @type {Columns} */
      this.columns
    );
    const { query, labels, counted, density } = state;
    const byName = state.mode === "name";
    const found = query && state.texts && !byName ? searchHere(state, columns, say) : state.found;
    this.scores = new Map((found.rows ?? []).map(([latent, ...rest]) => [latent, rest]));
    const [least, most] = (density ?? [0, Infinity]).map((share) => share * counted);
    const rows = filtered(columns, {
      labels,
      dead: state.show_dead,
      labelled: state.only_labelled,
      name: byName ? query : "",
      only: found.mode ? new Set(this.scores.keys()) : null,
      least,
      most
    });
    this.order = arrange(columns, rows, { key: state.sort, descending: state.descending, labels, scores: this.scores, measure: this.measured(state) });
    this.placeOf = new Map(Array.from(this.order, (place, i) => [columns.latent[place], i]));
    this.version += 1;
    return found;
  }
};

// table.js
var MOST = 2e4;
function picks({ state, set }, rows) {
  const node = h("div", { class: "sl-bar sl-foot" });
  function draw() {
    const n = state.selected.length, shown = rows.order.length;
    const hint = state.read_only ? "" : "Space picks a row for Python, F2 writes a label";
    node.replaceChildren(h("span", { class: "sl-muted sl-small" }, n ? `${count(n)} picked` : hint));
    if (n) node.append(button("clear", "Pick none", () => set({ selected: [] })));
    if (!shown || n === shown || shown > MOST || state.read_only) return;
    node.append(button(`pick all ${count(shown)} shown`, "Pick all rows shown", () => set({ selected: rows.latents(0, shown - 1) })));
  }
  return { node, draw };
}
function rename({ state, ask }, cell, after) {
  if (state.read_only || !cell) return;
  const latent = state.latent;
  const field = h("input", { class: "sl-input", type: "text", maxlength: 200, "aria-label": `Label of latent ${latent}` });
  field.value = state.labels[String(latent)] ?? "";
  let done = false;
  const end = (keep) => {
    if (done) return;
    done = true;
    if (keep) ask("label", { latent, text: field.value });
    after();
  };
  onEnter(field, () => end(true), () => end(false));
  field.addEventListener("blur", () => end(true));
  cell.replaceChildren(field);
  field.focus();
  field.select();
}
function choosing(ui, rows, body, search) {
  const { state, set, view } = ui;
  let anchor = 0;
  const write = () => rename(ui, body.cellOf(state.latent, "label"), () => {
    rows.version += 1;
    body.draw();
    body.node.focus({ preventScroll: true });
  });
  const toggle = (latent) => set({ selected: toggled(state.selected, latent) });
  const go = (i, from) => {
    if (from === null) anchor = i;
    set({ latent: rows.latentAt(i), ...from === null ? {} : { selected: [.../* @__PURE__ */ new Set([...state.selected, ...rows.latents(from, i)])] } });
  };
  body.node.addEventListener("click", (event) => {
    const row = closest(event, ".sl-tall > .sl-row"), i = Number(row?.dataset.i);
    if (!row) return;
    if (event.shiftKey || !(event.ctrlKey || event.metaKey)) return go(i, event.shiftKey ? anchor : null);
    anchor = i;
    toggle(rows.latentAt(i));
  });
  body.node.addEventListener("dblclick", (event) => {
    if (closest(event, ".sl-tall > .sl-row")) write();
  });
  onKeys(view, (event) => {
    if (typing(event) || !alone(event) || !rows.columns || onButton(event) && event.key !== "/") return;
    const place = rows.placeOf.get(state.latent);
    const at = place ?? Math.round(body.first()) - 1, last = rows.order.length - 1;
    const to = (
      /** @type {Record<string, number>} */
      {
        ArrowDown: at + 1,
        ArrowUp: Math.max(at - 1, 0),
        PageDown: at + body.visible(),
        PageUp: at - body.visible(),
        Home: 0,
        End: last
      }[event.key]
    );
    if (to !== void 0) return () => {
      if (last >= 0) go(clamp(to, 0, last), event.shiftKey ? place ?? clamp(to, 0, last) : null);
    };
    return (
      /** @type {Record<string, () => void>} */
      {
        " ": () => toggle(state.latent),
        Enter: () => toggle(state.latent),
        F2: write,
        "/": () => {
          search.focus();
          search.select();
        },
        Escape: () => set(state.selected.length ? { selected: [] } : { query: "" })
      }[event.key]
    );
  });
}
function build(ui) {
  const { state, view, on, soon, request, say, atEnd } = ui;
  const rows = new Rows(), pick = picks(ui, rows), headings = head(ui, rows);
  const status = h("span", { class: "sl-muted sl-small", "aria-live": "polite" });
  const body = grid(ui, rows, headings.node, pick.draw);
  const bar = controls(ui, body.node, status);
  choosing(ui, rows, body, bar.search);
  function draw() {
    bar.draw();
    if (!rows.columns) return;
    const found = rows.arrange(state, say);
    headings.draw();
    view.classList.toggle("sl-searching", rows.scores.size > 0 || !!found.mode);
    view.classList.toggle("sl-measured", !!state.measure);
    view.classList.toggle("sl-local", !!state.read_only);
    const { failed, matches, mode } = found, searched = mode && !failed;
    const times = searched && typeof matches === "number" ? ` · the text occurs ${count(matches)} ${matches === 1 ? "time" : "times"}` : "";
    status.textContent = `${count(rows.order.length)} of ${count(rows.columns.n)} latents${times}`;
    body.draw();
    body.nothing(failed ? `This is not a regular expression: ${failed}` : !searched ? "No latent is as asked for; take a filter away." : state.read_only ? "No example in this page has it." : matches === 0 ? "The text does not occur in the index." : "No latent fires on it.");
  }
  soon(["query", "mode", "sort", "descending", "density", "show_dead", "only_labelled", "labels", "found", "measure"], draw);
  on(["latent"], body.reveal);
  on(["selected"], body.drawMarks);
  view.append(
    h("div", { class: "sl-bar sl-controls" }, ...bar.nodes, figureMenu(ui, () => "latents")),
    body.node,
    h("div", { class: "sl-bar sl-foot" }, status, grow(), pick.node)
  );
  const seen = new ResizeObserver(() => body.draw());
  seen.observe(body.node);
  atEnd(() => seen.disconnect());
  bar.draw();
  headings.draw();
  status.textContent = "loading…";
  load(state, request, state.measures.length).then((columns) => {
    rows.columns = columns;
    draw();
    body.reveal();
  }).catch((error) => say(error.message));
}
var table_default = widget("table", "Table of latents", build);
export {
  table_default as default
};
