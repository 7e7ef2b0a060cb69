/** What can be done to the selected node; every edit is shown with what it would change before it is made. */
import { button, count, h, show } from "./dom.js";
import { chip } from "./text.js";

/**
 * @typedef {import("./tree.js").PatternNode} PatternNode
 * @typedef {import("./n2g_editor.js").Score} Score
 * @typedef {{ text: string, before: Score | null, after: Score | null, delta: Record<"tp" | "fp" | "fn", number> | null, patterns: Record<"added" | "removed" | "revalued", string[]> }} Preview
 * @typedef {{ op: string, args: Record<string, unknown> }} Pending
 */

export const percent = (/** @type {number | null | undefined} */ v) => (v === null || v === undefined ? "–" : `${(100 * v).toFixed(1)} %`);
const signed = (/** @type {number} */ n) => (n > 0 ? `+${count(n)}` : n < 0 ? `−${count(-n)}` : "±0");

/** A change with its sign, coloured by whether it is good. @param {string} name @param {number} n @param {1 | -1} good */
function change(name, n, good) {
  return h("span", { class: n === 0 ? "sl-muted" : n * good > 0 ? "sl-up" : "sl-down" }, `${name} ${signed(n)}`);
}

/** Hits, false alarms and misses gained and lost. @param {Record<"tp" | "fp" | "fn", number>} delta */
export const changes = (delta) => [change("hits", delta.tp, 1), " ", change("false alarms", delta.fp, -1)];

/**
 * @param {object} given
 * @param {() => PatternNode | undefined} given.node the selected node
 * @param {() => PatternNode[]} given.nodes
 * @param {import("./rpc.js").Request} given.request
 * @param {(message: string) => void} given.fail
 */
