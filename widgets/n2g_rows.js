/** Text where the patterns match, miss or are wrong, as heat-map rows; paths and exclusions are made from them. */
import { button, count, h, show } from "./dom.js";
import { chip, tokens } from "./text.js";

/**
 * @typedef {{ text: import("./text.js").TokenText, values: number[], centre: number, value: number, predicted: number, node: number, token_index: number, row: number, position: number, before: { id?: number, text?: string, reason?: string } | null }} Row
 * @typedef {{ total: number, high: number, rows: Row[] }} Rows
 */

const KINDS = /** @type {const} */ ([["hit", "Hits"], ["false_alarm", "False alarms"], ["miss", "Misses"]]);

/**
 * @param {object} given
 * @param {() => number | null} given.selected
 * @param {(id: number | null) => void} given.select
 * @param {(op: string, args: Record<string, unknown>) => void} given.stage
 * @param {import("./rpc.js").Request} given.request
 * @param {(message: string) => void} given.fail
 */
export function examples({ selected, select, stage, request, fail }) {
  /** @type {string} */
  let kind = "miss";
  let seed = 0;
  let asked = 0;
  const list = h("div", { class: "sl-rows", role: "list" });
  const said = h("span", { class: "sl-muted sl-small" });
  const tabs = h("div", { class: "sl-tabs", role: "tablist", "aria-label": "Examples" }, ...KINDS.map(([name, label]) => {
    const tab = h("button", { type: "button", role: "tab", "data-kind": name }, label);
    tab.addEventListener("click", () => { kind = name; seed = 0; load(); });
    return tab;
  }));
  const box = h("section", { class: "sl-examples" },
    h("div", { class: "sl-bar" }, tabs, said, h("span", { class: "sl-grow" }), button("others", "Other examples", () => { seed += 1; load(); })), list);

  /** Fetch the rows of the present tab. */
  function load() {
    for (const tab of tabs.children) tab.setAttribute("aria-selected", String(/** @type {HTMLElement} */ (tab).dataset.kind === kind));
    const mine = (asked += 1);
    const node = kind === "miss" ? null : selected();
    request("rows", { kind, node, seed }).then((/** @type {Rows} */ found) => {
      if (mine === asked) draw(found, node);
    }, (/** @type {Error} */ e) => {
      if (mine !== asked) return;
      list.replaceChildren();
      said.textContent = e.message;
    });
  }

  /** @param {Rows} found @param {number | null} node */
  function draw(found, node) {
    const where = kind === "miss" ? "firings that no pattern matches" : node === null ? "all patterns" : `patterns through node ${node}`;
    said.textContent = `${count(found.total)} · ${where}`;
    const open = list.querySelector(".sl-compose:not([hidden])"); // a path that is being made stays, if its row does
    const at = /** @type {HTMLElement | undefined} */ (open?.parentElement ?? undefined)?.dataset.at;
    list.replaceChildren(...found.rows.map((row) => line(row, found.high)));
    if (open) list.querySelector(`[data-at="${at}"] .sl-compose`)?.replaceWith(open);
    if (!found.rows.length) list.append(h("p", { class: "sl-muted sl-small" }, "none"));
  }

  /** @param {Row} row @param {number} high */
  function line(row, high) {
    const text = h("bdi", { class: "sl-line", dir: "auto" }, ...tokens(row.text, row.values, { high }));
    text.querySelector(`[data-start="${row.centre}"]`)?.classList.add("sl-centre");
    const below = h("div", { class: "sl-compose", hidden: true });
    const todo = h("span", { class: "sl-todo" });
    if (kind === "miss") todo.append(button("path …", "Add a path from this miss", () => compose(row, below, null)));
    if (kind === "false_alarm") {
      const b = row.before;
      if (b && b.id !== undefined) todo.append(button(`not after`, `Not where the token before the pattern is ${b.text}`, () => stage("exclude", { node: row.node, ids: [b.id] })), chip(b.text ?? ""));
      else todo.append(h("span", { class: "sl-muted sl-small", title: b?.reason }, "no token before"));
      todo.append(button("exception …", "Add a longer path on which the latent does not fire", () => compose(row, below, 0)));
    }
    const value = h("span", { class: "sl-act", title: `activation ${show(row.value)}, predicted ${show(row.predicted)}` }, kind === "false_alarm" ? show(row.predicted) : show(row.value));
    const out = h("div", { class: "sl-row", role: "listitem", "data-at": row.token_index }, value, h("div", { class: "sl-sample" }, text), todo, below);
    if (row.node) text.addEventListener("click", () => select(row.node));
    return out;
  }

  /**
   * Make a path from the tokens up to a position: each is taken, any, or left out.
   * @param {Row} row @param {HTMLElement} place @param {number | null} value null: as the train documents have it
   */
  function compose(row, place, value) {
    if (!place.hidden) {
      place.hidden = true;
      return;
    }
    request("compose", { token_index: row.token_index }).then((/** @type {{ tokens: { id: number, text: string }[], length: number, whole: boolean }} */ found) => {
      // the rows may have been drawn anew while Python thought about it
      const into = /** @type {HTMLElement} */ (list.querySelector(`[data-at="${row.token_index}"] .sl-compose`) ?? place);
      const n = found.tokens.length;
      let first = n - (value === 0 ? Math.min(n, found.length + 1) : found.length);
      let start = false;
      /** @type {Set<number>} */
      const wild = new Set();
      const go = () => stage("add_path", { items: [...(start ? ["^"] : []), ...found.tokens.slice(first).map((t, i) => (wild.has(first + i) ? "*" : t.id))], value });
      const redraw = () => {
        const buttons = found.tokens.map((t, i) => {
          const state = i < first ? "left out" : wild.has(i) ? "any token" : "this token";
          const press = h("button", { type: "button", class: `sl-step sl-${state.split(" ")[0]}`, "aria-label": `${t.text}: ${state}`, title: "Click: this token, any token, left out" }, state === "any token" ? "*" : chip(t.text));
          press.addEventListener("click", () => {
            if (i < first) first = i;
            else if (!wild.has(i)) wild.add(i);
            else {
              wild.delete(i);
              if (i === first && i < n - 1) first += 1;
            }
            if (first > 0) start = false;
            redraw();
            go();
          });
          return press;
        });
        const anchor = h("button", { type: "button", class: "sl-step", "aria-pressed": String(start), title: "Only at the start of the text", hidden: !(found.whole && first === 0) }, "^ start");
        anchor.addEventListener("click", () => { start = !start; redraw(); go(); });
        into.replaceChildren(h("span", { class: "sl-muted sl-small" }, value === 0 ? "silent on" : "fires on"), anchor, h("bdi", { dir: "ltr", class: "sl-steps" }, ...buttons));
      };
      into.hidden = false;
      redraw();
      go();
    }, (/** @type {Error} */ e) => fail(e.message));
  }

  return { box, load };
}
