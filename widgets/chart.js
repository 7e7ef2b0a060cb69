import { clamp, column, count, h, show, svg } from "./dom.js";
import { facts } from "./tip.js";

/** @typedef {{ lo: number[], hi: number[], count: number[] }} Histogram */

const W = 320, H = 132, LEFT = 34, RIGHT = 8, TOP = 6, BOTTOM = 22;

/** Height of a bar: logarithmic, so that one firing can be seen beside ten thousand. @param {number} n @param {number} most */
export function logHeight(n, most) {
  return n <= 0 ? 0 : (Math.log10(n) + 0.4) / (Math.log10(most) + 0.4);
}

/**
 * A histogram with a brush; dragging gives a range that snaps to the edges of the bins.
 * @param {Histogram} data
 * @param {object} options
 * @param {[number, number] | null} options.brush
 * @param {(range: [number, number] | null) => void} options.onBrush
 * @param {ReturnType<typeof import("./tip.js").tooltip>} options.tip
 */
export function histogram(data, { brush, onBrush, tip }) {
  const most = Math.max(...data.count, 1);
  const low = data.lo[0], high = Math.max(data.hi[data.hi.length - 1], low + 1e-9);
  const total = data.count.reduce((a, b) => a + b, 0);
  const x = (/** @type {number} */ v) => LEFT + ((v - low) / (high - low)) * (W - LEFT - RIGHT);
  const y = (/** @type {number} */ n) => H - BOTTOM - logHeight(n, most) * (H - TOP - BOTTOM);
  const node = svg("svg", {
    viewBox: `0 0 ${W} ${H}`, class: "sl-histogram", role: "img",
    "aria-label": `Histogram of ${count(total)} activations from ${show(low)} to ${show(high)}, logarithmic counts`,
  });
  for (let n = 1; n <= most; n *= 10) {
    node.append(
      svg("line", { class: "sl-grid", x1: LEFT, x2: W - RIGHT, y1: y(n), y2: y(n) }),
      svg("text", { x: LEFT - 5, y: y(n) + 4, "text-anchor": "end" }, n >= 1e6 ? `${n / 1e6}M` : n >= 1000 ? `${n / 1000}k` : String(n)),
    );
  }
  data.count.forEach((n, i) => {
    const width = Math.max(x(data.hi[i]) - x(data.lo[i]) - 0.6, 0.8);
    if (n > 0) node.append(svg("rect", { class: "sl-bin", x: x(data.lo[i]), width, y: y(n), height: H - BOTTOM - y(n) }));
  });
  node.append(svg("line", { class: "sl-axis", x1: LEFT, x2: W - RIGHT, y1: H - BOTTOM, y2: H - BOTTOM }));
  for (const share of [0, 0.5, 1]) {
    const v = low + share * (high - low);
    node.append(svg("text", { x: x(v), y: H - 6, "text-anchor": share === 0 ? "start" : share === 1 ? "end" : "middle" }, show(v)));
  }
  const mark = svg("rect", { class: "sl-brush", y: TOP, height: H - TOP - BOTTOM });
  const place = (/** @type {[number, number] | null} */ range) => {
    mark.setAttribute("visibility", range ? "visible" : "hidden");
    if (!range) return;
    const [a, b] = [x(clamp(range[0], low, high)), x(clamp(range[1], low, high))];
    mark.setAttribute("x", String(a));
    mark.setAttribute("width", String(Math.max(b - a, 1)));
  };
  place(brush);
  node.append(mark);

  const binAt = (/** @type {PointerEvent} */ event) => {
    const box = node.getBoundingClientRect();
    const at = ((event.clientX - box.left) / (box.width || 1)) * W;
    const v = low + ((at - LEFT) / (W - LEFT - RIGHT)) * (high - low);
    const bin = data.hi.findIndex((edge) => v < edge);
    return bin === -1 ? data.hi.length - 1 : bin;
  };
  const range = (/** @type {number} */ a, /** @type {number} */ b) => /** @type {[number, number]} */ ([data.lo[Math.min(a, b)], data.hi[Math.max(a, b)]]);
  let from = -1, moved = false;
  node.addEventListener("pointerdown", (event) => {
    from = binAt(event);
    moved = false;
    node.setPointerCapture?.(event.pointerId);
    event.preventDefault();
  });
  node.addEventListener("pointermove", (event) => {
    const bin = binAt(event);
    if (from >= 0) {
      moved = moved || bin !== from;
      tip.hide();
      return place(range(from, bin));
    }
    const above = data.count.slice(bin).reduce((a, b) => a + b, 0);
    tip.show(node, facts([
      ["activation", `${show(data.lo[bin])} – ${show(data.hi[bin])}`],
      ["firings", count(data.count[bin])],
      ["at least this strong", `${show((100 * above) / total)} %`],
    ]));
  });
  node.addEventListener("pointerleave", () => tip.hide());
  node.addEventListener("pointerup", (event) => {
    if (from < 0) return;
    const [a, b] = [from, binAt(event)];
    from = -1;
    if (!moved && brush) onBrush(null); // a click on a brushed histogram takes the brush away
    else onBrush(range(a, b));
  });
  node.addEventListener("pointercancel", () => { from = -1; place(brush); });
  return node;
}

/**
 * Name, bar and number in a row.
 * @param {Node} name @param {number} value @param {number} most @param {string} [kind]
 */
export function barRow(name, value, most, kind = "") {
  const bar = h("span", { class: `sl-hbar ${kind}` });
  bar.style.setProperty("--w", `${(100 * clamp(Math.abs(value) / (most || 1), 0, 1)).toFixed(1)}%`);
  return [h("span", { class: "sl-cell" }, name), bar, h("span", { class: "sl-value" }, column(value))];
}
