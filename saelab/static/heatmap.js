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
var facts = (pairs, kind) => h("dl", { class: kind }, ...pairs.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
var inline = (pairs) => pairs.map(([name, value]) => h("span", {}, name && `${name} `, typeof value === "string" ? h("b", {}, value) : value));
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

// text.js
var MARKS = (
  /** @type {Record<string, string>} */
  { "\n": "↵", "\r": "␍", "	": "⇥", " ": "·", " ": "⍽" }
);
var APART = /([\n\r\t \u00a0]|(?:\\x[0-9a-f]{2})+)/;
var RTL = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]/;
var LETTER = /[A-Za-z\u00c0-\u02af\u0370-\u08ff\u0900-\u1fff\u3040-\ud7ff\ufb1d-\ufdff\ufe70-\ufefc]/;
function direction(text) {
  const said2 = typeof text === "string" ? text : groups(text).map((g) => text.special?.includes(g.start) ? "" : g.text).join("");
  return RTL.test(said2.replace(/<\|\w+\|>|\\x[0-9a-f]{2}/g, "").match(LETTER)?.[0] ?? "") ? "rtl" : "ltr";
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

// sequences.js
var HUES = 8;
var said = (value) => Number.isNaN(value) ? "NaN" : show(value);
var place = ({ latents: latents2, latent }) => Math.max(0, latents2.indexOf(latent ?? -1));
var tokensOn = ({ sequences: all }) => all.reduce((n, s) => n + s.ids.length, 0);
function strongest(state, text, offset) {
  const all = floats(state.values), total = tokensOn(state);
  const hue = new Uint8Array(text.ids.length), share = new Float32Array(text.ids.length);
  state.latents.forEach((_, k) => {
    for (let i = 0; i < share.length; i += 1) {
      const part = all[k * total + offset + i] / (state.maxima[k] || 1);
      if (part > share[i]) [share[i], hue[i]] = [part, k % HUES];
    }
  });
  const spans = tokens(text, share, { high: 1 });
  for (const span of spans) {
    let best = Number(span.dataset.start);
    for (let i = best; i < Number(span.dataset.stop); i += 1) if (share[i] > share[best]) best = i;
    if (share[best] > 0) span.style.setProperty("--sl-heat", `var(--sl-h${hue[best]})`);
  }
  return spans;
}
var ends = ({ dataset }) => (
  /** @type {[number, number]} */
  [Number(dataset.start), Number(dataset.stop)]
);
function sequences(ui, range) {
  const { state } = ui;
  const node = h("div", {
    class: "sl-sequences",
    role: "listbox",
    tabindex: "0",
    "aria-label": "Tokens. Arrow keys move, shift and arrow keys mark a span, Enter pins the facts of a token, Escape clears."
  });
  const status = h("div", { class: "sl-status sl-muted", "aria-live": "polite" });
  const grid = { node, rows: [], drawSelection, describe };
  function draw() {
    const all = floats(state.values), total = tokensOn(state), first = state.first;
    let offset = 0;
    grid.rows = state.sequences.map((text, i) => {
      const begin = place(state) * total + offset;
      const values = all.subarray(begin, begin + text.ids.length);
      const spans = state.together ? strongest(state, text, offset) : tokens(text, values, range());
      for (const span of spans) {
        span.setAttribute("role", "option");
        span.dataset.row = String(i);
      }
      const row = h(
        "div",
        { class: "sl-sequence" },
        h("div", { class: "sl-name", title: text.name ?? "" }, text.name || String(first + i)),
        h("div", {}, paragraph(text, spans))
      );
      offset += text.ids.length;
      return { row, spans, values, offset: offset - text.ids.length };
    });
    node.replaceChildren(...grid.rows.map((d) => d.row));
    node.classList.toggle("sl-single", state.n_sequences === 1);
    drawSelection();
  }
  function describe(row, position) {
    const text = state.sequences[row], { values, offset } = grid.rows[row];
    const percentile = floats(state.percentiles)[place(state) * tokensOn(state) + offset + position] ?? NaN;
    const pairs = [["token", chip(labelOf(text, position))], ["id", String(text.ids[position])], ["position", String(position)]];
    if (state.together) state.latents.forEach((latent, k) => {
      const value = floats(state.values)[k * tokensOn(state) + offset + position];
      if (value > 0 || Number.isNaN(value)) pairs.push([`latent ${latent}`, said(value)]);
    });
    else pairs.push(["activation", said(values[position])]);
    if (!state.together && !Number.isNaN(percentile)) pairs.push(["percentile", show(100 * percentile, 4)]);
    if (text.special?.includes(position)) pairs.push(["", "not counted: special token"]);
    return pairs;
  }
  function drawSelection() {
    const row = (state.selected_sequence ?? -1) - state.first;
    const token = state.selected_token, span = state.selected_span;
    grid.rows.forEach(({ spans }, i) => {
      for (const s of spans) {
        const [a, b] = ends(s);
        s.setAttribute("aria-selected", String(i === row && covers(s, token)));
        s.classList.toggle("sl-in-span", !!span && span[0] - state.first === i && a < span[2] && b > span[1]);
      }
    });
    status.replaceChildren();
    if (token !== null && token < (grid.rows[row]?.values.length ?? 0)) {
      status.append(...inline(describe(row, token)), ...span ? [h("span", {}, `span ${span[1]}–${span[2] - 1}`)] : []);
    } else status.append(span ? `span: tokens ${span[1]}–${span[2] - 1} of text ${span[0]}` : h("span", { class: "sl-live" }, "Click a token, or drag over several."));
  }
  pointer(ui, grid);
  keyboard(ui, grid);
  return { node, status, draw, drawSelection };
}
function pointer({ state, set, tip, signal }, grid) {
  let drag = null;
  grid.node.addEventListener("pointerdown", (event) => {
    const token = closest(event, ".sl-tok");
    if (!token || event.button !== 0) return;
    const [start, stop] = ends(token);
    drag = { row: Number(token.dataset.row), start, stop, from: token };
  });
  tokenTip(tip, grid.node, (token, i) => {
    const row = Number(token.dataset.row);
    if (!drag || row !== drag.row || token === drag.from) return grid.describe(row, i);
    const [a, b] = ends(token);
    for (const s of grid.rows[row].spans) {
      const [start, stop] = ends(s);
      s.classList.toggle("sl-in-span", start < Math.max(b, drag.stop) && stop > Math.min(a, drag.start));
    }
    return null;
  });
  window.addEventListener("pointerup", (event) => {
    if (!drag) return;
    const token = closest(event, ".sl-tok"), from = drag;
    drag = null;
    if (!token || !grid.node.contains(token) || Number(token.dataset.row) !== from.row) return grid.drawSelection();
    const [a, b] = ends(token);
    const [sequence, start] = [state.first + from.row, Math.min(from.start, a)];
    const span = token === from.from ? null : [sequence, start, Math.max(from.stop, b)];
    set({ selected_sequence: sequence, selected_token: start, selected_span: span });
  }, { signal });
}
var STEPS = (
  /** @type {Record<string, [number, number]>} */
  { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }
);
function keyboard({ state, set, tip }, grid) {
  const spanAt = (row, position) => grid.rows[row]?.spans.find((s) => covers(s, position));
  const chosen = () => (state.selected_sequence ?? -1) - state.first;
  const pin = () => {
    const token = state.selected_token;
    const span = token === null ? void 0 : spanAt(chosen(), token);
    if (span) tip.show(span, facts(grid.describe(chosen(), token ?? 0)));
  };
  function move(down, along, extend) {
    const all = state.sequences;
    if (!all.length) return;
    let row = chosen(), token = state.selected_token;
    if (!all[row] || token === null) [row, token] = [0, 0];
    else {
      const by = direction(all[row]) === "rtl" ? -along : along;
      row = extend ? row : clamp(row + down, 0, all.length - 1);
      const next = clamp(token + by, 0, all[row].ids.length - 1);
      if (extend) return mark2(state.first + row, token, next);
      token = next;
    }
    set({ selected_sequence: state.first + row, selected_token: token, selected_span: null });
    spanAt(row, token)?.scrollIntoView?.({ block: "nearest" });
  }
  function mark2(sequence, token, next) {
    const span = state.selected_span;
    const anchor = span && span[0] === sequence ? span[1] === token ? span[2] - 1 : span[1] : token;
    set({ selected_token: next, selected_span: [sequence, Math.min(anchor, next), Math.max(anchor, next) + 1] });
  }
  onKeys(grid.node, (event) => {
    if (event.key === "Enter") return pin;
    if (event.key === "Escape") return () => {
      tip.hide();
      set({ selected_sequence: null, selected_token: null, selected_span: null });
    };
    const step = STEPS[event.key];
    return step && alone(event) && (() => move(step[0], step[1], event.shiftKey && step[1] !== 0));
  });
}

// heatmap.js
function latents({ state, set, ask, say }, leave) {
  const chips = h("div", { class: "sl-latents", role: "group", "aria-label": "Latent" });
  const add = h("input", {
    class: "sl-input sl-add",
    type: "text",
    inputmode: "numeric",
    placeholder: "+ latent",
    "aria-label": "Show another latent",
    title: "Show another latent; press / to come here"
  });
  onEnter(add, () => {
    const latent = add.value.trim() ? latentIn(add, say) : null;
    if (latent !== null) ask("add", { latent }, () => {
      add.value = "";
    });
  }, leave);
  const drop = (latent) => {
    const node = button("×", `Take latent ${latent} away`, () => ask("remove", { latent }));
    node.classList.add("sl-drop");
    return node;
  };
  function draw() {
    const { together, can_ask: live, latents: all } = state;
    add.hidden = !live;
    chips.replaceChildren(...all.map((latent, i) => {
      const node = button("", `Show latent ${latent}`, () => set({ latent, together: false }));
      const token = state.tokens?.[i];
      if (together) node.append(h("i", { class: "sl-dot", "aria-hidden": "true", style: `background: var(--sl-h${i % HUES})` }));
      node.append(String(latent), ...token === void 0 && !state.names[i] ? [] : [" ", ...called(token, state.names[i])]);
      if (together) node.append(h("span", { class: "sl-muted" }, ` 0 – ${show(state.maxima[i])}`));
      node.setAttribute("aria-pressed", String(together || i === place(state)));
      return h("span", { class: "sl-latent" }, node, live && all.length > 1 ? drop(latent) : null);
    }));
    if (all.length < 2) return;
    const both = button(
      "all at once",
      "Colour each token by the latent that is strongest there, as a share of that latent's maximum",
      () => set({ together: !state.together })
    );
    both.classList.toggle("sl-on", together);
    chips.append(both);
  }
  return { chips, add, draw };
}
function pager({ state, ask }) {
  const node = h("div", { class: "sl-bar" });
  const to = (sign, name, page) => {
    const made2 = button(sign, name, () => ask("page", { page }));
    made2.disabled = page < 0 || page >= state.n_pages;
    return made2;
  };
  function draw() {
    const { page, first } = state;
    node.hidden = state.n_pages <= 1;
    node.replaceChildren(to("‹", "Previous page", page - 1), to("›", "Next page", page + 1), h(
      "span",
      { class: "sl-muted" },
      `texts ${count(first)}–${count(first + state.sequences.length - 1)} of ${count(state.n_sequences)}`
    ));
  }
  return { node, draw };
}
function firing({ state, request, ask, signal }) {
  const node = h("div", { class: "sl-found", hidden: true });
  const says = (text) => node.append(h("span", { class: "sl-muted" }, text));
  const soon = throttle(([sequence, start, stop]) => {
    node.replaceChildren();
    if (state.can_ask) request("span", { sequence, start, stop }).then(fill2, (error) => says(error.message));
  }, 250, signal);
  function fill2(rows) {
    says(rows.length ? "fire here and least elsewhere in this text:" : "No latent fires here.");
    for (const { latent, inside, outside, max, token, label } of rows) {
      const to = button(
        String(latent),
        `Latent ${latent}: fires on ${inside} tokens of the span and ${outside} others, at most ${show(max)}. Click to show it.`,
        () => ask("add", { latent })
      );
      const says2 = called(token, label);
      if (says2.length) to.append(" ", ...says2);
      node.append(to);
    }
  }
  function draw() {
    node.replaceChildren();
    node.hidden = !state.selected_span;
    if (state.selected_span) soon(state.selected_span);
  }
  return { node, draw };
}
function build(ui) {
  const { state, set, view, on, soon } = ui;
  const most = () => Math.max(state.maxima[place(state)] ?? 0, state.vmin ?? 0);
  const bar = scale(ui, most, "Keep this scale for every latent and page");
  const texts = sequences(ui, bar.range);
  const chosen = latents(ui, () => texts.node.focus());
  const pages = pager(ui), found = firing(ui);
  const spaces = check("spaces", (show_whitespace) => set({ show_whitespace }));
  const white = () => {
    texts.node.classList.toggle("sl-show-space", spaces.input.checked = state.show_whitespace);
  };
  const silent = h("p", { class: "sl-muted sl-silent" });
  const draw = () => {
    for (const part of [chosen, bar, texts, pages]) part.draw();
    bar.node.hidden = state.together;
    const none = state.latents.filter((latent, i) => !(state.maxima[i] > 0) && (state.together || latent === state.latent));
    silent.hidden = !none.length;
    silent.textContent = `${none.length > 1 ? "Latents" : "Latent"} ${none.join(", ")} ${none.length > 1 ? "fire" : "fires"} on no token of ${state.n_sequences > 1 ? "these texts" : "this text"}.`;
  };
  onKeys(view, (event) => event.key === "/" && alone(event) && !typing(event) && !chosen.add.hidden && (() => chosen.add.focus()));
  soon(["latent", "latents", "names", "sequences", "values", "percentiles", "maxima", "tokens", "together", "vmin", "vmax", "page", "n_pages"], draw);
  on(["selected_sequence", "selected_token", "selected_span"], texts.drawSelection);
  on(["selected_span"], found.draw);
  on(["can_ask"], chosen.draw);
  on(["show_whitespace"], white);
  view.append(
    h(
      "div",
      { class: "sl-bar" },
      h("span", { class: "sl-muted" }, "latent"),
      chosen.chips,
      chosen.add,
      grow(),
      spaces.node,
      bar.node,
      figureMenu(ui, () => `latent-${state.latent ?? ""}-heatmap`)
    ),
    silent,
    texts.node,
    pages.node,
    texts.status,
    found.node
  );
  draw();
  white();
  found.node.hidden = !state.selected_span;
}
var heatmap_default = widget("heatmap", "Activation heatmap", build);
export {
  heatmap_default as default
};
