import assert from "node:assert/strict";
import { test } from "node:test";
import { all, browser, HOSTILE, mount, press, settle } from "./fake.js";

browser();
const widget = (await import("../steering.js")).default;

const modes = {
  add: { title: "add to the activation", unit: "activation", sign: "+" },
  clamp: { title: "set the activation", unit: "activation", sign: "=" },
  scale: { title: "multiply the activation", unit: "times", sign: "×" },
  ablate: { title: "set the activation to 0", unit: "", sign: "" },
};
const state = (more = {}) => ({
  modes,
  prompt: "The", edits: [{ latent: 3, strength: 4 }], mode: "add", positions: "all", max_new_tokens: 40, temperature: 0.8, seed: 0, d_sae: 64, factors: [0, 1], directions: ["along"], swept: [],
  running: false, status: "", baseline: null, steered: null, said: {}, about: { 3: { label: "<b>dna</b>", token: " A", max: 5 } }, read_only: false, ...more,
});
const named = (el, text) => all(el, "button").find((b) => b.textContent === text);
const written = (text, differs) => ({ ids: text.map((_, i) => i), text, differs });

test("a slider changes the strength, and Python hears of it", async () => {
  const { el, model } = mount(widget, state());
  const slider = el.querySelector('input[type="range"]');
  assert.deepEqual([slider.min, slider.max], ["-15", "15"]);
  assert.match(el.querySelector(".sl-who").textContent, /^3 {1,2}A <b>dna<\/b>$/);
  assert.equal(el.querySelector(".sl-who b").textContent, "3");
  slider.value = "-6";
  slider.dispatchEvent(new Event("input"));
  await new Promise((r) => setTimeout(r, 120));
  assert.deepEqual(model.get("edits"), [{ latent: 3, strength: -6 }]);
});

test("a strength at the guard is not marked as over it, whatever the slider's steps are", async () => {
  const { el } = mount(widget, state({ edits: [{ latent: 3, strength: 2.28 }], about: { 3: { label: "", token: null, max: 4.56, limit: 2.2785 } } }));
  const slider = el.querySelector('input[type="range"]'), over = () => slider.classList.contains("sl-over");
  assert.equal(over(), false);
  slider.value = "2.3256"; // where a browser puts 2.28
  slider.dispatchEvent(new Event("input"));
  assert.equal(over(), true);
  const number = el.querySelector(".sl-edit .sl-number");
  number.value = "2.28";
  number.dispatchEvent(new Event("change"));
  assert.equal(over(), false);
});

test("a strength can be typed, a wrong one is put back", () => {
  const { el, model } = mount(widget, state());
  const number = el.querySelector(".sl-edit .sl-number");
  number.value = "12.5";
  number.dispatchEvent(new Event("change"));
  assert.deepEqual(model.get("edits"), [{ latent: 3, strength: 12.5 }]);
  const again = el.querySelector(".sl-edit .sl-number");
  again.value = "much";
  again.dispatchEvent(new Event("change"));
  assert.deepEqual(model.get("edits"), [{ latent: 3, strength: 12.5 }]);
});

test("latents are added by number and taken away", () => {
  const { el, model } = mount(widget, state());
  const box = el.querySelector(".sl-add input");
  for (const wrong of ["64", "x", ""]) {
    box.value = wrong;
    press(box, "Enter");
    assert.match(el.querySelector(".sl-alert-text").textContent, /0 to 63/);
  }
  box.value = "9";
  press(box, "Enter");
  assert.deepEqual(model.sent.map((m) => [m.method, m.params]), [["add", { latent: 9 }]]);
  named(el.querySelector(".sl-edit"), "×").click();
  assert.deepEqual(model.get("edits"), []);
});

test("run sends the prompt first; buttons follow the state", () => {
  const { el, model } = mount(widget, state());
  el.querySelector("textarea").value = "Once upon";
  named(el, "Run").click();
  assert.equal(model.get("prompt"), "Once upon");
  assert.equal(model.sent[0].method, "run");
  assert.equal(named(el, "Cancel").disabled, true);
});

test("while it runs: Cancel works, Run does not, the text grows", async () => {
  const { el, model } = mount(widget, state());
  model.set("running", true);
  model.set("baseline", written([" cat"], []));
  await settle();
  assert.deepEqual([named(el, "Run").disabled, named(el, "Cancel").disabled], [true, false]);
  assert.match(el.querySelector(".sl-side").textContent, /The cat$/);
  assert.equal(all(el, ".sl-wait").length, 1);
  press(el.querySelector(".saelab"), "Escape");
  assert.equal(model.sent[0].method, "cancel");
});

