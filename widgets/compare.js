/** LatentCompare: a latent and its partner in another SAE, side by side on the same text. */
import { histogram } from "./chart.js";
import { alone, check, onButton, onKeys, typing } from "./controls.js";
import { button, closest, count, grow, h, show } from "./dom.js";
import { exampleLine } from "./examples.js";
import { figureMenu } from "./figure.js";
import { widget } from "./mount.js";
import { statistics } from "./stats.js";
import { called, labelOf, select } from "./text.js";
import { inline, tokenTip } from "./tip.js";
import { votes } from "./votes.js";

const SIDES = /** @type {const} */ (["a", "b"]);
/** @type {[Kind, string, string][]} */
const KINDS = [["both", "Both fire", "strongest in both first"], ["a", "Only a fires", "strongest first"], ["b", "Only b fires", "strongest first"]];

/** The pairs to choose from. @param {Ui<Compare>} ui @param {(latent: number) => void} open */
function pairs({ state, atEnd }, open) {
  const node = h("div", { class: "sl-pairs", role: "listbox", "aria-label": "Pairs" });
  const said = h("p", { class: "sl-muted sl-small" });
  node.addEventListener("click", (event) => {
    const row = closest(event, ".sl-pair");
    if (row) open(Number(row.dataset.latent));
  });
  function mark() {
    const rows = /** @type {HTMLElement[]} */ ([...node.children]);
    select(rows, (row) => Number(row.dataset.latent) === state.latent);
    const row = rows.find((r) => r.ariaSelected === "true" || r.getAttribute("aria-selected") === "true");
    // within the list alone: scrollIntoView would move the notebook
    if (row && (row.offsetTop < node.scrollTop || row.offsetTop + row.offsetHeight > node.scrollTop + node.clientHeight)) {
      node.scrollTop = row.offsetTop - node.clientHeight / 2;
    }
  }
  function draw() {
    node.replaceChildren(...state.pairs.map((p) => h("div", { class: "sl-pair", role: "option", "data-latent": p.latent, "data-unmatched": !p.matched,
      title: p.matched ? "" : "No more alike than chance" },
    h("span", {}, String(p.latent), " ", ...called(p.token)), h("span", {}, String(p.partner), " ", ...called(p.partner_token)),
    h("span", { class: "sl-value" }, p.score.toFixed(3)))));
    said.textContent = state.read_only || state.n_pairs === state.pairs.length ? `${count(state.pairs.length)} pairs`
      : `the best ${count(state.pairs.length)} of ${count(state.n_pairs)} pairs`;
    mark();
  }
  const seen = new ResizeObserver(mark); // the first time it has a height, too
  seen.observe(node);
  atEnd(() => seen.disconnect());
  const head = h("div", { class: "sl-pair sl-muted sl-small" }, h("span", {}, "latent of a"), h("span", {}, "partner of b"), h("span", { class: "sl-value" }, "score"));
  return { node: h("aside", { class: "sl-live" }, head, node, said), draw, mark };
}

/** What one of the two is: the dashboard's panels. @param {Ui<Compare>} ui @param {"a" | "b"} side */
function card({ state, tip }, side) {
  const title = h("h2"), of = h("p", { class: "sl-muted sl-small" }), chart = h("div");
  // the panels of the dashboard read one latent's payload from their state
  const panel = /** @type {any} */ ({ state: { get payload() { return state.payload.sides[side]; } } });
  const [stats, voted] = [statistics(panel), votes(panel)];
  function draw() {
    const { latent, label, histogram: bins } = state.payload.sides[side];
    const listed = state.pairs.find((p) => p.latent === state.payload.latent);
    title.replaceChildren(`Latent ${latent} `, ...called(side === "a" ? listed?.token : listed?.partner_token, label));
    of.textContent = `${side}: ${state.about[side]}`;
    stats.draw();
    voted.draw();
    chart.replaceChildren(h("h3", {}, "Activations, log counts"), histogram(bins, { brush: null, tip, onBrush: draw }));
  }
  return { head: h("div", {}, title, of), node: h("div", { class: "sl-card" }, stats.node, chart, voted.node), draw };
}

/** One side of a passage, its tokens colored by who fires there. @param {Compared} e @param {number} high @param {string} where */
function line(e, high, where) {
  const node = h("div", { class: "sl-example", "data-at": where }, ...exampleLine(e, { low: 0, high }));
  for (const token of /** @type {NodeListOf<HTMLElement>} */ (node.querySelectorAll(".sl-tok"))) {
    const [start, stop] = [Number(token.dataset.start), Number(token.dataset.stop)];
    const fires = e.values.slice(start, stop).some((v) => v > 0), other = e.other.slice(start, stop).some((v) => v > 0);
    if (fires && !other) token.classList.add("sl-alone");
    if (other && !fires) token.classList.add("sl-missed");
  }
  return node;
}

