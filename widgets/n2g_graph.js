/** The drawing of a pattern graph: pan, zoom, fold, select, and keys. */
import { button, clamp, closest, h, svg } from "./dom.js";
import { edge, nodeBox, pictureOf } from "./n2g_nodes.js";
import { BESIDE, fold, layout } from "./tree.js";

const LEAST = 0.9; // the smallest scale at which a graph is shown at first: its text can be read, signs say where there is more
const SIDES = /** @type {[Side, string][]} */ ([["left", "◂ more"], ["right", "more ▸"], ["top", "▴ more"], ["bottom", "▾ more"]]);
/** @typedef {"left" | "right" | "top" | "bottom"} Side */

/**
 * What is seen of the drawing: its place and size on the stage.
 * @param {SVGSVGElement} graph @param {SVGGElement} content @param {(beyond: Record<Side, boolean>) => void} moved where there is more
 */
function camera(graph, content, moved) {
  let at = { x: 0, y: 0, k: 1 };
  let whole = { width: 0, height: 0 };
  const stage = () => ({ width: graph.clientWidth || 640, height: graph.clientHeight || 420 });
  /** @param {Partial<typeof at>} next */
  function move(next) {
    at = { ...at, ...next };
    content.setAttribute("transform", `translate(${at.x.toFixed(1)} ${at.y.toFixed(1)}) scale(${at.k.toFixed(4)})`);
    const { width, height } = stage();
    moved({ left: at.x < -2, right: at.x + whole.width * at.k > width + 2, top: at.y < -2, bottom: at.y + whole.height * at.k > height + 2 });
  }
  return {
    stage, by: (/** @type {number} */ dx, /** @type {number} */ dy) => move({ x: at.x + dx, y: at.y + dy }),
    /** Show the whole graph. @param {{ width: number, height: number }} plan @param {number} least the smallest scale; what then has no room is at the left */
    fit(plan, least) {
      whole = plan;
      const { width, height } = stage();
      const room = { w: width - 36, h: height - 76 };
      const k = clamp(Math.min(room.w / Math.max(plan.width, 1), room.h / Math.max(plan.height, 1)), least, 1.15);
      const x = plan.width * k > room.w ? width - 18 - plan.width * k : (width - plan.width * k) / 2;
      move({ k, x, y: plan.height * k > room.h ? 36 : (height - plan.height * k) / 2 + 8 });
    },
    /** @param {number} factor @param {{ x: number, y: number }} [around] */
    zoom(factor, around = { x: stage().width / 2, y: stage().height / 2 }) {
      const k = clamp(at.k * factor, 0.15, 3);
      move({ k, x: around.x - ((around.x - at.x) * k) / at.k, y: around.y - ((around.y - at.y) * k) / at.k });
    },
    /** @param {Placed} p */
    bringIntoView(p) {
      const { width, height } = stage();
      const [left, top] = [at.x + p.x * at.k, at.y + p.y * at.k];
      const [right, bottom] = [left + p.width * at.k, top + p.height * at.k];
      const x = left < 10 ? 10 - left : right > width - 10 ? width - 10 - right : 0;
      move({ x: at.x + x, y: at.y + (top < 30 ? 30 - top : bottom > height - 40 ? height - 40 - bottom : 0) });
    },
  };
}

