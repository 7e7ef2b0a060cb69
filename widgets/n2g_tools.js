/** What can be done to the selected node; every edit is shown with what it would change before it is made. */
import { button, h } from "./dom.js";
import { forms } from "./n2g_forms.js";
import { staging } from "./n2g_pending.js";
import { chip } from "./text.js";

/** @typedef {{ key: string, label: string, name: string, fits(n: PatternNode): boolean, run(n: PatternNode): void, on?(n: PatternNode): boolean }} Action */

const named = (/** @type {PatternNode} */ n) => n.kind === "tok" || n.kind === "not";
const place = (/** @type {PatternNode} */ n) => named(n) || n.kind === "any";
const isEnd = (/** @type {PatternNode} */ n) => n.end !== null;

/**
 * All that can be done to a node, by its key.
 * @param {() => PatternNode[]} nodes @param {Stage} stage @param {ReturnType<typeof forms>} form @returns {Action[]}
 */
function actionsOf(nodes, stage, form) {
  const anchored = (/** @type {PatternNode} */ n) => nodes().some((m) => m.parent === n.id && m.kind === "start");
  return [
    { key: "Delete", label: "Delete", name: "Delete the node and what is to its left (Del)", fits: () => true,
      run: (n) => stage("delete", { node: n.id }) },
    { key: "w", label: "Any token", name: "Any token may stand here (W)", fits: named, run: (n) => stage("wildcard", { node: n.id }) },
    { key: "s", label: "Only …", name: "Only these tokens may stand here (S)", fits: place,
      run: (n) => form.chooser(n, "Only these tokens", "specialise", true) },
    { key: "a", label: "Also …", name: "Further tokens may stand here (A)", fits: named,
      run: (n) => form.chooser(n, n.kind === "tok" ? "Also these tokens" : "Also not these tokens", "add_alternative", n.kind === "tok") },
    { key: "x", label: "Not after …", name: "Not where one of these tokens is before it (X)", fits: place,
      run: (n) => form.chooser(n, "Not after these tokens", "exclude", false) },
    { key: "g", label: "Gap …", name: "Tokens that may stand between (G)",
      fits: (n) => n.kind === "gap" || n.kind === "any" || n.parent !== 0, run: form.gap },
    { key: "^", label: "Start", name: "Only at the start of the text, or anywhere again (^)",
      fits: (n) => place(n) && (isEnd(n) || anchored(n)), run: (n) => stage("anchor_start", { node: n.id, on: !anchored(n) }), on: anchored },
    { key: "m", label: "End", name: "A pattern ends here: what is to the left is not needed; or no longer (M)",
      fits: (n) => place(n) || n.kind === "start", run: (n) => stage("mark", { node: n.id, on: !isEnd(n) }), on: isEnd },
    { key: "v", label: "Value …", name: "Predicted activation where a pattern ends here (V)", fits: isEnd, run: form.value },
    { key: "p", label: "Split", name: "A node of its own for each alternative (P)", fits: (n) => n.kind === "tok" && n.ids.length > 1,
      run: (n) => stage("split", { node: n.id, ids: null }) },
    { key: "l", label: "Lock", name: "Protect the node from edits, or release it (L)", fits: () => true,
      run: (n) => stage("lock", { node: n.id, on: !n.locked }), on: (n) => n.locked },
    { key: "?", label: "Verify", name: "Ask the model whether this pattern alone makes the latent fire (?)", fits: isEnd, run: form.verify },
  ];
}

/** @param {Ui<N2G>} ui */
export function tools(ui) {
  const { state } = ui;
  const node = () => state.nodes.find((n) => n.id === state.selected);
  const { strip, stage, cancel, commit, pending } = staging(ui, () => form.close());
  const form = forms(ui, stage, cancel);
  const actions = actionsOf(() => state.nodes, stage, form);
  const box = h("section", { class: "sl-tools" });
  /** @type {Set<number>} */
  const leaving = new Set(); // alternatives that are marked to go
  let drawn = "", last = -1; // the node the buttons are of, as text and by its number

  /** The action of a key on the selected node. @param {string} key @returns {(() => void) | undefined} */
  function forKey(key) {
    const here = node();
    const action = actions.find((a) => a.key === (key === "Backspace" ? "Delete" : key.length === 1 ? key.toLowerCase() : key));
    return here && action?.fits(here) ? () => action.run(here) : undefined;
  }

  /** Buttons for the selected node. */
  function draw() {
    const here = node();
    const key = JSON.stringify(here ?? null);
    if (key === drawn) return;
    // a key may be faster than this drawing: what was begun on a node that has just been selected goes on
    const fresh = here && here.id !== last ? here.id : null;
    [drawn, last] = [key, here?.id ?? -1];
    leaving.clear();
    if (fresh === null || pending()?.args.node !== fresh) cancel();
    if (fresh === null || form.of() !== fresh) form.close();
    box.replaceChildren();
    if (!here) return;
    box.append(h("div", { class: "sl-actions", role: "toolbar", "aria-label": "Edit the node" }, ...actions.filter((a) => a.fits(here)).map((a) => {
      const made = button(a.label, a.name, () => a.run(here));
      if (a.on) made.setAttribute("aria-pressed", String(a.on(here)));
      return made;
    })), form.node);
    form.focus();
  }

  /** The alternatives of a node; with several, a click marks those to be taken away. @param {PatternNode} here */
  function alternatives(here) {
    return here.text.slice(0, 60).map((text, i) => {
      const made = chip(text), id = here.ids[i];
      if (state.read_only || here.ids.length < 2) return made;
      const press = h("button", {
        type: "button", class: "sl-alternative", title: "Take away", "aria-pressed": String(leaving.has(id)), "aria-label": `Take away ${text}`,
      }, made);
      press.addEventListener("click", () => {
        if (!leaving.delete(id)) leaving.add(id);
        press.setAttribute("aria-pressed", String(leaving.has(id)));
        if (leaving.size) stage("remove_alternative", { node: here.id, ids: [...leaving] });
        else cancel();
      });
      return press;
    });
  }
  return { node, box, strip, draw, stage, cancel, commit, forKey, alternatives, waiting: () => pending() !== null, isOpen: () => form.of() !== -1,
    leave: () => { cancel(); form.close(); } };
}
