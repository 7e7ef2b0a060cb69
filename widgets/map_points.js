/** Points of a map: their colours, where they are on the screen, and which are near or inside. */
import { clamp, h } from "./dom.js";

export const STEPS = 10; // shades of a ramp
const HIDDEN = 255;
const mix = (/** @type {number} */ percent) => `color-mix(in srgb, var(--sl-fg) ${percent}%, var(--sl-bg))`;
// from blue to orange, which the colour-blind tell apart; before it what never fires
const RAMP = [mix(40), ...Array.from({ length: STEPS }, (_, i) =>
  `color-mix(in oklab, var(--sl-heat) ${Math.round((100 * i) / (STEPS - 1))}%, var(--sl-cool))`)];
// after Okabe and Ito (2008): told apart by the colour-blind; before them what has no group, then the smaller groups
const GROUPS = [mix(30), "#e69f00", "#56b4e9", "#009e73", "#d6c900", "#0072b2", "#d55e00", "#cc79a7", "#7b5cd6", mix(75)];
const NAMED = GROUPS.length - 2;

/**
 * Colours by group: the largest have their own.
 * @param {Columns} columns @param {Record<string, string>} groups @param {(i: number) => boolean} drawn @param {Set<number>} only colours; empty: all
 */
function byGroup({ n, latent }, groups, drawn, only) {
  /** @type {Map<string, number>} */
  const times = new Map();
  let without = 0;
  for (let i = 0; i < n; i += 1) {
    const name = groups[latent[i]];
    if (name && drawn(i)) times.set(name, (times.get(name) ?? 0) + 1);
    else if (drawn(i)) without += 1;
  }
  const names = [...times].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0])).slice(0, NAMED).map(([name]) => name);
  const place = new Map(names.map((name, i) => [name, i + 1]));
  const bucket = Uint8Array.from({ length: n }, (_, i) => {
    const name = groups[latent[i]], colour = place.get(name) ?? (name ? NAMED + 1 : 0);
    return drawn(i) && (!only.size || only.has(colour)) ? colour : HIDDEN;
  });
  const legend = names.map((name, i) => /** @type {[string, number]} */ ([`${name} (${times.get(name)})`, i + 1]));
  if (times.size > names.length) legend.push(["others", NAMED + 1]);
  if (!legend.length) legend.push(["no latent has a label yet", 0]);
  else if (without) legend.push([`none (${without})`, 0]);
  return { bucket, colours: GROUPS, legend };
}

/**
 * The colour of every point: number of one of the colours of the style sheet.
 * @param {Columns} columns
 * @param {{ kind: string, groups: Record<string, string>, dead: boolean, counted: number, only?: Set<number> }} by `only`: colours of groups; empty: all
 * @returns {{ bucket: Uint8Array, colours: string[], legend: [string, number][] }}
 */
export function palette(columns, { kind, groups, dead, counted, only = new Set() }) {
  const { n, count, rest } = columns;
  const drawn = (/** @type {number} */ i) => !Number.isNaN(rest[2 * i]) && (dead || count[i] > 0);
  if (kind === "label") return byGroup(columns, groups, drawn, only);
  const value = (/** @type {number} */ i) => (kind === "max" ? columns.max[i] : count[i] ? Math.log10(count[i]) : NaN);
  let low = Infinity, high = -Infinity;
  for (let i = 0; i < n; i += 1) if (drawn(i) && count[i] > 0) [low, high] = [Math.min(low, value(i)), Math.max(high, value(i))];
  const bucket = Uint8Array.from({ length: n }, (_, i) => {
    if (!drawn(i)) return HIDDEN;
    return count[i] ? 1 + Math.min(STEPS - 1, Math.floor((STEPS * (value(i) - low)) / (high - low || 1))) : 0;
  });
  const text = (/** @type {number} */ v) => (kind === "max" ? String(Number(v.toPrecision(3)))
    : `${Number(((100 * 10 ** v) / Math.max(1, counted)).toPrecision(2))} %`);
  const marks = high < low ? [] : high === low ? [[low, STEPS]] : [[low, 1], [(low + high) / 2, Math.ceil(STEPS / 2)], [high, STEPS]];
  const legend = marks.map(([v, step]) => /** @type {[string, number]} */ ([text(v), step]));
  return { bucket, colours: RAMP, legend: dead ? [["never fires", 0], ...legend] : legend };
}

