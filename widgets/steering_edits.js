/** The latents of a steering panel, each with its strength. */
import { latentIn, numberField, onEnter } from "./controls.js";
import { button, clamp, h, show, throttle } from "./dom.js";
import { called } from "./text.js";

/** Which latent or direction it is. @param {number | string} latent @param {{ label: string, token: string | null, max: number, limit: number | null }} about */
function who(latent, { label, token, max }) {
  const node = h("span", { class: "sl-who" }, h("b", {}, String(latent)), " ", ...called(token ?? undefined, label));
  node.title = token === null ? label : `fires most on this token; at most ${show(max)} in the index`;
  return node;
}

/** @param {Ui<Steering>} ui */
export function edits({ state, set, ask, say, signal }) {
  const list = h("div", { class: "sl-edits" });
  const box = numberField("Latent to add", { inputmode: "numeric", placeholder: "latent" });
  const add = () => {
    const name = box.value.trim(), known = state.directions.includes(name);
    const latent = known ? name : latentIn(box, say, state.d_sae);
    if (latent === null) return;
    box.value = "";
    ask("add", { latent });
  };
  onEnter(box, add);
  const strengthen = (/** @type {Edit["latent"]} */ latent, /** @type {number} */ strength) =>
    set({ edits: state.edits.map((e) => (e.latent === latent ? { ...e, strength } : e)) });
  const strengthenSoon = throttle(strengthen, 80, signal);

  /** @param {Edit} edit */
  function row({ latent, strength }) {
    const about = state.about[String(latent)] ?? { label: "", token: null, max: 5, limit: null };
    const { unit } = state.modes[state.mode], named = typeof latent === "string" ? latent : `latent ${latent}`;
    const scaled = unit === "times";
    const reach = scaled ? 4 : Math.max(3 * about.max, Math.abs(strength));
    const low = scaled ? 0 : -reach;
    const slider = h("input", { type: "range", min: low, max: reach, step: reach / 100, "aria-label": `Strength of ${named}` });
    const number = numberField(`Strength of ${named}, as a number`);
    slider.value = String(strength);
    number.value = show(strength);
    slider.addEventListener("input", () => {
      const value = Number(Number(slider.value).toPrecision(3));
      number.value = show(value);
      now = value;
      strengthenSoon(latent, value);
    });
    number.addEventListener("change", () => {
      const value = number.value.trim() === "" ? NaN : Number(number.value);
      if (!Number.isFinite(value)) number.value = show(Number(slider.value));
      else { slider.value = String(now = value); filled(); strengthen(latent, value); }
    });
    const drop = button("×", `Take ${named} away`, () => set({ edits: state.edits.filter((e) => e.latent !== latent) }));
    for (const control of [slider, number, drop]) control.disabled = state.read_only;
    // filled from what changes nothing to the strength; a mark where the latent is at its strongest in the index
    const none = scaled ? 1 : 0, share = (/** @type {number} */ v) => clamp((100 * (v - low)) / (reach - low), 0, 100);
    const usual = scaled || !about.max ? null : share(about.max);
    const limit = scaled || !about.limit ? null : about.limit;
    let now = strength; // the slider's own value stands on its nearest step; three digits are shown
    const filled = () => {
      slider.classList.toggle("sl-over", limit !== null && Math.abs(now) > 1.005 * limit);
      const [a, b] = [share(none), share(Number(slider.value))].sort((x, y) => x - y);
      slider.style.setProperty("--a", `${a}%`);
      slider.style.setProperty("--b", `${b}%`);
    };
    filled();
    slider.addEventListener("input", filled);
    const at = (/** @type {number} */ place, /** @type {string} */ text, /** @type {Attributes} */ more = {}) =>
      h("span", { style: `--at: ${place}%`, ...more }, text);
    const marks = [at(0, show(low)), at(share(none), scaled ? "× 1" : "0"), at(100, show(reach)),
      ...(usual === null ? [] : [at(usual, `max ${show(about.max)}`, { class: "sl-usual", title: "Its largest activation in the index" })]),
      ...(limit === null ? [] : [at(share(limit), "guard", { class: "sl-usual sl-limit", title: `Beyond ${show(limit)} the text broke when it was calibrated` })])];
    return h("div", { class: `sl-edit${unit ? "" : " sl-off"}`, "data-latent": latent }, who(latent, about),
      h("span", { class: "sl-slider" }, slider, h("small", { "aria-hidden": "true" }, ...marks)), number, drop);
  }
  const draw = () => list.replaceChildren(...state.edits.map(row));
  function echo() {
    const editing = list.contains(/** @type {Document} */ (list.getRootNode()).activeElement);
    const drawn = [...list.children].map((n) => /** @type {HTMLElement} */ (n).dataset.latent).join();
    if (!editing || drawn !== state.edits.map((e) => e.latent).join()) draw(); // else it is the echo of a slider that is being dragged
  }
  const adding = h("div", { class: "sl-bar sl-add" }, box, button("Add latent", "Add this latent", add));
  adding.hidden = state.read_only;
  return { node: h("div", {}, list, adding), draw, echo };
}
