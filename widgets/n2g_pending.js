/** The edit of a pattern graph that waits: what it would change, to be applied or left. */
import { onEnter } from "./controls.js";
import { button, grow, h } from "./dom.js";
import { change, percent } from "./n2g_panels.js";

/** What an edit does to the scores. @param {Preview} found */
function effects({ before, after, delta }) {
  if (!delta) return [h("span", { class: "sl-muted" }, "not scored")];
  const measures = /** @type {[Quality, string][]} */ ([["precision", "precision"], ["recall", "recall"], ["f1", "F1"]]);
  return [change("hits", delta.tp, 1), change("false alarms", delta.fp, -1), change("misses", delta.fn, -1), ...measures.map(([key, name]) => {
    const [a, b] = [before?.[key] ?? NaN, after?.[key] ?? NaN];
    const kind = !(Math.abs(a - b) >= 5e-5) ? "" : b > a ? "sl-up" : "sl-down";
    return h("span", {}, `${name} ${percent(before?.[key])} → `, h("b", { class: kind }, percent(after?.[key])));
  })];
}

/** Patterns that go, come, or change their value. @param {Preview["patterns"]} patterns */
function difference(patterns) {
  const kinds = /** @type {[keyof typeof patterns, string][]} */ ([["removed", "−"], ["added", "+"], ["revalued", "≈"]]);
  return h("ul", { class: "sl-diff" }, ...kinds.flatMap(([kind, sign]) => patterns[kind].map((text) =>
    h("li", { class: `sl-${kind}` }, h("span", { "aria-label": kind }, sign), " ", h("bdi", {}, text)))));
}

/** @param {Ui<N2G>} ui @param {() => void} applied */
export function staging({ request, ask, say }, applied) {
  const strip = h("div", { class: "sl-pending", role: "status", "aria-live": "polite", hidden: true });
  const note = h("input", {
    class: "sl-input", type: "text", placeholder: "Why? (a note, if you like)", "aria-label": "Note on this edit", maxlength: 500,
  });
  const apply = button("Apply", "Make this edit (Enter)", commit);
  apply.classList.add("sl-primary");
  onEnter(note, commit, cancel);
  /** @type {Pending | null} */
  let pending = null;
  /** @type {Pending | null} the one whose preview can be read: no other can be made */
  let shown = null;

  /** What the strip says is about an edit before, until the preview of the newest has come. @param {boolean} on */
  function wait(on) {
    strip.setAttribute("aria-busy", String(on));
    apply.disabled = on;
  }
  /** @type {Stage} */
  function stage(op, args) {
    const mine = (pending = { op, args });
    wait(!strip.hidden);
    request("preview", { op, args }).then((/** @type {Preview} */ found) => {
      if (pending !== mine) return;
      shown = mine;
      draw(found);
      wait(false);
    }, (/** @type {Error} */ error) => {
      if (pending === mine) cancel();
      say(error.message);
    });
  }
  function cancel() {
    pending = shown = null;
    strip.hidden = true;
  }
  function commit() {
    if (!pending || pending !== shown) return;
    const edit = { ...pending, note: note.value };
    cancel();
    applied();
    ask("apply", edit);
  }
  /** @param {Preview} found */
  function draw(found) {
    const typing = document.activeElement === note;
    if (strip.hidden) note.value = "";
    strip.replaceChildren(
      h("div", { class: "sl-bar" }, h("span", { class: "sl-pending-text" }, "Preview: ", h("bdi", {}, found.text)), grow(), apply,
        button("Cancel", "Leave the graph as it is (Esc)", cancel)),
      h("div", { class: "sl-bar sl-small" }, ...effects(found)), difference(found.patterns), note);
    strip.hidden = false;
    if (typing) note.focus();
  }
  return { strip, stage, cancel, commit, pending: () => pending };
}
