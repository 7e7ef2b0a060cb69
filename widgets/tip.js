import { clamp, closest, h } from "./dom.js";

/**
 * A tooltip that nothing clips: it is shown in the browser's top layer, because a notebook's cells contain
 * and cut what is painted in them.
 * @param {HTMLElement} parent @param {AbortSignal} signal @returns {Tip}
 */
export function tooltip(parent, signal) {
  const box = h("div", { class: "sl-tip", role: "tooltip", popover: "manual" });
  parent.append(box);
  let open = false;
  const hide = () => {
    if (!open) return;
    open = false;
    box.classList.remove("sl-open");
    box.hidePopover?.();
  };
  /** @type {Tip["show"]} */
  const show = (anchor, ...content) => {
    box.replaceChildren(...content);
    if (!open) {
      open = true;
      box.classList.add("sl-open");
      box.showPopover?.();
    }
    const at = anchor.getClientRects()[0] ?? anchor.getBoundingClientRect();
    const size = box.getBoundingClientRect();
    const above = at.bottom + 6 + size.height > window.innerHeight && at.top - 6 - size.height > 0;
    box.style.left = `${clamp(at.left, 4, Math.max(4, window.innerWidth - size.width - 4))}px`;
    box.style.top = `${above ? at.top - 6 - size.height : at.bottom + 6}px`;
  };
  window.addEventListener("scroll", hide, { capture: true, passive: true, signal });
  signal.addEventListener("abort", hide);
  return { show, hide };
}

/** Rows of name and value. @param {Pairs} pairs @param {string} [kind] class of the list */
export const facts = (pairs, kind) =>
  h("dl", { class: kind }, ...pairs.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));

/** The same in one line. @param {Pairs} pairs */
export const inline = (pairs) =>
  pairs.map(([name, value]) => h("span", {}, name && `${name} `, typeof value === "string" ? h("b", {}, value) : value));

/**
 * A tip for the token under the pointer: the facts of each of the tokens that together are one piece of text.
 * @param {Tip} tip @param {HTMLElement} node @param {(span: HTMLElement, position: number) => Pairs | null} describe
 * @param {number} [most] tokens
 */
export function tokenTip(tip, node, describe, most = 6) {
  node.addEventListener("pointerover", (event) => {
    const span = closest(event, ".sl-tok");
    const [start, stop] = span ? [Number(span.dataset.start), Number(span.dataset.stop)] : [0, 0];
    const all = [];
    for (let i = start; span && i < Math.min(stop, start + most); i += 1) all.push(describe(span, i));
    if (span && all.length && all[0]) tip.show(span, ...all.map((pairs) => facts(pairs ?? [])));
    else tip.hide();
  });
  node.addEventListener("pointerleave", () => tip.hide());
}
