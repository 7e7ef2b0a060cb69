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

// map_points.js
var STEPS = 10;
var GROUPS = 8;
var HIDDEN = 255;
function palette(columns, { kind, groups, dead, counted }) {
  const { n, count: count2, latent, rest } = columns;
  const bucket = new Uint8Array(n);
  const drawn = (i) => !Number.isNaN(rest[2 * i]) && (dead || count2[i] > 0);
  if (kind === "label") {
    const times = /* @__PURE__ */ new Map();
    for (let i = 0; i < n; i += 1) {
      const name = groups[latent[i]];
      if (name && drawn(i)) times.set(name, (times.get(name) ?? 0) + 1);
    }
    const names = [...times].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0])).slice(0, GROUPS).map(([name]) => name);
    const place = new Map(names.map((name, i) => [name, i + 1]));
    for (let i = 0; i < n; i += 1) bucket[i] = drawn(i) ? place.get(groups[latent[i]]) ?? (groups[latent[i]] ? GROUPS + 1 : 0) : HIDDEN;
    const legend2 = (
      /** @type {[string, number][]} */
      names.map((name, i) => [`${name} (${times.get(name)})`, i + 1])
    );
    if (times.size > names.length) legend2.push(["others", GROUPS + 1]);
    return { bucket, classes: Array.from({ length: GROUPS + 2 }, (_, i) => `sl-group-${i}`), legend: legend2.length ? legend2 : [["no latent has a label yet", 0]] };
  }
  const value = (i) => kind === "max" ? columns.max[i] : count2[i] ? Math.log10(count2[i]) : NaN;
  let low = Infinity, high = -Infinity;
  for (let i = 0; i < n; i += 1) {
    const v = value(i);
    if (!drawn(i) || !(count2[i] > 0)) continue;
    if (v < low) low = v;
    if (v > high) high = v;
  }
  for (let i = 0; i < n; i += 1) {
    if (!drawn(i)) bucket[i] = HIDDEN;
    else bucket[i] = count2[i] ? 1 + Math.min(STEPS - 1, Math.floor(STEPS * (value(i) - low) / (high - low || 1))) : 0;
  }
  const text = (v) => kind === "max" ? String(Number(v.toPrecision(3))) : `${Number((100 * 10 ** v / Math.max(1, counted)).toPrecision(2))} %`;
  const legend = (
    /** @type {[string, number][]} */
    high < low ? [] : high === low ? [[text(low), STEPS]] : [[text(low), 1], [text((low + high) / 2), Math.ceil(STEPS / 2)], [text(high), STEPS]]
  );
  if (dead) legend.unshift(["never fires", 0]);
  return { bucket, classes: Array.from({ length: STEPS + 1 }, (_, i) => `sl-step-${i}`), legend };
}
function paint(inside, name) {
  const probe = document.createElement("span");
  probe.className = name;
  inside.append(probe);
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour;
}
function toScreen(camera, x, y) {
  const k = Math.min(camera.width, camera.height) / 2 * 0.94 * camera.zoom;
  return [camera.width / 2 + (x - camera.x) * k, camera.height / 2 - (y - camera.y) * k];
}
function nearest(columns, bucket, camera, pixel, most) {
  let best = -1, least = most * most;
  for (let i = 0; i < columns.n; i += 1) {
    if (bucket[i] === HIDDEN) continue;
    const [x, y] = toScreen(camera, columns.rest[2 * i], columns.rest[2 * i + 1]);
    const d = (x - pixel[0]) ** 2 + (y - pixel[1]) ** 2;
    if (d <= least) {
      least = d;
      best = i;
    }
  }
  return best;
}
function within(columns, bucket, camera, polygon) {
  const out = [];
  for (let i = 0; i < columns.n; i += 1) {
    if (bucket[i] === HIDDEN) continue;
    const [x, y] = toScreen(camera, columns.rest[2 * i], columns.rest[2 * i + 1]);
    let inside = false;
    for (let a = 0, b = polygon.length - 1; a < polygon.length; b = a, a += 1) {
      const [[ax, ay], [bx, by]] = [polygon[a], polygon[b]];
      if (ay > y !== by > y && x < (bx - ax) * (y - ay) / (by - ay) + ax) inside = !inside;
    }
    if (inside) out.push(columns.latent[i]);
  }
  return out;
}
function draw(canvas, camera, { columns, bucket, colours, picked, current, lasso, ink, accent }) {
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
    pen.globalAlpha = picked.size ? 0.35 : quiet ? 0.6 : 0.9;
    const r = quiet ? size * 0.8 : size;
    pen.beginPath();
    for (const i of places) {
      const [x, y] = toScreen(camera, columns.rest[2 * i], columns.rest[2 * i + 1]);
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
  if (picked.size) {
    of.forEach((places, b) => {
      pen.fillStyle = colours[b];
      pen.strokeStyle = ink;
      pen.lineWidth = 1;
      for (const i of places) {
        if (!picked.has(columns.latent[i])) continue;
        const [x, y] = toScreen(camera, columns.rest[2 * i], columns.rest[2 * i + 1]);
        pen.beginPath();
        pen.arc(x, y, size + 0.8, 0, 7);
        pen.fill();
        pen.stroke();
      }
    });
  }
  if (current >= 0 && !Number.isNaN(columns.rest[2 * current])) {
    const [x, y] = toScreen(camera, columns.rest[2 * current], columns.rest[2 * current + 1]);
    pen.strokeStyle = accent;
    pen.lineWidth = 2.5;
    pen.beginPath();
    pen.arc(x, y, size + 4.5, 0, 7);
    pen.stroke();
  }
  if (lasso.length > 1) {
    pen.strokeStyle = accent;
    pen.lineWidth = 1.5;
    pen.setLineDash([4, 3]);
    pen.beginPath();
    lasso.forEach(([x, y], i) => i ? pen.lineTo(x, y) : pen.moveTo(x, y));
    pen.closePath();
    pen.stroke();
    pen.setLineDash([]);
  }
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
function figureMenu(view, name, say, draw2 = () => toSvg(view)) {
  const menu = h("details", { class: "sl-figure" }, h("summary", { class: "sl-button", title: "Take what is shown as a figure" }, "figure"));
  const item = (label, title, action) => button(label, title, () => {
    menu.open = false;
    Promise.resolve().then(action).catch((e) => say(e.message));
  });
  menu.append(h(
    "div",
    { class: "sl-menu" },
    item("save SVG", "Save as an SVG file, to be edited or printed", () => save(new Blob([svgText(draw2())], { type: "image/svg+xml" }), `${name()}.svg`)),
    item("save PNG", "Save as a picture with twice the screen's resolution", async () => save(await toPng(draw2()), `${name()}.png`)),
    item("copy PNG", "Copy as a picture", async () => {
      const picture = toPng(draw2());
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

// map.js
var HEIGHT = 430;
function render({ model, el, signal }) {
  const abort = new AbortController();
  signal?.addEventListener("abort", () => abort.abort());
  const request = requests(model, abort.signal);
  const view = root("map", "Map of latents");
  const alert = alertBox(model);
  const tip = tooltip(view, abort.signal);
  const canvas = h("canvas", { class: "sl-canvas", role: "img" });
  const pin = h("span", { class: "sl-pin", "aria-hidden": "true" });
  const stage = h("div", {
    class: "sl-stage",
    tabindex: "0",
    role: "application",
    "aria-label": "Map of latents. Arrow keys go to the next point, Enter picks it, plus and minus zoom, 0 shows all, Escape clears."
  }, canvas, pin);
  const legend = h("div", { class: "sl-legend sl-small" });
  const status = h("div", { class: "sl-status sl-muted", "aria-live": "polite" });
  const box = h("input", { class: "sl-input sl-find", type: "text", placeholder: "latent or label", "aria-label": "Go to a latent, by number or label", title: "Go to a latent; press / to come here" });
  const colour = h(
    "select",
    { class: "sl-input sl-colour", "aria-label": "Colour" },
    h("option", { value: "density" }, "density"),
    h("option", { value: "max" }, "largest activation"),
    h("option", { value: "label" }, Object.keys(model.get("groups")).length ? "group" : "label")
  );
  const dead = h("input", { type: "checkbox" });
  let columns = null;
  let placeOf = new Int32Array(0);
  let bucket = new Uint8Array(0);
  let colours = [];
  const camera = { x: 0, y: 0, zoom: 1, width: 600, height: HEIGHT };
  let lasso = [];
  function set(changes) {
    for (const [key, value] of Object.entries(changes)) model.set(
      /** @type {any} */
      key,
      value
    );
    model.save_changes();
  }
  function recolour() {
    if (!columns) return;
    const kind = model.get("colour");
    const groups = Object.keys(model.get("groups")).length ? model.get("groups") : model.get("labels");
    const made2 = palette(columns, { kind, groups, dead: model.get("show_dead"), counted: model.get("counted") });
    bucket = made2.bucket;
    colours = made2.classes.map((css) => paint(view, css));
    legend.replaceChildren(...made2.legend.map(([name, place]) => {
      const dot = h("span", { class: "sl-dot" });
      dot.style.background = colours[place];
      return h("span", { class: "sl-key" }, dot, h("bdi", {}, name));
    }));
    redraw();
  }
  let asked = false;
  function redraw() {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      if (abort.signal.aborted || !columns) return;
      const place = placeOf[model.get("latent")] ?? -1;
      draw(canvas, camera, { columns, bucket, colours, picked: new Set(model.get("selected")), current: place, lasso, ink: paint(view, "sl-ink"), accent: paint(view, "sl-accent") });
    });
  }
  function resize() {
    camera.width = Math.max(200, stage.clientWidth || 600);
    const scale = window.devicePixelRatio || 1;
    [canvas.width, canvas.height] = [Math.round(camera.width * scale), Math.round(HEIGHT * scale)];
    canvas.style.width = `${camera.width}px`;
    canvas.style.height = `${HEIGHT}px`;
    redraw();
  }
  const at = (event) => {
    const b = canvas.getBoundingClientRect();
    return [event.clientX - b.left, event.clientY - b.top];
  };
  function about(place) {
    if (!columns) return [];
    const latent = columns.latent[place];
    const pairs = [["latent", String(latent)]];
    const token = topToken(columns, place);
    if (token) pairs.push(["strongest on", token]);
    pairs.push(["density", columns.count[place] ? `${show(100 * columns.count[place] / Math.max(1, model.get("counted")))} %` : "never fires"]);
    const label = model.get("labels")[latent], group = model.get("groups")[latent];
    if (label) pairs.push(["label", h("bdi", {}, label)]);
    if (group) pairs.push(["group", h("bdi", {}, group)]);
    return pairs;
  }
  function drawStatus() {
    const place = placeOf[model.get("latent")] ?? -1;
    const n = model.get("selected").length;
    status.replaceChildren();
    if (place >= 0) for (const [name, value] of about(place)) status.append(h("span", {}, `${name} `, typeof value === "string" ? h("b", {}, value) : value));
    status.append(h("span", { class: "sl-grow" }), h("span", {}, n ? `${count(n)} in the lasso` : "drag a lasso around points"));
    if (n) status.append(button("clear", "Empty the lasso", () => set({ selected: [] })));
    canvas.setAttribute("aria-label", `${count(model.get("d_sae"))} latents as points, ${model.get("about")}; ${count(n)} selected`);
  }
  let drag = null;
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button > 1) return;
    drag = { from: at(event), pan: mode === "move" || event.button === 1 || event.altKey, add: event.shiftKey, camera: { ...camera } };
    lasso = [drag.from];
    canvas.setPointerCapture?.(event.pointerId);
    tip.hide();
    stage.focus({ preventScroll: true });
    event.preventDefault();
  });
  canvas.addEventListener("pointermove", (event) => {
    const here = at(event);
    if (drag?.pan) {
      const k = 2 / (Math.min(camera.width, camera.height) * camera.zoom);
      camera.x = drag.camera.x - (here[0] - drag.from[0]) * k;
      camera.y = drag.camera.y + (here[1] - drag.from[1]) * k;
      return redraw();
    }
    if (drag) {
      const last = lasso[lasso.length - 1];
      if (Math.hypot(here[0] - last[0], here[1] - last[1]) > 3) lasso.push(here);
      return redraw();
    }
    const place = columns ? nearest(columns, bucket, camera, here, 9) : -1;
    canvas.classList.toggle("sl-over", place >= 0);
    if (place < 0) return tip.hide();
    pin.style.transform = `translate(${here[0]}px, ${here[1]}px)`;
    tip.show(pin, facts(about(place)));
  });
  canvas.addEventListener("pointerleave", () => tip.hide());
  canvas.addEventListener("pointerup", (event) => {
    if (!drag || !columns) return;
    const { pan, add } = drag, moved = lasso.length > 2;
    drag = null;
    if (!pan && moved) {
      const inside = within(columns, bucket, camera, lasso);
      set({ selected: add ? [.../* @__PURE__ */ new Set([...model.get("selected"), ...inside])] : inside });
    } else if (!pan) {
      const place = nearest(columns, bucket, camera, at(event), 12);
      if (place >= 0) {
        const latent = columns.latent[place];
        if (event.shiftKey || event.ctrlKey || event.metaKey) toggle(latent);
        else set({ latent });
      }
    }
    lasso = [];
    redraw();
  });
  canvas.addEventListener("pointercancel", () => {
    drag = null;
    lasso = [];
    redraw();
  });
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    zoom(Math.exp(-event.deltaY / 200), at(event));
  }, { passive: false });
  function zoom(by, [px, py] = [camera.width / 2, camera.height / 2]) {
    const size2 = Math.min(camera.width, camera.height) / 2;
    const [dx, dy] = [(px - camera.width / 2) / size2, (camera.height / 2 - py) / size2];
    const next = clamp(camera.zoom * by, 0.5, 400);
    camera.x += dx / camera.zoom - dx / next;
    camera.y += dy / camera.zoom - dy / next;
    camera.zoom = next;
    redraw();
  }
  function whole() {
    [camera.x, camera.y, camera.zoom] = [0, 0, 1];
    redraw();
  }
  function toggle(latent) {
    const picked = model.get("selected");
    set({ selected: picked.includes(latent) ? picked.filter((x) => x !== latent) : [...picked, latent] });
  }
  function walk(dx, dy) {
    if (!columns) return;
    const here = placeOf[model.get("latent")] ?? -1, xy = columns.rest;
    const [x, y] = here >= 0 && !Number.isNaN(xy[2 * here]) ? [xy[2 * here], xy[2 * here + 1]] : [0, 0];
    let best = -1, least = Infinity;
    for (let i = 0; i < columns.n; i += 1) {
      if (bucket[i] === 255 || i === here) continue;
      const [a, b] = [xy[2 * i] - x, xy[2 * i + 1] - y];
      const along = a * dx + b * dy, across = Math.abs(a * dy) + Math.abs(b * dx);
      if (!(along > 0) || across > along) continue;
      const far = along + across;
      if (far < least) {
        least = far;
        best = i;
      }
    }
    if (best >= 0) set({ latent: columns.latent[best] });
  }
  function find() {
    const text = box.value.trim();
    const number = Number(text);
    const named = Object.entries(model.get("labels")).find(([, name]) => name.toLowerCase().includes(text.toLowerCase()));
    if (text === "") return;
    if (Number.isInteger(number) && number >= 0 && number < model.get("d_sae")) set({ latent: number });
    else if (named) set({ latent: Number(named[0]) });
    else return alert.say(`No latent has the number or label ${text}.`);
    alert.say("");
    stage.focus();
  }
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter") find();
    if (event.key === "Escape") stage.focus();
  });
  view.addEventListener("keydown", (event) => {
    if (typing(event)) return event.stopPropagation();
    if (event.ctrlKey || event.metaKey || event.altKey || /** @type {HTMLElement} */
    event.target.tagName === "BUTTON" && event.key !== "/") return;
    const actions = (
      /** @type {Record<string, () => void>} */
      {
        ArrowRight: () => walk(1, 0),
        ArrowLeft: () => walk(-1, 0),
        ArrowUp: () => walk(0, 1),
        ArrowDown: () => walk(0, -1),
        Enter: () => toggle(model.get("latent")),
        " ": () => toggle(model.get("latent")),
        "+": () => zoom(1.4),
        "=": () => zoom(1.4),
        "-": () => zoom(1 / 1.4),
        0: whole,
        Escape: () => {
          tip.hide();
          set({ selected: [] });
        },
        "/": () => {
          box.focus();
          box.select();
        }
      }
    );
    if (!actions[event.key]) return;
    event.preventDefault();
    event.stopPropagation();
    actions[event.key]();
  });
  let mode = "lasso";
  const tools = h("div", { class: "sl-tabs", role: "group", "aria-label": "What dragging does" }, ...["lasso", "move"].map((name) => {
    const node = h("button", { type: "button", "aria-selected": String(name === mode), "aria-pressed": String(name === mode) }, name);
    node.addEventListener("click", () => {
      mode = name;
      for (const other of tools.children) for (const key of ["aria-selected", "aria-pressed"]) other.setAttribute(key, String(other === node));
      canvas.classList.toggle("sl-moving", mode === "move");
    });
    return node;
  }));
  colour.addEventListener("change", () => set({ colour: (
    /** @type {State["colour"]} */
    colour.value
  ) }));
  dead.addEventListener("change", () => set({ show_dead: dead.checked }));
  function drawControls() {
    colour.value = model.get("colour");
    dead.checked = model.get("show_dead");
  }
  for (
    const key of
    /** @type {const} */
    ["colour", "labels", "groups", "show_dead"]
  ) model.on(`change:${key}`, () => {
    drawControls();
    recolour();
    drawStatus();
  });
  for (
    const key of
    /** @type {const} */
    ["latent", "selected"]
  ) model.on(`change:${key}`, () => {
    redraw();
    drawStatus();
  });
  view.append(
    alert.box,
    h(
      "div",
      { class: "sl-bar" },
      box,
      h("label", { class: "sl-small sl-by" }, "colour by", colour),
      h("label", { class: "sl-check sl-small" }, dead, "dead too"),
      h("span", { class: "sl-grow" }),
      tools,
      button("−", "Zoom out (−)", () => zoom(1 / 1.4)),
      button("+", "Zoom in (+, or Ctrl and wheel)", () => zoom(1.4)),
      button("all", "Show all (0)", whole),
      figureMenu(view, () => "latent-map", alert.say)
    ),
    stage,
    h("div", { class: "sl-bar sl-under" }, legend, h("span", { class: "sl-grow" }), h("span", { class: "sl-muted sl-small" }, model.get("about"))),
    status
  );
  el.append(view);
  const size = new ResizeObserver(resize);
  size.observe(stage);
  const theme = new MutationObserver(recolour);
  for (const node of [document.body, document.documentElement]) theme.observe(node, { attributes: true, attributeFilter: ["data-jp-theme-light", "data-theme", "class"] });
  abort.signal.addEventListener("abort", () => {
    size.disconnect();
    theme.disconnect();
  });
  drawControls();
  status.textContent = "loading…";
  load(model, request, 2).then((c) => {
    columns = c;
    placeOf = new Int32Array(model.get("d_sae")).fill(-1);
    c.latent.forEach((latent, i) => {
      placeOf[latent] = i;
    });
    resize();
    recolour();
    drawStatus();
  }).catch((e) => alert.say(e.message));
  return () => abort.abort();
}
var map_default = { render };
export {
  map_default as default
};