export function tools({ node, nodes, request, fail }) {
  const strip = h("div", { class: "sl-pending", role: "status", "aria-live": "polite", hidden: true });
  const box = h("section", { class: "sl-tools" });
  const form = h("div", { class: "sl-form" });
  /** @type {Pending | null} */
  let pending = null;
  /** @type {Pending | null} the one whose preview can be read: no other can be made */
  let shown = null;
  let form_of = ""; // which form is open, and on which node

  // ----------------------------------------------------------- edits that wait

  /** Ask what an edit would change, and show it. @param {string} op @param {Record<string, unknown>} args */
  function stage(op, args) {
    const mine = (pending = { op, args });
    wait(!strip.hidden);
    request("preview", { op, args }).then((/** @type {Preview} */ found) => {
      if (pending !== mine) return;
      shown = mine;
      drawStrip(found);
      wait(false);
    }, (/** @type {Error} */ error) => {
      if (pending === mine) cancel();
      fail(error.message);
    });
  }

  /** What the strip says is about an edit before, until the preview of the newest has come. @param {boolean} on */
  function wait(on) {
    strip.setAttribute("aria-busy", String(on));
    const apply = /** @type {HTMLButtonElement | null} */ (strip.querySelector(".sl-primary"));
    if (apply) apply.disabled = on;
  }

  function cancel() {
    pending = shown = null;
    strip.hidden = true;
  }

  function commit() {
    if (!pending || pending !== shown) return;
    const { op, args } = pending;
    const note = /** @type {HTMLInputElement | null} */ (strip.querySelector("input"))?.value ?? "";
    cancel();
    closeForm();
    request("apply", { op, args, note }).catch((/** @type {Error} */ e) => fail(e.message));
  }

  /** @param {Preview} found */
  function drawStrip(found) {
    const kept = /** @type {HTMLInputElement | null} */ (strip.querySelector("input"))?.value ?? "";
    const typing = strip.contains(document.activeElement) && document.activeElement?.tagName === "INPUT";
    const note = h("input", { class: "sl-input", type: "text", placeholder: "Why? (a note, if you like)", "aria-label": "Note on this edit", maxlength: 500 });
    note.value = strip.hidden ? "" : kept;
    note.addEventListener("keydown", (event) => {
      if (event.key === "Enter") commit();
      if (event.key === "Escape") cancel();
    });
    const arrows = (/** @type {"precision" | "recall" | "f1"} */ k, /** @type {string} */ name) => {
      const [a, b] = [found.before?.[k], found.after?.[k]];
      const better = a === null || a === undefined || b === null || b === undefined || Math.abs(a - b) < 5e-5 ? "" : b > a ? "sl-up" : "sl-down";
      return h("span", {}, `${name} ${percent(a)} → `, h("b", { class: better }, percent(b)));
    };
    const apply = button("Apply", "Make this edit (Enter)", commit);
    apply.classList.add("sl-primary");
    strip.replaceChildren(
      h("div", { class: "sl-bar" }, h("span", { class: "sl-pending-text" }, "Preview: ", h("bdi", {}, found.text)), h("span", { class: "sl-grow" }), apply, button("Cancel", "Leave the graph as it is (Esc)", cancel)),
      h("div", { class: "sl-bar sl-small" }, ...(found.delta ? [change("hits", found.delta.tp, 1), change("false alarms", found.delta.fp, -1), change("misses", found.delta.fn, -1),
        arrows("precision", "precision"), arrows("recall", "recall"), arrows("f1", "F1")] : [h("span", { class: "sl-muted" }, "not scored")])),
      h("ul", { class: "sl-diff" }, ...[["removed", "−"], ["added", "+"], ["revalued", "≈"]].flatMap(([kind, sign]) =>
        found.patterns[/** @type {"added"} */ (kind)].map((text) => h("li", { class: `sl-${kind}` }, h("span", { "aria-label": kind }, sign), " ", h("bdi", {}, text))))),
      note);
    strip.hidden = false;
    if (typing) note.focus();
  }

  // -------------------------------------------------------------------- forms

  function closeForm() {
    form_of = "";
    form.replaceChildren();
  }

  /** Open a form, or close it if it is open. @param {string} name @param {(into: HTMLElement) => void} fill */
  function open(name, fill) {
    const key = `${name} ${node()?.id}`;
    const again = form_of === key;
    closeForm();
    if (again) return;
    form_of = key;
    fill(form);
    /** @type {HTMLElement | null} */ (form.querySelector("input, button"))?.focus();
  }

  /**
   * Choose tokens from a list with what each would gain, or by searching the vocabulary.
   * @param {string} name @param {string} op @param {boolean} suggested whether the text suggests some
   */
  function chooser(name, op, suggested) {
    const here = node();
    if (!here) return;
    open(name, (into) => {
      /** @type {Set<number>} */
      const chosen = new Set();
      const list = h("div", { class: "sl-choices", role: "group", "aria-label": name });
      const search = h("input", { class: "sl-input", type: "search", placeholder: "find a token", "aria-label": "Find a token" });
      const line = (/** @type {{ token: number, text: string, tp?: number, fp?: number }} */ s) => {
        const tick = h("input", { type: "checkbox" });
        tick.checked = chosen.has(s.token);
        tick.addEventListener("change", () => {
          if (tick.checked) chosen.add(s.token);
          else chosen.delete(s.token);
          if (chosen.size) stage(op, { node: here.id, ids: [...chosen] });
          else cancel();
        });
        return h("label", { class: "sl-check sl-choice" }, tick, chip(s.text), s.tp === undefined ? null
          : h("span", { class: "sl-muted sl-small" }, `${count(s.tp)} hits, ${count(s.fp ?? 0)} false alarms`));
      };
      const showAll = (/** @type {any[]} */ found) => list.replaceChildren(...(found.length ? found.map(line) : [h("span", { class: "sl-muted sl-small" }, "none found in the train documents; search for one")]));
      const ask = (/** @type {Promise<any>} */ answer) => answer.then((found) => { if (form.contains(list)) showAll(found); }, (/** @type {Error} */ e) => fail(e.message));
      let timer = setTimeout(() => {}, 0);
      search.addEventListener("input", () => {
        clearTimeout(timer);
        timer = setTimeout(() => { if (search.value) ask(request("tokens", { text: search.value })); else if (suggested) ask(request("suggest", { node: here.id })); }, 150);
      });
      into.append(h("h3", {}, name), search, list);
      if (suggested) ask(request("suggest", { node: here.id }));
    });
  }

  function gapForm() {
    const here = node();
    if (!here) return;
    open("gap", (into) => {
      const field = (/** @type {string} */ name, /** @type {number} */ value) => {
        const input = h("input", { class: "sl-input sl-number", type: "number", min: 0, max: 64, "aria-label": name });
        input.value = String(value);
        return input;
      };
      const gap = here.kind === "gap";
      const [lo, hi] = [field("At least so many tokens", gap ? here.lo : 0), field("At most so many tokens", gap ? here.hi : 4)];
      const go = () => { if (lo.value !== "" && hi.value !== "") stage("gap", { node: here.id, lo: Number(lo.value), hi: Number(hi.value) }); };
      lo.addEventListener("input", go);
      hi.addEventListener("input", go);
      into.append(h("h3", {}, gap || here.kind === "any" ? "Tokens that may stand here" : "Tokens that may stand after this one"), h("div", { class: "sl-bar" }, lo, "to", hi, button("Show", "Preview the gap", go)),
        h("p", { class: "sl-muted sl-small" }, "At most 0 takes a gap away."));
    });
  }

  function valueForm() {
    const here = node();
    if (!here) return;
    open("value", (into) => {
      const input = h("input", { class: "sl-input sl-number", type: "number", min: 0, step: "any", "aria-label": "Predicted activation" });
      input.value = here.end ? String(Number(here.end.value.toPrecision(4))) : "";
      const go = () => { if (input.value !== "") stage("set_value", { node: here.id, value: Number(input.value) }); };
      input.addEventListener("input", go);
      into.append(h("h3", {}, "Predicted activation where a pattern ends here"), h("div", { class: "sl-bar" }, input, button("Show", "Preview this value", go),
        here.end ? button("Fit", "The mean activation on the train documents", () => stage("refit", { node: here.id })) : null),
        h("p", { class: "sl-muted sl-small" }, "0 makes an exception: the latent does not fire here."));
    });
  }

  function verify() {
    const here = node();
    if (!here) return;
    open("verify", (into) => {
      const said = h("p", { class: "sl-verdict" }, "asking the model …");
      into.append(h("h3", {}, "The model's word"), said);
      request("verify", { node: here.id }).then((found) => {
        said.textContent = `Around these tokens everything random: fires on ${Math.round(100 * found.sufficiency)} % of the prompts, mean activation ${show(found.mean)}.`;
      }, (/** @type {Error} */ e) => { said.textContent = e.message; });
    });
  }

  // ------------------------------------------------------------------- actions

  /** @typedef {{ key: string, label: string, name: string, fits(n: PatternNode): boolean, run(n: PatternNode): void }} Action */
  const named = (/** @type {PatternNode} */ n) => n.kind === "tok" || n.kind === "not";
  const anchored = (/** @type {PatternNode} */ n) => nodes().some((m) => m.parent === n.id && m.kind === "start");
  const place = (/** @type {PatternNode} */ n) => named(n) || n.kind === "any";
  /** @type {Action[]} */
  const actions = [
    { key: "Delete", label: "Delete", name: "Delete the node and what is to its left (Del)", fits: () => true, run: (n) => stage("delete", { node: n.id }) },
    { key: "w", label: "Any token", name: "Any token may stand here (W)", fits: named, run: (n) => stage("wildcard", { node: n.id }) },
    { key: "s", label: "Only …", name: "Only these tokens may stand here (S)", fits: place, run: () => chooser("Only these tokens", "specialise", true) },
    { key: "a", label: "Also …", name: "Further tokens may stand here (A)", fits: named, run: (n) => chooser(n.kind === "tok" ? "Also these tokens" : "Also not these tokens", "add_alternative", n.kind === "tok") },
    { key: "x", label: "Not after …", name: "Not where one of these tokens is before it (X)", fits: place, run: () => chooser("Not after these tokens", "exclude", false) },
    { key: "g", label: "Gap …", name: "Tokens that may stand between (G)", fits: (n) => n.kind === "gap" || n.kind === "any" || n.parent !== 0, run: gapForm },
    { key: "^", label: "Start", name: "Only at the start of the text, or anywhere again (^)", fits: (n) => place(n) && (n.end !== null || anchored(n)), run: (n) => stage("anchor_start", { node: n.id, on: !anchored(n) }) },
    { key: "m", label: "End", name: "A pattern ends here: what is to the left is not needed; or no longer (M)", fits: (n) => place(n) || n.kind === "start", run: (n) => stage("mark", { node: n.id, on: n.end === null }) },
    { key: "v", label: "Value …", name: "Predicted activation where a pattern ends here (V)", fits: (n) => n.end !== null, run: valueForm },
    { key: "p", label: "Split", name: "A node of its own for each alternative (P)", fits: (n) => n.kind === "tok" && n.ids.length > 1, run: (n) => stage("split", { node: n.id, ids: null }) },
    { key: "l", label: "Lock", name: "Protect the node from edits, or release it (L)", fits: () => true, run: (n) => stage("lock", { node: n.id, on: !n.locked }) },
    { key: "?", label: "Verify", name: "Ask the model whether this pattern alone makes the latent fire (?)", fits: (n) => n.end !== null, run: verify },
  ];

  /** The action of a key on the selected node. @param {string} key @returns {(() => void) | undefined} */
  function forKey(key) {
    const here = node();
    const action = actions.find((a) => a.key === (key === "Backspace" ? "Delete" : key.length === 1 ? key.toLowerCase() : key));
    return here && action?.fits(here) ? () => action.run(here) : undefined;
  }

  /** @type {Set<number>} */
  const leaving = new Set(); // alternatives that are marked to go
  let drawn = "";

  /** Buttons for the selected node. */
  function draw() {
    const here = node();
    const key = JSON.stringify(here ?? null);
    if (key === drawn) return;
    drawn = key;
    leaving.clear();
    cancel();
    closeForm();
    box.replaceChildren();
    if (!here) return;
    box.append(h("div", { class: "sl-actions", role: "toolbar", "aria-label": "Edit the node" }, ...actions.filter((a) => a.fits(here)).map((a) => {
      const pressed = a.label === "End" ? here.end !== null : a.label === "Lock" ? here.locked : a.label === "Start" ? anchored(here) : null;
      const made = button(a.label, a.name, () => a.run(here));
      if (pressed !== null) made.setAttribute("aria-pressed", String(pressed));
      return made;
    })), form);
  }

  /** The alternatives of a node; with several, a click marks those to be taken away. @param {PatternNode} here @param {boolean} fixed */
  function alternatives(here, fixed) {
    return here.text.slice(0, 60).map((text, i) => {
      const made = chip(text);
      if (fixed || here.ids.length < 2) return made;
      const press = h("button", { type: "button", class: "sl-alternative", title: "Take away", "aria-pressed": String(leaving.has(here.ids[i])), "aria-label": `Take away ${text}` }, made);
      press.addEventListener("click", () => {
        const id = here.ids[i];
        if (leaving.has(id)) leaving.delete(id);
        else leaving.add(id);
        press.setAttribute("aria-pressed", String(leaving.has(id)));
        if (leaving.size) stage("remove_alternative", { node: here.id, ids: [...leaving] });
        else cancel();
      });
      return press;
    });
  }

  return { box, strip, draw, stage, cancel, commit, forKey, alternatives, waiting: () => pending !== null };
}
