/** The section of a dashboard that shows what ablating its latent changes in the row of an example. */
import { onKeys } from "./controls.js";
import { button, h } from "./dom.js";
import { effectsPicture } from "./effects.js";

/**
 * @param {Ui<Dashboard>} ui
 * @param {() => { row: number, position: number, chosen: boolean } | null} example the one that was clicked, else the strongest
 */
export function ablationBox({ state, ask, say }, example) {
  /** @type {Shown} */
  let shown = { measure: "loss_diff", direct: false, selected_token: null, vmax: null, show_whitespace: false };
  /** @type {Ablated | undefined} */
  let drawn;
  const picture = effectsPicture(() => ({ .../** @type {Ablated} */ (state.ablated), ...shown }), (changes) => {
    shown = { ...shown, ...changes };
    if (Object.keys(changes).join() === "selected_token") picture.drawSelection();
    else picture.draw();
  });
  const go = button("Ablate here",
    "Set this latent to 0 in the whole row of the example that is selected, else of the strongest, and see what changes (a)", run);
  const where = h("span", { class: "sl-muted sl-small", role: "status" });
  const title = h("h3", { title: "The loss and the predictions with the latent set to 0, all else as it was" }, "Effects of ablating");
  const node = h("section", { class: "sl-ablation" }, h("div", { class: "sl-bar" }, title, go, where), picture.node);

  function run() {
    const at = example();
    if (!at || go.disabled || go.hidden) return;
    say("");
    ask("ablate", { row: at.row, position: at.position });
  }

  function draw() {
    const { ablated, cannot_try: reason, read_only: fixed } = state;
    const at = example(), there = !!ablated?.text;
    node.hidden = fixed && !there;
    node.classList.toggle("sl-live", !there);
    go.hidden = fixed || !!reason;
    go.disabled = !at || !!ablated?.running;
    picture.node.hidden = !there;
    const target = at ? `${at.chosen ? "the selected example" : "the strongest example"}, row ${at.row}` : "no example to ablate it in";
    where.textContent = ablated?.running ? `running on row ${ablated.row} …` : there ? `in row ${ablated.row}` : reason && !fixed ? reason : target;
    if (!there) return;
    if (drawn !== ablated) {
      drawn = /** @type {Ablated} */ (ablated);
      shown = { ...shown, selected_token: drawn.selected, vmax: null };
    }
    picture.draw();
  }
  // arrows here do not open other latents
  onKeys(picture.node, (event) => !!state.ablated?.text && picture.keyOf(event));
  return { node, draw, run };
}
