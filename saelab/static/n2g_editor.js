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
var many = (n, one, several = `${one}s`) => `${count(n)} ${n === 1 ? one : several}`;
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
var typing = (event) => ["INPUT", "TEXTAREA", "SELECT"].includes(
  /** @type {Element} */
  event.target.tagName
);
var onButton = (event) => (
  /** @type {Element} */
  event.target.tagName === "BUTTON"
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
    const canvas2 = h("canvas", { width: Math.ceil(width * scale), height: Math.ceil(height * scale) });
    canvas2.getContext("2d")?.drawImage(image, 0, 0, canvas2.width, canvas2.height);
    return await new Promise((resolve, reject) => canvas2.toBlob((blob) => {
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

// n2g_nodes.js
function edge(p, parent) {
  if (!parent) return [];
  const [x1, y1, x2, y2] = [p.x + p.width, p.y + p.height / 2, parent.x, parent.y + parent.height / 2];
  const middle = (x1 + x2) / 2;
  return [svg("path", { class: "sl-edge", d: `M${x1} ${y1}C${middle} ${y1} ${middle} ${y2} ${x2} ${y2}` })];
}
function nodeBox({ node, lines: lines3, x, y, width, height, depth }, most, folded) {
  const { kind, end, locked } = node;
  const says = `${kind === "more" ? "more nodes: " : ""}${lines3.join(", ")}`;
  const group = svg("g", {
    class: `sl-node sl-${kind}${depth === 1 ? " sl-first" : ""}${end ? " sl-has-end" : ""}`,
    transform: `translate(${x.toFixed(1)} ${y.toFixed(1)})`,
    "data-id": node.id,
    role: "treeitem",
    "aria-level": depth,
    "aria-label": `${says}${end ? `, ends a pattern of value ${show(end.value)}` : ""}${locked ? ", locked" : ""}`,
    "aria-expanded": kind === "more" ? null : String(!folded)
  });
  const strength = end ? shade(end.value, 0, most) : node.imp !== null ? 0.6 * shade(node.imp, 0, 1) : 0;
  const shadeBox = svg("rect", { class: "sl-shade", width, height, rx: 6 });
  shadeBox.style.setProperty("--a", strength.toFixed(3));
  group.append(svg("rect", { class: "sl-box", width, height, rx: 6 }), shadeBox);
  lines3.forEach((text, i) => group.append(svg("text", {
    class: (kind === "tok" || kind === "not") && !text.startsWith("+ ") ? "" : "sl-aside",
    x: width / 2,
    y: 18 + i * 19,
    "text-anchor": "middle",
    direction: "ltr",
    "unicode-bidi": text.includes("\\x") ? "embed" : "plaintext"
    // an escaped byte beside right-to-left letters would be read backwards
  }, text)));
  if (end) {
    const value = show(end.value), wide = 7 * value.length + 12;
    group.append(
      svg("rect", { class: "sl-pill", x: -wide - 1, y: height / 2 - 9, width: wide + 4, height: 18, rx: 9 }),
      svg("text", { class: "sl-end", x: -wide / 2, y: height / 2 + 4 }, value)
    );
  }
  if (locked) group.append(svg(
    "g",
    { class: "sl-lock", transform: `translate(${width - 11} -7)` },
    svg("rect", { x: 0, y: 5, width: 10, height: 8, rx: 1.5 }),
    svg("path", { d: "M2 5V3.5a3 3 0 0 1 6 0V5" })
  ));
  return group;
}
function pictureOf(graph, content, plan, name) {
  const [width, height] = [Math.ceil(Math.max(plan.width + 90, 8 * name.length + 40)), Math.ceil(plan.height + 70)];
  const copy = styled(content);
  for (const node of copy.querySelectorAll("*")) node.removeAttribute("class");
  copy.setAttribute("transform", "translate(70 50)");
  const style = getComputedStyle(graph.parentElement ?? graph);
  const background2 = svg("rect", { width, height, fill: style.backgroundColor || "#fff" });
  return svg(
    "svg",
    { xmlns: "http://www.w3.org/2000/svg", width, height, viewBox: `0 0 ${width} ${height}` },
    background2,
    svg("text", { x: 16, y: 26, "font-family": "system-ui, sans-serif", "font-size": 14, "font-weight": 600, fill: style.color }, name),
    copy
  );
}

// node_modules/d3-hierarchy/src/hierarchy/count.js
function count2(node) {
  var sum = 0, children = node.children, i = children && children.length;
  if (!i) sum = 1;
  else while (--i >= 0) sum += children[i].value;
  node.value = sum;
}
function count_default() {
  return this.eachAfter(count2);
}

// node_modules/d3-hierarchy/src/hierarchy/each.js
function each_default(callback, that) {
  let index = -1;
  for (const node of this) {
    callback.call(that, node, ++index, this);
  }
  return this;
}

// node_modules/d3-hierarchy/src/hierarchy/eachBefore.js
function eachBefore_default(callback, that) {
  var node = this, nodes = [node], children, i, index = -1;
  while (node = nodes.pop()) {
    callback.call(that, node, ++index, this);
    if (children = node.children) {
      for (i = children.length - 1; i >= 0; --i) {
        nodes.push(children[i]);
      }
    }
  }
  return this;
}

// node_modules/d3-hierarchy/src/hierarchy/eachAfter.js
function eachAfter_default(callback, that) {
  var node = this, nodes = [node], next = [], children, i, n, index = -1;
  while (node = nodes.pop()) {
    next.push(node);
    if (children = node.children) {
      for (i = 0, n = children.length; i < n; ++i) {
        nodes.push(children[i]);
      }
    }
  }
  while (node = next.pop()) {
    callback.call(that, node, ++index, this);
  }
  return this;
}

// node_modules/d3-hierarchy/src/hierarchy/find.js
function find_default(callback, that) {
  let index = -1;
  for (const node of this) {
    if (callback.call(that, node, ++index, this)) {
      return node;
    }
  }
}

// node_modules/d3-hierarchy/src/hierarchy/sum.js
function sum_default(value) {
  return this.eachAfter(function(node) {
    var sum = +value(node.data) || 0, children = node.children, i = children && children.length;
    while (--i >= 0) sum += children[i].value;
    node.value = sum;
  });
}

// node_modules/d3-hierarchy/src/hierarchy/sort.js
function sort_default(compare) {
  return this.eachBefore(function(node) {
    if (node.children) {
      node.children.sort(compare);
    }
  });
}

// node_modules/d3-hierarchy/src/hierarchy/path.js
function path_default(end) {
  var start = this, ancestor = leastCommonAncestor(start, end), nodes = [start];
  while (start !== ancestor) {
    start = start.parent;
    nodes.push(start);
  }
  var k = nodes.length;
  while (end !== ancestor) {
    nodes.splice(k, 0, end);
    end = end.parent;
  }
  return nodes;
}
function leastCommonAncestor(a, b) {
  if (a === b) return a;
  var aNodes = a.ancestors(), bNodes = b.ancestors(), c = null;
  a = aNodes.pop();
  b = bNodes.pop();
  while (a === b) {
    c = a;
    a = aNodes.pop();
    b = bNodes.pop();
  }
  return c;
}

// node_modules/d3-hierarchy/src/hierarchy/ancestors.js
function ancestors_default() {
  var node = this, nodes = [node];
  while (node = node.parent) {
    nodes.push(node);
  }
  return nodes;
}

// node_modules/d3-hierarchy/src/hierarchy/descendants.js
function descendants_default() {
  return Array.from(this);
}

// node_modules/d3-hierarchy/src/hierarchy/leaves.js
function leaves_default() {
  var leaves = [];
  this.eachBefore(function(node) {
    if (!node.children) {
      leaves.push(node);
    }
  });
  return leaves;
}

// node_modules/d3-hierarchy/src/hierarchy/links.js
function links_default() {
  var root = this, links = [];
  root.each(function(node) {
    if (node !== root) {
      links.push({ source: node.parent, target: node });
    }
  });
  return links;
}

// node_modules/d3-hierarchy/src/hierarchy/iterator.js
function* iterator_default() {
  var node = this, current, next = [node], children, i, n;
  do {
    current = next.reverse(), next = [];
    while (node = current.pop()) {
      yield node;
      if (children = node.children) {
        for (i = 0, n = children.length; i < n; ++i) {
          next.push(children[i]);
        }
      }
    }
  } while (next.length);
}

// node_modules/d3-hierarchy/src/hierarchy/index.js
function hierarchy(data, children) {
  if (data instanceof Map) {
    data = [void 0, data];
    if (children === void 0) children = mapChildren;
  } else if (children === void 0) {
    children = objectChildren;
  }
  var root = new Node(data), node, nodes = [root], child, childs, i, n;
  while (node = nodes.pop()) {
    if ((childs = children(node.data)) && (n = (childs = Array.from(childs)).length)) {
      node.children = childs;
      for (i = n - 1; i >= 0; --i) {
        nodes.push(child = childs[i] = new Node(childs[i]));
        child.parent = node;
        child.depth = node.depth + 1;
      }
    }
  }
  return root.eachBefore(computeHeight);
}
function node_copy() {
  return hierarchy(this).eachBefore(copyData);
}
function objectChildren(d) {
  return d.children;
}
function mapChildren(d) {
  return Array.isArray(d) ? d[1] : null;
}
function copyData(node) {
  if (node.data.value !== void 0) node.value = node.data.value;
  node.data = node.data.data;
}
function computeHeight(node) {
  var height = 0;
  do
    node.height = height;
  while ((node = node.parent) && node.height < ++height);
}
function Node(data) {
  this.data = data;
  this.depth = this.height = 0;
  this.parent = null;
}
Node.prototype = hierarchy.prototype = {
  constructor: Node,
  count: count_default,
  each: each_default,
  eachAfter: eachAfter_default,
  eachBefore: eachBefore_default,
  find: find_default,
  sum: sum_default,
  sort: sort_default,
  path: path_default,
  ancestors: ancestors_default,
  descendants: descendants_default,
  leaves: leaves_default,
  links: links_default,
  copy: node_copy,
  [Symbol.iterator]: iterator_default
};

// node_modules/d3-hierarchy/src/tree.js
function defaultSeparation(a, b) {
  return a.parent === b.parent ? 1 : 2;
}
function nextLeft(v) {
  var children = v.children;
  return children ? children[0] : v.t;
}
function nextRight(v) {
  var children = v.children;
  return children ? children[children.length - 1] : v.t;
}
function moveSubtree(wm, wp, shift) {
  var change2 = shift / (wp.i - wm.i);
  wp.c -= change2;
  wp.s += shift;
  wm.c += change2;
  wp.z += shift;
  wp.m += shift;
}
function executeShifts(v) {
  var shift = 0, change2 = 0, children = v.children, i = children.length, w;
  while (--i >= 0) {
    w = children[i];
    w.z += shift;
    w.m += shift;
    shift += w.s + (change2 += w.c);
  }
}
function nextAncestor(vim, v, ancestor) {
  return vim.a.parent === v.parent ? vim.a : ancestor;
}
function TreeNode(node, i) {
  this._ = node;
  this.parent = null;
  this.children = null;
  this.A = null;
  this.a = this;
  this.z = 0;
  this.m = 0;
  this.c = 0;
  this.s = 0;
  this.t = null;
  this.i = i;
}
TreeNode.prototype = Object.create(Node.prototype);
function treeRoot(root) {
  var tree = new TreeNode(root, 0), node, nodes = [tree], child, children, i, n;
  while (node = nodes.pop()) {
    if (children = node._.children) {
      node.children = new Array(n = children.length);
      for (i = n - 1; i >= 0; --i) {
        nodes.push(child = node.children[i] = new TreeNode(children[i], i));
        child.parent = node;
      }
    }
  }
  (tree.parent = new TreeNode(null, 0)).children = [tree];
  return tree;
}
function tree_default() {
  var separation = defaultSeparation, dx = 1, dy = 1, nodeSize = null;
  function tree(root) {
    var t = treeRoot(root);
    t.eachAfter(firstWalk), t.parent.m = -t.z;
    t.eachBefore(secondWalk);
    if (nodeSize) root.eachBefore(sizeNode);
    else {
      var left = root, right = root, bottom = root;
      root.eachBefore(function(node) {
        if (node.x < left.x) left = node;
        if (node.x > right.x) right = node;
        if (node.depth > bottom.depth) bottom = node;
      });
      var s = left === right ? 1 : separation(left, right) / 2, tx = s - left.x, kx = dx / (right.x + s + tx), ky = dy / (bottom.depth || 1);
      root.eachBefore(function(node) {
        node.x = (node.x + tx) * kx;
        node.y = node.depth * ky;
      });
    }
    return root;
  }
  function firstWalk(v) {
    var children = v.children, siblings = v.parent.children, w = v.i ? siblings[v.i - 1] : null;
    if (children) {
      executeShifts(v);
      var midpoint = (children[0].z + children[children.length - 1].z) / 2;
      if (w) {
        v.z = w.z + separation(v._, w._);
        v.m = v.z - midpoint;
      } else {
        v.z = midpoint;
      }
    } else if (w) {
      v.z = w.z + separation(v._, w._);
    }
    v.parent.A = apportion(v, w, v.parent.A || siblings[0]);
  }
  function secondWalk(v) {
    v._.x = v.z + v.parent.m;
    v.m += v.parent.m;
  }
  function apportion(v, w, ancestor) {
    if (w) {
      var vip = v, vop = v, vim = w, vom = vip.parent.children[0], sip = vip.m, sop = vop.m, sim = vim.m, som = vom.m, shift;
      while (vim = nextRight(vim), vip = nextLeft(vip), vim && vip) {
        vom = nextLeft(vom);
        vop = nextRight(vop);
        vop.a = v;
        shift = vim.z + sim - vip.z - sip + separation(vim._, vip._);
        if (shift > 0) {
          moveSubtree(nextAncestor(vim, v, ancestor), v, shift);
          sip += shift;
          sop += shift;
        }
        sim += vim.m;
        sip += vip.m;
        som += vom.m;
        sop += vop.m;
      }
      if (vim && !nextRight(vop)) {
        vop.t = vim;
        vop.m += sim - sop;
      }
      if (vip && !nextLeft(vom)) {
        vom.t = vip;
        vom.m += sip - som;
        ancestor = v;
      }
    }
    return ancestor;
  }
  function sizeNode(node) {
    node.x *= dx;
    node.y = node.depth * dy;
  }
  tree.separation = function(x) {
    return arguments.length ? (separation = x, tree) : separation;
  };
  tree.size = function(x) {
    return arguments.length ? (nodeSize = false, dx = +x[0], dy = +x[1], tree) : nodeSize ? null : [dx, dy];
  };
  tree.nodeSize = function(x) {
    return arguments.length ? (nodeSize = true, dx = +x[0], dy = +x[1], tree) : nodeSize ? [dx, dy] : null;
  };
  return tree;
}

// tree.js
/*!
 * The layout is d3-hierarchy's, Copyright 2010-2021 Mike Bostock. Permission to use, copy, modify, and/or distribute this
 * software for any purpose with or without fee is hereby granted, provided that the above copyright notice and this
 * permission notice appear in all copies. THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES WITH
 * REGARD TO THIS SOFTWARE INCLUDING ALL IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS. IN NO EVENT SHALL THE AUTHOR BE
 * LIABLE FOR ANY SPECIAL, DIRECT, INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY DAMAGES WHATSOEVER RESULTING FROM LOSS OF USE,
 * DATA OR PROFITS, WHETHER IN AN ACTION OF CONTRACT, NEGLIGENCE OR OTHER TORTIOUS ACTION, ARISING OUT OF OR IN CONNECTION
 * WITH THE USE OR PERFORMANCE OF THIS SOFTWARE.
 */
var CHARACTER = 7.9;
var GAP_X = 28;
var VALUE = 58;
var LINE = 19;
var PAD = 9;
var GAP_Y = 9;
var MAX_LINES = 4;
var MAX_CHARS = 22;
var VISIBLE = (
  /** @type {Record<string, string>} */
  { "\n": "↵", "	": "⇥", "\r": "␍", " ": "·" }
);
function visible(text) {
  const out = [...text].map((c) => VISIBLE[c] ?? (new RegExp("\\p{C}", "u").test(c) ? `\\u{${c.codePointAt(0)?.toString(16)}}` : c)).join("");
  return [...out].length > MAX_CHARS ? `${[...out].slice(0, MAX_CHARS - 1).join("")}…` : out || "(empty)";
}
function lines2(node) {
  if (node.kind === "any") return ["*"];
  if (node.kind === "more") return node.text;
  if (node.kind === "start") return ["start of text"];
  if (node.kind === "gap") return [node.lo === node.hi ? `${node.lo} tokens` : `${node.lo}–${node.hi} tokens`];
  const shown = node.text.slice(0, node.text.length > MAX_LINES ? MAX_LINES - 1 : MAX_LINES).map(visible);
  const more = node.text.length > shown.length ? [`+ ${node.text.length - shown.length} more`] : [];
  return [...node.kind === "not" ? shown.map((s) => `not ${s}`) : shown, ...more];
}
var FOLD_FROM = 70;
var DRAWN = 45;
var BESIDE = 16;
function fold(nodes, opened = /* @__PURE__ */ new Map(), beside = /* @__PURE__ */ new Map()) {
  const children = /* @__PURE__ */ new Map();
  for (const n of nodes) children.set(n.parent, [...children.get(n.parent) ?? [], n]);
  const weight = /* @__PURE__ */ new Map(), size = /* @__PURE__ */ new Map();
  for (const n of [...nodes].reverse()) {
    const below = children.get(n.id) ?? [];
    weight.set(n.id, (n.end?.sum || n.end?.value || 0) + below.reduce((a, c) => a + (weight.get(c.id) ?? 0), 0));
    size.set(n.id, 1 + below.reduce((a, c) => a + (size.get(c.id) ?? 0), 0));
  }
  const large = nodes.length >= FOLD_FROM;
  const heavy = (n) => weight.get(n.id) ?? 0;
  const shown = (id) => {
    const all = children.get(id) ?? [];
    const most = beside.get(id) ?? BESIDE;
    return !large || all.length <= most ? all : [...all].sort((a, b) => heavy(b) - heavy(a)).slice(0, most);
  };
  const open = new Set(nodes.filter((n) => opened.get(n.id) ?? !large).map((n) => n.id));
  if (large) {
    let drawn = shown(0).length;
    const waiting = [...shown(0)];
    while (waiting.length) {
      waiting.sort((a, b) => heavy(b) - heavy(a));
      const next = (
        /** @type {PatternNode} */
        waiting.shift()
      );
      const more2 = shown(next.id);
      if (opened.get(next.id) === false || opened.get(next.id) === void 0 && drawn + more2.length > DRAWN) continue;
      open.add(next.id);
      drawn += more2.length;
      waiting.push(...more2);
    }
  }
  const sized = (list) => list.reduce((a, c) => a + (size.get(c.id) ?? 0), 0);
  const more = (parent, text) => (
    /** @type {PatternNode} */
    { id: -parent - 1, parent, kind: "more", ids: [], text: [text], lo: 0, hi: 0, imp: null, end: null, locked: false }
  );
  const out = [];
  const visit = (id) => {
    const all = children.get(id) ?? [];
    if (id !== 0 && !open.has(id)) {
      if (all.length) out.push(more(id, `◂ ${sized(all)}`));
      return;
    }
    const some = new Set(shown(id));
    for (const n of all) if (some.has(n)) {
      out.push(n);
      visit(n.id);
    }
    if (some.size < all.length) out.push(more(id, `+ ${all.length - some.size} beside`));
  };
  visit(0);
  return out;
}
var WIDE = /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\u{1f300}-\u{1faff}]/u;
var columns = (s) => [...s].reduce((n, c) => n + (WIDE.test(c) ? 2 : 1), 0);
function layout(nodes) {
  if (!nodes.length) return { placed: [], width: 0, height: 0 };
  const children = /* @__PURE__ */ new Map();
  for (const n of nodes) children.set(n.parent, [...children.get(n.parent) ?? [], n]);
  const root = hierarchy(
    /** @type {Item} */
    { node: null, id: 0 },
    (item) => (children.get(item.id) ?? []).map((node) => ({ node, id: node.id }))
  );
  const said = new Map(nodes.map((n) => [n.id, lines2(n)]));
  const height = (item) => (said.get(item.id)?.length ?? 1) * LINE + 2 * PAD - 6;
  const arranged = tree_default().nodeSize([1, 1]).separation((a, b) => {
    const [p, q] = [
      /** @type {Item} */
      a.data,
      /** @type {Item} */
      b.data
    ];
    return (height(p) + height(q)) / 2 + (a.parent === b.parent ? GAP_Y : 2 * GAP_Y);
  })(
    /** @type {any} */
    root
  );
  const widths = [];
  arranged.each((d) => {
    if (!d.data.node) return;
    const wide = Math.max(...(said.get(d.data.id) ?? []).map(columns)) * CHARACTER + 2 * PAD;
    widths[d.depth] = Math.max(widths[d.depth] ?? 34, wide);
  });
  const gaps = widths.map((_, depth) => arranged.descendants().some((d) => d.depth === depth && d.children && /** @type {any} */
  d.data.node?.end) ? VALUE : GAP_X);
  const deepest = arranged.descendants().some((d) => d.depth === widths.length - 1 && /** @type {any} */
  d.data.node?.end);
  const before = (depth) => widths.slice(1, depth).reduce((a, w, i) => a + w + gaps[i + 1], 0);
  const total = before(widths.length - 1) + widths[widths.length - 1] + (deepest ? VALUE - 8 : 0);
  const placed = [];
  arranged.each((d) => {
    const { node } = d.data;
    if (!node) return;
    const mine = said.get(node.id) ?? [];
    const width = Math.max(...mine.map(columns), 1) * CHARACTER + 2 * PAD;
    const right = total - before(d.depth);
    placed.push({ node, lines: mine, depth: d.depth, width, height: height(d.data), x: right - width, y: d.x - height(d.data) / 2 });
  });
  const top = Math.min(...placed.map((p) => p.y));
  for (const p of placed) p.y -= top;
  return { placed, width: total, height: Math.max(...placed.map((p) => p.y + p.height)) };
}

// n2g_graph.js
var LEAST = 0.9;
var SIDES = (
  /** @type {[Side, string][]} */
  [["left", "◂ more"], ["right", "more ▸"], ["top", "▴ more"], ["bottom", "▾ more"]]
);
function camera(graph, content, moved) {
  let at = { x: 0, y: 0, k: 1 };
  let whole = { width: 0, height: 0 };
  const stage = () => ({ width: graph.clientWidth || 640, height: graph.clientHeight || 420 });
  function move(next) {
    at = { ...at, ...next };
    content.setAttribute("transform", `translate(${at.x.toFixed(1)} ${at.y.toFixed(1)}) scale(${at.k.toFixed(4)})`);
    const { width, height } = stage();
    moved({ left: at.x < -2, right: at.x + whole.width * at.k > width + 2, top: at.y < -2, bottom: at.y + whole.height * at.k > height + 2 });
  }
  return {
    stage,
    by: (dx, dy) => move({ x: at.x + dx, y: at.y + dy }),
    /** Show the whole graph. @param {{ width: number, height: number }} plan @param {number} least the smallest scale; what then has no room is at the left */
    fit(plan, least) {
      whole = plan;
      const { width, height } = stage();
      const room = { w: width - 36, h: height - 76 };
      const k = clamp(Math.min(room.w / Math.max(plan.width, 1), room.h / Math.max(plan.height, 1)), least, 1.15);
      const x = plan.width * k > room.w ? width - 18 - plan.width * k : (width - plan.width * k) / 2;
      move({ k, x, y: plan.height * k > room.h ? 36 : (height - plan.height * k) / 2 + 8 });
    },
    /** @param {number} factor @param {{ x: number, y: number }} [around] */
    zoom(factor, around = { x: stage().width / 2, y: stage().height / 2 }) {
      const k = clamp(at.k * factor, 0.15, 3);
      move({ k, x: around.x - (around.x - at.x) * k / at.k, y: around.y - (around.y - at.y) * k / at.k });
    },
    /** @param {Placed} p */
    bringIntoView(p) {
      const { width, height } = stage();
      const [left, top] = [at.x + p.x * at.k, at.y + p.y * at.k];
      const [right, bottom] = [left + p.width * at.k, top + p.height * at.k];
      const x = left < 10 ? 10 - left : right > width - 10 ? width - 10 - right : 0;
      move({ x: at.x + x, y: at.y + (top < 30 ? 30 - top : bottom > height - 40 ? height - 40 - bottom : 0) });
    }
  };
}
function folding(state) {
  let plan = layout([]);
  const opened = /* @__PURE__ */ new Map();
  const beside = /* @__PURE__ */ new Map();
  const folded = (id) => plan.placed.some((p) => p.node.kind === "more" && p.node.id === -id - 1 && p.node.text[0].startsWith("◂"));
  function keep() {
    for (const { node } of plan.placed) if (node.kind !== "more" && !opened.has(node.id)) opened.set(node.id, !folded(node.id));
  }
  function reveal(id) {
    keep();
    const by = new Map(state.nodes.map((n) => [n.id, n]));
    for (let n = by.get(id); n; n = by.get(n.parent)) {
      const { parent, id: mine } = n;
      if (parent) opened.set(parent, true);
      if (!fold(state.nodes, opened, beside).some((m) => m.id === mine)) beside.set(parent, Infinity);
    }
  }
  const place2 = (id) => plan.placed.find((p) => p.node.id === id);
  function arrange() {
    plan = layout(fold(state.nodes, opened, beside));
    if (state.selected === null || place2(state.selected)) return;
    reveal(state.selected);
    plan = layout(fold(state.nodes, opened, beside));
  }
  function toggle(id) {
    const found = place2(id)?.node;
    if (!found) return false;
    keep();
    if (found.kind !== "more") opened.set(id, folded(id));
    else if (found.text[0].startsWith("◂")) opened.set(found.parent, true);
    else beside.set(found.parent, (beside.get(found.parent) ?? BESIDE) + 2 * BESIDE);
    return true;
  }
  return { plan: () => plan, folded, place: place2, arrange, toggle };
}
function pointer({ state, set, signal }, graph, look, toggle) {
  const idAt = (event) => {
    const id = closest(event, ".sl-node")?.dataset.id;
    return id === void 0 ? null : Number(id);
  };
  let drag = null;
  graph.addEventListener("pointerdown", (event) => {
    if (event.button === 0) drag = { x: event.clientX, y: event.clientY, moved: false };
  });
  window.addEventListener("pointermove", (event) => {
    if (!drag) return;
    const [dx, dy] = [event.clientX - drag.x, event.clientY - drag.y];
    if (!drag.moved && Math.hypot(dx, dy) < 4) return;
    drag = { x: event.clientX, y: event.clientY, moved: true };
    look.by(dx, dy);
  }, { signal });
  window.addEventListener("pointerup", (event) => {
    const was = drag;
    drag = null;
    if (!was || was.moved || !graph.contains(
      /** @type {Node} */
      event.target
    )) return;
    const id = idAt(event);
    if (id !== null && id < 0) toggle(id);
    else if (id !== state.selected) set({ selected: id });
  }, { signal });
  graph.addEventListener("dblclick", (event) => {
    const id = idAt(event);
    if (id !== null && id > 0) toggle(id);
  });
  graph.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const box = graph.getBoundingClientRect();
    look.zoom(Math.exp(-event.deltaY / 300), { x: event.clientX - box.left, y: event.clientY - box.top });
  }, { passive: false });
}
function canvas(ui) {
  const { state, set, atEnd } = ui;
  const content = svg("g");
  const graph = svg("svg", {
    class: "sl-graph",
    tabindex: "0",
    role: "tree",
    "aria-label": "Pattern graph. Arrow keys move between nodes, Enter folds and unfolds."
  }, content);
  const empty = h("div", { class: "sl-empty", hidden: true });
  const folds = folding(state);
  const beyond = SIDES.map(([, text]) => button(text, "There is more: show the whole graph (0)", () => fit(0.15)));
  beyond.forEach((node, i) => {
    node.classList.add("sl-beyond", `sl-beyond-${SIDES[i][0]}`);
    node.hidden = true;
  });
  const look = camera(graph, content, (more) => beyond.forEach((node, i) => {
    node.hidden = !more[SIDES[i][0]] || !state.nodes.length;
  }));
  const fit = (least = LEAST) => look.fit(folds.plan(), least);
  let shape2 = "";
  function draw(reason) {
    folds.arrange();
    const { placed, width: width2, height } = folds.plan(), nodes = state.nodes;
    const most = nodes.reduce((a, n) => Math.max(a, n.end?.value ?? 0), 1e-9);
    const wide = clamp((look.stage().width - 36) / Math.max(width2, 1), LEAST, 1.15);
    graph.style.height = `${clamp(Math.round(height * wide) + 90, 150, 480)}px`;
    content.replaceChildren(...placed.flatMap((p) => edge(p, folds.place(p.node.parent))), ...placed.map((p) => nodeBox(p, most, folds.folded(p.node.id))));
    empty.hidden = nodes.length > 0;
    graph.toggleAttribute("hidden", !nodes.length);
    empty.textContent = `No patterns. ${reason}`;
    mark2();
    if (shape2 !== `${width2} ${height}`) fit();
    shape2 = `${width2} ${height}`;
  }
  function mark2() {
    const chosen = state.selected, under = /* @__PURE__ */ new Set([chosen]);
    for (const n of state.nodes) if (chosen !== null && under.has(n.parent)) under.add(n.id);
    for (const node of content.querySelectorAll(".sl-node")) {
      const id = Number(
        /** @type {SVGElement} */
        node.dataset.id
      );
      node.setAttribute("aria-selected", String(id === chosen));
      node.classList.toggle("sl-below", under.has(id) && id !== chosen);
    }
  }
  const toggle = (id) => {
    if (folds.toggle(id)) draw("");
  };
  function walk2(key) {
    const drawn = folds.plan().placed.filter((p) => p.node.kind !== "more");
    const here = drawn.find((p) => p.node.id === state.selected);
    if (!here) return drawn.length ? set({ selected: drawn[0].node.id }) : void 0;
    const peers = drawn.filter((p) => p.depth === here.depth).sort((a, b) => a.y - b.y).map((p) => p.node.id);
    if (key === "ArrowLeft" && folds.folded(here.node.id)) toggle(here.node.id);
    const next = {
      ArrowLeft: folds.plan().placed.find((p) => p.node.parent === here.node.id && p.node.kind !== "more")?.node.id,
      ArrowRight: here.node.parent || void 0,
      ArrowUp: peers[peers.indexOf(here.node.id) - 1],
      ArrowDown: peers[peers.indexOf(here.node.id) + 1]
    }[key];
    if (next !== void 0) set({ selected: next });
    const place2 = folds.place(next);
    if (place2) look.bringIntoView(place2);
  }
  pointer(ui, graph, look, toggle);
  let width = 0;
  const watch = new ResizeObserver(() => {
    if (graph.clientWidth && graph.clientWidth !== width) {
      width = graph.clientWidth;
      fit();
    }
  });
  watch.observe(graph);
  atEnd(() => watch.disconnect());
  const box = h(
    "div",
    { class: "sl-stage" },
    graph,
    empty,
    ...beyond,
    h("span", { class: "sl-hint sl-left" }, "← earlier context"),
    h("span", { class: "sl-hint sl-right" }, "token the latent fires on"),
    h(
      "div",
      { class: "sl-zoom" },
      button("−", "Smaller (-)", () => look.zoom(0.8)),
      button("fit", "Show the whole graph (0)", () => fit(0.15)),
      button("+", "Larger (+)", () => look.zoom(1.25))
    )
  );
  return { box, draw, mark: mark2, fit, whole: () => fit(0.15), zoom: look.zoom, walk: walk2, toggle, picture: () => pictureOf(
    graph,
    content,
    folds.plan(),
    `${state.latent === null ? "Pattern graph" : `Latent ${state.latent}`}: values are activations; thick, the token it fires on; red, any token but these`
  ) };
}

// n2g_panels.js
var WHAT = { tok: "one of these tokens", not: "any token but these", any: "any token", gap: "a gap", start: "the start of the text", more: "" };
var KEYS = (
  /** @type {Quality[]} */
  ["precision", "recall", "f1"]
);
var percent = (v) => v === null || v === void 0 ? "–" : `${(100 * v).toFixed(1)} %`;
var change = (name, n, good) => h("span", { class: n === 0 ? "sl-muted" : n * good > 0 ? "sl-up" : "sl-down" }, `${name} ${n ? signed(n) : "±0"}`);
function scoreRow(name, score, kind = "") {
  const row = tableRow("td", [name, ...KEYS.map((k) => percent(score[k]))], (i) => {
    const range = i ? score[`${KEYS[i - 1]}_interval`] : null;
    return { title: range ? `95 %: ${percent(range[0])} to ${percent(range[1])}` : null };
  });
  row.setAttribute("class", kind);
  return row;
}
function intervals(now) {
  const all = KEYS.map((k) => now[`${k}_interval`]);
  if (!all.some((range) => range)) return [];
  const row = tableRow("td", ["95 %", ...all.map((range) => range?.map((v) => (100 * v).toFixed(0)).join("–") ?? "")], () => ({ class: "sl-muted" }));
  row.setAttribute("class", "sl-range");
  return [row];
}
function gains(was, now) {
  const points = KEYS.map((k) => was[k] === null || now[k] === null ? NaN : 100 * (now[k] - was[k]));
  const sign = (p) => p >= 0.05 ? "+" : p <= -0.05 ? "−" : "±";
  return tableRow("td", ["change", ...points.map((p) => Number.isNaN(p) ? "–" : `${sign(p)}${Math.abs(p).toFixed(1)}`)], (i) => {
    const p = points[i - 1];
    if (i === 0) return { class: "sl-muted" };
    return { class: `sl-delta ${Number.isNaN(p) ? "" : p > 0.05 ? "sl-up" : p < -0.05 ? "sl-down" : "sl-muted"}` };
  });
}
function scores({ state, ask }) {
  const node = h("section");
  const test = button(
    "Test score",
    "Score on the test documents. Ask once, at the end: who edits until it looks good has made it worthless",
    () => ask("final_score")
  );
  function draw() {
    const { score: now, before: was, final, done } = state;
    node.replaceChildren(h("h3", {}, now?.split ? `Score on the ${now.split} documents` : "Score"));
    if (!now) return node.append(note(state.score_reason));
    const last = final ? [scoreRow(final.done === done ? "test" : `test, at edit ${final.done}`, final, "sl-final")] : [];
    node.append(h(
      "table",
      { class: "sl-scores" },
      tableRow("th", ["", "precision", "recall", "F1"]),
      scoreRow("graph", now, "sl-now"),
      ...intervals(now),
      ...was && done ? [gains(was, now)] : [],
      ...Object.entries(state.baselines).map(([name, score]) => scoreRow(name, score)),
      ...last
    ));
    const within = now.tokens ? ` in ${count(now.tokens)} tokens of ${now.on}` : "";
    node.append(note(`${many(now.tp, "hit")}, ${many(now.fp, "false alarm")}, ${many(now.fn, "miss", "misses")}${within}`));
    if (final) node.append(note(`test: ${final.on}`));
    if (!state.read_only) node.append(test);
  }
  return { node, draw };
}
function details({ state, ask }, editing) {
  const node = h("section", { class: "sl-detail" });
  function draw() {
    const here = editing.node();
    node.replaceChildren();
    if (!here) return node.append(note(state.nodes.length ? "Select a node to see and change what it matches." : ""));
    node.append(h("h3", {}, `Node ${here.id}: ${WHAT[here.kind]}`));
    const rest = here.text.length - 60;
    if (here.text.length) node.append(h("div", { class: "sl-chips" }, ...editing.alternatives(here), rest > 0 ? `+ ${rest}` : null));
    const known = [];
    if (here.end) known.push(["predicted activation", here.end.value]);
    if (here.imp !== null) known.push(["matters (0 to 1)", here.imp]);
    const list = h("dl", { class: "sl-facts-list" });
    const fill2 = (rows) => list.append(...facts(rows.map(([a, b]) => [a, show(b)])).childNodes);
    fill2(known);
    node.append(list);
    if (!state.read_only && state.score) ask("facts", { node: here.id }, (found) => {
      if (node.contains(list)) fill2(found);
    });
  }
  return { node, draw };
}
function legend() {
  const key = (sign, means, says = "") => h("span", {}, h("i", { class: `sl-sign sl-sign-${sign}` }, says), means);
  return h("details", { class: "sl-key sl-small" }, h("summary", {}, "what the drawing means"), h(
    "div",
    {},
    key("value", "a pattern ends here: the activation that it predicts", "2.5"),
    key("shade", "the more orange, the more is predicted; before an end: the more the token matters to the model"),
    key("first", "thick: the token on which the latent fires, and where a pattern ends"),
    key("not", "red: any token but these"),
    key("any", "dashed: any token, a gap, or the start of the text"),
    key("more", "dotted: more nodes, folded away; a click opens them"),
    key("lock", "locked against edits", "🔒"),
    key("text", "· is a space, ↵ a new line, \\x9c a byte of a letter that the tokenizer cuts in pieces; + 4 more: and 4 more tokens", "·")
  ));
}
function history({ state, ask }) {
  const node = h("section");
  const muted = (text, more = "") => h("span", { class: `sl-muted${more}` }, text);
  const f1 = (value) => muted(value === null || value === void 0 ? "" : `F1 ${percent(value)}`);
  function jump(step, text) {
    const here = step === state.done;
    return state.read_only ? h("span", {}, text) : link(
      text,
      () => ask("go_to", { step }),
      { title: here ? "The graph is here" : "Go here", "aria-current": here ? "step" : null }
    );
  }
  function item(step, i) {
    const inEffect = i < state.done, { delta } = step;
    const made2 = h("li", { class: inEffect ? "" : "sl-undone" }, jump(i + 1, h("bdi", {}, step.text)), f1(step.f1));
    if (delta) made2.append(h("span", { class: "sl-small sl-changes" }, change("hits", delta.tp, 1), " ", change("false alarms", delta.fp, -1)));
    if (state.read_only || !inEffect) {
      if (step.note) made2.append(muted(step.note, " sl-small"));
      return made2;
    }
    const field = h("input", { class: "sl-input", type: "text", placeholder: "Why?", "aria-label": `Note on edit ${i + 1}`, maxlength: 500 });
    field.value = step.note;
    field.addEventListener("change", () => ask("annotate", { step: i, note: field.value }));
    made2.append(field);
    return made2;
  }
  function draw() {
    node.replaceChildren();
    if (!state.history.length) return;
    const first = h("li", {}, jump(0, "as it began"), muted(state.before ? `F1 ${percent(state.before.f1)}` : ""));
    node.append(h("h3", {}, "Edits"), h("ol", { class: "sl-history" }, first, ...state.history.map(item)));
  }
  return { node, draw };
}

// n2g_rows.js
var KINDS = (
  /** @type {[Kind, string][]} */
  [["hit", "Hits"], ["false_alarm", "False alarms"], ["miss", "Misses"]]
);
function composer(into, found, value, stage) {
  const n = found.tokens.length;
  let first = n - (value === 0 ? Math.min(n, found.length + 1) : found.length);
  let start = false;
  const wild = /* @__PURE__ */ new Set();
  function turn(i) {
    if (i < first) first = i;
    else if (!wild.delete(i)) wild.add(i);
    else if (i === first && i < n - 1) first += 1;
    if (first > 0) start = false;
  }
  function draw() {
    const buttons = found.tokens.map((token, i) => {
      const state = i < first ? "left out" : wild.has(i) ? "any token" : "this token";
      return step(
        `sl-${state.split(" ")[0]}`,
        state === "any token" ? "*" : chip(token.text),
        "Click: this token, any token, left out",
        { "aria-label": `${token.text}: ${state}` },
        () => turn(i)
      );
    });
    const anchor = step(
      "",
      "^ start",
      "Only at the start of the text",
      { "aria-pressed": String(start), hidden: !(found.whole && first === 0) },
      () => {
        start = !start;
      }
    );
    into.replaceChildren(
      h("span", { class: "sl-muted sl-small" }, value === 0 ? "silent on" : "fires on"),
      anchor,
      h("bdi", { dir: "ltr", class: "sl-steps" }, ...buttons)
    );
    const items = found.tokens.slice(first).map((token, i) => wild.has(first + i) ? "*" : token.id);
    stage("add_path", { items: [...start ? ["^"] : [], ...items], value });
  }
  function step(kind, text, title, more, does) {
    const node = h("button", { type: "button", class: `sl-step ${kind}`, title, ...more }, text);
    node.addEventListener("click", () => {
      does();
      draw();
    });
    return node;
  }
  into.hidden = false;
  draw();
}
function examples({ state, set, request, ask }, stage) {
  let kind = (
    /** @type {Kind} */
    "miss"
  );
  let seed = 0;
  let asked = 0;
  const list = h("div", { class: "sl-rows", role: "list" });
  const said = h("span", { class: "sl-muted sl-small" });
  const kinds = tabs("Examples", KINDS, (key) => {
    kind = key;
    seed = 0;
    load();
  });
  const other = button("other examples", "Draw other examples", () => {
    seed += 1;
    load();
  });
  const box = h("section", { class: "sl-examples" }, h("div", { class: "sl-bar" }, kinds.node, said, grow(), other), list);
  function load() {
    kinds.mark(kind);
    const mine = asked += 1;
    const node = kind === "miss" ? null : state.selected;
    request("rows", { kind, node, seed }).then((found) => {
      if (mine === asked) draw(found, node);
    }, (error) => {
      if (mine !== asked) return;
      list.replaceChildren();
      said.textContent = error.message;
    });
  }
  function draw(found, node) {
    const where = kind === "miss" ? "firings that no pattern matches" : node === null ? "all patterns" : `patterns through node ${node}`;
    said.textContent = `${count(found.total)} · ${where}`;
    const open = list.querySelector(".sl-compose:not([hidden])");
    const at = (
      /** @type {HTMLElement | undefined} */
      (open?.parentElement ?? void 0)?.dataset.at
    );
    list.replaceChildren(...found.rows.map((row) => line(row, found.high)));
    if (open) list.querySelector(`[data-at="${at}"] .sl-compose`)?.replaceWith(open);
    if (!found.rows.length) list.append(note("none"));
  }
  function line(row, high) {
    const text = h("bdi", { class: "sl-line", dir: "auto" }, ...tokens(row.text, row.values, { high }));
    text.querySelector(`[data-start="${row.centre}"]`)?.classList.add("sl-centre");
    const below = h("div", { class: "sl-compose", hidden: true });
    const said2 = show(kind === "false_alarm" ? row.predicted : row.value);
    const value = h("span", { class: "sl-act", title: `activation ${show(row.value)}, predicted ${show(row.predicted)}` }, said2);
    if (row.node) text.addEventListener("click", () => set({ selected: row.node }));
    return h(
      "div",
      { class: "sl-row", role: "listitem", "data-at": row.token_index },
      value,
      h("div", { class: "sl-sample" }, text),
      h("span", { class: "sl-todo" }, ...todo(row, below)),
      below
    );
  }
  function todo(row, below) {
    if (kind === "hit") return [];
    if (kind === "miss") return [button("add pattern …", "Add a path from this miss", () => compose(row, below, null))];
    const b = row.before;
    const exclude = b && b.id !== void 0 ? [
      button("not after", `Not where the token before the pattern is ${b.text}`, () => stage("exclude", { node: row.node, ids: [b.id] })),
      chip(b.text ?? "")
    ] : [h("span", { class: "sl-muted sl-small", title: b?.reason }, "no token before")];
    return [...exclude, button("exception …", "Add a longer path on which the latent does not fire", () => compose(row, below, 0))];
  }
  function compose(row, place2, value) {
    if (!place2.hidden) {
      place2.hidden = true;
      return;
    }
    ask("compose", { token_index: row.token_index }, (found) => {
      composer(list.querySelector(`[data-at="${row.token_index}"] .sl-compose`) ?? place2, found, value, stage);
    });
  }
  return { box, load };
}

// n2g_forms.js
function tokenList({ ask }, name, chosen, node) {
  const ids = /* @__PURE__ */ new Set();
  const list = h("div", { class: "sl-choices", role: "group", "aria-label": name });
  const search = h("input", { class: "sl-input", type: "search", placeholder: "find a token", "aria-label": "Find a token" });
  const line = (s) => {
    const tick = check("", (on) => {
      if (on) ids.add(s.token);
      else ids.delete(s.token);
      chosen([...ids]);
    }, { class: "sl-check sl-choice" });
    tick.input.checked = ids.has(s.token);
    tick.node.append(chip(s.text));
    if (s.tp !== void 0) tick.node.append(h("span", { class: "sl-muted sl-small" }, `${many(s.tp, "hit")}, ${many(s.fp ?? 0, "false alarm")}`));
    return tick.node;
  };
  const none = () => h("span", { class: "sl-muted sl-small" }, "none found in the train documents; search for one");
  const fill2 = (found) => {
    if (list.isConnected) list.replaceChildren(...found.length ? found.map(line) : [none()]);
  };
  const suggest = () => {
    if (node !== null) ask("suggest", { node }, fill2);
  };
  let timer = setTimeout(suggest, 0);
  search.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => search.value ? ask("tokens", { text: search.value }, fill2) : suggest(), 150);
  });
  return [h("h3", {}, name), search, list];
}
function amount(name, value, more, changed) {
  const input = numberField(name, { type: "number", inputmode: null, min: 0, ...more });
  input.value = value;
  input.addEventListener("input", changed);
  return input;
}
function forms(ui, stage, cancel) {
  const node = h("div", { class: "sl-form" });
  let open = "";
  let of = -1;
  function close() {
    [open, of] = ["", -1];
    node.replaceChildren();
  }
  function toggle(name, here, fill2) {
    const again = open === `${name} ${here.id}`;
    close();
    if (again) return;
    [open, of] = [`${name} ${here.id}`, here.id];
    node.append(...fill2().filter((part) => part !== null));
    focus();
  }
  const focus = () => (
    /** @type {HTMLElement | null} */
    node.querySelector("input, button")?.focus()
  );
  const chooser = (here, name, op, suggested) => toggle(name, here, () => tokenList(ui, name, (ids) => {
    if (ids.length) stage(op, { node: here.id, ids });
    else cancel();
  }, suggested ? here.id : null));
  const gap = (here) => toggle("gap", here, () => {
    const own = here.kind === "gap";
    const go = () => {
      if (lo.value !== "" && hi.value !== "") stage("gap", { node: here.id, lo: Number(lo.value), hi: Number(hi.value) });
    };
    const lo = amount("At least so many tokens", String(own ? here.lo : 0), { max: 64 }, go);
    const hi = amount("At most so many tokens", String(own ? here.hi : 4), { max: 64 }, go);
    const title = own || here.kind === "any" ? "Tokens that may stand here" : "Tokens that may stand after this one";
    return [
      h("h3", {}, title),
      h("div", { class: "sl-bar" }, lo, "to", hi, button("Show", "Preview the gap", go)),
      note("At most 0 takes a gap away.")
    ];
  });
  const value = (here) => toggle("value", here, () => {
    const go = () => {
      if (input.value !== "") stage("set_value", { node: here.id, value: Number(input.value) });
    };
    const input = amount("Predicted activation", here.end ? String(Number(here.end.value.toPrecision(4))) : "", { step: "any" }, go);
    const fit = here.end ? button("Fit", "The mean activation on the train documents", () => stage("refit", { node: here.id })) : null;
    return [
      h("h3", {}, "Predicted activation where a pattern ends here"),
      h("div", { class: "sl-bar" }, input, button("Show", "Preview this value", go), fit),
      note("0 makes an exception: the latent does not fire here.")
    ];
  });
  const verify = (here) => toggle("verify", here, () => {
    const says = h("p", { class: "sl-verdict" }, "asking the model …");
    ui.request("verify", { node: here.id }).then(({ sufficiency, low, high, mean }) => {
      const [share, least, most] = [sufficiency, low, high].map((v) => Math.round(100 * v));
      says.textContent = `Around these tokens everything random: fires on ${share} % of the prompts (95 %: ${least} to ${most}), mean activation ${show(mean)}.`;
    }, (error) => {
      says.textContent = error.message;
    });
    return [h("h3", {}, "The model's word"), says];
  });
  return { node, close, focus, of: () => of, chooser, gap, value, verify };
}

