/** Small helpers every widget uses. Children are text nodes or elements, never markup. */

/**
 * @template {Element} E
 * @param {E} node
 * @param {Attributes} attributes `true` gives an empty attribute; false, null and undefined give none
 * @param {(Node | string | null)[]} children
 */
function fill(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    node.setAttribute(key, value === true ? "" : String(value));
  }
  node.append(...children.filter((c) => c !== null));
  return node;
}

/**
 * Build an HTML element.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag @param {Attributes} [attributes] @param {...(Node | string | null)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export const h = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);

/**
 * Build an SVG element.
 * @template {keyof SVGElementTagNameMap} K
 * @param {K} tag @param {Attributes} [attributes] @param {...(Node | string | null)} children
 * @returns {SVGElementTagNameMap[K]}
 */
export const svg = (tag, attributes = {}, ...children) =>
  fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

/** A button with a text or sign and a name for screen readers. @param {string} text @param {string} name @param {() => void} action */
export function button(text, name, action) {
  const node = h("button", { type: "button", class: "sl-button", title: name, "aria-label": name }, text);
  node.addEventListener("click", action);
  return node;
}

/** A button that looks like a link. @param {Node | string} text @param {() => void} action @param {Attributes} [more] */
export function link(text, action, more = {}) {
  const node = h("button", { type: "button", class: "sl-link", ...more }, text);
  node.addEventListener("click", action);
  return node;
}

/** A small quiet line. @param {...(Node | string)} text */
export const note = (...text) => h("p", { class: "sl-muted sl-small" }, ...text);

/** Takes up the room between what is at the left and at the right of a bar. */
export const grow = () => h("span", { class: "sl-grow" });

/** The element of a kind in which an event happened. @param {Event} event @param {string} selector */
export const closest = (event, selector) =>
  /** @type {HTMLElement | null} */ (/** @type {Element} */ (event.target).closest?.(selector) ?? null);

/** Whether somebody is in this field. @param {Element} field */
export const focused = (field) => /** @type {Document} */ (field.getRootNode()).activeElement === field;

/** @param {DataView | undefined} view @returns {Float32Array} */
export function floats(view) {
  if (!view || view.byteLength === 0) return new Float32Array(0);
  // slice: the view's byteOffset need not be a multiple of four
  return new Float32Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
}

/**
 * A number for the eye: three significant digits, thousands grouped, "–" for what is undefined.
 * @param {number | null | undefined} value @param {number} [digits] @returns {string}
 */
export function show(value, digits = 3) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  const size = Math.abs(value);
  if (!size) return "0"; // not -0
  if (value < 0) return `−${show(size, digits)}`; // a minus sign as wide as a plus sign
  if (value === Infinity) return "∞";
  if (Number.isInteger(value)) return count(value);
  if (size >= 1e6 || size < 1e-3) return value.toExponential(digits - 1).replace("e+", "e");
  if (size >= 1000) return count(Math.round(value));
  return String(Number(value.toPrecision(digits)));
}

/** So many of something. @param {number} n @param {string} one @param {string} [several] */
export const many = (n, one, several = `${one}s`) => `${count(n)} ${n === 1 ? one : several}`;

/** A number with its sign written out. @param {number | null | undefined} value */
export const signed = (value) => (value && value > 0 ? `+${show(value)}` : show(value));

/** A number for a column: always three significant digits, so that the column can be read down. @param {number | null | undefined} value */
export function column(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  const size = Math.abs(value);
  const text = size !== 0 && (size >= 1000 || size < 1e-3) ? show(size) : size.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3);
  return value < 0 ? `−${text}` : text;
}

/** @param {number} value */
export const count = (value) => value.toLocaleString("en-US", { maximumFractionDigits: 0 });

/** @param {number} value @param {number} low @param {number} high */
export const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

/**
 * Call at most once every `wait` milliseconds, with the last arguments, and never after `signal` aborts.
 * @template {unknown[]} A
 * @param {(...args: A) => void} fn @param {number} wait @param {AbortSignal} signal
 */
export function throttle(fn, wait, signal) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  /** @type {A} */
  let last;
  signal.addEventListener("abort", () => clearTimeout(timer));
  return (/** @type {A} */ ...args) => {
    if (signal.aborted) return;
    last = args;
    timer ??= setTimeout(() => {
      timer = undefined;
      fn(...last);
    }, wait);
  };
}
