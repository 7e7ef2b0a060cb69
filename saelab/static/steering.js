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
var focused = (field2) => (
  /** @type {Document} */
  field2.getRootNode().activeElement === field2
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
var numberField = (label, more = {}) => h("input", { class: "sl-input sl-number", type: "text", inputmode: "decimal", "aria-label": label, ...more });
function onEnter(field2, enter, escape) {
  field2.addEventListener("keydown", (event) => {
    if (event.key === "Enter") enter();
    if (event.key === "Escape") escape?.();
  });
}
function latentIn(field2, say, d_sae = Infinity) {
  const latent = Number(field2.value.trim() || NaN);
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
    const side2 of
    /** @type {const} */
    ["Top", "Bottom"]
  ) {
    const width = parseFloat(style[`border${side2}Width`]), colour = style[`border${side2}Color`];
    const dashes = { dashed: "5 4", dotted: "1.5 3" }[style[`border${side2}Style`]];
    if (width && paints(colour)) line(side2 === "Top" ? box.y : bottom, colour, width, dashes);
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
    if (!fields.some((field2) => saying(from[to.indexOf(field2)]))) wrap.remove();
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
    ask: (method, params, done2 = () => {
    }) => {
      request(method, params).then(done2).catch((error) => alert.say(error.message));
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

// steering_edits.js
function who(latent, { label, token, max }) {
  const node = h("span", { class: "sl-who" }, h("b", {}, String(latent)), " ", ...called(token ?? void 0, label));
  node.title = token === null ? label : `fires most on this token; at most ${show(max)} in the index`;
  return node;
}
function edits({ state, set, ask, say, signal }) {
  const list = h("div", { class: "sl-edits" });
  const box = numberField("Latent to add", { inputmode: "numeric", placeholder: "latent" });
  const add = () => {
    const name = box.value.trim(), known = state.directions.includes(name);
    const latent = known ? name : latentIn(box, say, state.d_sae);
    if (latent === null) return;
    box.value = "";
    ask("add", { latent });
  };
  onEnter(box, add);
  const strengthen = (latent, strength) => set({ edits: state.edits.map((e) => e.latent === latent ? { ...e, strength } : e) });
  const strengthenSoon = throttle(strengthen, 80, signal);
  function row({ latent, strength }) {
    const about = state.about[String(latent)] ?? { label: "", token: null, max: 5, limit: null };
    const { unit } = state.modes[state.mode], named = typeof latent === "string" ? latent : `latent ${latent}`;
    const scaled = unit === "times";
    const reach = scaled ? 4 : Math.max(3 * about.max, Math.abs(strength));
    const low = scaled ? 0 : -reach;
    const slider = h("input", { type: "range", min: low, max: reach, step: reach / 100, "aria-label": `Strength of ${named}` });
    const number = numberField(`Strength of ${named}, as a number`);
    slider.value = String(strength);
    number.value = show(strength);
    slider.addEventListener("input", () => {
      const value = Number(Number(slider.value).toPrecision(3));
      number.value = show(value);
      now = value;
      strengthenSoon(latent, value);
    });
    number.addEventListener("change", () => {
      const value = number.value.trim() === "" ? NaN : Number(number.value);
      if (!Number.isFinite(value)) number.value = show(Number(slider.value));
      else {
        slider.value = String(now = value);
        filled();
        strengthen(latent, value);
      }
    });
    const drop = button("×", `Take ${named} away`, () => set({ edits: state.edits.filter((e) => e.latent !== latent) }));
    for (const control of [slider, number, drop]) control.disabled = state.read_only;
    const none = scaled ? 1 : 0, share = (v) => clamp(100 * (v - low) / (reach - low), 0, 100);
    const usual = scaled || !about.max ? null : share(about.max);
    const limit = scaled || !about.limit ? null : about.limit;
    let now = strength;
    const filled = () => {
      slider.classList.toggle("sl-over", limit !== null && Math.abs(now) > 1.005 * limit);
      const [a, b] = [share(none), share(Number(slider.value))].sort((x, y) => x - y);
      slider.style.setProperty("--a", `${a}%`);
      slider.style.setProperty("--b", `${b}%`);
    };
    filled();
    slider.addEventListener("input", filled);
    const at = (place, text, more = {}) => h("span", { style: `--at: ${place}%`, ...more }, text);
    const marks = [
      at(0, show(low)),
      at(share(none), scaled ? "× 1" : "0"),
      at(100, show(reach)),
      ...usual === null ? [] : [at(usual, `max ${show(about.max)}`, { class: "sl-usual", title: "Its largest activation in the index" })],
      ...limit === null ? [] : [at(share(limit), "guard", { class: "sl-usual sl-limit", title: `Beyond ${show(limit)} the text broke when it was calibrated` })]
    ];
    return h(
      "div",
      { class: `sl-edit${unit ? "" : " sl-off"}`, "data-latent": latent },
      who(latent, about),
      h("span", { class: "sl-slider" }, slider, h("small", { "aria-hidden": "true" }, ...marks)),
      number,
      drop
    );
  }
  const draw = () => list.replaceChildren(...state.edits.map(row));
  function echo() {
    const editing = list.contains(
      /** @type {Document} */
      list.getRootNode().activeElement
    );
    const drawn = [...list.children].map((n) => (
      /** @type {HTMLElement} */
      n.dataset.latent
    )).join();
    if (!editing || drawn !== state.edits.map((e) => e.latent).join()) draw();
  }
  const adding = h("div", { class: "sl-bar sl-add" }, box, button("Add latent", "Add this latent", add));
  adding.hidden = state.read_only;
  return { node: h("div", {}, list, adding), draw, echo };
}

// steering_settings.js
var POSITIONS = { all: "all tokens", prompt: "the prompt", generated: "generated tokens", last: "the newest token" };
var field = (name, title, input) => h("label", { class: "sl-field", title }, name, input);
function choice({ set }, key, names) {
  const options = names.map(([value, text]) => h("option", { value }, text));
  const node = h("select", { class: "sl-input", "aria-label": key }, ...options);
  node.addEventListener("change", () => set({ [key]: node.value }));
  return node;
}
function setting({ state, set }, key, label) {
  const whole = key !== "temperature";
  const node = numberField(label, { inputmode: whole ? "numeric" : "decimal" });
  node.addEventListener("change", () => {
    const value = node.value.trim() === "" ? NaN : Number(node.value);
    if (Number.isFinite(value) && value >= 0 && (!whole || Number.isInteger(value))) set({ [key]: value });
    else node.value = String(state[key]);
  });
  return node;
}
function settings(ui) {
  const { state, set, say, signal } = ui;
  const fields = {
    mode: choice(ui, "mode", Object.entries(state.modes).map(([key, { title }]) => [key, title])),
    positions: choice(ui, "positions", Object.entries(POSITIONS)),
    max_new_tokens: setting(ui, "max_new_tokens", "Tokens to write"),
    temperature: setting(ui, "temperature", "Temperature"),
    seed: setting(ui, "seed", "Seed")
  };
  const names = (
    /** @type {Record<keyof typeof fields, [name: string, meaning: string]>} */
    {
      mode: ["what", "What is done to the latent: its activation is raised by the strength, set to it, multiplied by it, or taken away"],
      positions: ["where", "At which tokens the latent is changed: those of the prompt, those that are written, all, or only the newest"],
      max_new_tokens: ["tokens", "How many tokens are written"],
      temperature: ["temperature", "How freely the next token is drawn: 0 always takes the likeliest, 1 draws as the model predicts"],
      seed: ["seed", "The same seed draws the same random numbers, for both texts"]
    }
  );
  const keys = (
    /** @type {(keyof typeof names)[]} */
    Object.keys(names)
  );
  const prompt = h("textarea", { class: "sl-input", rows: 2, "aria-label": "Prompt", dir: "auto", spellcheck: "false" });
  const sendPrompt = () => {
    if (prompt.value !== state.prompt) set({ prompt: prompt.value });
  };
  prompt.addEventListener("input", throttle(sendPrompt, 300, signal));
  prompt.addEventListener("change", sendPrompt);
  const factors = h("input", { class: "sl-input sl-factors", type: "text", "aria-label": "Factors of the sweep" });
  function sendFactors() {
    const values = factors.value.split(/[\s,;]+/).filter(Boolean).map(Number);
    if (!values.length || !values.every(Number.isFinite)) {
      factors.value = state.factors.join(", ");
      say("The factors of a sweep are numbers with commas between them, such as 0, 1, 2.");
      return false;
    }
    if (values.join() !== state.factors.join()) set({ factors: values });
    return true;
  }
  factors.addEventListener("change", sendFactors);
  for (const node of [...Object.values(fields), prompt]) node.disabled = state.read_only;
  function draw() {
    for (const key of keys) fields[key].value = String(state[key]);
    if (!focused(factors)) factors.value = state.factors.join(", ");
    if (!focused(prompt)) prompt.value = state.prompt;
  }
  const bar = h("div", { class: "sl-bar" }, ...keys.map((key) => field(...names[key], fields[key])));
  return { bar, prompt, factors, sendPrompt, sendFactors, draw };
}

// steering_texts.js
var MEANING = (
  /** @type {[string, string | null][]} */
  [
    ["latent", null],
    ["strength", "its strength above times one of the factors"],
    ["activation", "of the latent, the mean over the new text as the unsteered model reads it"],
    ["perplexity", "of the new text, for the unsteered model"],
    ["repetition", "share of the new text's 3-grams that it had before"],
    ["text", null]
  ]
);
function done(sign, latent, strength) {
  if (sign === "+") return `${latent} ${strength < 0 ? "−" : "+"} ${show(Math.abs(strength))}`;
  return sign ? `${latent} ${sign} ${show(strength)}` : `${latent} off`;
}
function side({ prompt, said, running: running2 }, name, text, plain, wait) {
  const dir = direction(prompt + (text?.text.join("") ?? ""));
  const body = h("bdi", { class: `sl-text${wait ? " sl-wait" : ""}`, dir, style: "display: block" });
  if (text) {
    const spans = tokens(text, [], { high: 1 });
    for (const s of spans) {
      const differs = text.differs.some((i) => Number(s.dataset.start) <= i && i < Number(s.dataset.stop));
      s.classList.toggle("sl-differs", differs);
    }
    body.append(h("span", { class: "sl-prompt" }, said.prompt ?? prompt), ...spans);
    if (!text.text.length && !running2) body.append(h("span", { class: "sl-muted" }, " (nothing)"));
  }
  return h("div", { class: `sl-side${plain ? " sl-plain" : ""}` }, h("h3", {}, name), body);
}
var SETTINGS = (
  /** @type {(keyof Steering)[]} */
  ["prompt", "mode", "positions", "schedule", "max_new_tokens", "temperature", "seed"]
);
var old = (state) => {
  const { said, running: running2, edits: edits2 } = state;
  const now = [edits2.map((e) => [e.latent, e.strength]), SETTINGS.map((key) => state[key] ?? null)];
  return !!said.edits && !running2 && JSON.stringify(now) !== JSON.stringify([said.edits, SETTINGS.map((key) => said[key] ?? null)]);
};
var schedule = (shares) => `${shares.slice(0, -1).map(show).join(", ")}, then ${show(shares[shares.length - 1])}`;
function texts({ state }) {
  const node = h("div", { class: "sl-texts", "aria-live": "off" });
  const sample = (text, more = "") => h(
    "span",
    { class: `sl-side${more}`, style: "border:0;padding:0;min-height:0" },
    h("span", { class: "sl-tok sl-differs" }, text)
  );
  const how = h("span", {}), stale = h("p", { class: "sl-stale", role: "status" }, `not yet run with these settings${state.read_only ? "" : ": press Run"}`);
  const legend = h("div", { class: "sl-key sl-small sl-muted" }, sample("only without", " sl-plain"), sample("only with steering"), how);
  function draw() {
    const { baseline: left, steered: right, running: running2, said } = state;
    const edits2 = (
      /** @type {[Edit['latent'], number][]} */
      said.edits ?? []
    );
    const name = edits2.length ? `steered: ${edits2.map(([latent, strength]) => done(state.modes[said.mode]?.sign, latent, strength)).join(", ")}` : "steered";
    node.hidden = !left && !right && !(running2 && !state.status.startsWith("sweep"));
    node.replaceChildren(side(state, "as it is", left, true, running2 && !right), side(state, name, right, false, running2 && !!right));
    stale.hidden = !old(state);
    legend.hidden = !said.edits;
    how.textContent = `seed ${count(said.seed ?? 0)}, temperature ${show(said.temperature)}; both texts use the same random numbers${said.schedule ? `; share of the strength at each new token: ${schedule(said.schedule)}` : ""}`;
  }
  return { node, stale, legend, draw };
}
function sweepTable({ state }) {
  const node = h("div", { class: "sl-swept", role: "region", "aria-label": "Sweep", tabindex: "0" });
  const kind = (i) => i < 5 ? "sl-num" : "";
  const head = tableRow("th", MEANING.map(([name]) => name), (i) => ({ class: kind(i), title: MEANING[i][1] }));
  function draw() {
    node.hidden = !state.swept.length;
    const said = MEANING.filter(([, text]) => text).map(([name, text]) => h("span", {}, h("b", {}, name), ` ${text}`));
    node.replaceChildren(h("p", { class: "sl-small sl-muted sl-means" }, ...said), h("table", {}, h("thead", {}, head), h("tbody", {}, ...state.swept.map((r) => tableRow(
      "td",
      [
        String(r.latent),
        ...[r.strength, r.activation, r.perplexity, r.repetition].map((v) => show(v)),
        h("bdi", { class: "sl-text sl-line", dir: direction(r.text) }, ...marked(r.text))
      ],
      (i) => i < 5 ? { class: kind(i) } : { title: r.text }
    )))));
  }
  return { node, draw };
}

// steering.js
function running({ state, ask, say }, of) {
  const go = button("Run", "Write both texts (Ctrl+Enter)", () => {
    of.sendPrompt();
    say("");
    ask("run");
  });
  go.classList.add("sl-primary");
  const stop = button("Cancel", "Stop writing (Esc)", () => ask("cancel"));
  const sweep = button("Sweep", "Write with each latent alone, at each factor times its strength", () => {
    say("");
    of.sendPrompt();
    if (of.sendFactors()) ask("sweep");
  });
  const status = h("span", { class: "sl-muted", role: "status" });
  const node = h("div", { class: "sl-bar" }, go, stop, h("span", { class: "sl-sep" }), sweep, field("× strength", "Numbers that the strength is multiplied by, one text each", of.factors), status);
  node.hidden = state.read_only;
  function draw() {
    go.disabled = sweep.disabled = state.running;
    stop.disabled = !state.running;
    status.textContent = state.status;
  }
  return { node, go, stop, draw };
}
function build(ui) {
  const { view, on, soon } = ui;
  const list = edits(ui), of = settings(ui), both = texts(ui), sweep = sweepTable(ui);
  const run = running(ui, of);
  const drawRunning = () => {
    run.draw();
    both.draw();
  };
  onKeys(view, (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !run.go.disabled) return () => run.go.click();
    return event.key === "Escape" && !run.stop.disabled && (() => run.stop.click());
  });
  soon(["running", "status", "baseline", "steered", "said"], drawRunning);
  soon(["swept"], sweep.draw);
  on(["edits", "about"], list.echo);
  on(["positions", "max_new_tokens", "temperature", "seed", "prompt", "factors", "mode"], of.draw);
  on(["mode"], list.draw);
  soon(["edits", "schedule", "positions", "max_new_tokens", "temperature", "seed", "prompt", "mode"], both.draw);
  view.append(
    h("div", { class: "sl-form" }, list.node, of.bar, of.prompt, run.node),
    both.stale,
    both.node,
    h("div", { class: "sl-bar sl-foot" }, both.legend, grow(), figureMenu(ui, () => "steering")),
    sweep.node
  );
  list.draw();
  of.draw();
  drawRunning();
  sweep.draw();
}
var steering_default = widget("steering", "Steering panel", build);
export {
  steering_default as default
};
