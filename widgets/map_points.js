/** Points of a map: their colours, where they are on the screen, and which are near or inside. */
import { clamp } from "./dom.js";

/**
 * @typedef {import("./columns.js").Columns} Columns
 * @typedef {{ x: number, y: number, zoom: number, width: number, height: number }} Camera centre of the view, in the places' own units
 */

export const STEPS = 10; // shades of a ramp
const GROUPS = 8; // named colours, after Okabe and Ito (2008): told apart by the colour-blind
const HIDDEN = 255;

/**
 * The colour of every point.
 * @param {Columns} columns
 * @param {{ kind: string, groups: Record<string, string>, dead: boolean, counted: number }} by
 * @returns {{ bucket: Uint8Array, classes: string[], legend: [string, number][] }} classes: of the style sheet, one per bucket
 */
export function palette(columns, { kind, groups, dead, counted }) {
  const { n, count, latent, rest } = columns;
  const bucket = new Uint8Array(n);
  const drawn = (/** @type {number} */ i) => !Number.isNaN(rest[2 * i]) && (dead || count[i] > 0);
  if (kind === "label") {
    /** @type {Map<string, number>} */
    const times = new Map();
    for (let i = 0; i < n; i += 1) {
      const name = groups[latent[i]];
      if (name && drawn(i)) times.set(name, (times.get(name) ?? 0) + 1);
    }
    const names = [...times].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0])).slice(0, GROUPS).map(([name]) => name);
    const place = new Map(names.map((name, i) => [name, i + 1]));
    for (let i = 0; i < n; i += 1) bucket[i] = drawn(i) ? place.get(groups[latent[i]]) ?? (groups[latent[i]] ? GROUPS + 1 : 0) : HIDDEN;
    const legend = /** @type {[string, number][]} */ (names.map((name, i) => [`${name} (${times.get(name)})`, i + 1]));
    if (times.size > names.length) legend.push(["others", GROUPS + 1]);
    return { bucket, classes: Array.from({ length: GROUPS + 2 }, (_, i) => `sl-group-${i}`), legend: legend.length ? legend : [["no latent has a label yet", 0]] };
  }
  const value = (/** @type {number} */ i) => (kind === "max" ? columns.max[i] : count[i] ? Math.log10(count[i]) : NaN);
  let low = Infinity, high = -Infinity;
  for (let i = 0; i < n; i += 1) {
    const v = value(i);
    if (!drawn(i) || !(count[i] > 0)) continue;
    if (v < low) low = v;
    if (v > high) high = v;
  }
  for (let i = 0; i < n; i += 1) {
    if (!drawn(i)) bucket[i] = HIDDEN;
    else bucket[i] = count[i] ? 1 + Math.min(STEPS - 1, Math.floor((STEPS * (value(i) - low)) / (high - low || 1))) : 0;
  }
  const text = (/** @type {number} */ v) => (kind === "max" ? String(Number(v.toPrecision(3))) : `${Number(((100 * 10 ** v) / Math.max(1, counted)).toPrecision(2))} %`);
  const legend = /** @type {[string, number][]} */ (high < low ? [] : high === low ? [[text(low), STEPS]] : [[text(low), 1], [text((low + high) / 2), Math.ceil(STEPS / 2)], [text(high), STEPS]]);
  if (dead) legend.unshift(["never fires", 0]);
  return { bucket, classes: Array.from({ length: STEPS + 1 }, (_, i) => `sl-step-${i}`), legend };
}

/** The colour a class of the style sheet has now. @param {Element} inside @param {string} name */
export function paint(inside, name) {
  const probe = document.createElement("span");
  probe.className = name;
  inside.append(probe);
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour;
}

/** @param {Camera} camera @param {number} x @param {number} y @returns {[number, number]} pixel */
export function toScreen(camera, x, y) {
  const k = (Math.min(camera.width, camera.height) / 2) * 0.94 * camera.zoom;
  return [camera.width / 2 + (x - camera.x) * k, camera.height / 2 - (y - camera.y) * k];
}

/** Place of the drawn point nearest to a pixel, -1 if none is within `most` pixels. @param {Columns} columns @param {Uint8Array} bucket @param {Camera} camera @param {[number, number]} pixel @param {number} most */
export function nearest(columns, bucket, camera, pixel, most) {
  let best = -1, least = most * most;
  for (let i = 0; i < columns.n; i += 1) {
    if (bucket[i] === HIDDEN) continue;
    const [x, y] = toScreen(camera, columns.rest[2 * i], columns.rest[2 * i + 1]);
    const d = (x - pixel[0]) ** 2 + (y - pixel[1]) ** 2;
    if (d <= least) { least = d; best = i; }
  }
  return best;
}

/** Latents whose points are inside a polygon of pixels (even-odd rule). @param {Columns} columns @param {Uint8Array} bucket @param {Camera} camera @param {[number, number][]} polygon */
export function within(columns, bucket, camera, polygon) {
  const out = [];
  for (let i = 0; i < columns.n; i += 1) {
    if (bucket[i] === HIDDEN) continue;
    const [x, y] = toScreen(camera, columns.rest[2 * i], columns.rest[2 * i + 1]);
    let inside = false;
    for (let a = 0, b = polygon.length - 1; a < polygon.length; b = a, a += 1) {
      const [[ax, ay], [bx, by]] = [polygon[a], polygon[b]];
      if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) inside = !inside;
    }
    if (inside) out.push(columns.latent[i]);
  }
  return out;
}

/**
 * @param {HTMLCanvasElement} canvas @param {Camera} camera
 * @param {{ columns: Columns, bucket: Uint8Array, colours: string[], picked: Set<number>, current: number, lasso: [number, number][], ink: string, accent: string }} what
 */
export function draw(canvas, camera, { columns, bucket, colours, picked, current, lasso, ink, accent }) {
  const pen = canvas.getContext("2d");
  if (!pen) return;
  const scale = canvas.width / camera.width;
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.clearRect(0, 0, camera.width, camera.height);
  const size = clamp((5.4 - Math.log10(columns.n + 10)) * 1.5 + 1 + Math.log2(Math.max(1, camera.zoom)) * 0.6, 1.1, 6) / 1.4;
  const square = columns.n > 30000; // a rectangle is drawn several times faster than a circle
  /** @type {number[][]} */
  const of = colours.map(() => []);
  for (let i = 0; i < columns.n; i += 1) if (bucket[i] !== HIDDEN) of[bucket[i]].push(i);
  of.forEach((places, b) => {
    pen.fillStyle = colours[b];
    const quiet = b === 0; // the rest, under what has a colour
    pen.globalAlpha = picked.size ? 0.35 : quiet ? 0.6 : 0.9;
    const r = quiet ? size * 0.8 : size;
    pen.beginPath();
    for (const i of places) {
      const [x, y] = toScreen(camera, columns.rest[2 * i], columns.rest[2 * i + 1]);
      if (x < -9 || y < -9 || x > camera.width + 9 || y > camera.height + 9) continue;
      if (square) pen.rect(x - r, y - r, 2 * r, 2 * r);
      else { pen.moveTo(x + r, y); pen.arc(x, y, r, 0, 7); }
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
    lasso.forEach(([x, y], i) => (i ? pen.lineTo(x, y) : pen.moveTo(x, y)));
    pen.closePath();
    pen.stroke();
    pen.setLineDash([]);
  }
}
