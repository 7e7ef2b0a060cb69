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
function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
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

// linechart.js
var W = 400;
var H = 170;
var LEFT = 46;
var RIGHT = 8;
var TOP = 8;
var BOTTOM = 22;
function ticks(low, high, n) {
  if (!(high > low)) return Number.isFinite(low) ? [low] : [];
  const raw = (high - low) / n;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw * 0.999) ?? 10 * power;
  const out = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k += 1) out.push(Number((k * step).toPrecision(12)));
  return out;
}
function short(value, digits = 3) {
  const size = Math.abs(value);
  for (
    const [unit, sign] of
    /** @type {[number, string][]} */
    [[1e9, "G"], [1e6, "M"], [1e3, "k"]]
  ) {
    if (size >= unit) return `${Number((value / unit).toPrecision(digits))}${sign}`;
  }
  return String(Number(value.toPrecision(digits))).replace("-", "−");
}
function labels(values) {
  const step = Math.min(...values.slice(1).map((v, i) => v - values[i]));
  let digits = 3;
  while (digits < 12 && values.some((v) => Math.abs(Number(v.toPrecision(digits)) - v) > 0.01 * step)) digits += 1;
  return values.map((v) => short(v, digits));
}
function range(chart, up) {
  let [low, high] = [Infinity, -Infinity];
  const take = (v) => {
    if (!Number.isFinite(v)) return;
    low = Math.min(low, v);
    high = Math.max(high, v);
  };
  const all = (line, i, least2) => {
    const last = Number(chart.x[i][line.y.length - 1]);
    for (let j = 0; j < line.y.length; j += 1) {
      if (line.y.length <= 8 || !(chart.x[i][j] < 0.04 * last)) take(Math.max(up(line.y[j]), least2));
    }
  };
  chart.lines.forEach((line, i) => {
    if (!line.minor) all(line, i, -Infinity);
  });
  const least = low - 1;
  chart.lines.forEach((line, i) => {
    if (line.minor) all(line, i, least);
  });
  if (low > high) return null;
  if (chart.zero) low = Math.min(low, 0);
  if (chart.mark !== null && chart.mark !== void 0) take(up(chart.mark));
  if (low === high) return chart.zero ? [0, high || 1] : [low - 0.5, high + 0.5];
  if (!chart.log && !chart.zero) {
    const lacks = Math.max(0, 0.01 * Math.max(Math.abs(low), Math.abs(high)) - (high - low));
    low -= lacks / 2;
    high += lacks / 2;
  }
  const pad = (high - low) * 0.06;
  return [chart.zero ? low : low - pad, high + pad];
}
function lineChart(onCross) {
  const title = h("h3", {});
  const key = h("div", { class: "sl-lines-key" });
  const picture = svg("svg", { viewBox: `0 0 ${W} ${H}`, class: "sl-lines", role: "img" });
  const node = h("figure", { class: "sl-chart" }, h("figcaption", {}, title, key), picture);
  const cross = svg("line", { class: "sl-cross", y1: TOP, y2: H - BOTTOM, visibility: "hidden" });
  let chart = null;
  let [left, right] = [0, 1];
  let at = null;
  const px = (v) => LEFT + (v - left) / (right - left) * (W - LEFT - RIGHT);
  function update(next) {
    chart = next;
    const up = (v) => next.log ? v > 0 ? Math.log10(v) : NaN : v;
    const known = next.x.flatMap((xs) => [...Array.from(xs)].filter(Number.isFinite));
    [left, right] = [0, known.length ? Math.max(...known, 1) : 1];
    const bounds = range(next, up);
    title.textContent = next.title;
    picture.replaceChildren();
    const last = next.lines.map((line) => `${line.name} ${show(lastOf(line.y))}`).join(", ");
    picture.setAttribute("aria-label", `${next.title} over tokens; now ${last || "nothing"}`);
    if (bounds) {
      const [low, high] = bounds;
      const py = (v) => H - BOTTOM - (Math.min(Math.max(v, low), high) - low) / (high - low) * (H - TOP - BOTTOM);
      for (const { at: v, text } of yTicks(low, high, !!next.log)) {
        picture.append(
          svg("line", { class: "sl-grid", x1: LEFT, x2: W - RIGHT, y1: py(v), y2: py(v) }),
          svg("text", { x: LEFT - 5, y: py(v) + 4, "text-anchor": "end" }, text)
        );
      }
      if (next.mark !== null && next.mark !== void 0) {
        const y = py(up(next.mark));
        picture.append(svg("line", { class: "sl-mark", x1: LEFT, x2: W - RIGHT, y1: y, y2: y }));
      }
      next.lines.forEach((line, i) => {
        picture.append(svg("path", { class: `sl-series sl-c${line.color}${line.dashed ? " sl-dashed" : ""}`, d: path(next.x[i], line.y, (v) => px(v), (v) => py(up(v)), up) }));
      });
    }
    picture.append(svg("line", { class: "sl-axis", x1: LEFT, x2: W - RIGHT, y1: H - BOTTOM, y2: H - BOTTOM }));
    const along = ticks(left, right, 4), names = labels(along);
    along.forEach((v, i) => picture.append(svg("text", { x: px(v), y: H - 6, "text-anchor": v === 0 ? "start" : px(v) > W - 24 ? "end" : "middle" }, names[i])));
    picture.append(cross);
    place(at);
  }
  function place(x) {
    at = x;
    if (!chart) return;
    cross.setAttribute("visibility", x === null ? "hidden" : "visible");
    if (x !== null) for (const end of ["x1", "x2"]) cross.setAttribute(end, String(px(x)));
    const { lines, x: xs, mark } = chart;
    key.replaceChildren(...lines.map((line, i) => h(
      "span",
      { class: `sl-c${line.color}${line.dashed ? " sl-dashed" : ""}` },
      h("i", { "aria-hidden": "true" }),
      line.key ?? line.name ? `${line.key ?? line.name} ` : "",
      h("b", {}, show(x === null ? lastOf(line.y) : line.y[nearest(xs[i], x)]))
    )));
    if (mark !== null && mark !== void 0) key.append(h("span", { class: "sl-aim" }, h("i", { "aria-hidden": "true" }), "wanted ", h("b", {}, show(mark))));
  }
  picture.addEventListener("pointermove", (event) => {
    const box = picture.getBoundingClientRect();
    const x = left + ((event.clientX - box.left) / (box.width || 1) * W - LEFT) / (W - LEFT - RIGHT) * (right - left);
    const xs = chart?.x[0];
    if (xs?.length) onCross(xs[nearest(xs, x)]);
  });
  picture.addEventListener("pointerleave", () => onCross(null));
  return { node, update, place };
}
function yTicks(low, high, log) {
  const even = (places, value) => {
    const texts = labels(places.map(value));
    return places.map((v, i) => ({ at: v, text: texts[i] }));
  };
  if (!log) return even(ticks(low, high, 4), (v) => v);
  const out = [];
  const wide = high - low;
  const steps = wide > 3 ? [1] : wide > 1 ? [1, 3] : [1, 1.5, 2, 3, 5, 7];
  for (let p = Math.floor(low); p <= high; p += 1) {
    for (const m of steps) {
      const v = p + Math.log10(m);
      if (v >= low && v <= high) out.push({ at: v, text: short(Number((m * 10 ** p).toPrecision(3))) });
    }
  }
  if (out.length < 2) return even(ticks(low, high, 3), (v) => 10 ** v);
  const every = Math.ceil(out.length / 6);
  return out.filter((_, i) => i % every === 0);
}
function lastOf(y) {
  for (let i = y.length - 1; i >= 0; i -= 1) if (Number.isFinite(y[i])) return y[i];
  return NaN;
}
function nearest(xs, x) {
  let best = 0;
  for (let i = 1; i < xs.length; i += 1) if (Math.abs(xs[i] - x) < Math.abs(xs[best] - x)) best = i;
  return best;
}
function path(x, y, px, py, up) {
  let [d, pen] = ["", "M"];
  for (let i = 0; i < y.length; i += 1) {
    if (!Number.isFinite(x[i]) || !Number.isFinite(up(y[i]))) {
      pen = "M";
      continue;
    }
    d += `${pen}${px(x[i]).toFixed(1)} ${py(y[i]).toFixed(1)}`;
    pen = "L";
  }
  return d.includes("L") ? d : d.replace(/M(\S+) (\S+)/g, "M$1 $2h0.01");
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

// training_monitor.js
var SAID = (
  /** @type {Record<Phase, string>} */
  {
    empty: "no run yet",
    preparing: "reading activations",
    running: "training",
    stopping: "stopping after this step",
    stopped: "stopped",
    ended: "ended",
    failed: "failed"
  }
);
var UNHEARD = "Not heard yet. Some front ends deliver clicks only when no cell is running: use the notebook's own stop button (■), it ends the run in the same way and returns the SAE so far.";
var PATIENCE = 4e3;
function duration(seconds) {
  if (seconds === null || seconds === void 0 || !Number.isFinite(seconds)) return "–";
  const s = Math.round(seconds);
  const two = (n) => String(n).padStart(2, "0");
  const [hours, minutes] = [Math.floor(s / 3600), Math.floor(s % 3600 / 60)];
  return hours ? `${hours}:${two(minutes)}:${two(s % 60)}` : `${minutes}:${two(s % 60)}`;
}
function unpack(points, columns, n) {
  const flat = floats(points);
  const length = n ? flat.length / (n * columns.length) : 0;
  return Array.from({ length: n }, (_, i) => Object.fromEntries(columns.map((name, c) => [name, Float32Array.from({ length }, (__, j) => flat[(i * length + j) * columns.length + c])])));
}
function render({ model, el, signal }) {
  const abort = new AbortController();
  signal?.addEventListener("abort", () => abort.abort());
  const request = requests(model, abort.signal);
  const view = root("training-monitor", "Training monitor");
  const alert = alertBox(model);
  const heading = h("h2", {});
  const phase = h("span", { class: "sl-phase", role: "status" });
  const bar = h("div", { class: "sl-progress", role: "progressbar", "aria-label": "Tokens seen", "aria-valuemin": 0 }, h("span", {}));
  const counts = h("span", { class: "sl-muted" });
  let unheard;
  abort.signal.addEventListener("abort", () => clearTimeout(unheard));
  const press = (method) => {
    alert.say("");
    clearTimeout(unheard);
    unheard = setTimeout(() => alert.say(UNHEARD), PATIENCE);
    const heard = () => {
      clearTimeout(unheard);
    };
    request(method).then(() => {
      heard();
      alert.say("");
    }, (error) => {
      heard();
      alert.say(error.message);
    });
  };
  const stop = button("Stop", "End the run after the step under way; the cell returns the SAE so far", () => press("stop"));
  const resume = button("Resume", "Train the rest, exactly as if the run had not been stopped", () => press("resume"));
  resume.classList.add("sl-primary");
  function drawHead() {
    const [now, seen, budget, rate] = [model.get("phase"), model.get("tokens"), model.get("budget"), model.get("rate")];
    const live = now === "preparing" || now === "running" || now === "stopping";
    heading.textContent = model.get("heading");
    if (phase.textContent !== SAID[now]) phase.textContent = SAID[now];
    phase.dataset.phase = now;
    const share = budget ? clamp(seen / budget, 0, 1) : 0;
    bar.style.setProperty("--w", `${(100 * share).toFixed(2)}%`);
    bar.setAttribute("aria-valuemax", String(budget));
    bar.setAttribute("aria-valuenow", String(seen));
    bar.hidden = now === "empty";
    const parts = [`${count(seen)} of ${count(budget)} tokens (${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %)`];
    if (live && rate) parts.push(`${count(rate)} tokens/s`, `${duration((budget - seen) / rate)} left`);
    if (model.get("seconds")) parts.push(`${duration(model.get("seconds"))} so far`);
    if (!live && seen && model.get("seconds")) {
      parts.splice(1, 1, duration(model.get("seconds")), `${count(seen / model.get("seconds"))} tokens/s`);
    }
    counts.textContent = now === "empty" ? "Give this monitor to sl.train(…, monitor=monitor)." : parts.join(" · ");
    stop.hidden = model.get("read_only") || !live;
    stop.disabled = now === "stopping";
    resume.hidden = model.get("read_only") || !model.get("can_resume");
  }
  const hints = h("ul", { class: "sl-hints", "aria-label": "Hints", "aria-live": "polite" });
  function drawHints() {
    const said = model.get("hints");
    if (said.length === hints.children.length && said.every((t, i) => hints.children[i].textContent === t)) return;
    hints.replaceChildren(...said.map((text) => h("li", {}, text)));
    hints.hidden = !said.length;
  }
  const picker = h("select", { class: "sl-input", "aria-label": "SAE to show" });
  const pick = h("label", { class: "sl-field sl-muted" }, "show ", picker);
  const table = h("div", { class: "sl-now" });
  const grid = h("div", { class: "sl-charts", tabindex: "0", role: "group", "aria-label": "Curves; the arrow keys move through the run" });
  let at = null;
  const cross = (x) => {
    at = x;
    for (const chart of charts) chart.place(x);
  };
  const charts = Array.from({ length: 4 }, () => lineChart(cross));
  grid.append(...charts.map((c) => c.node));
  let chosen = "all";
  picker.addEventListener("change", () => {
    chosen = picker.value;
    drawCurves();
  });
  const series = () => unpack(model.get("points"), model.get("columns"), model.get("names").length);
  function drawCurves() {
    const names = model.get("names");
    const options = names.length > 1 ? ["all", ...names.keys()].map(String) : [];
    if (picker.children.length !== options.length) {
      picker.replaceChildren(...options.map((value) => h("option", { value }, value === "all" ? "all SAEs" : names[Number(value)])));
      if (!options.includes(chosen)) chosen = "all";
      picker.value = chosen;
    }
    pick.hidden = names.length < 2;
    const all2 = series();
    const empty = !all2.length || !all2[0].tokens.length;
    grid.hidden = table.hidden = empty;
    if (empty) return;
    drawTable(all2);
    const one = names.length === 1 ? 0 : chosen === "all" ? null : Number(chosen);
    if (one === null) drawAll(all2);
    else drawOne(all2[one], one);
    cross(at);
  }
  function drawOne(s, i) {
    const line = (name, column, color, more = {}) => ({ name, y: s[column], color, ...more });
    const over = (lines) => ({ lines, x: lines.map(() => s.tokens) });
    const used = (column) => s[column].some((v) => v > 0);
    charts[0].update({ title: "Loss and its parts", log: true, ...over([
      line("loss", "loss", 0),
      line("fvu", "fvu", 1, { dashed: true }),
      ...used("aux") ? [line("aux", "aux", 2, { minor: true })] : [],
      ...used("penalty") ? [line("penalty", "penalty", 3, { minor: true })] : []
    ]) });
    charts[1].update({ title: "Explained variance", ...over([line("explained variance", "explained_variance", 0, { key: "" })]) });
    charts[2].update({ title: "L0, latents per token", mark: model.get("target")[i] ?? null, ...over([line("L0", "l0", 0, { key: "" })]) });
    const after = model.get("dead_after")[i];
    const title = `Latents out of ${count(model.get("d_sae")[i])}`;
    charts[3].update({ title, zero: true, ...over([line("dead", "dead", 1), line("rare", "rare", 0)]) });
    charts[3].node.title = `dead: silent for ${after ? `${count(after)} tokens` : "dead_after tokens"}; rare: not dead, but fires on fewer than 1 in 100,000 tokens`;
  }
  function drawAll(all2) {
    const names = model.get("names");
    const x = all2.map((s) => s.tokens);
    const over = (column) => ({ x, lines: all2.map((s, i) => ({ name: names[i], key: "", y: s[column], color: i % 6, dashed: i >= 6 })) });
    charts[0].update({ title: "Loss", log: true, ...over("loss") });
    charts[1].update({ title: "Explained variance", ...over("explained_variance") });
    charts[2].update({ title: "L0, latents per token", log: true, ...over("l0") });
    charts[3].update({ title: "Dead latents", zero: true, ...over("dead") });
    charts[3].node.title = "";
  }
  const COLUMNS = (
    /** @type {[string, string][]} */
    [
      ["loss", "loss"],
      ["fvu", "fvu"],
      ["aux", "aux"],
      ["penalty", "penalty"],
      ["explained variance", "explained_variance"],
      ["L0", "l0"],
      ["dead", "dead"],
      ["rare", "rare"]
    ]
  );
  function drawTable(all2) {
    const names = model.get("names");
    const newest = (y) => y.findLast((v) => Number.isFinite(v));
    const cell = (s, column, i) => {
      const value = newest(s[column]);
      if (value === void 0) return "–";
      if (column !== "dead" && column !== "rare") return show(value);
      return `${count(value)} (${show(Number((100 * value / model.get("d_sae")[i]).toFixed(1)))} %)`;
    };
    if (names.length === 1) {
      table.replaceChildren(h("dl", {}, ...COLUMNS.map(([label, column]) => h("div", {}, h("dt", {}, label), h("dd", {}, cell(all2[0], column, 0))))));
      return;
    }
    const head = h("tr", {}, h("th", { scope: "col" }, "SAE"), ...COLUMNS.map(([label]) => h("th", { scope: "col" }, label)));
    const rows = all2.map((s, i) => h(
      "tr",
      {},
      h("th", { scope: "row", class: `sl-c${i % 6}${i >= 6 ? " sl-dashed" : ""}` }, h("i", { "aria-hidden": "true" }), names[i]),
      ...COLUMNS.map(([, column]) => h("td", {}, cell(s, column, i)))
    ));
    table.replaceChildren(h("table", {}, h("thead", {}, head), h("tbody", {}, ...rows)));
  }
  grid.addEventListener("keydown", (event) => {
    const tokens = series()[0]?.tokens ?? new Float32Array(0);
    const step = event.key === "ArrowLeft" ? -1 : event.key === "ArrowRight" ? 1 : 0;
    if (event.key === "Escape" && at !== null) cross(null);
    else if (step && tokens.length) {
      const place = at === null ? tokens.length - (step < 0 ? 0 : 1) : tokens.indexOf(at);
      cross(tokens[clamp(place + step, 0, tokens.length - 1)]);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  });
  const redraw = throttle(() => {
    drawHead();
    drawHints();
    drawCurves();
  }, 0, abort.signal);
  const all = (
    /** @type {const} */
    ["phase", "heading", "names", "tokens", "budget", "rate", "seconds", "hints", "can_resume", "points", "target", "d_sae", "dead_after"]
  );
  for (const key of all) model.on(`change:${key}`, redraw);
  view.append(
    alert.box,
    h("div", { class: "sl-bar sl-head" }, heading, phase, h("span", { class: "sl-grow" }), pick, stop, resume),
    bar,
    counts,
    hints,
    table,
    grid
  );
  el.append(view);
  drawHead();
  drawHints();
  drawCurves();
  return () => abort.abort();
}
var training_monitor_default = { render };
export {
  training_monitor_default as default,
  duration,
  unpack
};