/** The passages: where both fire, and where one does alone. @param {Ui<Compare>} ui */
function passages({ state, set, tip }) {
  const node = h("div", { class: "sl-passages" });
  const spaces = check("spaces", (on) => set({ show_whitespace: on }));
  const key = h("p", { class: "sl-bar sl-small sl-key" }, h("span", { class: "sl-tok sl-hot", style: "--a: 0.7" }, "both fire"),
    h("span", { class: "sl-tok sl-hot sl-alone", style: "--a: 0.7" }, "the other is silent"), h("span", { class: "sl-tok sl-missed" }, "the other fires, this one is silent"),
    grow(), spaces.node);
  const at = (/** @type {string} */ where) => {
    const [kind, i, side] = where.split(" ");
    return state.payload.texts[/** @type {Kind} */ (kind)][Number(i)][/** @type {"a" | "b"} */ (side)];
  };
  tokenTip(tip, node, (span, position) => {
    const where = /** @type {HTMLElement | null} */ (span.closest("[data-at]"))?.dataset.at;
    const e = where ? at(where) : null;
    if (!e || !where) return null;
    const mine = where.slice(-1), names = mine === "a" ? ["a", "b"] : ["b", "a"];
    return [["token", labelOf(e.text, position)], [`activation of ${names[0]}`, show(e.values[position])], [`activation of ${names[1]}`, show(e.other[position])]];
  });
  /** @param {[Kind, string, string]} kind */
  function section([kind, name, order]) {
    const { texts, positions, sides } = state.payload;
    const rows = texts[kind].map((pair, i) => h("div", { class: "sl-two", title: `document ${pair.a.doc}` },
      ...SIDES.map((side) => line(pair[side], sides[side].stats.max ?? 0, `${kind} ${i} ${side}`))));
    const head = h("h3", {}, `${name} at ${count(positions[kind])} positions`, h("span", { class: "sl-muted" }, rows.length ? `; ${order}, one text each` : ""));
    return h("section", { "data-kind": kind }, head, h("div", { class: "sl-examples" }, ...rows));
  }
  const draw = () => node.replaceChildren(...KINDS.map(section));
  const white = () => { node.classList.toggle("sl-show-space", (spaces.input.checked = state.show_whitespace)); };
  return { node: h("div", {}, key, node), draw, white };
}

/** @param {Ui<Compare>} ui */
function build(ui) {
  const { state, view, request, say, on, soon, tip } = ui;
  let last = state.latent, asked = 0; // keys that come faster than answers go on from the pair that was asked for
  const open = (/** @type {number} */ latent) => {
    last = latent;
    asked += 1;
    request("open", { latent }).catch((error) => { last = state.latent; say(error.message); }).finally(() => { asked -= 1; });
  };
  const step = (/** @type {number} */ by) => {
    const place = state.pairs.findIndex((p) => p.latent === last);
    const next = state.pairs[(Math.max(place, 0) + by + state.pairs.length) % state.pairs.length];
    open(next.latent);
  };
  const list = pairs(ui, open);
  const [a, b] = SIDES.map((side) => card(ui, side));
  const texts = passages(ui), facts = h("span", { class: "sl-scores" });
  const bar = h("div", { class: "sl-bar sl-top" }, button("‹", "Previous pair (←)", () => step(-1)), button("›", "Next pair (→)", () => step(1)), facts, grow(),
    figureMenu(ui, () => `latent-${state.payload.latent}-and-${state.payload.partner}`));
  function draw() {
    const { score, second, q, matched, mutual } = state.payload;
    tip.hide();
    facts.replaceChildren(...inline([[state.about.of.split(" on ")[0], show(score)], ["next best", show(second)], ["false-discovery rate", show(q)],
      ["", matched ? (mutual ? "each other's best" : "matched, but its partner has a better one") : "no more than chance"]]));
    for (const panel of [a, b, texts]) panel.draw();
    list.mark();
  }
  onKeys(view, (event) => {
    if (typing(event) || !alone(event) || (event.key === "Enter" && onButton(event))) return undefined;
    return /** @type {Record<string, () => void>} */ ({ ArrowLeft: () => step(-1), ArrowRight: () => step(1), Escape: tip.hide })[event.key];
  });
  soon(["payload", "about"], draw);
  on(["pairs"], list.draw);
  on(["latent"], () => { if (!asked) last = state.latent; list.mark(); });
  on(["show_whitespace"], texts.white);
  view.append(h("div", { class: "sl-columns" }, list.node, h("div", { class: "sl-main" }, bar, h("div", { class: "sl-two" }, a.head, b.head),
    texts.node, h("div", { class: "sl-two" }, a.node, b.node))));
  list.draw();
  draw();
  texts.white();
}

// the panels of a dashboard look here as they do there
export default widget("dashboard saelab-compare", "Two latents compared", build);
