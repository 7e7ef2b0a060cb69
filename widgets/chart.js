/** Charts: a histogram with a brush, lines with a cross, bars in rows. */
import { clamp, column, count, h, show, svg } from "./dom.js";
import { facts } from "./tip.js";

const RIGHT = 8, BOTTOM = 22;
let clips = 0;

/**
 * Where things are in a chart of some size, and its axes.
 * @param {number} width @param {number} height @param {number} left @param {number} top @param {string} kind class @param {number} [below] room under the x axis
 */
function frame(width, height, left, top, kind, below = BOTTOM) {
  const node = svg("svg", { viewBox: `0 0 ${width} ${height}`, class: kind, role: "img" });
  const [right, bottom] = [width - RIGHT, height - below];
  return {
    node, top, bottom,
    x: (/** @type {number} */ share) => left + share * (right - left),
    y: (/** @type {number} */ share) => bottom - share * (bottom - top),
    /** Share of the x axis at a pointer. @param {PointerEvent} event */
    shareAt(event) {
      const box = node.getBoundingClientRect();
      return (((event.clientX - box.left) / (box.width || 1)) * width - left) / (right - left);
    },
    /** A line from left to right. @param {string} name @param {number} y */
    across: (name, y) => svg("line", { class: name, x1: left, x2: right, y1: y, y2: y }),
    /** @param {number} y @param {string} text */
    yLabel: (y, text) => svg("text", { x: left - 5, y: y + 4, "text-anchor": "end" }, text),
    /** @param {number} x @param {string} text @param {"start" | "middle" | "end"} anchor */
    xLabel: (x, text, anchor) => svg("text", { x, y: bottom + 16, "text-anchor": anchor }, text),
    /** What the x axis is. @param {string} text */
    xTitle: (text) => svg("text", { class: "sl-title", x: (left + right) / 2, y: height - 4, "text-anchor": "middle" }, text),
    /** A clip of what is drawn between the axes; its id. */
    clip() {
      const id = `saelab-chart-${(clips += 1)}`;
      return { id, node: svg("clipPath", { id }, svg("rect", { x: left, y: top, width: right - left, height: bottom - top })) };
    },
  };
}

/** Height of a bar: logarithmic, so that one firing can be seen beside ten thousand. @param {number} n @param {number} most */
export const logHeight = (n, most) => (n <= 0 ? 0 : (Math.log10(n) + 0.4) / (Math.log10(most) + 0.4));

/**
 * A histogram with a brush; dragging gives a range that snaps to the edges of the bins.
 * @param {Histogram} data
 * @param {{ brush: [number, number] | null, onBrush(range: [number, number] | null): void, tip: Tip }} options
 */
export function histogram(data, { brush, onBrush, tip }) {
  const at = frame(320, 132, 34, 6, "sl-histogram");
  const most = Math.max(...data.count, 1);
  const low = data.lo[0], high = Math.max(data.hi[data.hi.length - 1], low + 1e-9);
  const sum = (/** @type {number[]} */ n) => n.reduce((a, b) => a + b, 0);
  const x = (/** @type {number} */ v) => at.x((v - low) / (high - low));
  const y = (/** @type {number} */ n) => at.y(logHeight(n, most));
  at.node.setAttribute("aria-label",
    `Histogram of ${count(sum(data.count))} activations from ${show(low)} to ${show(high)}, logarithmic counts`);
  for (let n = 1; n <= most; n *= 10) at.node.append(at.across("sl-grid", y(n)), at.yLabel(y(n), short(n)));
  data.count.forEach((n, i) => {
    const width = Math.max(x(data.hi[i]) - x(data.lo[i]) - 0.6, 0.8);
    if (n > 0) at.node.append(svg("rect", { class: "sl-bin", x: x(data.lo[i]), width, y: y(n), height: at.bottom - y(n) }));
  });
  const mark = svg("rect", { class: "sl-brush", y: at.top, height: at.bottom - at.top });
  const place = (/** @type {[number, number] | null} */ range) => {
    mark.setAttribute("visibility", range ? "visible" : "hidden");
    if (!range) return;
    const [a, b] = range.map((v) => x(clamp(v, low, high)));
    mark.setAttribute("x", String(a));
    mark.setAttribute("width", String(Math.max(b - a, 1)));
  };
  place(brush);
  at.node.append(at.across("sl-axis", at.bottom), at.xLabel(x(low), show(low), "start"),
    at.xLabel(at.x(0.5), show((low + high) / 2), "middle"), at.xLabel(x(high), show(high), "end"), mark);
  drag(at.node, {
    binAt(event) {
      const v = low + at.shareAt(event) * (high - low);
      const bin = data.hi.findIndex((edge) => v < edge);
      return bin === -1 ? data.hi.length - 1 : bin;
    },
    over: (bin) => tip.show(at.node, facts([
      ["activation", `${show(data.lo[bin])} – ${show(data.hi[bin])}`], ["firings", count(data.count[bin])],
      ["at least this strong", `${show((100 * sum(data.count.slice(bin))) / sum(data.count))} %`],
    ])),
    out: () => tip.hide(),
    along: (a, b) => place([data.lo[a], data.hi[b]]),
    // a click on a brushed histogram takes the brush away
    done: (a, b, moved) => onBrush(!moved && brush ? null : [data.lo[a], data.hi[b]]),
    undone: () => place(brush),
  });
  return at.node;
}

