/** SteeringPanel: two texts beside each other, one with latents turned up or down. */
import { alertBox } from "./alert.js";
import { button, count, h, root, show, throttle, typing } from "./dom.js";
import { figureMenu } from "./figure.js";
import { requests } from "./rpc.js";
import { chip, direction, marked, tokens } from "./text.js";

/**
 * @typedef {import("./text.js").TokenText & { differs: number[] }} Written
 * @typedef {{ latent: number, strength: number }} Edit
 * @typedef {{ latent: number, strength: number, perplexity: number | null, activation: number | null, repetition: number | null, text: string }} Swept
 * @typedef {object} State
 * @property {string} prompt
 * @property {Edit[]} edits
 * @property {Record<string, { title: string, unit: string, sign: string }>} modes
 * @property {string} mode
 * @property {"all" | "prompt" | "generated" | "last"} positions
 * @property {number} max_new_tokens
 * @property {number} temperature
 * @property {number[]} factors
 * @property {Swept[]} swept
 * @property {number} seed
 * @property {number} d_sae
 * @property {boolean} running
 * @property {string} status
 * @property {Written | null} baseline
 * @property {Written | null} steered
 * @property {Record<string, any>} said settings of the texts shown
 * @property {Record<string, { label: string, token: string | null, max: number }>} about
 * @property {boolean} read_only
 * @property {{ message?: string, traceback?: string }} error
 */

const POSITIONS = /** @type {Record<string, string>} */ ({
  all: "all tokens", prompt: "the prompt", generated: "generated tokens", last: "the newest token",
});

const MEANING = /** @type {Record<string, string>} */ ({
  activation: "of the latent, the mean over the new text as the unsteered model reads it",
  perplexity: "of the new text, for the unsteered model",
  repetition: "share of the new text's 3-grams that it had before",
});

