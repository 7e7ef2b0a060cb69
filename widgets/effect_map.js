/** EffectMap: a text coloured by what ablating a latent changes; the votes at the chosen place. */
import { alertBox } from "./alert.js";
import { button, h, root, throttle, typing } from "./dom.js";
import { effectsPicture } from "./effects.js";
import { figureMenu } from "./figure.js";
import { requests } from "./rpc.js";

/**
 * @typedef {import("./effects.js").Effects & import("./effects.js").Shown & {
 *   latent: number, d_sae: number, can_ask: boolean, error: { message?: string, traceback?: string },
 * }} State
 */

/** @type {import("@anywidget/types").Render<State>} */
function render({ model, el, signal }) {
  const abort = new AbortController();
  signal?.addEventListener("abort", () => abort.abort());
  const request = requests(model, abort.signal);
  const view = root("effects", "Effects of ablating a latent");
  const alert = alertBox(model);
  const fail = (/** @type {Error} */ e) => alert.say(e.message);
  const picture = effectsPicture((key) => model.get(key), (changes) => {
    for (const [key, value] of Object.entries(changes)) model.set(/** @type {any} */ (key), value);
    model.save_changes();
  });

  const title = h("h2", {});
  const box = h("input", { class: "sl-input sl-number", type: "text", inputmode: "numeric", "aria-label": "Latent to ablate" });
  const ask = () => {
    const latent = Number(box.value.trim() || NaN);
    alert.say("");
    if (!Number.isInteger(latent) || latent < 0 || latent >= model.get("d_sae")) {
      return alert.say(`A latent is a whole number from 0 to ${model.get("d_sae") - 1}.`);
    }
    request("ablate", { latent }).catch(fail);
  };
  box.addEventListener("keydown", (event) => { if (event.key === "Enter") ask(); });
  const asking = h("span", { class: "sl-bar" }, box, button("Ablate", "Show the effects of this latent", ask));
  const typingIn = (/** @type {Element} */ node) => /** @type {Document} */ (node.getRootNode()).activeElement === node;

  function draw() {
    title.textContent = `Latent ${model.get("latent")} ablated`;
    if (!typingIn(box)) box.value = String(model.get("latent"));
    asking.hidden = !model.get("can_ask");
    picture.draw();
  }

  view.addEventListener("keydown", (event) => {
    if (typing(event)) {
      if (event.key !== "Escape") event.stopPropagation();
      return;
    }
    if (event.key === "/" && model.get("can_ask")) box.focus();
    else if (!picture.move(event)) return;
    event.preventDefault();
    event.stopPropagation();
  });
  const redraw = throttle(draw, 0, abort.signal);
  const keys = /** @type {const} */ (["measure", "direct", "vmax", "show_whitespace", "latent", "text", "following", "edited", "numbers", "votes", "weights", "has_direct", "can_ask"]);
  for (const key of keys) model.on(`change:${key}`, redraw);
  model.on("change:selected_token", throttle(picture.drawSelection, 0, abort.signal));

  const figure = figureMenu(view, () => `effects-of-latent-${model.get("latent")}`, alert.say);
  view.append(alert.box, h("div", { class: "sl-bar" }, title, h("span", { class: "sl-grow" }), asking, figure), picture.node);
  el.append(view);
  draw();
  return () => abort.abort();
}

export default { render };