/** A colour of the style sheet as it is now: of a class, or one that is given. @param {Element} inside @param {string} name @param {string} [given] */
export function paint(inside, name, given) {
  const probe = h("span", { class: name, style: given && `color: ${given}` });
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

/** Where a point is on the screen. @param {Columns} columns @param {Camera} camera @param {number} i */
const pixelOf = ({ rest }, camera, i) => toScreen(camera, rest[2 * i], rest[2 * i + 1]);

/**
 * Place of the drawn point nearest to a pixel, -1 if none is within `most` pixels.
 * @param {Columns} columns @param {Uint8Array} bucket @param {Camera} camera @param {[number, number]} pixel @param {number} most
 */
export function nearest(columns, bucket, camera, pixel, most) {
  let best = -1, least = most * most;
  for (let i = 0; i < columns.n; i += 1) {
    if (bucket[i] === HIDDEN) continue;
    const [x, y] = pixelOf(columns, camera, i);
    const d = (x - pixel[0]) ** 2 + (y - pixel[1]) ** 2;
    if (d <= least) [least, best] = [d, i];
  }
  return best;
}

/**
 * Place of the nearest point in a direction, -1 if there is none.
 * @param {Columns} columns @param {Uint8Array} bucket @param {number} here @param {number} dx @param {number} dy
 */
export function towards({ n, rest }, bucket, here, dx, dy) {
  const [x, y] = here >= 0 && !Number.isNaN(rest[2 * here]) ? [rest[2 * here], rest[2 * here + 1]] : [0, 0];
  let best = -1, least = Infinity;
  for (let i = 0; i < n; i += 1) {
    if (bucket[i] === HIDDEN || i === here) continue;
    const [a, b] = [rest[2 * i] - x, rest[2 * i + 1] - y];
    const along = a * dx + b * dy, across = Math.abs(a * dy) + Math.abs(b * dx);
    if (along > 0 && across <= along && along + across < least) [least, best] = [along + across, i];
  }
  return best;
}

/**
 * Latents whose points are inside a polygon of pixels (even-odd rule).
 * @param {Columns} columns @param {Uint8Array} bucket @param {Camera} camera @param {[number, number][]} polygon
 */
export function within(columns, bucket, camera, polygon) {
  const out = [];
  for (let i = 0; i < columns.n; i += 1) {
    if (bucket[i] === HIDDEN) continue;
    const [x, y] = pixelOf(columns, camera, i);
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
 * @param {{ columns: Columns, bucket: Uint8Array, colours: string[], picked: Set<number>, current: number,
 *   lasso: [number, number][], ink: string, accent: string }} what
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
    pen.globalAlpha = picked.size ? 0.35 : 1; // as in the legend
    const r = quiet ? size * 0.8 : size;
    pen.beginPath();
    for (const i of places) {
      const [x, y] = pixelOf(columns, camera, i);
      if (x < -9 || y < -9 || x > camera.width + 9 || y > camera.height + 9) continue;
      if (square) pen.rect(x - r, y - r, 2 * r, 2 * r);
      else { pen.moveTo(x + r, y); pen.arc(x, y, r, 0, 7); }
    }
    pen.fill();
  });
  pen.globalAlpha = 1;
  const circle = (/** @type {number} */ i, /** @type {number} */ r, /** @type {string} */ stroke, /** @type {number} */ width, fill = "transparent") => {
    const [x, y] = pixelOf(columns, camera, i);
    [pen.fillStyle, pen.strokeStyle, pen.lineWidth] = [fill, stroke, width];
    pen.beginPath();
    pen.arc(x, y, r, 0, 7);
    pen.fill();
    pen.stroke();
  };
  if (picked.size) of.forEach((places, b) => {
    for (const i of places) if (picked.has(columns.latent[i])) circle(i, size + 0.8, ink, 1, colours[b]);
  });
  if (current >= 0 && !Number.isNaN(columns.rest[2 * current])) circle(current, size + 4.5, accent, 2.5);
  if (lasso.length < 2) return;
  [pen.strokeStyle, pen.lineWidth] = [accent, 1.5];
  pen.setLineDash([4, 3]);
  pen.beginPath();
  for (const [x, y] of lasso) pen.lineTo(x, y);
  pen.closePath();
  pen.stroke();
  pen.setLineDash([]);
}