/** What of a graph is laid out, and what is folded away. @param {N2G} state */
function folding(state) {
  let plan = layout([]);
  /** @type {Map<number, boolean>} */
  const opened = new Map();
  /** @type {Map<number, number>} */
  const beside = new Map();
  const folded = (/** @type {number} */ id) => plan.placed.some((p) => p.node.kind === "more" && p.node.id === -id - 1 && p.node.text[0].startsWith("◂"));
  /** From the first fold on nothing opens or closes by itself: nodes would move under the reader's hand. */
  function keep() {
    for (const { node } of plan.placed) if (node.kind !== "more" && !opened.has(node.id)) opened.set(node.id, !folded(node.id));
  }
  /** Open what hides a node. @param {number} id */
  function reveal(id) {
    keep();
    const by = new Map(state.nodes.map((n) => [n.id, n]));
    for (let n = by.get(id); n; n = by.get(n.parent)) {
      const { parent, id: mine } = n;
      if (parent) opened.set(parent, true);
      if (!fold(state.nodes, opened, beside).some((m) => m.id === mine)) beside.set(parent, Infinity);
    }
  }
  const place = (/** @type {number | null | undefined} */ id) => plan.placed.find((p) => p.node.id === id);
  function arrange() {
    plan = layout(fold(state.nodes, opened, beside));
    if (state.selected === null || place(state.selected)) return;
    reveal(state.selected);
    plan = layout(fold(state.nodes, opened, beside));
  }
  /** Unfold what a `more` node stands for, or fold and unfold a node; whether there is one. @param {number} id */
  function toggle(id) {
    const found = place(id)?.node;
    if (!found) return false;
    keep();
    if (found.kind !== "more") opened.set(id, folded(id));
    else if (found.text[0].startsWith("◂")) opened.set(found.parent, true);
    else beside.set(found.parent, (beside.get(found.parent) ?? BESIDE) + 2 * BESIDE);
    return true;
  }
  return { plan: () => plan, folded, place, arrange, toggle };
}

/** Drag to move, click to select, double-click to fold, wheel to zoom. @param {Ui<N2G>} ui @param {SVGSVGElement} graph @param {ReturnType<typeof camera>} look @param {(id: number) => void} toggle */
function pointer({ state, set, signal }, graph, look, toggle) {
  const idAt = (/** @type {Event} */ event) => {
    const id = closest(event, ".sl-node")?.dataset.id;
    return id === undefined ? null : Number(id);
  };
  /** @type {{ x: number, y: number, moved: boolean } | null} */
  let drag = null;
  graph.addEventListener("pointerdown", (event) => {
    if (event.button === 0) drag = { x: event.clientX, y: event.clientY, moved: false };
  });
  window.addEventListener("pointermove", (event) => {
    if (!drag) return;
    const [dx, dy] = [event.clientX - drag.x, event.clientY - drag.y];
    if (!drag.moved && Math.hypot(dx, dy) < 4) return;
    drag = { x: event.clientX, y: event.clientY, moved: true };
    look.by(dx, dy);
  }, { signal });
  window.addEventListener("pointerup", (event) => {
    const was = drag;
    drag = null;
    if (!was || was.moved || !graph.contains(/** @type {Node} */ (event.target))) return;
    const id = idAt(event);
    if (id !== null && id < 0) toggle(id);
    else if (id !== state.selected) set({ selected: id });
  }, { signal });
  graph.addEventListener("dblclick", (event) => {
    const id = idAt(event);
    if (id !== null && id > 0) toggle(id);
  });
  graph.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return; // a plain wheel scrolls the notebook
    event.preventDefault();
    const box = graph.getBoundingClientRect();
    look.zoom(Math.exp(-event.deltaY / 300), { x: event.clientX - box.left, y: event.clientY - box.top });
  }, { passive: false });
}

