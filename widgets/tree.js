/*!
 * The layout is d3-hierarchy's, Copyright 2010-2021 Mike Bostock. Permission to use, copy, modify, and/or distribute this
 * software for any purpose with or without fee is hereby granted, provided that the above copyright notice and this
 * permission notice appear in all copies. THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES WITH
 * REGARD TO THIS SOFTWARE INCLUDING ALL IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS. IN NO EVENT SHALL THE AUTHOR BE
 * LIABLE FOR ANY SPECIAL, DIRECT, INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY DAMAGES WHATSOEVER RESULTING FROM LOSS OF USE,
 * DATA OR PROFITS, WHETHER IN AN ACTION OF CONTRACT, NEGLIGENCE OR OTHER TORTIOUS ACTION, ARISING OUT OF OR IN CONNECTION
 * WITH THE USE OR PERFORMANCE OF THIS SOFTWARE.
 */
/** Layout of a pattern tree: the activating tokens at the right, earlier context to the left. */
import { hierarchy, tree as tidy } from "d3-hierarchy";

const CHARACTER = 7.9, GAP_X = 28, VALUE = 58, LINE = 19, PAD = 9, GAP_Y = 9, MAX_LINES = 4, MAX_CHARS = 22;
const VISIBLE = /** @type {Record<string, string>} */ ({ "\n": "↵", "\t": "⇥", "\r": "␍", " ": "·" });

/** A token's text on one line with its white space visible. @param {string} text */
export function visible(text) {
  const out = [...text].map((c) => VISIBLE[c] ?? (/\p{C}/u.test(c) ? `\\u{${c.codePointAt(0)?.toString(16)}}` : c)).join("");
  return [...out].length > MAX_CHARS ? `${[...out].slice(0, MAX_CHARS - 1).join("")}…` : out || "(empty)";
}

/** What a node says, a line per alternative. @param {PatternNode} node */
export function lines(node) {
  if (node.kind === "any") return ["*"];
  if (node.kind === "more") return node.text;
  if (node.kind === "start") return ["start of text"];
  if (node.kind === "gap") return [node.lo === node.hi ? `${node.lo} tokens` : `${node.lo}–${node.hi} tokens`];
  const shown = node.text.slice(0, node.text.length > MAX_LINES ? MAX_LINES - 1 : MAX_LINES).map(visible);
  const more = node.text.length > shown.length ? [`+ ${node.text.length - shown.length} more`] : [];
  return [...(node.kind === "not" ? shown.map((s) => `not ${s}`) : shown), ...more];
}

/** From so many nodes on a graph is drawn folded; how many to draw then; how many nodes beside each other. */
export const FOLD_FROM = 70, DRAWN = 45, BESIDE = 16;

/**
 * What to draw of a large graph: the nodes that explain most, with `more` nodes in the place of the others.
 * @param {PatternNode[]} nodes parents first
 * @param {Map<number, boolean>} opened what the reader opened or closed
 * @param {Map<number, number>} beside how many children of a node (0: the root) the reader wants to see
 * @returns {PatternNode[]}
 */
export function fold(nodes, opened = new Map(), beside = new Map()) {
  /** @type {Map<number, PatternNode[]>} */
  const children = new Map();
  for (const n of nodes) children.set(n.parent, [...(children.get(n.parent) ?? []), n]);
  /** @type {Map<number, number>} */
  const weight = new Map(), size = new Map();
  for (const n of [...nodes].reverse()) {
    const below = children.get(n.id) ?? [];
    weight.set(n.id, (n.end?.sum || n.end?.value || 0) + below.reduce((a, c) => a + (weight.get(c.id) ?? 0), 0));
    size.set(n.id, 1 + below.reduce((a, c) => a + (size.get(c.id) ?? 0), 0));
  }
  const large = nodes.length >= FOLD_FROM;
  const heavy = (/** @type {PatternNode} */ n) => weight.get(n.id) ?? 0;
  const shown = (/** @type {number} */ id) => {
    const all = children.get(id) ?? [];
    const most = beside.get(id) ?? BESIDE;
    return !large || all.length <= most ? all : [...all].sort((a, b) => heavy(b) - heavy(a)).slice(0, most);
  };
  const open = new Set(nodes.filter((n) => opened.get(n.id) ?? !large).map((n) => n.id));
  if (large) { // open the heaviest, as long as there is room
    let drawn = shown(0).length;
    const waiting = [...shown(0)];
    while (waiting.length) {
      waiting.sort((a, b) => heavy(b) - heavy(a));
      const next = /** @type {PatternNode} */ (waiting.shift());
      const more = shown(next.id);
      if (opened.get(next.id) === false || (opened.get(next.id) === undefined && drawn + more.length > DRAWN)) continue;
      open.add(next.id);
      drawn += more.length;
      waiting.push(...more);
    }
  }
  const sized = (/** @type {PatternNode[]} */ list) => list.reduce((a, c) => a + (size.get(c.id) ?? 0), 0);
  const more = (/** @type {number} */ parent, /** @type {string} */ text) =>
    /** @type {PatternNode} */ ({ id: -parent - 1, parent, kind: "more", ids: [], text: [text], lo: 0, hi: 0, imp: null, end: null, locked: false });
  /** @type {PatternNode[]} */
  const out = [];
  const visit = (/** @type {number} */ id) => {
    const all = children.get(id) ?? [];
    if (id !== 0 && !open.has(id)) {
      if (all.length) out.push(more(id, `◂ ${sized(all)}`));
      return;
    }
    const some = new Set(shown(id));
    for (const n of all) if (some.has(n)) { out.push(n); visit(n.id); }
    if (some.size < all.length) out.push(more(id, `+ ${all.length - some.size} beside`));
  };
  visit(0);
  return out;
}

