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

// effects.js
var NAMES = (
  /** @type {Record<Measure, string>} */
  { loss_diff: "loss difference", kl: "KL", activation: "activation" }
);
var NOTES = (
  /** @type {Record<Measure, string>} */
  {
    loss_diff: "Loss without the latent minus loss with it, in nats, about the token after each one. A + means that the latent helps to predict it, a − that it harms.",
    kl: "Divergence in nats of the prediction without the latent from the one with it, KL(with ‖ without), about the token after each one.",
    activation: "How strongly the latent fires at each token."
  }
);
function signed(value) {
  const text = show(value);
  return value !== null && value !== void 0 && value > 0 ? `+${text}` : text;
}
function effectsPicture(get, set) {
  const size = () => get("text").ids?.length ?? 0;
  const numbers = (name) => floats(get("numbers")[get("direct") && name === "kl" ? "direct_kl" : name]);
  function voted(way, position) {
    const key = get("direct") ? `direct_${way}` : way;
    const names = get("votes")[key]?.[position] ?? [];
    const all = floats(get("weights")[key]);
    const width = all.length / Math.max(1, size());
    return names.map((name, i) => [name, all[position * width + i]]);
  }
  const tabs = h("span", { class: "sl-tabs", role: "tablist", "aria-label": "What colours the text" });
  const direct = h("input", { type: "checkbox" });
  direct.addEventListener("change", () => set({ direct: direct.checked }));
  const directBox = h("label", { class: "sl-check", title: "Only what the latent's own write changes in the last layer's residual stream" }, direct, "direct effect");
  const white = h("input", { type: "checkbox" });
  white.addEventListener("change", () => set({ show_whitespace: white.checked }));
  const whiteBox = h("label", { class: "sl-check" }, white, "white space");
  const ramp = h("span", { class: "sl-scale" });
  const note = h("p", { class: "sl-muted sl-small sl-note" });
  function drawHead() {
    directBox.hidden = !get("has_direct");
    direct.checked = get("direct");
    white.checked = get("show_whitespace");
    tabs.replaceChildren(...Object.entries(NAMES).map(([key, name]) => {
      const tab = h("button", { type: "button", role: "tab", "aria-selected": String(get("measure") === key) }, name);
      tab.addEventListener("click", () => set({ measure: (
        /** @type {Measure} */
        key
      ), vmax: null }));
      return tab;
    }));
    note.textContent = NOTES[get("measure")] + (get("edited").length ? " Dotted: where it fires and was set to 0." : " It fires nowhere in this text.");
  }
  const strip = h("div", { class: "sl-strip", role: "listbox", tabindex: "0", "aria-label": "Text; arrow keys move" });
  let spans = [];
  function drawText() {
    const text = get("text");
    const measure = get("measure");
    const values = numbers(measure);
    let largest = 0;
    for (const v of values) if (Number.isFinite(v)) largest = Math.max(largest, Math.abs(v));
    const high = get("vmax") ?? largest;
    const edited = new Set(get("edited"));
    spans = tokens(text, [], { high: 1 });
    for (const span of spans) {
      let value = 0;
      for (let i = Number(span.dataset.start); i < Number(span.dataset.stop); i += 1) {
        if (Number.isFinite(values[i]) && Math.abs(values[i]) > Math.abs(value)) value = values[i];
        if (edited.has(i)) span.classList.add("sl-edited");
      }
      const a = shade(Math.abs(value), 0, high);
      if (a > 0) {
        span.style.setProperty("--a", a.toFixed(3));
        span.classList.add(value > 0 ? "sl-hot" : "sl-less");
      }
      span.setAttribute("role", "option");
      span.title = `${NAMES[measure]} ${measure === "loss_diff" ? signed(value) : show(value)}`;
    }
    const body2 = h("bdi", { class: "sl-text", dir: direction(text.text.join("")) }, ...spans);
    body2.classList.toggle("sl-show-space", get("show_whitespace"));
    strip.replaceChildren(body2);
    const both = measure === "loss_diff";
    ramp.replaceChildren(h("span", {}, both ? signed(-high) : "0"), h("span", { class: `sl-ramp${both ? " sl-both" : ""}` }), h("span", {}, both ? signed(high) : show(high)));
    drawSelection();
  }
  const detail = h("section", { class: "sl-detail", "aria-live": "polite" });
  function votes(way, position) {
    const rows = voted(way, position);
    const high = Math.max(...voted("up", position).map(([, v]) => Math.abs(v)), ...voted("down", position).map(([, v]) => Math.abs(v)), 1e-9);
    return h(
      "div",
      { class: `sl-voted sl-${way}` },
      h("h3", {}, way === "up" ? "the latent votes up (+)" : "the latent votes down (−)"),
      ...rows.map(([name, value]) => {
        const bar = h("i", {});
        bar.style.width = `${100 * Math.abs(value) / high}%`;
        return h("div", { class: "sl-vote" }, chip(name), h("output", {}, signed(value)), h("span", {}, bar));
      }),
      rows.length ? null : h("span", { class: "sl-muted" }, "nothing")
    );
  }
  function drawSelection() {
    const at = get("selected_token");
    for (const s of spans) s.setAttribute("aria-selected", String(at !== null && Number(s.dataset.start) <= at && at < Number(s.dataset.stop)));
    for (const row of lines2()) row.setAttribute("aria-selected", String(Number(row.dataset.at) === at));
    detail.hidden = at === null;
    if (at === null || at >= size()) return;
    const next = get("following")[at];
    const [loss, change] = [numbers("loss")[at], numbers("loss_diff")[at]];
    const pairs = [
      ["position", String(at)],
      ["token", chip(labelOf(get("text"), at))],
      ["next", next === null ? "(end)" : chip(next)],
      ["activation", show(numbers("activation")[at]) + (get("edited").includes(at) ? " → 0" : "")],
      ["loss with / without", Number.isNaN(loss) ? "–" : `${show(loss)} / ${show(loss + change)}`],
      ["loss difference", signed(change)],
      [get("direct") ? "KL (direct)" : "KL", show(numbers("kl")[at])]
    ];
    detail.replaceChildren(
      h("dl", { class: "sl-place" }, ...pairs.flatMap(([k, v]) => [h("dt", {}, k), h("dd", {}, v)])),
      votes("up", at),
      votes("down", at)
    );
  }
  const body = h("tbody", {});
  const table = h("div", { class: "sl-table", hidden: true }, h(
    "table",
    {},
    h("thead", {}, h("tr", {}, ...["", "token", "activation", "loss difference", "KL", "up", "down"].map((t, i) => h("th", { class: [0, 2, 3, 4].includes(i) ? "sl-num" : "" }, t)))),
    body
  ));
  const more = h("button", { type: "button", class: "sl-link sl-small", "aria-expanded": "false" }, "all positions as a table");
  more.addEventListener("click", () => {
    table.hidden = !table.hidden;
    more.setAttribute("aria-expanded", String(!table.hidden));
    drawTable();
  });
  const lines2 = () => (
    /** @type {HTMLElement[]} */
    [...body.children]
  );
  function drawTable() {
    if (table.hidden) return;
    const [activation, change, kl] = ["activation", "loss_diff", "kl"].map(numbers);
    body.replaceChildren(...Array.from({ length: size() }, (_, i) => {
      const few = (way) => voted(way, i).slice(0, 3).map(([name, v]) => h("span", { class: "sl-one" }, chip(name), ` ${signed(v)}`));
      return h(
        "tr",
        { "data-at": i },
        h("td", { class: "sl-num sl-muted" }, String(i)),
        h("td", {}, chip(labelOf(get("text"), i))),
        h("td", { class: "sl-num" }, show(activation[i])),
        h("td", { class: "sl-num" }, signed(change[i])),
        h("td", { class: "sl-num" }, show(kl[i])),
        h("td", { class: "sl-many" }, ...few("up")),
        h("td", { class: "sl-many" }, ...few("down"))
      );
    }));
    drawSelection();
  }
  body.addEventListener("click", (event) => {
    const row = (
      /** @type {HTMLElement | null} */
      /** @type {HTMLElement} */
      event.target.closest("tr")
    );
    if (row) set({ selected_token: Number(row.dataset.at) });
  });
  strip.addEventListener("click", (event) => {
    const token = (
      /** @type {HTMLElement | null} */
      /** @type {HTMLElement} */
      event.target.closest(".sl-tok")
    );
    if (token) set({ selected_token: Number(token.dataset.start) });
  });
  function move(event) {
    const at = get("selected_token");
    const pieces = groups(get("text"));
    const here = pieces.findIndex((g) => at !== null && g.start <= at && at < g.stop);
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape") set({ selected_token: null });
    else if (step !== void 0 && pieces.length) {
      const to = at === null ? 0 : Math.min(Math.max(here + step, 0), pieces.length - 1);
      set({ selected_token: pieces[to].start });
      spans[to]?.scrollIntoView?.({ block: "nearest" });
    } else return false;
    return true;
  }
  const draw = () => {
    drawHead();
    drawText();
    drawTable();
  };
  const node = h(
    "div",
    { class: "sl-effects" },
    h("div", { class: "sl-bar" }, tabs, directBox, whiteBox, h("span", { class: "sl-grow" }), ramp),
    note,
    strip,
    detail,
    more,
    table
  );
  return { node, draw, drawSelection, move };
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

// effect_map.js
function render({ model, el, signal }) {
  const abort = new AbortController();
  signal?.addEventListener("abort", () => abort.abort());
  const request = requests(model, abort.signal);
  const view = root("effects", "Effects of ablating a latent");
  const alert = alertBox(model);
  const fail = (e) => alert.say(e.message);
  const picture = effectsPicture((key) => model.get(key), (changes) => {
    for (const [key, value] of Object.entries(changes)) model.set(
      /** @type {any} */
      key,
      value
    );
    model.save_changes();
  });
  const title = h("h2", {});
  const box = h("input", { class: "sl-input sl-number", type: "text", inputmode: "numeric", "aria-label": "Latent to ablate" });
  const ask = () => {
    const latent = Number(box.value.trim() || NaN);
    alert.say("");
    if (!Number.isInteger(latent) || latent < 0 || latent >= model.get("d_sae")) {
      return alert.say(`A latent is a whole number from 0 to ${model.get("d_sae") - 1}.`);
    }
    request("ablate", { latent }).catch(fail);
  };
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter") ask();
  });
  const asking = h("span", { class: "sl-bar" }, box, button("Ablate", "Show the effects of this latent", ask));
  const typingIn = (node) => (
    /** @type {Document} */
    node.getRootNode().activeElement === node
  );
  function draw() {
    title.textContent = `Latent ${model.get("latent")} ablated`;
    if (!typingIn(box)) box.value = String(model.get("latent"));
    asking.hidden = !model.get("can_ask");
    picture.draw();
  }
  view.addEventListener("keydown", (event) => {
    if (typing(event)) {
      if (event.key !== "Escape") event.stopPropagation();
      return;
    }
    if (event.key === "/" && model.get("can_ask")) box.focus();
    else if (!picture.move(event)) return;
    event.preventDefault();
    event.stopPropagation();
  });
  const redraw = throttle(draw, 0, abort.signal);
  const keys = (
    /** @type {const} */
    ["measure", "direct", "vmax", "show_whitespace", "latent", "text", "following", "edited", "numbers", "votes", "weights", "has_direct", "can_ask"]
  );
  for (const key of keys) model.on(`change:${key}`, redraw);
  model.on("change:selected_token", throttle(picture.drawSelection, 0, abort.signal));
  const figure = figureMenu(view, () => `effects-of-latent-${model.get("latent")}`, alert.say);
  view.append(alert.box, h("div", { class: "sl-bar" }, title, h("span", { class: "sl-grow" }), asking, figure), picture.node);
  el.append(view);
  draw();
  return () => abort.abort();
}
var effect_map_default = { render };
export {
  effect_map_default as default
};
