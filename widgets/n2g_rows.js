/** Text where the patterns match, miss or are wrong, as heat-map rows; paths and exclusions are made from them. */
import { tabs } from "./controls.js";
import { button, count, grow, h, note, show } from "./dom.js";
import { chip, tokens } from "./text.js";

/** @typedef {"hit" | "false_alarm" | "miss"} Kind */

const KINDS = /** @type {[Kind, string][]} */ ([["hit", "Hits"], ["false_alarm", "False alarms"], ["miss", "Misses"]]);

/**
 * Make a path from the tokens up to a position: each is taken, any, or left out.
 * @param {HTMLElement} into @param {{ tokens: { id: number, text: string }[], length: number, whole: boolean }} found
 * @param {number | null} value null: as the train documents have it @param {Stage} stage
 */
function composer(into, found, value, stage) {
  const n = found.tokens.length;
  let first = n - (value === 0 ? Math.min(n, found.length + 1) : found.length);
  let start = false;
  /** @type {Set<number>} */
  const wild = new Set();
  /** A click: this token, any token, left out. @param {number} i */
  function turn(i) {
    if (i < first) first = i;
    else if (!wild.delete(i)) wild.add(i);
    else if (i === first && i < n - 1) first += 1;
    if (first > 0) start = false;
  }
  function draw() {
    const buttons = found.tokens.map((token, i) => {
      const state = i < first ? "left out" : wild.has(i) ? "any token" : "this token";
      return step(`sl-${state.split(" ")[0]}`, state === "any token" ? "*" : chip(token.text), "Click: this token, any token, left out",
        { "aria-label": `${token.text}: ${state}` }, () => turn(i));
    });
    const anchor = step("", "^ start", "Only at the start of the text", { "aria-pressed": String(start), hidden: !(found.whole && first === 0) },
      () => { start = !start; });
    into.replaceChildren(h("span", { class: "sl-muted sl-small" }, value === 0 ? "silent on" : "fires on"), anchor,
      h("bdi", { dir: "ltr", class: "sl-steps" }, ...buttons));
    const items = found.tokens.slice(first).map((token, i) => (wild.has(first + i) ? "*" : token.id));
    stage("add_path", { items: [...(start ? ["^"] : []), ...items], value });
  }
  /** @param {string} kind @param {Node | string} text @param {string} title @param {Attributes} more @param {() => void} does */
  function step(kind, text, title, more, does) {
    const node = h("button", { type: "button", class: `sl-step ${kind}`, title, ...more }, text);
    node.addEventListener("click", () => { does(); draw(); });
    return node;
  }
  into.hidden = false;
  draw();
}

/** @param {Ui<N2G>} ui @param {Stage} stage */
export function examples({ state, set, request, ask }, stage) {
  let kind = /** @type {Kind} */ ("miss");
  let seed = 0;
  let asked = 0;
  const list = h("div", { class: "sl-rows", role: "list" });
  const said = h("span", { class: "sl-muted sl-small" });
  const kinds = tabs("Examples", KINDS, (key) => { kind = key; seed = 0; load(); });
  const other = button("other examples", "Draw other examples", () => { seed += 1; load(); });
  const box = h("section", { class: "sl-examples" }, h("div", { class: "sl-bar" }, kinds.node, said, grow(), other), list);

  /** Fetch the rows of the present tab. */
  function load() {
    kinds.mark(kind);
    const mine = (asked += 1);
    const node = kind === "miss" ? null : state.selected;
    request("rows", { kind, node, seed }).then((found) => { if (mine === asked) draw(found, node); }, (/** @type {Error} */ error) => {
      if (mine !== asked) return;
      list.replaceChildren();
      said.textContent = error.message;
    });
  }
  /** @param {{ total: number, high: number, rows: Sample[] }} found @param {number | null} node */
  function draw(found, node) {
    const where = kind === "miss" ? "firings that no pattern matches" : node === null ? "all patterns" : `patterns through node ${node}`;
    said.textContent = `${count(found.total)} · ${where}`;
    const open = list.querySelector(".sl-compose:not([hidden])"); // a path that is being made stays, if its row does
    const at = /** @type {HTMLElement | undefined} */ (open?.parentElement ?? undefined)?.dataset.at;
    list.replaceChildren(...found.rows.map((row) => line(row, found.high)));
    if (open) list.querySelector(`[data-at="${at}"] .sl-compose`)?.replaceWith(open);
    if (!found.rows.length) list.append(note("none"));
  }
  /** @param {Sample} row @param {number} high */
  function line(row, high) {
    const text = h("bdi", { class: "sl-line", dir: "auto" }, ...tokens(row.text, row.values, { high }));
    text.querySelector(`[data-start="${row.centre}"]`)?.classList.add("sl-centre");
    const below = h("div", { class: "sl-compose", hidden: true });
    const said = show(kind === "false_alarm" ? row.predicted : row.value);
    const value = h("span", { class: "sl-act", title: `activation ${show(row.value)}, predicted ${show(row.predicted)}` }, said);
    if (row.node) text.addEventListener("click", () => set({ selected: row.node }));
    return h("div", { class: "sl-row", role: "listitem", "data-at": row.token_index }, value, h("div", { class: "sl-sample" }, text),
      h("span", { class: "sl-todo" }, ...todo(row, below)), below);
  }
  /** What can be made of a row. @param {Sample} row @param {HTMLElement} below */
  function todo(row, below) {
    if (kind === "hit") return [];
    if (kind === "miss") return [button("add pattern …", "Add a path from this miss", () => compose(row, below, null))];
    const b = row.before;
    const exclude = b && b.id !== undefined
      ? [button("not after", `Not where the token before the pattern is ${b.text}`, () => stage("exclude", { node: row.node, ids: [b.id] })),
        chip(b.text ?? "")]
      : [h("span", { class: "sl-muted sl-small", title: b?.reason }, "no token before")];
    return [...exclude, button("exception …", "Add a longer path on which the latent does not fire", () => compose(row, below, 0))];
  }
  /** Open the making of a path, or close it. @param {Sample} row @param {HTMLElement} place @param {number | null} value */
  function compose(row, place, value) {
    if (!place.hidden) {
      place.hidden = true;
      return;
    }
    ask("compose", { token_index: row.token_index }, (found) => {
      // the rows may have been drawn anew while Python thought about it
      composer(list.querySelector(`[data-at="${row.token_index}"] .sl-compose`) ?? place, found, value, stage);
    });
  }
  return { box, load };
}
