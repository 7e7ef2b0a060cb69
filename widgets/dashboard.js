/** LatentDashboard: one latent of an index. The panels are in the files imported here. */
import { ablationBox } from "./ablation.js";
import { histogram } from "./chart.js";
import { alone, latentIn, numberField, onButton, onEnter, onKeys, typing } from "./controls.js";
import { button, count, grow, h } from "./dom.js";
import { examples } from "./examples.js";
import { figureMenu } from "./figure.js";
import { widget } from "./mount.js";
import { neighbours } from "./neighbours.js";
import { notes } from "./notes.js";
import { promptBox } from "./prompt.js";
import { scale } from "./scale.js";
import { fires, statistics } from "./stats.js";
import { votes } from "./votes.js";

/** The number of the latent, with buttons to others. @param {Ui<Dashboard>} ui */
function chooser({ state, ask, request, say, view }) {
  const box = numberField("Latent", { inputmode: "numeric", title: "Latent; press / to come here" });
  const back = () => { box.value = String(state.latent); };
  const of = h("span", { class: "sl-muted sl-of" });
  const steps = [button("‹", "Previous latent (←)", () => step(-1)), button("›", "Next latent (→)", () => step(1)),
    button("random", "A random latent that fires", () => step("random"))];
  onEnter(box, () => {
    const latent = latentIn(box, say, state.payload.d_sae);
    if (latent === null) back();
    else open(latent);
  }, () => { back(); view.focus(); });

  /** @param {number} latent */
  function open(latent) {
    const held = state.available;
    say(!held || held.includes(latent) ? "" : `Latent ${latent} is not in this page; it holds ${held.join(", ")}.`);
    if (!held || held.includes(latent)) ask("open", { latent });
    else back();
  }

  let owed = 0, walking = false;
  /** A key that is held asks faster than Python answers: its steps are put together. @param {number} by */
  async function walk(by) {
    owed += by;
    if (walking) return;
    for (walking = true; owed;) {
      const next = owed;
      owed = 0;
      await request("step", { by: next }).catch((error) => say(error.message));
    }
    walking = false;
  }

  /** @param {number | "random"} by */
  function step(by) {
    const held = state.available;
    say("");
    if (!held && by === "random") return ask("step", { by });
    if (!held) return walk(Number(by));
    if (held.length < 2) return;
    const jump = by === "random" ? 1 + Math.floor(Math.random() * (held.length - 1)) : by;
    open(held[(held.indexOf(state.latent) + jump + held.length) % held.length]);
  }

  function draw() {
    const held = state.available;
    back();
    of.textContent = held ? `${held.indexOf(state.latent) + 1} of ${held.length} here` : `of ${count(state.payload.d_sae)}`;
    for (const node of steps) node.disabled = !!held && held.length < 2;
  }
  return { node: h("div", { class: "sl-head" }, h("h2", {}, "Latent"), box, of, grow(), ...steps), box, open, step, draw };
}

/** The histogram; what is marked in it is the range of the examples. @param {Ui<Dashboard>} ui */
function activations({ state, set, tip }) {
  const node = h("div");
  const draw = () => {
    node.replaceChildren();
    if (fires(state)) node.append(h("h3", {}, "Activations, log counts", h("span", { class: "sl-live" }, "; drag to see a range")), histogram(state.payload.histogram, {
      brush: state.tab === "interval" ? state.brush : null, tip, onBrush: (brush) => set({ brush, tab: brush ? "interval" : "top" }),
    }));
  };
  return { node, draw };
}

/** @param {Ui<Dashboard>} ui */
function build(ui) {
  const { state, set, view, tip, on, soon } = ui;
  const most = () => Math.max(state.payload.stats.max ?? 0, state.vmin ?? 0);
  const ends = scale(ui, most, "Keep this scale for every latent");
  const head = chooser(ui);
  const [label, stats, chart] = [notes(ui), statistics(ui), activations(ui)];
  const [near, voted] = [neighbours(ui, head.open), votes(ui)];
  const list = examples(ui, ends, figureMenu(ui, () => `latent-${state.latent}`));
  const ablation = ablationBox(ui, list.chosen);
  const prompt = promptBox(ui, head.open, ends.range);

  onKeys(view, (event) => {
    if (typing(event) || !alone(event) || (event.key === "Enter" && onButton(event))) return;
    return /** @type {Record<string, () => void>} */ ({
      ArrowLeft: () => head.step(-1), ArrowRight: () => head.step(1), ArrowDown: () => list.move(1), ArrowUp: () => list.move(-1),
      Enter: list.unfold, Escape: () => { tip.hide(); set({ selected_sequence: null, selected_token: null }); },
      "/": () => { head.box.focus(); head.box.select(); }, a: ablation.run,
    })[event.key];
  });

  function draw() {
    if (state.payload.latent === undefined) return;
    tip.hide();
    for (const panel of [head, label, stats, chart, near, list, voted, prompt, ablation]) panel.draw();
    if (state.brush) list.load();
  }
  soon(["payload", "vmin", "vmax", "read_only", "available"], draw);
  on(["latent"], head.draw);
  on(["tried"], prompt.changed);
  on(["ablated", "cannot_try"], ablation.draw);
  on(["prompt", "cannot_try"], prompt.draw);
  on(["label", "note", "source"], label.draw);
  on(["tab"], () => { chart.draw(); list.draw(); });
  on(["one_per_document"], list.draw);
  on(["show_whitespace"], list.white);
  on(["brush"], () => { chart.draw(); list.load(); });
  on(["selected_sequence", "selected_token"], () => { list.drawSelection(); ablation.draw(); });

  view.append(h("div", { class: "sl-columns" }, h("aside", {}, head.node, label.node, stats.node, chart.node, near.node),
    h("div", { class: "sl-main" }, list.node, prompt.node, ablation.node, voted.node)));
  list.white();
  draw();
}

export default widget("dashboard", "Latent dashboard", build);