// n2g_pending.js
function effects({ before, after, delta }) {
  if (!delta) return [h("span", { class: "sl-muted" }, "not scored")];
  const measures = (
    /** @type {[Quality, string][]} */
    [["precision", "precision"], ["recall", "recall"], ["f1", "F1"]]
  );
  return [change("hits", delta.tp, 1), change("false alarms", delta.fp, -1), change("misses", delta.fn, -1), ...measures.map(([key, name]) => {
    const [a, b] = [before?.[key] ?? NaN, after?.[key] ?? NaN];
    const kind = !(Math.abs(a - b) >= 5e-5) ? "" : b > a ? "sl-up" : "sl-down";
    return h("span", {}, `${name} ${percent(before?.[key])} → `, h("b", { class: kind }, percent(after?.[key])));
  })];
}
function difference(patterns) {
  const kinds = (
    /** @type {[keyof typeof patterns, string][]} */
    [["removed", "−"], ["added", "+"], ["revalued", "≈"]]
  );
  return h("ul", { class: "sl-diff" }, ...kinds.flatMap(([kind, sign]) => patterns[kind].map((text) => h("li", { class: `sl-${kind}` }, h("span", { "aria-label": kind }, sign), " ", h("bdi", {}, text)))));
}
function staging({ request, ask, say }, applied) {
  const strip = h("div", { class: "sl-pending", role: "status", "aria-live": "polite", hidden: true });
  const note2 = h("input", {
    class: "sl-input",
    type: "text",
    placeholder: "Why? (a note, if you like)",
    "aria-label": "Note on this edit",
    maxlength: 500
  });
  const apply = button("Apply", "Make this edit (Enter)", commit);
  apply.classList.add("sl-primary");
  onEnter(note2, commit, cancel);
  let pending = null;
  let shown = null;
  function wait(on) {
    strip.setAttribute("aria-busy", String(on));
    apply.disabled = on;
  }
  function stage(op, args) {
    const mine = pending = { op, args };
    wait(!strip.hidden);
    request("preview", { op, args }).then((found) => {
      if (pending !== mine) return;
      shown = mine;
      draw(found);
      wait(false);
    }, (error) => {
      if (pending === mine) cancel();
      say(error.message);
    });
  }
  function cancel() {
    pending = shown = null;
    strip.hidden = true;
  }
  function commit() {
    if (!pending || pending !== shown) return;
    const edit = { ...pending, note: note2.value };
    cancel();
    applied();
    ask("apply", edit);
  }
  function draw(found) {
    const typing2 = document.activeElement === note2;
    if (strip.hidden) note2.value = "";
    strip.replaceChildren(
      h(
        "div",
        { class: "sl-bar" },
        h("span", { class: "sl-pending-text" }, "Preview: ", h("bdi", {}, found.text)),
        grow(),
        apply,
        button("Cancel", "Leave the graph as it is (Esc)", cancel)
      ),
      h("div", { class: "sl-bar sl-small" }, ...effects(found)),
      difference(found.patterns),
      note2
    );
    strip.hidden = false;
    if (typing2) note2.focus();
  }
  return { strip, stage, cancel, commit, pending: () => pending };
}

