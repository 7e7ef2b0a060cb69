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

// steering.js
var POSITIONS = (
  /** @type {Record<string, string>} */
  {
    all: "all tokens",
    prompt: "the prompt",
    generated: "generated tokens",
    last: "the newest token"
  }
);
var MEANING = (
  /** @type {Record<string, string>} */
  {
    activation: "of the latent, the mean over the new text as the unsteered model reads it",
    perplexity: "of the new text, for the unsteered model",
    repetition: "share of the new text's 3-grams that it had before"
  }
);
function render({ model, el, signal }) {
  const abort = new AbortController();
  signal?.addEventListener("abort", () => abort.abort());
  const request = requests(model, abort.signal);
  const view = root("steering", "Steering panel");
  const alert = alertBox(model);
  const modes = model.get("modes");
  function set(changes) {
    for (const [key, value] of Object.entries(changes)) model.set(
      /** @type {any} */
      key,
      value
    );
    model.save_changes();
  }
  const fail = (e) => alert.say(e.message);
  const list = h("div", { class: "sl-edits" });
  const box = h("input", { class: "sl-input sl-number", type: "text", inputmode: "numeric", placeholder: "latent", "aria-label": "Latent to add" });
  const add = () => {
    const latent = Number(box.value.trim() || NaN);
    alert.say("");
    if (!Number.isInteger(latent) || latent < 0 || latent >= model.get("d_sae")) {
      return alert.say(`A latent is a whole number from 0 to ${model.get("d_sae") - 1}.`);
    }
    box.value = "";
    request("add", { latent }).catch(fail);
  };
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter") add();
  });
  const strengthen = (latent, strength) => set({ edits: model.get("edits").map((e) => e.latent === latent ? { ...e, strength } : e) });
  const strengthenSoon = throttle(strengthen, 80, abort.signal);
  function drawEdits() {
    const editing = list.contains(
      /** @type {Document} */
      list.getRootNode().activeElement
    );
    const same = [...list.children].map((n) => (
      /** @type {HTMLElement} */
      n.dataset.latent
    )).join() === model.get("edits").map((e) => e.latent).join();
    if (editing && same) return;
    list.replaceChildren(...model.get("edits").map(editRow));
    drawMode();
  }
  function editRow({ latent, strength }) {
    const about = model.get("about")[String(latent)] ?? { label: "", token: null, max: 5 };
    const who = h("span", { class: "sl-who" }, h("b", {}, String(latent)), " ");
    if (about.token !== null) who.append(chip(about.token), " ");
    who.append(about.label);
    who.title = about.token === null ? "" : `fires most on this token; at most ${show(about.max)} in the index`;
    const times = modes[model.get("mode")].unit === "times";
    const reach = times ? 4 : Math.max(3 * about.max, Math.abs(strength));
    const low = times ? 0 : -reach;
    const slider = h("input", { type: "range", min: low, max: reach, step: reach / 100, "aria-label": `Strength of latent ${latent}` });
    const number = h("input", { class: "sl-input sl-number", type: "text", inputmode: "decimal", "aria-label": `Strength of latent ${latent}, as a number` });
    slider.value = String(strength);
    number.value = show(strength);
    slider.addEventListener("input", () => {
      const value = Number(Number(slider.value).toPrecision(3));
      number.value = show(value);
      strengthenSoon(latent, value);
    });
    number.addEventListener("change", () => {
      const value = Number(number.value);
      if (number.value.trim() === "" || !Number.isFinite(value)) number.value = show(Number(slider.value));
      else {
        slider.value = String(value);
        strengthen(latent, value);
      }
    });
    const drop = button("×", `Take latent ${latent} away`, () => set({ edits: model.get("edits").filter((e) => e.latent !== latent) }));
    const row = h(
      "div",
      { class: "sl-edit", "data-latent": latent },
      who,
      h("span", { class: "sl-slider" }, slider, h("small", { "aria-hidden": "true" }, h("span", {}, show(low)), h("span", {}, times ? "× 2" : "0"), h("span", {}, show(reach)))),
      number,
      drop
    );
    if (model.get("read_only")) for (const field2 of [slider, number, drop]) field2.disabled = true;
    return row;
  }
  function choice(key, names) {
    const node = h("select", { class: "sl-input", "aria-label": key }, ...Object.entries(names).map(([value, text]) => h("option", { value }, text)));
    node.addEventListener("change", () => set({ [key]: (
      /** @type {any} */
      node.value
    ) }));
    return node;
  }
  function setting(key, label, whole) {
    const node = h("input", { class: "sl-input sl-number", type: "text", inputmode: whole ? "numeric" : "decimal", "aria-label": label });
    node.addEventListener("change", () => {
      const value = Number(node.value);
      if (node.value.trim() !== "" && Number.isFinite(value) && value >= 0 && (!whole || Number.isInteger(value))) set({ [key]: value });
      else node.value = String(model.get(key));
    });
    return node;
  }
  const mode = choice("mode", Object.fromEntries(Object.entries(modes).map(([key, { title }]) => [key, title])));
  const positions = choice("positions", POSITIONS);
  const length = setting("max_new_tokens", "Tokens to write", true);
  const temperature = setting("temperature", "Temperature", false);
  const seed = setting("seed", "Seed", true);
  const prompt = h("textarea", { class: "sl-input", rows: 2, "aria-label": "Prompt", dir: "auto", spellcheck: "false" });
  const sendPrompt = () => {
    if (prompt.value !== model.get("prompt")) set({ prompt: prompt.value });
  };
  prompt.addEventListener("input", throttle(sendPrompt, 300, abort.signal));
  prompt.addEventListener("change", sendPrompt);
  const go = button("Run", "Write both texts (Ctrl+Enter)", () => {
    sendPrompt();
    alert.say("");
    request("run").catch(fail);
  });
  go.classList.add("sl-primary");
  const stop = button("Cancel", "Stop writing (Esc)", () => {
    request("cancel").catch(fail);
  });
  const status = h("span", { class: "sl-muted", role: "status" });
  const factors = h("input", { class: "sl-input sl-factors", type: "text", "aria-label": "Factors of the sweep" });
  const sendFactors = () => {
    const values = factors.value.split(/[\s,;]+/).filter(Boolean).map(Number);
    if (!values.length || values.some((v) => !Number.isFinite(v))) {
      factors.value = model.get("factors").join(", ");
      alert.say("The factors of a sweep are numbers with commas between them, such as 0, 1, 2.");
      return false;
    }
    if (values.join() !== model.get("factors").join()) set({ factors: values });
    return true;
  };
  factors.addEventListener("change", sendFactors);
  const sweep = button("Sweep", "Write with each latent alone, at each factor times its strength", () => {
    alert.say("");
    sendPrompt();
    if (sendFactors()) request("sweep").catch(fail);
  });
  function drawMode() {
    for (const row of list.children) row.classList.toggle("sl-off", !modes[model.get("mode")].unit);
  }
  function drawSettings() {
    mode.value = model.get("mode");
    positions.value = model.get("positions");
    length.value = String(model.get("max_new_tokens"));
    temperature.value = String(model.get("temperature"));
    seed.value = String(model.get("seed"));
    if (
      /** @type {Document} */
      factors.getRootNode().activeElement !== factors
    ) factors.value = model.get("factors").join(", ");
    if (
      /** @type {Document} */
      prompt.getRootNode().activeElement !== prompt
    ) prompt.value = model.get("prompt");
  }
  const texts = h("div", { class: "sl-texts", "aria-live": "off" });
  const legend = h("div", { class: "sl-key sl-small sl-muted" });
  function side(name, text, plain) {
    const body = h("bdi", { class: "sl-text", dir: direction(model.get("prompt") + (text?.text.join("") ?? "")) });
    body.style.display = "block";
    if (text) {
      const differs = new Set(text.differs);
      const spans = tokens(text, [], { high: 1 });
      for (const s of spans) {
        for (let i = Number(s.dataset.start); i < Number(s.dataset.stop); i += 1) if (differs.has(i)) s.classList.add("sl-differs");
      }
      body.append(h("span", { class: "sl-prompt" }, model.get("said").prompt ?? model.get("prompt")), ...spans);
      if (!text.text.length && !model.get("running")) body.append(h("span", { class: "sl-muted" }, " (nothing)"));
    }
    const node = h("div", { class: `sl-side${plain ? " sl-plain" : ""}` }, h("h3", {}, name), body);
    return { node, body };
  }
  function drawTexts() {
    const [left, right, running] = [model.get("baseline"), model.get("steered"), model.get("running")];
    const edits = (
      /** @type {[number, number][]} */
      model.get("said").edits ?? []
    );
    const sign = modes[model.get("said").mode]?.sign;
    const name = edits.length ? `steered: ${edits.map(([l, s]) => sign === "+" ? `${l} ${s < 0 ? "−" : "+"} ${show(Math.abs(s))}` : sign ? `${l} ${sign} ${show(s)}` : `${l} off`).join(", ")}` : "steered";
    const [a, b] = [side("as it is", left, true), side(name, right, false)];
    if (running) (right || left === null || !left ? right ? b : a : a).body.classList.add("sl-wait");
    texts.hidden = !left && !right && !(running && !model.get("status").startsWith("sweep"));
    texts.replaceChildren(a.node, b.node);
    legend.hidden = !model.get("said").edits;
    const one = h("span", { class: "sl-side sl-plain" }, h("span", { class: "sl-tok sl-differs" }, "only without"));
    const two = h("span", { class: "sl-side" }, h("span", { class: "sl-tok sl-differs" }, "only with steering"));
    for (const s of [one, two]) s.setAttribute("style", "border:0;padding:0;min-height:0");
    legend.replaceChildren(one, two, h("span", {}, `seed ${count(model.get("said").seed ?? 0)}, temperature ${show(model.get("said").temperature)}; both texts use the same random numbers`));
  }
  const table = h("div", { class: "sl-swept", role: "region", "aria-label": "Sweep", tabindex: "0" });
  function drawSweep() {
    const rows = model.get("swept");
    table.hidden = !rows.length;
    if (!rows.length) return;
    const names = ["latent", "strength", "activation", "perplexity", "repetition", "text"];
    table.replaceChildren(h(
      "table",
      {},
      h("thead", {}, h("tr", {}, ...names.map((n) => h("th", { class: n === "text" ? "" : "sl-num", title: MEANING[n] ?? null }, n)))),
      h("tbody", {}, ...rows.map((r) => h(
        "tr",
        {},
        h("td", { class: "sl-num" }, String(r.latent)),
        ...[r.strength, r.activation, r.perplexity, r.repetition].map((v) => h("td", { class: "sl-num" }, show(v))),
        h("td", { title: r.text }, h("bdi", { class: "sl-text sl-line", dir: direction(r.text) }, ...marked(r.text)))
      )))
    ));
  }
  function drawRunning() {
    const running = model.get("running");
    go.disabled = sweep.disabled = running;
    stop.disabled = !running;
    status.textContent = model.get("status");
    drawTexts();
  }
  view.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !go.disabled) {
      event.preventDefault();
      event.stopPropagation();
      go.click();
    } else if (event.key === "Escape" && !stop.disabled) {
      event.stopPropagation();
      stop.click();
    } else if (typing(event)) event.stopPropagation();
  });
  const redraw = throttle(drawRunning, 0, abort.signal);
  for (
    const key of
    /** @type {const} */
    ["running", "status", "baseline", "steered", "said"]
  ) model.on(`change:${key}`, redraw);
  model.on("change:swept", throttle(drawSweep, 0, abort.signal));
  for (
    const key of
    /** @type {const} */
    ["edits", "about"]
  ) model.on(`change:${key}`, drawEdits);
  for (
    const key of
    /** @type {const} */
    ["positions", "max_new_tokens", "temperature", "seed", "prompt", "factors"]
  ) model.on(`change:${key}`, drawSettings);
  model.on("change:mode", () => {
    drawSettings();
    list.replaceChildren(...model.get("edits").map(editRow));
    drawMode();
  });
  const field = (name, input) => h("label", { class: "sl-field" }, name, input);
  const controls = h(
    "div",
    { class: "sl-form" },
    h("div", {}, list, h("div", { class: "sl-bar sl-add" }, box, button("Add latent", "Add this latent", add))),
    h("div", { class: "sl-bar" }, field("what", mode), field("where", positions), field("tokens", length), field("temperature", temperature), field("seed", seed)),
    prompt,
    h("div", { class: "sl-bar" }, go, stop, h("span", { class: "sl-sep" }), sweep, field("× strength", factors), status)
  );
  const figure = figureMenu(view, () => "steering", alert.say);
  view.append(alert.box, controls, texts, h("div", { class: "sl-bar sl-foot" }, legend, h("span", { class: "sl-grow" }), figure), table);
  el.append(view);
  if (model.get("read_only")) {
    for (const node of [mode, positions, length, temperature, seed, prompt]) node.disabled = true;
    for (const node of [go.parentElement, box.parentElement]) if (node) node.hidden = true;
  }
  drawEdits();
  drawSettings();
  drawRunning();
  drawSweep();
  return () => abort.abort();
}
var steering_default = { render };
export {
  steering_default as default
};