/** Characters as wide as two in a monospaced font. */
const WIDE = /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\u{1f300}-\u{1faff}]/u;
const columns = (/** @type {string} */ s) => [...s].reduce((n, c) => n + (WIDE.test(c) ? 2 : 1), 0);

/** @param {PatternNode[]} nodes @returns {Plan} */
export function layout(nodes) {
  if (!nodes.length) return { placed: [], width: 0, height: 0 };
  /** @type {Map<number, PatternNode[]>} */
  const children = new Map();
  for (const n of nodes) children.set(n.parent, [...(children.get(n.parent) ?? []), n]);
  /** @typedef {{ node: PatternNode | null, id: number }} Item */
  const root = hierarchy(/** @type {Item} */ ({ node: null, id: 0 }), (item) => (children.get(item.id) ?? []).map((node) => ({ node, id: node.id })));
  const said = new Map(nodes.map((n) => [n.id, lines(n)]));
  const height = (/** @type {Item} */ item) => (said.get(item.id)?.length ?? 1) * LINE + 2 * PAD - 6;
  const arranged = tidy().nodeSize([1, 1]).separation((a, b) => {
    const [p, q] = [/** @type {Item} */ (a.data), /** @type {Item} */ (b.data)];
    return (height(p) + height(q)) / 2 + (a.parent === b.parent ? GAP_Y : 2 * GAP_Y);
  })(/** @type {any} */ (root));

  /** @type {number[]} */
  const widths = [];
  arranged.each((/** @type {any} */ d) => {
    if (!d.data.node) return;
    const wide = Math.max(...(said.get(d.data.id) ?? []).map(columns)) * CHARACTER + 2 * PAD;
    widths[d.depth] = Math.max(widths[d.depth] ?? 34, wide);
  });
  // the value of a pattern stands left of its last node; where the tree goes on from there, it needs room
  const gaps = widths.map((_, depth) => (arranged.descendants().some((d) => d.depth === depth && d.children && /** @type {any} */ (d.data).node?.end) ? VALUE : GAP_X));
  const deepest = arranged.descendants().some((d) => d.depth === widths.length - 1 && /** @type {any} */ (d.data).node?.end);
  const before = (/** @type {number} */ depth) => widths.slice(1, depth).reduce((a, w, i) => a + w + gaps[i + 1], 0);
  const total = before(widths.length - 1) + widths[widths.length - 1] + (deepest ? VALUE - 8 : 0);
  /** @type {Placed[]} */
  const placed = [];
  arranged.each((/** @type {any} */ d) => {
    const { node } = d.data;
    if (!node) return;
    const mine = said.get(node.id) ?? [];
    const width = Math.max(...mine.map(columns), 1) * CHARACTER + 2 * PAD;
    const right = total - before(d.depth);
    placed.push({ node, lines: mine, depth: d.depth, width, height: height(d.data), x: right - width, y: d.x - height(d.data) / 2 });
  });
  const top = Math.min(...placed.map((p) => p.y));
  for (const p of placed) p.y -= top;
  return { placed, width: total, height: Math.max(...placed.map((p) => p.y + p.height)) };
}