/**
 * Drag from one bin to another.
 * @param {SVGSVGElement} node
 * @param {{ binAt(event: PointerEvent): number, over(bin: number): void, out(): void, along(a: number, b: number): void,
 *   done(a: number, b: number, moved: boolean): void, undone(): void }} on
 */
function drag(node, on) {
  let from = -1, moved = false;
  node.addEventListener("pointerdown", (event) => {
    from = on.binAt(event);
    moved = false;
    node.setPointerCapture?.(event.pointerId);
    event.preventDefault();
  });
  node.addEventListener("pointermove", (event) => {
    const bin = on.binAt(event);
    if (from < 0) return on.over(bin);
    moved ||= bin !== from;
    on.out();
    on.along(Math.min(from, bin), Math.max(from, bin));
  });
  node.addEventListener("pointerleave", on.out);
  node.addEventListener("pointerup", (event) => {
    if (from < 0) return;
    const [a, b] = [from, on.binAt(event)];
    from = -1;
    on.done(Math.min(a, b), Math.max(a, b), moved);
  });
  node.addEventListener("pointercancel", () => { from = -1; on.undone(); });
}

/** Name, bar and number in a row. @param {Node} name @param {number} value @param {number} most @param {string} [kind] */
export function barRow(name, value, most, kind = "") {
  const bar = h("span", { class: `sl-hbar ${kind}` });
  bar.style.setProperty("--w", `${(100 * clamp(Math.abs(value) / (most || 1), 0, 1)).toFixed(1)}%`);
  return [h("span", { class: "sl-cell" }, name), bar, h("span", { class: "sl-value" }, column(value))];
}

/** Round numbers between two values, about `n` of them. @param {number} low @param {number} high @param {number} n @returns {number[]} */
export function ticks(low, high, n) {
  if (!(high > low)) return Number.isFinite(low) ? [low] : [];
  const raw = (high - low) / n;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw * 0.999) ?? 10 * power;
  const out = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k += 1) out.push(Number((k * step).toPrecision(12)));
  return out;
}

/** 1500000 as 1.5M. @param {number} value @param {number} [digits] how many of them are kept */
export function short(value, digits = 3) {
  const size = Math.abs(value);
  for (const [unit, sign] of /** @type {[number, string][]} */ ([[1e9, "G"], [1e6, "M"], [1e3, "k"]])) {
    if (size >= unit) return `${Number((value / unit).toPrecision(digits))}${sign}`;
  }
  return String(Number(value.toPrecision(digits))).replace("-", "−");
}

