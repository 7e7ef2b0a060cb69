/** Settings of a steering panel: what is done, where, and how texts are written. */
import { numberField } from "./controls.js";
import { focused, h, throttle } from "./dom.js";

const POSITIONS = { all: "all tokens", prompt: "the prompt", generated: "generated tokens", last: "the newest token" };

/** A control with its name and what it means. @param {string} name @param {string} title @param {Node} input */
export const field = (name, title, input) => h("label", { class: "sl-field", title }, name, input);

/** @param {Ui<Steering>} ui @param {"mode" | "positions"} key @param {[string, string][]} names */
function choice({ set }, key, names) {
  const options = names.map(([value, text]) => h("option", { value }, text));
  const node = h("select", { class: "sl-input", "aria-label": key }, ...options);
  node.addEventListener("change", () => set({ [key]: node.value }));
  return node;
}

/** A number that is not negative. @param {Ui<Steering>} ui @param {"max_new_tokens" | "temperature" | "seed"} key @param {string} label */
function setting({ state, set }, key, label) {
  const whole = key !== "temperature";
  const node = numberField(label, { inputmode: whole ? "numeric" : "decimal" });
  node.addEventListener("change", () => {
    const value = node.value.trim() === "" ? NaN : Number(node.value);
    if (Number.isFinite(value) && value >= 0 && (!whole || Number.isInteger(value))) set({ [key]: value });
    else node.value = String(state[key]);
  });
  return node;
}

/** @param {Ui<Steering>} ui */
export function settings(ui) {
  const { state, set, say, signal } = ui;
  const fields = {
    mode: choice(ui, "mode", Object.entries(state.modes).map(([key, { title }]) => [key, title])),
    positions: choice(ui, "positions", Object.entries(POSITIONS)), max_new_tokens: setting(ui, "max_new_tokens", "Tokens to write"),
    temperature: setting(ui, "temperature", "Temperature"), seed: setting(ui, "seed", "Seed"),
  };
  const names = /** @type {Record<keyof typeof fields, [name: string, meaning: string]>} */ ({
    mode: ["what", "What is done to the latent: its activation is raised by the strength, set to it, multiplied by it, or taken away"],
    positions: ["where", "At which tokens the latent is changed: those of the prompt, those that are written, all, or only the newest"],
    max_new_tokens: ["tokens", "How many tokens are written"],
    temperature: ["temperature", "How freely the next token is drawn: 0 always takes the likeliest, 1 draws as the model predicts"],
    seed: ["seed", "The same seed draws the same random numbers, for both texts"],
  });
  const keys = /** @type {(keyof typeof names)[]} */ (Object.keys(names));
  const prompt = h("textarea", { class: "sl-input", rows: 2, "aria-label": "Prompt", dir: "auto", spellcheck: "false" });
  const sendPrompt = () => { if (prompt.value !== state.prompt) set({ prompt: prompt.value }); };
  prompt.addEventListener("input", throttle(sendPrompt, 300, signal));
  prompt.addEventListener("change", sendPrompt);
  const factors = h("input", { class: "sl-input sl-factors", type: "text", "aria-label": "Factors of the sweep" });
  /** Whether they are numbers. */
  function sendFactors() {
    const values = factors.value.split(/[\s,;]+/).filter(Boolean).map(Number);
    if (!values.length || !values.every(Number.isFinite)) {
      factors.value = state.factors.join(", ");
      say("The factors of a sweep are numbers with commas between them, such as 0, 1, 2.");
      return false;
    }
    if (values.join() !== state.factors.join()) set({ factors: values });
    return true;
  }
  factors.addEventListener("change", sendFactors);
  for (const node of [...Object.values(fields), prompt]) node.disabled = state.read_only;
  function draw() {
    for (const key of keys) fields[key].value = String(state[key]);
    if (!focused(factors)) factors.value = state.factors.join(", ");
    if (!focused(prompt)) prompt.value = state.prompt;
  }
  const bar = h("div", { class: "sl-bar" }, ...keys.map((key) => field(...names[key], fields[key])));
  return { bar, prompt, factors, sendPrompt, sendFactors, draw };
}