/** @type {import("@anywidget/types").Render<State>} */
function render({ model, el, signal }) {
  const abort = new AbortController();
  signal?.addEventListener("abort", () => abort.abort());
  const request = requests(model, abort.signal);
  const view = root("steering", "Steering panel");
  const alert = alertBox(model);
  const modes = model.get("modes");

  /** @param {Partial<State>} changes */
  function set(changes) {
    for (const [key, value] of Object.entries(changes)) model.set(/** @type {any} */ (key), value);
    model.save_changes();
  }
  const fail = (/** @type {Error} */ e) => alert.say(e.message);

  // ---------------------------------------------------------------------- latents

  const list = h("div", { class: "sl-edits" });
  const box = h("input", { class: "sl-input sl-number", type: "text", inputmode: "numeric", placeholder: "latent", "aria-label": "Latent to add" });
  const add = () => {
    const latent = Number(box.value.trim() || NaN);
    alert.say("");
    if (!Number.isInteger(latent) || latent < 0 || latent >= model.get("d_sae")) {
      return alert.say(`A latent is a whole number from 0 to ${model.get("d_sae") - 1}.`);
    }
    box.value = "";
    request("add", { latent }).catch(fail);
  };
  box.addEventListener("keydown", (event) => { if (event.key === "Enter") add(); });

  /** @param {number} latent @param {number} strength */
  const strengthen = (latent, strength) =>
    set({ edits: model.get("edits").map((e) => (e.latent === latent ? { ...e, strength } : e)) });
  const strengthenSoon = throttle(strengthen, 80, abort.signal);

  function drawEdits() {
    const editing = list.contains(/** @type {Document} */ (list.getRootNode()).activeElement);
    const same = [...list.children].map((n) => /** @type {HTMLElement} */ (n).dataset.latent).join() === model.get("edits").map((e) => e.latent).join();
    if (editing && same) return; // the echo of a slider that is being dragged
    list.replaceChildren(...model.get("edits").map(editRow));
    drawMode();
  }

  /** @param {Edit} edit */
  function editRow({ latent, strength }) {
    const about = model.get("about")[String(latent)] ?? { label: "", token: null, max: 5 };
    const who = h("span", { class: "sl-who" }, h("b", {}, String(latent)), " ");
    if (about.token !== null) who.append(chip(about.token), " ");
    who.append(about.label);
    who.title = about.token === null ? "" : `fires most on this token; at most ${show(about.max)} in the index`;
    const times = modes[model.get("mode")].unit === "times";
    const reach = times ? 4 : Math.max(3 * about.max, Math.abs(strength));
    const low = times ? 0 : -reach;
    const slider = h("input", { type: "range", min: low, max: reach, step: reach / 100, "aria-label": `Strength of latent ${latent}` });
    const number = h("input", { class: "sl-input sl-number", type: "text", inputmode: "decimal", "aria-label": `Strength of latent ${latent}, as a number` });
    slider.value = String(strength);
    number.value = show(strength);
    slider.addEventListener("input", () => {
      const value = Number(Number(slider.value).toPrecision(3));
      number.value = show(value);
      strengthenSoon(latent, value);
    });
    number.addEventListener("change", () => {
      const value = Number(number.value);
      if (number.value.trim() === "" || !Number.isFinite(value)) number.value = show(Number(slider.value));
      else { slider.value = String(value); strengthen(latent, value); }
    });
    const drop = button("×", `Take latent ${latent} away`, () => set({ edits: model.get("edits").filter((e) => e.latent !== latent) }));
    const row = h("div", { class: "sl-edit", "data-latent": latent }, who,
      h("span", { class: "sl-slider" }, slider, h("small", { "aria-hidden": "true" }, h("span", {}, show(low)), h("span", {}, times ? "× 2" : "0"), h("span", {}, show(reach)))),
      number, drop);
    if (model.get("read_only")) for (const field of [slider, number, drop]) field.disabled = true;
    return row;
  }

  // ---------------------------------------------------------------------- settings

  /** @param {"mode" | "positions"} key @param {Record<string, string>} names */
  function choice(key, names) {
    const node = h("select", { class: "sl-input", "aria-label": key }, ...Object.entries(names).map(([value, text]) => h("option", { value }, text)));
    node.addEventListener("change", () => set({ [key]: /** @type {any} */ (node.value) }));
    return node;
  }
  /** @param {"max_new_tokens" | "temperature" | "seed"} key @param {string} label @param {boolean} whole */
  function setting(key, label, whole) {
    const node = h("input", { class: "sl-input sl-number", type: "text", inputmode: whole ? "numeric" : "decimal", "aria-label": label });
    node.addEventListener("change", () => {
      const value = Number(node.value);
      if (node.value.trim() !== "" && Number.isFinite(value) && value >= 0 && (!whole || Number.isInteger(value))) set({ [key]: value });
      else node.value = String(model.get(key));
    });
    return node;
  }
  const mode = choice("mode", Object.fromEntries(Object.entries(modes).map(([key, { title }]) => [key, title])));
  const positions = choice("positions", POSITIONS);
  const length = setting("max_new_tokens", "Tokens to write", true);
  const temperature = setting("temperature", "Temperature", false);
  const seed = setting("seed", "Seed", true);
  const prompt = h("textarea", { class: "sl-input", rows: 2, "aria-label": "Prompt", dir: "auto", spellcheck: "false" });
  const sendPrompt = () => { if (prompt.value !== model.get("prompt")) set({ prompt: prompt.value }); };
  prompt.addEventListener("input", throttle(sendPrompt, 300, abort.signal));
  prompt.addEventListener("change", sendPrompt);
  const go = button("Run", "Write both texts (Ctrl+Enter)", () => {
    sendPrompt();
    alert.say("");
    request("run").catch(fail);
  });
  go.classList.add("sl-primary");
  const stop = button("Cancel", "Stop writing (Esc)", () => { request("cancel").catch(fail); });
  const status = h("span", { class: "sl-muted", role: "status" });
  const factors = h("input", { class: "sl-input sl-factors", type: "text", "aria-label": "Factors of the sweep" });
  const sendFactors = () => {
    const values = factors.value.split(/[\s,;]+/).filter(Boolean).map(Number);
    if (!values.length || values.some((v) => !Number.isFinite(v))) {
      factors.value = model.get("factors").join(", ");
      alert.say("The factors of a sweep are numbers with commas between them, such as 0, 1, 2.");
      return false;
    }
    if (values.join() !== model.get("factors").join()) set({ factors: values });
    return true;
  };
  factors.addEventListener("change", sendFactors);
  const sweep = button("Sweep", "Write with each latent alone, at each factor times its strength", () => {
    alert.say("");
    sendPrompt();
    if (sendFactors()) request("sweep").catch(fail);
  });

  function drawMode() {
    for (const row of list.children) row.classList.toggle("sl-off", !modes[model.get("mode")].unit);
  }
  function drawSettings() {
    mode.value = model.get("mode");
    positions.value = model.get("positions");
    length.value = String(model.get("max_new_tokens"));
    temperature.value = String(model.get("temperature"));
    seed.value = String(model.get("seed"));
    if (/** @type {Document} */ (factors.getRootNode()).activeElement !== factors) factors.value = model.get("factors").join(", ");
    if (/** @type {Document} */ (prompt.getRootNode()).activeElement !== prompt) prompt.value = model.get("prompt");
  }

  // -------------------------------------------------------------------------- texts

  const texts = h("div", { class: "sl-texts", "aria-live": "off" });
  const legend = h("div", { class: "sl-key sl-small sl-muted" });

  /** @param {string} name @param {Written | null} text @param {boolean} plain */
  function side(name, text, plain) {
    const body = h("bdi", { class: "sl-text", dir: direction(model.get("prompt") + (text?.text.join("") ?? "")) });
    body.style.display = "block";
    if (text) {
      const differs = new Set(text.differs);
      const spans = tokens(text, [], { high: 1 });
      for (const s of spans) {
        for (let i = Number(s.dataset.start); i < Number(s.dataset.stop); i += 1) if (differs.has(i)) s.classList.add("sl-differs");
      }
      body.append(h("span", { class: "sl-prompt" }, model.get("said").prompt ?? model.get("prompt")), ...spans);
      if (!text.text.length && !model.get("running")) body.append(h("span", { class: "sl-muted" }, " (nothing)"));
    }
    const node = h("div", { class: `sl-side${plain ? " sl-plain" : ""}` }, h("h3", {}, name), body);
    return { node, body };
  }

  function drawTexts() {
    const [left, right, running] = [model.get("baseline"), model.get("steered"), model.get("running")];
    const edits = /** @type {[number, number][]} */ (model.get("said").edits ?? []);
    const sign = modes[model.get("said").mode]?.sign;
    const name = edits.length ? `steered: ${edits.map(([l, s]) => (sign === "+" ? `${l} ${s < 0 ? "−" : "+"} ${show(Math.abs(s))}` : sign ? `${l} ${sign} ${show(s)}` : `${l} off`)).join(", ")}` : "steered";
    const [a, b] = [side("as it is", left, true), side(name, right, false)];
    if (running) (right || left === null || !left ? (right ? b : a) : a).body.classList.add("sl-wait");
    texts.hidden = !left && !right && !(running && !model.get("status").startsWith("sweep"));
    texts.replaceChildren(a.node, b.node);
    legend.hidden = !model.get("said").edits;
    const one = h("span", { class: "sl-side sl-plain" }, h("span", { class: "sl-tok sl-differs" }, "only without"));
    const two = h("span", { class: "sl-side" }, h("span", { class: "sl-tok sl-differs" }, "only with steering"));
    for (const s of [one, two]) s.setAttribute("style", "border:0;padding:0;min-height:0");
    legend.replaceChildren(one, two, h("span", {}, `seed ${count(model.get("said").seed ?? 0)}, temperature ${show(model.get("said").temperature)}; both texts use the same random numbers`));
  }

  const table = h("div", { class: "sl-swept", role: "region", "aria-label": "Sweep", tabindex: "0" });
  function drawSweep() {
    const rows = model.get("swept");
    table.hidden = !rows.length;
    if (!rows.length) return;
    const names = ["latent", "strength", "activation", "perplexity", "repetition", "text"];
    table.replaceChildren(h("table", {},
      h("thead", {}, h("tr", {}, ...names.map((n) => h("th", { class: n === "text" ? "" : "sl-num", title: MEANING[n] ?? null }, n)))),
      h("tbody", {}, ...rows.map((r) => h("tr", {},
        h("td", { class: "sl-num" }, String(r.latent)),
        ...[r.strength, r.activation, r.perplexity, r.repetition].map((v) => h("td", { class: "sl-num" }, show(v))),
        h("td", { title: r.text }, h("bdi", { class: "sl-text sl-line", dir: direction(r.text) }, ...marked(r.text))))))));
  }

  function drawRunning() {
    const running = model.get("running");
    go.disabled = sweep.disabled = running;
    stop.disabled = !running;
    status.textContent = model.get("status");
    drawTexts();
  }

  // ------------------------------------------------------------------------- wiring

  view.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !go.disabled) {
      event.preventDefault();
      event.stopPropagation();
      go.click();
    } else if (event.key === "Escape" && !stop.disabled) {
      event.stopPropagation();
      stop.click();
    } else if (typing(event)) event.stopPropagation();
  });
  const redraw = throttle(drawRunning, 0, abort.signal);
  for (const key of /** @type {const} */ (["running", "status", "baseline", "steered", "said"])) model.on(`change:${key}`, redraw);
  model.on("change:swept", throttle(drawSweep, 0, abort.signal));
  for (const key of /** @type {const} */ (["edits", "about"])) model.on(`change:${key}`, drawEdits);
  for (const key of /** @type {const} */ (["positions", "max_new_tokens", "temperature", "seed", "prompt", "factors"])) model.on(`change:${key}`, drawSettings);
  model.on("change:mode", () => { drawSettings(); list.replaceChildren(...model.get("edits").map(editRow)); drawMode(); });

  const field = (/** @type {string} */ name, /** @type {Node} */ input) => h("label", { class: "sl-field" }, name, input);
  const controls = h("div", { class: "sl-form" },
    h("div", {}, list, h("div", { class: "sl-bar sl-add" }, box, button("Add latent", "Add this latent", add))),
    h("div", { class: "sl-bar" }, field("what", mode), field("where", positions), field("tokens", length), field("temperature", temperature), field("seed", seed)),
    prompt,
    h("div", { class: "sl-bar" }, go, stop, h("span", { class: "sl-sep" }), sweep, field("× strength", factors), status));
  const figure = figureMenu(view, () => "steering", alert.say);
  view.append(alert.box, controls, texts, h("div", { class: "sl-bar sl-foot" }, legend, h("span", { class: "sl-grow" }), figure), table);
  el.append(view);
  if (model.get("read_only")) {
    for (const node of [mode, positions, length, temperature, seed, prompt]) node.disabled = true;
    for (const node of [go.parentElement, box.parentElement]) if (node) node.hidden = true;
  }
  drawEdits();
  drawSettings();
  drawRunning();
  drawSweep();
  return () => abort.abort();
}

export default { render };