/** Values with as many digits as tell them apart, to a hundredth of the smallest step. @param {number[]} values ascending */
export function labels(values) {
  const step = Math.min(...values.slice(1).map((v, i) => v - values[i]));
  let digits = 3;
  while (digits < 12 && values.some((v) => Math.abs(Number(v.toPrecision(digits)) - v) > 0.01 * step)) digits += 1;
  return values.map((v) => short(v, digits));
}

/**
 * The range of the y axis: the beginning of a run is left out of it, because values there can be many times those
 * of the rest, which then could not be told apart.
 * @param {Chart} chart @param {(v: number) => number} up @returns {[number, number] | null}
 */
export function range({ lines, x, mark, log, zero }, up) {
  let [low, high] = [Infinity, -Infinity];
  const take = (/** @type {number} */ v) => { if (Number.isFinite(v)) [low, high] = [Math.min(low, v), Math.max(high, v)]; };
  const all = (/** @type {Line} */ { y }, /** @type {number} */ i, /** @type {number} */ least) => {
    const last = Number(x[i][y.length - 1]);
    for (let j = 0; j < y.length; j += 1) if (y.length <= 8 || !(x[i][j] < 0.04 * last)) take(Math.max(up(y[j]), least));
  };
  lines.forEach((line, i) => { if (!line.minor) all(line, i, -Infinity); });
  const least = low - 1;
  lines.forEach((line, i) => { if (line.minor) all(line, i, least); });
  if (low > high) return null;
  if (zero) low = Math.min(low, 0);
  if (mark !== null && mark !== undefined) take(up(mark));
  if (low === high) return zero ? [0, high || 1] : [low - 0.5, high + 0.5];
  if (!log && !zero) { // a curve that hardly moves is to look like one
    const lacks = Math.max(0, 0.01 * Math.max(Math.abs(low), Math.abs(high)) - (high - low));
    low -= lacks / 2;
    high += lacks / 2;
  }
  const pad = (high - low) * 0.06;
  return [zero ? low : low - pad, high + pad];
}

/** A line chart with a key that shows the values at the cross. @param {(x: number | null) => void} onCross where the pointer is, in units of x */
export function lineChart(onCross) {
  const title = h("h3", {});
  const key = h("div", { class: "sl-lines-key" });
  const frm = frame(400, 188, 46, 8, "sl-lines", 40);
  const clip = frm.clip();
  const node = h("figure", { class: "sl-chart" }, h("figcaption", {}, title, key), frm.node);
  const cross = svg("line", { class: "sl-cross", y1: frm.top, y2: frm.bottom, visibility: "hidden" });
  /** @type {Chart | null} */
  let chart = null;
  let right = 1; // the x axis begins at 0
  /** @type {number | null} */
  let at = null;
  const px = (/** @type {number} */ v) => frm.x(v / right);

  /** @param {Chart} next */
  function update(next) {
    chart = next;
    const known = next.x.flatMap((xs) => Array.from(xs).filter(Number.isFinite));
    right = known.length ? Math.max(...known, 1) : 1;
    title.textContent = next.title + (next.log ? " (log scale)" : "");
    const last = next.lines.map((line) => `${line.name} ${show(lastOf(line.y))}`).join(", ");
    frm.node.setAttribute("aria-label", `${next.title} over tokens; now ${last || "nothing"}`);
    const along = ticks(0, right, 4), names = labels(along);
    const anchor = (/** @type {number} */ v) => (v === 0 ? "start" : px(v) > frm.x(1) - 16 ? "end" : "middle");
    frm.node.replaceChildren(clip.node, ...curves(frm, next, px, clip.id), frm.across("sl-axis", frm.bottom),
      ...along.map((v, i) => frm.xLabel(px(v), names[i], anchor(v))), frm.xTitle("tokens seen"), cross);
    place(at);
  }

  /** Show the values at `x`; null: the newest. @param {number | null} x */
  function place(x) {
    at = x;
    if (!chart) return;
    cross.setAttribute("visibility", x === null ? "hidden" : "visible");
    if (x !== null) for (const end of ["x1", "x2"]) cross.setAttribute(end, String(px(x)));
    const { lines, x: xs, mark } = chart;
    const entry = (/** @type {Attributes} */ kind, /** @type {string} */ name, /** @type {number} */ value) =>
      h("span", kind, h("i", { "aria-hidden": "true" }), name && `${name} `, h("b", {}, show(value)));
    key.replaceChildren(...lines.map((line, i) => entry(series(line.color, line.dashed), line.key ?? line.name,
      x === null ? lastOf(line.y) : line.y[nearest(xs[i], x)])));
    if (mark !== null && mark !== undefined) key.append(entry({ class: "sl-aim" }, "wanted", mark));
    if (x !== null) key.append(h("span", {}, "at ", h("b", {}, short(x)), " tokens"));
  }

  frm.node.addEventListener("pointermove", (event) => {
    const xs = chart?.x[0];
    if (xs?.length) onCross(xs[nearest(xs, frm.shareAt(event) * right)]);
  });
  frm.node.addEventListener("pointerleave", () => onCross(null));
  const size = new ResizeObserver(() => { // letters as large as those around, however wide the drawing is
    if (frm.node.clientWidth) frm.node.style.setProperty("--k", String(400 / frm.node.clientWidth));
  });
  size.observe(frm.node);
  return { node, update, place, end: () => size.disconnect() };
}

