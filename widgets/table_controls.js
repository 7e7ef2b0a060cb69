/** The controls of a table: what is searched, and which latents are shown. */
import { check, numberField } from "./controls.js";
import { focused, h, show, throttle } from "./dom.js";

/** Searching in texts, patterns or names. @param {Ui<Table>} ui @param {HTMLElement} body @param {HTMLElement} status */
function searching({ state, set, signal }, body, status) {
  const box = h("input", { class: "sl-input sl-query", type: "search", "aria-label": "Search", title: "Search; press / to come here" });
  const mode = h("select", { class: "sl-input sl-mode", "aria-label": "What is searched" },
    h("option", { value: "text" }, "fire on the text"), h("option", { value: "regex" }, "fire on the regular expression"),
    h("option", { value: "name" }, "label or strongest token"));
  const ask = () => {
    if (box.value === state.query && mode.value === state.mode) return;
    const inTexts = box.value && mode.value !== "name";
    if (inTexts && !state.read_only) status.textContent = "searching…";
    set({ query: box.value, mode: /** @type {any} */ (mode.value), ...(inTexts && state.read_only ? { sort: "hits", descending: true } : {}) });
  };
  box.addEventListener("input", throttle(ask, 350, signal));
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter") ask();
    if (event.key === "ArrowDown" || event.key === "Escape") { body.focus(); event.preventDefault(); }
  });
  mode.addEventListener("change", ask);
  function draw() {
    if (!focused(box)) box.value = state.query;
    mode.value = state.mode;
    box.placeholder = state.texts ? "text in the examples of this page"
      : state.mode === "name" ? "part of a label or token" : "text, and which latents fire on it";
    if (!state.read_only) return;
    [mode.options[0].text, mode.options[1].text] = ["have the text in an example", "match in an example"];
    for (const i of [0, 1]) mode.options[i].disabled = !state.texts;
  }
  return { box, node: h("span", { class: "sl-search" }, box, mode), draw };
}

/** The range of densities, in percent. @param {Ui<Table>} ui */
function densities({ state, set, say }) {
  const fields = ["Lowest", "Highest"].map((name) => numberField(`${name} density in percent`));
  for (const field of fields) field.addEventListener("change", () => {
    const shares = fields.map(({ value }, i) => (value.trim() === "" ? i : Number(value) / 100)); // from 0 to 1 if nothing is said
    if (!shares.every(Number.isFinite)) say("A density is a number, in percent of the counted tokens.");
    else set({ density: fields.every(({ value }) => value.trim() === "") ? null : shares });
  });
  const draw = () => fields.forEach((field, i) => {
    const share = state.density?.[i] ?? i;
    field.value = (i === 0 ? share > 0 : share < 1) ? show(100 * share) : "";
  });
  return { node: h("span", { class: "sl-small sl-range" }, "density", fields[0], "to", fields[1], "%"), draw };
}

/** Which of the columns kept beside the index is shown. @param {Ui<Table>} ui */
function measures({ state, set }) {
  const choice = h("select", { class: "sl-input", "aria-label": "Measure shown", title: "Which of the columns kept beside the index is shown" },
    h("option", { value: "" }, "none"), ...state.measures.map((name) => h("option", { value: name }, name)));
  choice.addEventListener("change", () => set({ measure: choice.value, ...(choice.value ? { sort: "measure", descending: true } : {}) }));
  const node = h("label", { class: "sl-small sl-range", hidden: !state.measures.length }, "measure", choice);
  return { node, draw: () => { choice.value = state.measure; } };
}

/** @param {Ui<Table>} ui @param {HTMLElement} body @param {HTMLElement} status */
export function controls(ui, body, status) {
  const { state, set } = ui;
  const search = searching(ui, body, status), density = densities(ui), measure = measures(ui);
  const dead = check("dead too", (show_dead) => set({ show_dead }));
  const named = check("labelled only", (only_labelled) => set({ only_labelled }));
  function draw() {
    search.draw();
    density.draw();
    measure.draw();
    dead.input.checked = state.show_dead;
    named.input.checked = state.only_labelled;
  }
  return { search: search.box, nodes: [search.node, density.node, measure.node, dead.node, named.node], draw };
}
