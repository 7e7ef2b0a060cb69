/** ActivationHeatmap: latents over texts, a page of sequences at a time. */
import { alone, check, latentIn, onEnter, onKeys, typing } from "./controls.js";
import { button, count, grow, h, show, throttle } from "./dom.js";
import { figureMenu } from "./figure.js";
import { widget } from "./mount.js";
import { scale } from "./scale.js";
import { HUES, place, sequences } from "./sequences.js";
import { called } from "./text.js";

/** The latents to choose from, and a field for another one. @param {Ui<Heatmap>} ui @param {() => void} leave */
function latents({ state, set, ask, say }, leave) {
  const chips = h("div", { class: "sl-latents", role: "group", "aria-label": "Latent" });
  const add = h("input", {
    class: "sl-input sl-add", type: "text", inputmode: "numeric", placeholder: "+ latent", "aria-label": "Show another latent",
    title: "Show another latent; press / to come here",
  });
  onEnter(add, () => {
    const latent = add.value.trim() ? latentIn(add, say) : null;
    if (latent !== null) ask("add", { latent }, () => { add.value = ""; });
  }, leave);
  const drop = (/** @type {number} */ latent) => {
    const node = button("×", `Take latent ${latent} away`, () => ask("remove", { latent }));
    node.classList.add("sl-drop");
    return node;
  };
  function draw() {
    const { together, can_ask: live, latents: all } = state;
    add.hidden = !live;
    chips.replaceChildren(...all.map((latent, i) => {
      const node = button("", `Show latent ${latent}`, () => set({ latent, together: false }));
      const token = state.tokens?.[i];
      if (together) node.append(h("i", { class: "sl-dot", "aria-hidden": "true", style: `background: var(--sl-h${i % HUES})` }));
      node.append(String(latent), ...(token === undefined && !state.names[i] ? [] : [" ", ...called(token, state.names[i])]));
      if (together) node.append(h("span", { class: "sl-muted" }, ` 0 – ${show(state.maxima[i])}`));
      node.setAttribute("aria-pressed", String(together || i === place(state)));
      return h("span", { class: "sl-latent" }, node, live && all.length > 1 ? drop(latent) : null);
    }));
    if (all.length < 2) return;
    const both = button("all at once", "Colour each token by the latent that is strongest there, as a share of that latent's maximum",
      () => set({ together: !state.together }));
    both.classList.toggle("sl-on", together);
    chips.append(both);
  }
  return { chips, add, draw };
}

/** @param {Ui<Heatmap>} ui */
function pager({ state, ask }) {
  const node = h("div", { class: "sl-bar" });
  const to = (/** @type {string} */ sign, /** @type {string} */ name, /** @type {number} */ page) => {
    const made = button(sign, name, () => ask("page", { page }));
    made.disabled = page < 0 || page >= state.n_pages;
    return made;
  };
  function draw() {
    const { page, first } = state;
    node.hidden = state.n_pages <= 1;
    node.replaceChildren(to("‹", "Previous page", page - 1), to("›", "Next page", page + 1), h("span", { class: "sl-muted" },
      `texts ${count(first)}–${count(first + state.sequences.length - 1)} of ${count(state.n_sequences)}`));
  }
  return { node, draw };
}

/** The latents that fire in the marked span and least elsewhere. @param {Ui<Heatmap>} ui */
function firing({ state, request, ask, signal }) {
  const node = h("div", { class: "sl-found", hidden: true });
  const says = (/** @type {string} */ text) => node.append(h("span", { class: "sl-muted" }, text));
  const soon = throttle((/** @type {number[]} */ [sequence, start, stop]) => {
    node.replaceChildren();
    if (state.can_ask) request("span", { sequence, start, stop }).then(fill, (/** @type {Error} */ error) => says(error.message));
  }, 250, signal);
  /** @param {{ latent: number, inside: number, outside: number, max: number, token?: string | null, label?: string }[]} rows */
  function fill(rows) {
    says(rows.length ? "fire here and least elsewhere in this text:" : "No latent fires here.");
    for (const { latent, inside, outside, max, token, label } of rows) {
      const to = button(String(latent),
        `Latent ${latent}: fires on ${inside} tokens of the span and ${outside} others, at most ${show(max)}. Click to show it.`,
        () => ask("add", { latent }));
      const says = called(token, label);
      if (says.length) to.append(" ", ...says);
      node.append(to);
    }
  }
  function draw() {
    node.replaceChildren();
    node.hidden = !state.selected_span;
    if (state.selected_span) soon(state.selected_span);
  }
  return { node, draw };
}

/** @param {Ui<Heatmap>} ui */
function build(ui) {
  const { state, set, view, on, soon } = ui;
  const most = () => Math.max(state.maxima[place(state)] ?? 0, state.vmin ?? 0);
  const bar = scale(ui, most, "Keep this scale for every latent and page");
  const texts = sequences(ui, bar.range);
  const chosen = latents(ui, () => texts.node.focus());
  const pages = pager(ui), found = firing(ui);
  const spaces = check("spaces", (show_whitespace) => set({ show_whitespace }));
  const white = () => { texts.node.classList.toggle("sl-show-space", (spaces.input.checked = state.show_whitespace)); };
  const silent = h("p", { class: "sl-muted sl-silent" });
  const draw = () => {
    for (const part of [chosen, bar, texts, pages]) part.draw();
    bar.node.hidden = state.together;
    const none = state.latents.filter((latent, i) => !(state.maxima[i] > 0) && (state.together || latent === state.latent));
    silent.hidden = !none.length;
    silent.textContent = `${none.length > 1 ? "Latents" : "Latent"} ${none.join(", ")} ${none.length > 1 ? "fire" : "fires"} on no token of ${
      state.n_sequences > 1 ? "these texts" : "this text"}.`;
  };

  onKeys(view, (event) => event.key === "/" && alone(event) && !typing(event) && !chosen.add.hidden && (() => chosen.add.focus()));
  soon(["latent", "latents", "names", "sequences", "values", "percentiles", "maxima", "tokens", "together", "vmin", "vmax", "page", "n_pages"], draw);
  on(["selected_sequence", "selected_token", "selected_span"], texts.drawSelection);
  on(["selected_span"], found.draw);
  on(["can_ask"], chosen.draw);
  on(["show_whitespace"], white);
  view.append(
    h("div", { class: "sl-bar" }, h("span", { class: "sl-muted" }, "latent"), chosen.chips, chosen.add, grow(), spaces.node, bar.node,
      figureMenu(ui, () => `latent-${state.latent ?? ""}-heatmap`)),
    silent, texts.node, pages.node, texts.status, found.node);
  draw();
  white();
  found.node.hidden = !state.selected_span;
}

export default widget("heatmap", "Activation heatmap", build);
