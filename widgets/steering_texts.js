/** What a steering panel wrote: both texts, and the table of a sweep. */
import { tableRow } from "./controls.js";
import { count, h, show } from "./dom.js";
import { direction, marked, tokens } from "./text.js";

const MEANING = /** @type {[string, string | null][]} */ ([
  ["latent", null], ["strength", "its strength above times one of the factors"],
  ["activation", "of the latent, the mean over the new text as the unsteered model reads it"],
  ["perplexity", "of the new text, for the unsteered model"],
  ["repetition", "share of the new text's 3-grams that it had before"], ["text", null],
]);

/** What was done to a latent. @param {string | undefined} sign of the mode @param {Edit['latent']} latent @param {number} strength */
function done(sign, latent, strength) {
  if (sign === "+") return `${latent} ${strength < 0 ? "−" : "+"} ${show(Math.abs(strength))}`;
  return sign ? `${latent} ${sign} ${show(strength)}` : `${latent} off`;
}

/** @param {Steering} state @param {string} name @param {Written | null} text @param {boolean} plain @param {boolean} wait */
function side({ prompt, said, running }, name, text, plain, wait) {
  const dir = direction(prompt + (text?.text.join("") ?? ""));
  const body = h("bdi", { class: `sl-text${wait ? " sl-wait" : ""}`, dir, style: "display: block" });
  if (text) {
    const spans = tokens(text, [], { high: 1 });
    for (const s of spans) {
      const differs = text.differs.some((i) => Number(s.dataset.start) <= i && i < Number(s.dataset.stop));
      s.classList.toggle("sl-differs", differs);
    }
    body.append(h("span", { class: "sl-prompt" }, said.prompt ?? prompt), ...spans);
    if (!text.text.length && !running) body.append(h("span", { class: "sl-muted" }, " (nothing)"));
  }
  return h("div", { class: `sl-side${plain ? " sl-plain" : ""}` }, h("h3", {}, name), body);
}

const SETTINGS = /** @type {(keyof Steering)[]} */ (["prompt", "mode", "positions", "schedule", "max_new_tokens", "temperature", "seed"]);

/** Whether the texts were written with other settings than now stand above them. @param {Steering} state */
const old = (state) => {
  const { said, running, edits } = state;
  const now = [edits.map((e) => [e.latent, e.strength]), SETTINGS.map((key) => state[key] ?? null)];
  return !!said.edits && !running && JSON.stringify(now) !== JSON.stringify([said.edits, SETTINGS.map((key) => said[key] ?? null)]);
};

/** @param {number[]} shares */
const schedule = (shares) => `${shares.slice(0, -1).map(show).join(", ")}, then ${show(shares[shares.length - 1])}`;

/** @param {Ui<Steering>} ui */
export function texts({ state }) {
  const node = h("div", { class: "sl-texts", "aria-live": "off" });
  const sample = (/** @type {string} */ text, more = "") => h("span", { class: `sl-side${more}`, style: "border:0;padding:0;min-height:0" },
    h("span", { class: "sl-tok sl-differs" }, text));
  const how = h("span", {}), stale = h("p", { class: "sl-stale", role: "status" }, `not yet run with these settings${state.read_only ? "" : ": press Run"}`);
  const legend = h("div", { class: "sl-key sl-small sl-muted" }, sample("only without", " sl-plain"), sample("only with steering"), how);
  function draw() {
    const { baseline: left, steered: right, running, said } = state;
    const edits = /** @type {[Edit['latent'], number][]} */ (said.edits ?? []);
    const name = edits.length ? `steered: ${edits.map(([latent, strength]) => done(state.modes[said.mode]?.sign, latent, strength)).join(", ")}` : "steered";
    node.hidden = !left && !right && !(running && !state.status.startsWith("sweep"));
    node.replaceChildren(side(state, "as it is", left, true, running && !right), side(state, name, right, false, running && !!right));
    stale.hidden = !old(state);
    legend.hidden = !said.edits;
    how.textContent = `seed ${count(said.seed ?? 0)}, temperature ${show(said.temperature)}; both texts use the same random numbers${said.schedule ? `; share of the strength at each new token: ${schedule(said.schedule)}` : ""}`;
  }
  return { node, stale, legend, draw };
}

/** @param {Ui<Steering>} ui */
export function sweepTable({ state }) {
  const node = h("div", { class: "sl-swept", role: "region", "aria-label": "Sweep", tabindex: "0" });
  const kind = (/** @type {number} */ i) => (i < 5 ? "sl-num" : "");
  const head = tableRow("th", MEANING.map(([name]) => name), (i) => ({ class: kind(i), title: MEANING[i][1] }));
  function draw() {
    node.hidden = !state.swept.length;
    const said = MEANING.filter(([, text]) => text).map(([name, text]) => h("span", {}, h("b", {}, name), ` ${text}`));
    node.replaceChildren(h("p", { class: "sl-small sl-muted sl-means" }, ...said), h("table", {}, h("thead", {}, head), h("tbody", {}, ...state.swept.map((r) => tableRow("td",
      [String(r.latent), ...[r.strength, r.activation, r.perplexity, r.repetition].map((v) => show(v)),
        h("bdi", { class: "sl-text sl-line", dir: direction(r.text) }, ...marked(r.text))],
      (i) => (i < 5 ? { class: kind(i) } : { title: r.text }))))));
  }
  return { node, draw };
}