/** How a series looks, by its number. @param {number} color @param {boolean} [dashed] @param {string} [kind] */
export const series = (color, dashed, kind = "") => ({ class: `${kind}${dashed ? " sl-dashed" : ""}`, style: `--c: var(--sl-c${color})` });

/** Grid and lines of a chart; nothing if no value is known. @param {ReturnType<typeof frame>} at @param {Chart} chart @param {(v: number) => number} px @param {string} clip */
function curves(at, chart, px, clip) {
  const up = (/** @type {number} */ v) => (chart.log ? (v > 0 ? Math.log10(v) : NaN) : v);
  const bounds = range(chart, up);
  if (!bounds) return [];
  const [low, high] = bounds;
  const py = (/** @type {number} */ v) => at.y((v - low) / (high - low));
  const grid = yTicks(low, high, !!chart.log).flatMap((tick) => [at.across("sl-grid", py(tick.at)), at.yLabel(py(tick.at), tick.text)]);
  const aim = chart.mark === null || chart.mark === undefined ? [] : [at.across("sl-mark", py(up(chart.mark)))];
  return [...grid, ...aim, svg("g", { "clip-path": `url(#${clip})` }, ...chart.lines.map((line, i) => svg("path", {
    ...series(line.color, line.dashed, "sl-series"), d: path(chart.x[i], line.y, px, (v) => py(up(v)), up),
  })))];
}

/** @param {number} low @param {number} high @param {boolean} log @returns {{ at: number, text: string }[]} */
function yTicks(low, high, log) {
  const even = (/** @type {number[]} */ places, /** @type {(v: number) => number} */ value) => {
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

/** The newest value that is known. @param {ArrayLike<number>} y */
export function lastOf(y) {
  for (let i = y.length - 1; i >= 0; i -= 1) if (Number.isFinite(y[i])) return y[i];
  return NaN;
}

/** Place of the value closest to `x` in ascending values. @param {ArrayLike<number>} xs @param {number} x */
export function nearest(xs, x) {
  let best = 0;
  for (let i = 1; i < xs.length; i += 1) if (Math.abs(xs[i] - x) < Math.abs(xs[best] - x)) best = i;
  return best;
}

/**
 * @param {ArrayLike<number>} x @param {ArrayLike<number>} y
 * @param {(v: number) => number} px @param {(v: number) => number} py @param {(v: number) => number} up
 */
function path(x, y, px, py, up) {
  let [d, pen] = ["", "M"];
  for (let i = 0; i < y.length; i += 1) {
    const known = Number.isFinite(x[i]) && Number.isFinite(up(y[i]));
    if (known) d += `${pen}${px(x[i]).toFixed(1)} ${py(y[i]).toFixed(1)}`;
    pen = known ? "L" : "M";
  }
  return d.includes("L") ? d : d.replace(/M(\S+) (\S+)/g, "M$1 $2h0.01"); // a lone point is a dot
}
