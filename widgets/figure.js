/** A widget as a figure: what is painted, as one SVG of rectangles and text, or as PNG. */
import { button, h } from "./dom.js";

const NS = "http://www.w3.org/2000/svg";
const WRAPS = ".sl-field, .sl-range, .sl-search"; // a control with its name
const SVG_STYLE = [
  "fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "stroke-opacity", "font-family", "font-size", "font-style",
  "font-weight", "text-anchor", "opacity", "visibility", "white-space",
];
/** Characters XML does not know. */
// eslint-disable-next-line no-control-regex
const ILLEGAL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

/** @typedef {{ left: number, top: number, right: number, width: number, height: number }} Box */
/** @typedef {{ at: Box, clips: number }} Frame where the figure begins on the screen, and how many clips it has */

/** @param {string} tag @param {Record<string, string | number>} attributes @param {string} [text] */
function shape(tag, attributes, text) {
  const node = document.createElementNS(NS, tag);
  for (const [key, value] of Object.entries(attributes)) {
    node.setAttribute(key, typeof value === "number" ? String(Math.round(value * 100) / 100) : value);
  }
  if (text !== undefined) node.append(text.replace(ILLEGAL, "\ufffd"));
  return node;
}

/** Where a box is in the figure. @param {Frame} frame @param {Box} box */
const inFrame = ({ at }, { left, top, width, height }) => ({ x: left - at.left, y: top - at.top, width, height });

/** Red, green, blue and opacity of a computed colour. @param {string} colour @returns {number[]} */
export function rgba(colour) {
  const parts = (colour.replace("color(srgb", "").match(/-?[\d.]+(?:e-?\d+)?/g) ?? []).map(Number);
  if (parts.length < 3) return [0, 0, 0, 0];
  const [r, g, b] = parts.slice(0, 3).map((v) => Math.round(colour.startsWith("color(") ? 255 * v : v));
  return [r, g, b, parts[3] ?? 1];
}

/** A colour as every program that opens an SVG knows it. @param {string} kind fill, stroke or stop-color @param {string} colour */
function ink(kind, colour) {
  const [r, g, b, opacity] = rgba(colour);
  return { [kind]: `rgb(${r},${g},${b})`, ...(opacity < 1 ? { [`${kind.replace("-color", "")}-opacity`]: opacity } : {}) };
}

/** Whether a colour paints anything. @param {string} colour */
const paints = (colour) => rgba(colour)[3] > 0;

