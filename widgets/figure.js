/** A widget as a figure: what is painted, as one SVG of rectangles and text, or as PNG. */
import { button, h } from "./dom.js";

const NS = "http://www.w3.org/2000/svg";
const CONTROLS = ".sl-button, .sl-tabs, .sl-input, .sl-check, .sl-tip, .sl-alert, .sl-figure, .sl-controls, .sl-pin, [hidden]";
const SVG_STYLE = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "stroke-opacity", "font-family", "font-size", "font-weight", "text-anchor", "opacity", "visibility"];
/** Characters XML does not know. */
// eslint-disable-next-line no-control-regex
const ILLEGAL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

/** @param {string} tag @param {Record<string, string | number>} attributes @param {string} [text] */
function shape(tag, attributes, text) {
  const node = document.createElementNS(NS, tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, typeof value === "number" ? String(Math.round(value * 100) / 100) : value);
  if (text !== undefined) node.append(text.replace(ILLEGAL, "\ufffd"));
  return node;
}

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

/**
 * The picture of an element without its controls.
 * @param {HTMLElement} view
 * @returns {SVGSVGElement}
 */
export function toSvg(view) {
  const frame = view.getBoundingClientRect();
  const out = /** @type {SVGSVGElement} */ (shape("svg", { xmlns: NS, width: frame.width, height: frame.height, viewBox: `0 0 ${Math.ceil(frame.width)} ${Math.ceil(frame.height)}` }));
  const [x0, y0] = [frame.left, frame.top];
  const probe = h("span", { style: "color: var(--sl-bg)" });
  view.append(probe);
  out.append(shape("rect", { width: "100%", height: "100%", fill: getComputedStyle(probe).color }));
  probe.remove();
  let clips = 0;

  /** @param {Element} node @param {Element} into */
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
      for (const [side, y] of /** @type {[string, number][]} */ ([["Top", b.top], ["Bottom", b.bottom]])) {
        const width = parseFloat(style[/** @type {"borderTopWidth"} */ (`border${side}Width`)]);
        const colour = style[/** @type {"borderTopColor"} */ (`border${side}Color`)];
        if (width && paints(colour)) into.append(shape("line", { x1: b.left - x0, x2: b.right - x0, y1: y - y0, y2: y - y0, stroke: colour, "stroke-width": width }));
      }
    }
    let inner = into;
    if (style.overflowX !== "visible" && box.width) { // what is cut off on the screen is cut off here
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

  /** Bars and ramps are painted as gradients. @param {CSSStyleDeclaration} style @param {DOMRect} b @param {Element} into */
  function bars(style, b, into) {
    if (!style.backgroundImage.includes("gradient")) return;
    const colours = style.backgroundImage.match(/(?:rgba?|color|oklab|oklch)\([^()]*\)/g) ?? [];
    const share = style.backgroundSize.match(/^([\d.]+)%/);
    const colour = colours[colours.length - 1];
    if (!colour) return;
    const width = b.width * (share ? Number(share[1]) / 100 : 1);
    if (share) return void into.append(shape("rect", { x: b.left - x0, y: b.top - y0, width, height: b.height, fill: colour }));
    for (let i = 0; i < 24; i += 1) into.append(shape("rect", { x: b.left - x0 + (i * width) / 24, y: b.top - y0, width: width / 24 + 0.3, height: b.height, fill: colour, "fill-opacity": (i + 0.5) / 24 }));
  }

  /** Signs for white space are drawn by the style sheet. @param {Element} node @param {CSSStyleDeclaration} style @param {Element} into */
  function mark(node, style, into) {
    if (!(node instanceof HTMLElement) || !node.dataset.mark) return;
    const before = getComputedStyle(node, "::before");
    const b = node.getClientRects()[0];
    if (before.display === "none" || !b) return;
    into.append(letters(node.dataset.mark, new DOMRect(b.left, b.top, 8, b.height), style, before.color));
  }

  /** @param {string} text @param {DOMRect} box @param {CSSStyleDeclaration} style @param {string} [fill] */
  function letters(text, box, style, fill = style.color) {
    const size = parseFloat(style.fontSize) || 13;
    const rtl = style.direction === "rtl";
    return shape("text", {
      x: (rtl ? box.right : box.left) - x0, y: box.top - y0 + box.height / 2 + size * 0.36, fill, "font-family": style.fontFamily, "font-size": size, "font-weight": style.fontWeight,
      style: "white-space: pre", ...(rtl ? { direction: "rtl" } : {}),
    }, text);
  }

  /** A chart with its style written into it. @param {SVGSVGElement} node @param {DOMRect} box */
  function inline(node, box) {
    const copy = /** @type {SVGSVGElement} */ (node.cloneNode(true));
    const [from, to] = [[node, ...node.querySelectorAll("*")], [copy, ...copy.querySelectorAll("*")]];
    from.forEach((source, i) => {
      const style = getComputedStyle(source);
      for (const name of SVG_STYLE) if (style.getPropertyValue(name)) /** @type {SVGElement} */ (to[i]).style.setProperty(name, style.getPropertyValue(name));
    });
    for (const [key, value] of Object.entries({ x: box.left - x0, y: box.top - y0, width: box.width, height: box.height })) copy.setAttribute(key, String(value));
    return copy;
  }

  walk(view, out);
  return out;
}

/** @param {SVGSVGElement} figure */
export const svgText = (figure) => new XMLSerializer().serializeToString(figure);

/** @param {SVGSVGElement} figure @param {number} [scale] pixels per pixel @returns {Promise<Blob>} */
export async function toPng(figure, scale = 2) {
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
    return await new Promise((resolve, reject) => canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("the figure is too large for a picture"))), "image/png"));
  } finally {
    URL.revokeObjectURL(url);
  }
}

/** @param {Blob} blob @param {string} name */
function save(blob, name) {
  const link = h("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/**
 * The button "figure" with its three ways out.
 * @param {HTMLElement} view @param {() => string} name of the file, without its ending @param {(message: string) => void} say
 * @param {() => SVGSVGElement} [draw] of a widget that shows only a part: its picture of the whole
 */
export function figureMenu(view, name, say, draw = () => toSvg(view)) {
  const menu = h("details", { class: "sl-figure" }, h("summary", { class: "sl-button", title: "Take what is shown as a figure" }, "figure"));
  /** @param {string} label @param {string} title @param {() => void | Promise<void>} action */
  const item = (label, title, action) => button(label, title, () => {
    menu.open = false;
    Promise.resolve().then(action).catch((/** @type {Error} */ e) => say(e.message));
  });
  menu.append(h("div", { class: "sl-menu" },
    item("save SVG", "Save as an SVG file, to be edited or printed", () => save(new Blob([svgText(draw())], { type: "image/svg+xml" }), `${name()}.svg`)),
    item("save PNG", "Save as a picture with twice the screen's resolution", async () => save(await toPng(draw()), `${name()}.png`)),
    item("copy PNG", "Copy as a picture", async () => {
      const picture = toPng(draw()); // a promise: the browser asks that the click be recent
      if (!navigator.clipboard?.write) throw new Error("this page may not write to the clipboard; save the picture instead");
      await navigator.clipboard.write([new ClipboardItem({ "image/png": picture })]);
    })));
  menu.addEventListener("keydown", (event) => { if (event.key === "Escape" && menu.open) { menu.open = false; event.stopPropagation(); } });
  return menu;
}
