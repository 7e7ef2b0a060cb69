/** A widget as a figure: what is painted, as one SVG of rectangles and text, or as PNG. */
import { button, h } from "./dom.js";

const NS = "http://www.w3.org/2000/svg";
const CONTROLS = ".sl-button, .sl-tabs, .sl-input, .sl-check, .sl-tip, .sl-alert, .sl-figure, .sl-controls, .sl-pin, [hidden]";
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

/** Whether a colour paints anything. @param {string} colour */
const paints = (colour) => !!colour && colour !== "transparent" && !/rgba\(.*, 0\)$|\/ 0\)$/.test(colour);

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

/** @param {Frame} frame @param {string} text @param {Box} box @param {CSSStyleDeclaration} style @param {string} [fill] */
function letters({ at }, text, box, style, fill = style.color) {
  const size = parseFloat(style.fontSize) || 13;
  const rtl = style.direction === "rtl";
  return shape("text", {
    x: (rtl ? box.right : box.left) - at.left, y: box.top - at.top + box.height / 2 + size * 0.36, fill, "font-family": style.fontFamily,
    "font-size": size, "font-weight": style.fontWeight, style: "white-space: pre", ...(rtl ? { direction: "rtl" } : {}),
  }, text);
}

/** Background, bars and lines of a box. @param {Frame} frame @param {CSSStyleDeclaration} style @param {Box} b */
function background(frame, style, b) {
  const box = inFrame(frame, b), out = [];
  const fill = style.backgroundColor;
  if (paints(fill)) out.push(shape("rect", { ...box, fill, rx: parseFloat(style.borderTopLeftRadius) || 0 }));
  out.push(...gradient(style, box));
  for (const side of /** @type {const} */ (["Top", "Bottom"])) {
    const width = parseFloat(style[`border${side}Width`]), stroke = style[`border${side}Color`];
    const y = side === "Top" ? box.y : box.y + box.height;
    if (width && paints(stroke)) out.push(shape("line", { x1: box.x, x2: box.x + box.width, y1: y, y2: y, stroke, "stroke-width": width }));
  }
  return out;
}

/** Bars and ramps are painted as gradients. @param {CSSStyleDeclaration} style @param {ReturnType<typeof inFrame>} box */
function gradient(style, box) {
  if (!style.backgroundImage.includes("gradient")) return [];
  const fill = style.backgroundImage.match(/(?:rgba?|color|oklab|oklch)\([^()]*\)/g)?.at(-1);
  const share = style.backgroundSize.match(/^([\d.]+)%/);
  if (!fill) return [];
  if (share) return [shape("rect", { ...box, width: (box.width * Number(share[1])) / 100, fill })];
  const step = box.width / 24;
  return Array.from({ length: 24 }, (_, i) => shape("rect", {
    ...box, x: box.x + i * step, width: step + 0.3, fill, "fill-opacity": (i + 0.5) / 24,
  }));
}

/** Signs for white space are drawn by the style sheet. @param {Frame} frame @param {Element} node @param {CSSStyleDeclaration} style */
function mark(frame, node, style) {
  const sign = node instanceof HTMLElement ? node.dataset.mark : undefined;
  const before = sign ? getComputedStyle(node, "::before") : null;
  const b = node.getClientRects()[0];
  if (!sign || !before || before.display === "none" || !b) return [];
  return [letters(frame, sign, new DOMRect(b.left, b.top, 8, b.height), style, before.color)];
}

/** A copy of a drawing with its style written into it. @template {SVGElement} E @param {E} node @returns {E} */
export function styled(node) {
  const copy = /** @type {E} */ (node.cloneNode(true));
  const to = [copy, ...copy.querySelectorAll("*")];
  [node, ...node.querySelectorAll("*")].forEach((source, i) => {
    const style = getComputedStyle(source);
    for (const name of SVG_STYLE) {
      const value = style.getPropertyValue(name);
      if (value) /** @type {SVGElement} */ (to[i]).style.setProperty(name, value);
    }
  });
  return copy;
}

/** Draw what an element and those in it paint. @param {Frame} frame @param {Element} node @param {Element} into */
function walk(frame, node, into) {
  if (node.matches(CONTROLS)) return;
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

/** The picture of an element without its controls. @param {HTMLElement} view @returns {SVGSVGElement} */
export function toSvg(view) {
  const at = view.getBoundingClientRect(), { width, height } = at;
  const out = shape("svg", { xmlns: NS, width, height, viewBox: `0 0 ${Math.ceil(width)} ${Math.ceil(height)}` });
  const probe = h("span", { style: "color: var(--sl-bg)" });
  view.append(probe);
  out.append(shape("rect", { width: "100%", height: "100%", fill: getComputedStyle(probe).color }));
  probe.remove();
  walk({ at, clips: 0 }, view, out);
  return /** @type {SVGSVGElement} */ (out);
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
  const menu = h("details", { class: "sl-figure" },
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