/** Lines of a text node as they lie on the screen. @param {Text} node @returns {{ text: string, box: DOMRect }[]} */
function lines(node) {
  const range = document.createRange();
  const text = node.data;
  range.selectNodeContents(node);
  const boxes = [...range.getClientRects()].filter((b) => b.width > 0);
  if (boxes.length <= 1) return boxes.length && text.trim() ? [{ text, box: boxes[0] }] : [];
  /** @type {{ text: string, box: DOMRect }[]} */
  const out = [];
  let at = 0;
  for (const character of text) { // wrapped: find where each line ends
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

/** @param {Frame} frame @param {string} text @param {Box} box without a height: its top is the line the letters stand on @param {CSSStyleDeclaration} style @param {CSSStyleDeclaration} [own] of a sign */
function letters({ at }, text, box, style, own = style) {
  const size = parseFloat(own.fontSize) || 13;
  const rtl = style.direction === "rtl";
  return shape("text", {
    x: (rtl ? box.right : box.left) - at.left, y: box.top - at.top + (box.height && box.height / 2 + size * 0.36), ...ink("fill", own.color),
    "font-family": style.fontFamily, "font-size": size, "font-weight": style.fontWeight, style: "white-space: pre",
    ...(rtl ? { direction: "rtl" } : {}),
  }, text);
}

/** Background, bars and lines of a box. @param {Frame} frame @param {CSSStyleDeclaration} style @param {Box} b */
function background(frame, style, b) {
  const box = inFrame(frame, b), out = [], [left, right, bottom] = [box.x, box.x + box.width, box.y + box.height];
  const fill = style.backgroundColor, rx = parseFloat(style.borderTopLeftRadius) || 0;
  if (paints(fill)) out.push(shape("rect", { ...box, ...ink("fill", fill), rx }));
  out.push(...gradient(frame, style, box));
  /** @param {number} y @param {string} colour @param {number} width @param {string} [dashes] */
  const line = (y, colour, width, dashes) => out.push(shape("line", {
    x1: left, x2: right, y1: y, y2: y, ...ink("stroke", colour), "stroke-width": width, ...(dashes ? { "stroke-dasharray": dashes } : {}),
  }));
  const framed = parseFloat(style.borderLeftWidth) > 0 && parseFloat(style.borderRightWidth) > 0 && parseFloat(style.borderTopWidth) > 0;
  if (framed && paints(style.borderTopColor)) {
    out.push(shape("rect", { ...box, rx, fill: "none", ...ink("stroke", style.borderTopColor), "stroke-width": parseFloat(style.borderTopWidth) }));
  } else for (const side of /** @type {const} */ (["Top", "Bottom"])) {
    const width = parseFloat(style[`border${side}Width`]), colour = style[`border${side}Color`];
    const dashes = { dashed: "5 4", dotted: "1.5 3" }[style[`border${side}Style`]];
    if (width && paints(colour)) line(side === "Top" ? box.y : bottom, colour, width, dashes);
  }
  if (style.display === "inline" && style.textDecorationLine.includes("underline")) {
    line(bottom, style.textDecorationColor, 1.5, style.textDecorationStyle === "dotted" ? "1.5 2" : "");
  }
  const shadow = style.boxShadow.match(/^(.*\)) 0px -(\d+)px 0px 0px inset$/); // the mark under a token
  if (shadow) line(bottom - Number(shadow[2]) / 2, shadow[1], Number(shadow[2]));
  if (style.outlineStyle === "solid") {
    out.push(shape("rect", { ...box, rx, fill: "none", ...ink("stroke", style.outlineColor), "stroke-width": parseFloat(style.outlineWidth) }));
  }
  return out;
}

/** Bars and ramps are painted as gradients. @param {Frame} frame @param {CSSStyleDeclaration} style @param {ReturnType<typeof inFrame>} box */
function gradient(frame, style, box) {
  if (!style.backgroundImage.includes("gradient")) return [];
  const stops = [...style.backgroundImage.matchAll(/((?:rgba?|color)\([^()]*\))(?: ([\d.]+)%)?/g)].map(([, colour, at]) => ({ colour, at }));
  const share = style.backgroundSize.match(/^([\d.]+)%/);
  if (share) return stops.slice(-1).map(({ colour }) => shape("rect", { ...box, width: (box.width * Number(share[1])) / 100, ...ink("fill", colour) }));
  frame.clips += 1;
  const id = `saelab-ramp-${frame.clips}`, ramp = shape("linearGradient", { id });
  stops.forEach(({ colour, at }, i) => {
    const offset = at === undefined ? i / Math.max(1, stops.length - 1) : Number(at) / 100;
    // a clear stop has the colour of its neighbours, or the ramp would pass through black
    for (const near of paints(colour) ? [colour] : [stops[i - 1]?.colour, stops[i + 1]?.colour].filter(Boolean)) {
      ramp.append(shape("stop", { ...ink("stop-color", near), offset, ...(paints(colour) ? {} : { "stop-opacity": 0 }) }));
    }
  });
  return [ramp, shape("rect", { ...box, fill: `url(#${id})` })];
}

/** Signs for white space are drawn by the style sheet. @param {Frame} frame @param {Element} node @param {CSSStyleDeclaration} style */
function mark(frame, node, style) {
  const sign = node instanceof HTMLElement ? node.dataset.mark : undefined;
  const before = sign ? getComputedStyle(node, "::before") : null;
  const b = node.getClientRects()[0];
  if (!sign || !before || before.display === "none" || !b) return [];
  return [letters(frame, sign, b, style, before)];
}

/** A copy of a drawing with its style written into it. @template {SVGElement} E @param {E} node @returns {E} */
export function styled(node) {
  const copy = /** @type {E} */ (node.cloneNode(true));
  const to = [copy, ...copy.querySelectorAll("*")];
  [node, ...node.querySelectorAll("*")].forEach((source, i) => {
    const style = getComputedStyle(source);
    const look = /** @type {SVGElement} */ (to[i]).style;
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

/** Draw what an element and those in it paint. @param {Frame} frame @param {Element} node @param {Element} into */
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
  if (style.overflowX !== "visible" && box.width) { // what is cut off on the screen is cut off here
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

/** What a control says; nothing where it is empty. @param {Element} node */
function saying(node) {
  if (node instanceof HTMLSelectElement) return node.selectedOptions[0]?.text ?? "";
  if (node instanceof HTMLTextAreaElement) return node.value;
  if (!(node instanceof HTMLInputElement) || node.type === "range") return "";
  return node.type === "checkbox" ? (node.checked ? "✓" : "") : node.value;
}

/**
 * A copy of a view to be drawn: what is in its controls stands there as text, and what is for the hand alone is away
 * (buttons that are not pressed, empty fields with their names, and all of class `sl-live`).
 * @param {HTMLElement} view
 */
function still(view) {
  const copy = /** @type {HTMLElement} */ (view.cloneNode(true));
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
      if (node.width && node.height) /** @type {HTMLCanvasElement} */ (to[i]).getContext("2d")?.drawImage(node, 0, 0);
    } else if (!text) (label ?? to[i]).remove();
    else if (node.tagName !== "TEXTAREA") to[i].replaceWith(h("span", { class: "sl-said" }, text));
    else to[i].replaceWith(h("div", { class: `sl-said ${node.classList.contains("sl-live") ? "sl-live" : ""}` },
      h("span", { class: "sl-muted" }, `${node.getAttribute("aria-label")}: `), text));
  });
  copy.style.cssText += `position: absolute; inset-inline-start: -99999px; width: ${Math.ceil(view.getBoundingClientRect().width) + 20}px`; // with a margin
  view.after(copy);
  const [there, here] = [view, copy].map((root) => root.querySelector(".sl-grid")); // of a table, the rows in sight
  if (there && here) [here.scrollTop, here.scrollLeft] = [there.scrollTop, there.scrollLeft];
  return copy;
}

/** The picture of a view without its controls. @param {HTMLElement} view @returns {SVGSVGElement} */
export function toSvg(view) {
  const copy = still(view);
  try {
    const at = copy.getBoundingClientRect(), [width, height] = [at.width, at.height].map(Math.ceil);
    const out = shape("svg", { xmlns: NS, width, height, viewBox: `0 0 ${width} ${height}` });
    const probe = h("span", { style: "color: var(--sl-bg)" });
    copy.append(probe);
    out.append(shape("rect", { width: "100%", height: "100%", ...ink("fill", getComputedStyle(probe).color) }));
    probe.remove();
    walk({ at, clips: 0 }, copy, out);
    return /** @type {SVGSVGElement} */ (out);
  } finally {
    copy.remove();
  }
}

/** @param {SVGSVGElement} figure */
const svgBlob = (figure) => new Blob([new XMLSerializer().serializeToString(figure)], { type: "image/svg+xml" });

/** @param {SVGSVGElement} figure @param {number} [scale] pixels per pixel @returns {Promise<Blob>} */
export async function toPng(figure, scale = 2) {
  const [width, height] = ["width", "height"].map((k) => Number(figure.getAttribute(k)));
  const image = new Image();
  const url = URL.createObjectURL(svgBlob(figure));
  try {
    await new Promise((resolve, reject) => {
      image.onload = resolve;
      image.onerror = () => reject(new Error("the figure could not be drawn"));
      image.src = url;
    });
    const canvas = h("canvas", { width: Math.ceil(width * scale), height: Math.ceil(height * scale) });
    canvas.getContext("2d")?.drawImage(image, 0, 0, canvas.width, canvas.height);
    return await new Promise((resolve, reject) => canvas.toBlob((blob) => {
      if (blob) resolve(blob);
      else reject(new Error("the figure is too large for a picture"));
    }, "image/png"));
  } finally {
    URL.revokeObjectURL(url);
  }
}

/** @param {Blob} blob @param {string} name of the file */
export function save(blob, name) {
  const link = h("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/**
 * The button "figure" with its three ways out.
 * @param {{ view: HTMLElement, say(message: string): void }} ui
 * @param {() => string} name of the file, without its ending
 * @param {() => SVGSVGElement} [draw] of a widget that shows only a part: its picture of the whole
 */
export function figureMenu({ view, say }, name, draw = () => toSvg(view)) {
  const menu = h("details", { class: "sl-figure sl-live" },
    h("summary", { class: "sl-button", title: "Take what is shown as a figure" }, "figure"));
  /** @param {string} label @param {string} title @param {() => void | Promise<void>} action */
  const item = (label, title, action) => button(label, title, () => {
    menu.open = false;
    Promise.resolve().then(action).catch((/** @type {Error} */ e) => say(e.message));
  });
  menu.append(h("div", { class: "sl-menu" },
    item("save SVG", "Save as an SVG file, to be edited or printed", () => save(svgBlob(draw()), `${name()}.svg`)),
    item("save PNG", "Save as a picture with twice the screen's resolution", async () => save(await toPng(draw()), `${name()}.png`)),
    item("copy PNG", "Copy as a picture", async () => {
      const picture = toPng(draw()); // a promise: the browser asks that the click be recent
      if (!navigator.clipboard?.write) throw new Error("this page may not write to the clipboard; save the picture instead");
      await navigator.clipboard.write([new ClipboardItem({ "image/png": picture })]);
    })));
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !menu.open) return;
    menu.open = false;
    event.stopPropagation();
  });
  return menu;
}