// n2g_tools.js
var named = (n) => n.kind === "tok" || n.kind === "not";
var place = (n) => named(n) || n.kind === "any";
var isEnd = (n) => n.end !== null;
function actionsOf(nodes, stage, form) {
  const anchored = (n) => nodes().some((m) => m.parent === n.id && m.kind === "start");
  return [
    {
      key: "Delete",
      label: "Delete",
      name: "Delete the node and what is to its left (Del)",
      fits: () => true,
      run: (n) => stage("delete", { node: n.id })
    },
    { key: "w", label: "Any token", name: "Any token may stand here (W)", fits: named, run: (n) => stage("wildcard", { node: n.id }) },
    {
      key: "s",
      label: "Only …",
      name: "Only these tokens may stand here (S)",
      fits: place,
      run: (n) => form.chooser(n, "Only these tokens", "specialise", true)
    },
    {
      key: "a",
      label: "Also …",
      name: "Further tokens may stand here (A)",
      fits: named,
      run: (n) => form.chooser(n, n.kind === "tok" ? "Also these tokens" : "Also not these tokens", "add_alternative", n.kind === "tok")
    },
    {
      key: "x",
      label: "Not after …",
      name: "Not where one of these tokens is before it (X)",
      fits: place,
      run: (n) => form.chooser(n, "Not after these tokens", "exclude", false)
    },
    {
      key: "g",
      label: "Gap …",
      name: "Tokens that may stand between (G)",
      fits: (n) => n.kind === "gap" || n.kind === "any" || n.parent !== 0,
      run: form.gap
    },
    {
      key: "^",
      label: "Start",
      name: "Only at the start of the text, or anywhere again (^)",
      fits: (n) => place(n) && (isEnd(n) || anchored(n)),
      run: (n) => stage("anchor_start", { node: n.id, on: !anchored(n) }),
      on: anchored
    },
    {
      key: "m",
      label: "End",
      name: "A pattern ends here: what is to the left is not needed; or no longer (M)",
      fits: (n) => place(n) || n.kind === "start",
      run: (n) => stage("mark", { node: n.id, on: !isEnd(n) }),
      on: isEnd
    },
    { key: "v", label: "Value …", name: "Predicted activation where a pattern ends here (V)", fits: isEnd, run: form.value },
    {
      key: "p",
      label: "Split",
      name: "A node of its own for each alternative (P)",
      fits: (n) => n.kind === "tok" && n.ids.length > 1,
      run: (n) => stage("split", { node: n.id, ids: null })
    },
    {
      key: "l",
      label: "Lock",
      name: "Protect the node from edits, or release it (L)",
      fits: () => true,
      run: (n) => stage("lock", { node: n.id, on: !n.locked }),
      on: (n) => n.locked
    },
    { key: "?", label: "Verify", name: "Ask the model whether this pattern alone makes the latent fire (?)", fits: isEnd, run: form.verify }
  ];
}
function tools(ui) {
  const { state } = ui;
  const node = () => state.nodes.find((n) => n.id === state.selected);
  const { strip, stage, cancel, commit, pending } = staging(ui, () => form.close());
  const form = forms(ui, stage, cancel);
  const actions = actionsOf(() => state.nodes, stage, form);
  const box = h("section", { class: "sl-tools" });
  const leaving = /* @__PURE__ */ new Set();
  let drawn = "", last = -1;
  function forKey(key) {
    const here = node();
    const action = actions.find((a) => a.key === (key === "Backspace" ? "Delete" : key.length === 1 ? key.toLowerCase() : key));
    return here && action?.fits(here) ? () => action.run(here) : void 0;
  }
  function draw() {
    const here = node();
    const key = JSON.stringify(here ?? null);
    if (key === drawn) return;
    const fresh = here && here.id !== last ? here.id : null;
    [drawn, last] = [key, here?.id ?? -1];
    leaving.clear();
    if (fresh === null || pending()?.args.node !== fresh) cancel();
    if (fresh === null || form.of() !== fresh) form.close();
    box.replaceChildren();
    if (!here) return;
    box.append(h("div", { class: "sl-actions", role: "toolbar", "aria-label": "Edit the node" }, ...actions.filter((a) => a.fits(here)).map((a) => {
      const made2 = button(a.label, a.name, () => a.run(here));
      if (a.on) made2.setAttribute("aria-pressed", String(a.on(here)));
      return made2;
    })), form.node);
    form.focus();
  }
  function alternatives(here) {
    return here.text.slice(0, 60).map((text, i) => {
      const made2 = chip(text), id = here.ids[i];
      if (state.read_only || here.ids.length < 2) return made2;
      const press = h("button", {
        type: "button",
        class: "sl-alternative",
        title: "Take away",
        "aria-pressed": String(leaving.has(id)),
        "aria-label": `Take away ${text}`
      }, made2);
      press.addEventListener("click", () => {
        if (!leaving.delete(id)) leaving.add(id);
        press.setAttribute("aria-pressed", String(leaving.has(id)));
        if (leaving.size) stage("remove_alternative", { node: here.id, ids: [...leaving] });
        else cancel();
      });
      return press;
    });
  }
  return {
    node,
    box,
    strip,
    draw,
    stage,
    cancel,
    commit,
    forKey,
    alternatives,
    waiting: () => pending() !== null,
    isOpen: () => form.of() !== -1,
    leave: () => {
      cancel();
      form.close();
    }
  };
}