test("differences are marked on both sides", async () => {
  const { el } = mount(widget, state({ baseline: written([" a", " b"], [1]), steered: written([" a", " c", "!"], [1, 2]), said: { prompt: "The", edits: [[3, 4]], mode: "add", seed: 0, temperature: 0.8 } }));
  assert.deepEqual(all(el, ".sl-texts > .sl-side").map((s) => all(s, ".sl-differs").map((t) => t.textContent)), [[" b"], [" c", "!"]]);
  assert.match(all(el, ".sl-texts h3")[1].textContent, /steered: 3 \+ 4/);
});

test("texts of other settings say so until they are run again", async () => {
  const said = { edits: [[3, 4]], prompt: "The", mode: "add", positions: "all", schedule: null, max_new_tokens: 40, temperature: 0.8, seed: 0 };
  const { el, model } = mount(widget, state({ said, baseline: written([" a"], []), steered: written([" b"], [0]) }));
  const stale = el.querySelector(".sl-stale");
  assert.equal(stale.hidden, true);
  model.set("edits", [{ latent: 3, strength: 5 }]);
  await settle();
  assert.equal(stale.hidden, false);
  model.set("said", { ...said, edits: [[3, 5]] });
  await settle();
  assert.equal(stale.hidden, true);
  model.set("seed", 1);
  await settle();
  assert.match(stale.textContent, /not yet run/);
  assert.equal(stale.hidden, false);
});

test("the marks of a slider stay within it", () => {
  const { el } = mount(widget, state({ about: { 3: { label: "", token: "A", max: 5, limit: 15 } } }));
  assert.equal(el.querySelector(".sl-limit").style.getPropertyValue("--at"), "100%");
});

test("an error of the run is shown and Run is there again", () => { // C66
  const { el, model } = mount(widget, state({ running: true }));
  model.set("running", false);
  model.set("error", { message: "latent 9999 is out of range", traceback: "Traceback…" });
  assert.match(el.querySelector(".sl-alert").textContent, /9999.*Traceback/s);
});

test("a refused request is shown", async () => {
  const { el, model } = mount(widget, state());
  model.answer = () => { throw new Error("the prompt is empty"); };
  named(el, "Run").click();
  await settle();
  assert.equal(el.querySelector(".sl-alert-text").textContent, "the prompt is empty");
});

test("ablation has no strength, scaling begins at zero", () => {
  const { el, model } = mount(widget, state());
  model.set("mode", "ablate");
  assert.equal(el.querySelector(".sl-edit").classList.contains("sl-off"), true);
  model.set("mode", "scale");
  assert.equal(el.querySelector('input[type="range"]').min, "0");
});

test("settings that make no sense are put back", () => {
  const { el, model } = mount(widget, state());
  const field = (name) => all(el, ".sl-field").find((f) => f.textContent.startsWith(name)).querySelector("input");
  for (const [name, wrong, key] of [["tokens", "-3", "max_new_tokens"], ["tokens", "2.5", "max_new_tokens"], ["temperature", "hot", "temperature"], ["seed", "", "seed"]]) {
    const before = model.get(key);
    field(name).value = wrong;
    field(name).dispatchEvent(new Event("change"));
    assert.equal(model.get(key), before);
    assert.equal(field(name).value, String(before));
  }
});

test("hostile tokens stay text", () => {
  const { el } = mount(widget, state({ baseline: written(HOSTILE, []), steered: written(HOSTILE, [0]), prompt: "<img src=x>", said: { prompt: "<img src=x>" } }));
  assert.equal(all(el, "img, script").length, 0);
  assert.deepEqual(all(el.querySelector(".sl-texts .sl-side"), ".sl-tok").map((t) => t.textContent), HOSTILE);
});

test("a saved page shows the texts and no controls", () => {
  const { el } = mount(widget, state({ read_only: true, baseline: written([" a"], []), steered: written([" b"], [0]) }));
  assert.equal(named(el, "Run").parentElement.hidden, true);
  assert.equal(el.querySelector("textarea").disabled, true);
});

test("a sweep is asked for with its factors, and its rows are text", async () => {
  const { el, model } = mount(widget, state());
  const factors = el.querySelector(".sl-factors");
  assert.equal(factors.value, "0, 1");
  factors.value = "0, x";
  named(el, "Sweep").click();
  assert.match(el.querySelector(".sl-alert-text").textContent, /numbers with commas/);
  assert.deepEqual([model.sent.length, factors.value], [0, "0, 1"]);
  factors.value = "0, 2.5";
  named(el, "Sweep").click();
  assert.deepEqual([model.get("factors"), model.sent[0].method], [[0, 2.5], "sweep"]);
  model.set("swept", [{ latent: 3, strength: 10, activation: 1.5, perplexity: null, repetition: 0.25, text: "<img src=x>\n$x$" }]);
  await settle();
  assert.equal(el.querySelector("img"), null);
  assert.equal(el.querySelector(".sl-swept tbody tr").textContent, "3101.5–0.25<img src=x>\n$x$");
  model.set("running", true);
  await settle();
  assert.equal(named(el, "Sweep").disabled, true);
});