/** @param {Ui<N2G>} ui */
export function canvas(ui) {
  const { state, set, atEnd } = ui;
  const content = svg("g");
  const graph = svg("svg", {
    class: "sl-graph", tabindex: "0", role: "tree", "aria-label": "Pattern graph. Arrow keys move between nodes, Enter folds and unfolds.",
  }, content);
  const empty = h("div", { class: "sl-empty", hidden: true });
  const folds = folding(state);
  const beyond = SIDES.map(([, text]) => button(text, "There is more: show the whole graph (0)", () => fit(0.15)));
  beyond.forEach((node, i) => { node.classList.add("sl-beyond", `sl-beyond-${SIDES[i][0]}`); node.hidden = true; });
  const look = camera(graph, content, (more) => beyond.forEach((node, i) => { node.hidden = !more[SIDES[i][0]] || !state.nodes.length; }));
  const fit = (least = LEAST) => look.fit(folds.plan(), least);
  let shape = ""; // size of the graph that the present zoom was made for

  /** @param {string} reason why there are no nodes */
  function draw(reason) {
    folds.arrange();
    const { placed, width, height } = folds.plan(), nodes = state.nodes;
    const most = nodes.reduce((a, n) => Math.max(a, n.end?.value ?? 0), 1e-9);
    const wide = clamp((look.stage().width - 36) / Math.max(width, 1), LEAST, 1.15);
    graph.style.height = `${clamp(Math.round(height * wide) + 90, 150, 480)}px`;
    content.replaceChildren(...placed.flatMap((p) => edge(p, folds.place(p.node.parent))), ...placed.map((p) => nodeBox(p, most, folds.folded(p.node.id))));
    empty.hidden = nodes.length > 0;
    graph.toggleAttribute("hidden", !nodes.length);
    empty.textContent = `No patterns. ${reason}`;
    mark();
    if (shape !== `${width} ${height}`) fit();
    shape = `${width} ${height}`;
  }
  /** Mark the selected node and what hangs on it. */
  function mark() {
    const chosen = state.selected, under = new Set([chosen]);
    for (const n of state.nodes) if (chosen !== null && under.has(n.parent)) under.add(n.id); // parents come first
    for (const node of content.querySelectorAll(".sl-node")) {
      const id = Number(/** @type {SVGElement} */ (node).dataset.id);
      node.setAttribute("aria-selected", String(id === chosen));
      node.classList.toggle("sl-below", under.has(id) && id !== chosen);
    }
  }
  const toggle = (/** @type {number} */ id) => { if (folds.toggle(id)) draw(""); };

  /** Left: deeper; right: towards the activating token; up and down: nodes of the same column. @param {string} key */
  function walk(key) {
    const drawn = folds.plan().placed.filter((p) => p.node.kind !== "more");
    const here = drawn.find((p) => p.node.id === state.selected);
    if (!here) return drawn.length ? set({ selected: drawn[0].node.id }) : undefined;
    const peers = drawn.filter((p) => p.depth === here.depth).sort((a, b) => a.y - b.y).map((p) => p.node.id);
    if (key === "ArrowLeft" && folds.folded(here.node.id)) toggle(here.node.id);
    const next = {
      ArrowLeft: folds.plan().placed.find((p) => p.node.parent === here.node.id && p.node.kind !== "more")?.node.id,
      ArrowRight: here.node.parent || undefined,
      ArrowUp: peers[peers.indexOf(here.node.id) - 1], ArrowDown: peers[peers.indexOf(here.node.id) + 1],
    }[key];
    if (next !== undefined) set({ selected: next });
    const place = folds.place(next);
    if (place) look.bringIntoView(place);
  }
  pointer(ui, graph, look, toggle);
  let width = 0;
  const watch = new ResizeObserver(() => { // the view may be attached, or made visible, only later
    if (graph.clientWidth && graph.clientWidth !== width) { width = graph.clientWidth; fit(); }
  });
  watch.observe(graph);
  atEnd(() => watch.disconnect());
  const box = h("div", { class: "sl-stage" }, graph, empty, ...beyond,
    h("span", { class: "sl-hint sl-left" }, "← earlier context"), h("span", { class: "sl-hint sl-right" }, "token the latent fires on"),
    h("div", { class: "sl-zoom" }, button("−", "Smaller (-)", () => look.zoom(0.8)), button("fit", "Show the whole graph (0)", () => fit(0.15)),
      button("+", "Larger (+)", () => look.zoom(1.25))));
  return { box, draw, mark, fit, whole: () => fit(0.15), zoom: look.zoom, walk, toggle, picture: () => pictureOf(graph, content, folds.plan(),
    `${state.latent === null ? "Pattern graph" : `Latent ${state.latent}`}: values are activations; thick, the token it fires on; red, any token but these`) };
}
