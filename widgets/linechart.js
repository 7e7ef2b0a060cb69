import { h, show, svg } from "./dom.js";

/**
 * @typedef {object} Line
 * @property {string} name
 * @property {string} [key] the name in the chart's key, if it is another one
 * @property {boolean} [minor] a small part of the others: it may stretch the axis by one decade, not more
 * @property {ArrayLike<number>} y a gap where a value is not finite
 * @property {number} color number of a colour, 0 to 5
 * @property {boolean} [dashed]
 *
 * @typedef {object} Chart
 * @property {string} title
 * @property {ArrayLike<number>[]} x one for each line
 * @property {Line[]} lines
 * @property {boolean} [log]
 * @property {boolean} [zero] the y axis begins at 0
 * @property {number | null} [mark] a value to aim at
 */

const W = 400, H = 170, LEFT = 46, RIGHT = 8, TOP = 8, BOTTOM = 22;

/**
 * Round numbers between two values, about `n` of them.
 * @param {number} low @param {number} high @param {number} n
 * @returns {number[]}
 */
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
 * @param {Chart} chart
 * @param {(v: number) => number} up
 * @returns {[number, number] | null}
 */
export function range(chart, up) {
  let [low, high] = [Infinity, -Infinity];
  const take = (/** @type {number} */ v) => {
    if (!Number.isFinite(v)) return;
    low = Math.min(low, v);
    high = Math.max(high, v);
  };
  const all = (/** @type {Line} */ line, /** @type {number} */ i, /** @type {number} */ least) => {
    const last = Number(chart.x[i][line.y.length - 1]);
    for (let j = 0; j < line.y.length; j += 1) {
      if (line.y.length <= 8 || !(chart.x[i][j] < 0.04 * last)) take(Math.max(up(line.y[j]), least));
    }
  };
  chart.lines.forEach((line, i) => { if (!line.minor) all(line, i, -Infinity); });
  const least = low - 1;
  chart.lines.forEach((line, i) => { if (line.minor) all(line, i, least); });
  if (low > high) return null;
  if (chart.zero) low = Math.min(low, 0);
  if (chart.mark !== null && chart.mark !== undefined) take(up(chart.mark));
  if (low === high) return chart.zero ? [0, high || 1] : [low - 0.5, high + 0.5];
  if (!chart.log && !chart.zero) { // a curve that hardly moves is to look like one
    const lacks = Math.max(0, 0.01 * Math.max(Math.abs(low), Math.abs(high)) - (high - low));
    low -= lacks / 2;
    high += lacks / 2;
  }
  const pad = (high - low) * 0.06;
  return [chart.zero ? low : low - pad, high + pad];
}

/**
 * A line chart with a key that shows the values at the cross.
 * @param {(x: number | null) => void} onCross where the pointer is, in units of x
 */
export function lineChart(onCross) {
  const title = h("h3", {});
  const key = h("div", { class: "sl-lines-key" });
  const picture = svg("svg", { viewBox: `0 0 ${W} ${H}`, class: "sl-lines", role: "img" });
  const node = h("figure", { class: "sl-chart" }, h("figcaption", {}, title, key), picture);
  const cross = svg("line", { class: "sl-cross", y1: TOP, y2: H - BOTTOM, visibility: "hidden" });
  /** @type {Chart | null} */
  let chart = null;
  let [left, right] = [0, 1];
  /** @type {number | null} */
  let at = null;

  const px = (/** @type {number} */ v) => LEFT + ((v - left) / (right - left)) * (W - LEFT - RIGHT);

  /** @param {Chart} next */
  function update(next) {
    chart = next;
    const up = (/** @type {number} */ v) => (next.log ? (v > 0 ? Math.log10(v) : NaN) : v);
    const known = next.x.flatMap((xs) => [...Array.from(xs)].filter(Number.isFinite));
    [left, right] = [0, known.length ? Math.max(...known, 1) : 1];
    const bounds = range(next, up);
    title.textContent = next.title;
    picture.replaceChildren();
    const last = next.lines.map((line) => `${line.name} ${show(lastOf(line.y))}`).join(", ");
    picture.setAttribute("aria-label", `${next.title} over tokens; now ${last || "nothing"}`);
    if (bounds) {
      const [low, high] = bounds;
      const py = (/** @type {number} */ v) => H - BOTTOM - ((Math.min(Math.max(v, low), high) - low) / (high - low)) * (H - TOP - BOTTOM);
      for (const { at: v, text } of yTicks(low, high, !!next.log)) {
        picture.append(
          svg("line", { class: "sl-grid", x1: LEFT, x2: W - RIGHT, y1: py(v), y2: py(v) }),
          svg("text", { x: LEFT - 5, y: py(v) + 4, "text-anchor": "end" }, text),
        );
      }
      if (next.mark !== null && next.mark !== undefined) {
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

  /** Show the values at `x`; null: the newest. @param {number | null} x */
  function place(x) {
    at = x;
    if (!chart) return;
    cross.setAttribute("visibility", x === null ? "hidden" : "visible");
    if (x !== null) for (const end of ["x1", "x2"]) cross.setAttribute(end, String(px(x)));
    const { lines, x: xs, mark } = chart;
    key.replaceChildren(...lines.map((line, i) => h("span", { class: `sl-c${line.color}${line.dashed ? " sl-dashed" : ""}` },
      h("i", { "aria-hidden": "true" }), (line.key ?? line.name) ? `${line.key ?? line.name} ` : "", h("b", {}, show(x === null ? lastOf(line.y) : line.y[nearest(xs[i], x)])))));
    if (mark !== null && mark !== undefined) key.append(h("span", { class: "sl-aim" }, h("i", { "aria-hidden": "true" }), "wanted ", h("b", {}, show(mark))));
  }

  picture.addEventListener("pointermove", (event) => {
    const box = picture.getBoundingClientRect();
    const x = left + (((event.clientX - box.left) / (box.width || 1)) * W - LEFT) / (W - LEFT - RIGHT) * (right - left);
    const xs = chart?.x[0];
    if (xs?.length) onCross(xs[nearest(xs, x)]);
  });
  picture.addEventListener("pointerleave", () => onCross(null));
  return { node, update, place };
}

/** @param {number} low @param {number} high @param {boolean} log @returns {{ at: number, text: string }[]} */
function yTicks(low, high, log) {
  /** @param {number[]} places @param {(v: number) => number} value */
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

/** @param {ArrayLike<number>} y */
function lastOf(y) {
  for (let i = y.length - 1; i >= 0; i -= 1) if (Number.isFinite(y[i])) return y[i];
  return NaN;
}

/** Place of the value closest to `x` in ascending values. @param {ArrayLike<number>} xs @param {number} x */
export function nearest(xs, x) {
  let best = 0;
  for (let i = 1; i < xs.length; i += 1) if (Math.abs(xs[i] - x) < Math.abs(xs[best] - x)) best = i;
  return best;
}

/** @param {ArrayLike<number>} x @param {ArrayLike<number>} y @param {(v: number) => number} px @param {(v: number) => number} py @param {(v: number) => number} up */
function path(x, y, px, py, up) {
  let [d, pen] = ["", "M"];
  for (let i = 0; i < y.length; i += 1) {
    if (!Number.isFinite(x[i]) || !Number.isFinite(up(y[i]))) { pen = "M"; continue; }
    d += `${pen}${px(x[i]).toFixed(1)} ${py(y[i]).toFixed(1)}`;
    pen = "L";
  }
  return d.includes("L") ? d : d.replace(/M(\S+) (\S+)/g, "M$1 $2h0.01"); // a lone point is a dot
}