// n2g_editor.js
function toolbar({ state, ask }, picture) {
  const undo = button("Undo", "Undo (Ctrl+Z)", () => ask("undo"));
  const redo = button("Redo", "Redo (Ctrl+Shift+Z)", () => ask("redo"));
  const file = (kind, type) => button(kind.toUpperCase(), `Save the graph as ${kind.toUpperCase()}`, () => ask("export", { kind }, (text) => save(new Blob([text], { type }), `latent-${state.latent ?? "graph"}.${kind}`)));
  const node = h("span", { class: "sl-bar sl-edit-bar" });
  if (!state.read_only) node.append(
    undo,
    redo,
    h("span", { class: "sl-muted sl-small" }, "save"),
    file("json", "application/json"),
    file("dot", "text/vnd.graphviz")
  );
  node.append(picture);
  const draw = () => {
    undo.disabled = state.done === 0;
    redo.disabled = state.done >= state.history.length;
  };
  return { node, draw };
}
function keyOf({ state, set, ask }, event, drawing, editing) {
  const within = (places) => (
    /** @type {Element} */
    event.target.closest(places) !== null
  );
  if (event.key === "Escape" && editing.isOpen()) return editing.leave;
  if (event.key === "Enter" && editing.waiting() && within(".sl-tools, .sl-todo, .sl-compose")) return editing.commit;
  if (typing(event)) return void 0;
  const command = event.ctrlKey || event.metaKey, key = event.key.toLowerCase();
  if (command && !state.read_only && key === "z" && !event.altKey) return () => ask(event.shiftKey ? "redo" : "undo");
  if (command && !state.read_only && key === "y") return () => ask("redo");
  if (command || event.altKey) return void 0;
  if (event.key === "Escape") return editing.waiting() ? editing.cancel : () => set({ selected: null });
  if (event.key === "Enter" && !onButton(event)) {
    return editing.waiting() ? editing.commit : () => {
      if (state.selected !== null) drawing.toggle(state.selected);
    };
  }
  if (event.key.startsWith("Arrow")) return () => drawing.walk(event.key);
  const closer = () => drawing.zoom(1.25);
  const look = (
    /** @type {Record<string, () => void>} */
    { "+": closer, "=": closer, "-": () => drawing.zoom(0.8), 0: drawing.whole }[event.key]
  );
  return look ?? (state.read_only ? void 0 : editing.forKey(event.key));
}
function build(ui) {
  const { state, view, on, soon, signal } = ui;
  const fixed = state.read_only;
  const drawing = canvas(ui), editing = tools(ui), rows = examples(ui, editing.stage);
  const bar = toolbar(ui, figureMenu(ui, () => `latent-${state.latent ?? "graph"}-graph`, drawing.picture));
  const score = scores(ui), about = details(ui, editing), steps = history(ui);
  const title = h("h2");
  onKeys(view, (event) => keyOf(ui, event, drawing, editing));
  const load = throttle(() => {
    rows.box.hidden = fixed || !state.score;
    if (!rows.box.hidden) rows.load();
  }, 60, signal);
  function draw() {
    title.textContent = state.latent === null ? "Patterns" : `Latent ${state.latent}`;
    drawing.draw(state.reason);
    for (const panel of [bar, score, editing, about, steps]) panel.draw();
    load();
  }
  soon(["nodes", "score", "before", "baselines", "history", "done", "final", "reason", "latent", "selected"], draw);
  on(["selected"], drawing.mark);
  view.append(h("div", { class: "sl-bar" }, title, grow(), bar.node), h(
    "div",
    { class: "sl-columns" },
    h("div", { class: "sl-main" }, drawing.box, legend(), ...fixed ? [] : [editing.strip, rows.box]),
    h("aside", {}, score.node, about.node, ...fixed ? [] : [editing.box], steps.node)
  ));
  rows.box.hidden = true;
  draw();
  drawing.fit();
}
var n2g_editor_default = widget("n2g", "Pattern graph editor", build);
export {
  n2g_editor_default as default
};
