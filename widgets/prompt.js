/** The prompt box of a dashboard: a text of your own, and what fires on it while it is typed. */
import { barRow } from "./chart.js";
import { closest, focused, h, link, note, show, throttle } from "./dom.js";
import { called, chip, covers, labelOf, paragraph, select, tokens } from "./text.js";
import { tokenTip } from "./tip.js";

/** The field to type in. @param {Ui<Dashboard>} ui */
function promptField({ state, set, signal }) {
  const field = h("textarea", {
    class: "sl-input sl-live", rows: 1, placeholder: "Type a text and see what fires on it", "aria-label": "A text of your own", spellcheck: "false",
  });
  const fit = () => { field.rows = Math.min(5, 1 + Math.floor(field.value.length / 90) + (field.value.match(/\n/g)?.length ?? 0)); };
  const send = throttle(() => { if (field.value !== state.prompt) set({ prompt: field.value }); }, 120, signal);
  field.addEventListener("input", () => { fit(); send(); });
  return { field, draw: () => { if (!focused(field)) field.value = state.prompt; fit(); } };
}

/** What fires on a token, strongest first. @param {Tried} tried @param {number} at @param {number} mine @param {(latent: number) => void} open */
function firing({ text, strongest = [], labels = {}, tokens: names = {}, values = [] }, at, mine, open) {
  if (!text) return [];
  const fires = strongest[at] ?? [];
  const says = text.special?.includes(at) ? ": not counted, a special token" : fires.length ? " fire" : ": no latent fires";
  return [
    note("on ", chip(labelOf(text, at)), says, values[at] > 0 ? `; this latent ${show(values[at])}` : ""),
    h("div", { class: "sl-rows" }, ...fires.flatMap(([latent, value]) => {
      const to = link(String(latent), () => open(latent), { title: `Open latent ${latent}` });
      const name = h("span", {}, to, " ", ...called(names[String(latent)], labels[String(latent)]));
      return barRow(latent === mine ? h("b", {}, name) : name, value, fires[0][1], "sl-warm");
    })),
  ];
}

/** Where this latent is strongest, else the last token on which anything fires. @param {Tried} tried */
function lastStrong({ values = [], strongest = [] }) {
  const most = Math.max(0, ...values);
  if (most > 0) return values.indexOf(most);
  const last = strongest.findLastIndex((fires) => fires.length);
  return last < 0 ? strongest.length - 1 : last;
}

/** @param {Ui<Dashboard>} ui @param {(latent: number) => void} open @param {() => Span} range */
export function promptBox(ui, open, range) {
  const { state, tip } = ui;
  const { field, draw: drawField } = promptField(ui);
  const line = h("div", { class: "sl-tried" });
  const list = h("div", { class: "sl-fires" });
  const node = h("section", { class: "sl-prompt" }, h("h3", {}, "Try a text"), field, line, list);
  let token = -1; // the token whose latents are listed; -1: chosen by us
  const tried = () => state.tried ?? {};

  function draw() {
    const { read_only: fixed, cannot_try: reason } = state;
    const { text, values = [], notice } = tried();
    node.hidden = fixed && !text;
    node.classList.toggle("sl-live", !text); // nothing for a figure
    field.hidden = fixed || !!reason;
    drawField();
    if (reason && !fixed) return line.replaceChildren(note(reason));
    line.replaceChildren();
    if (!text) return list.replaceChildren();
    line.append(paragraph(text, tokens(text, values, range())));
    if (notice) line.append(note(notice));
    if (token >= text.ids.length) token = -1;
    drawList(token < 0 ? lastStrong(tried()) : token);
  }
  /** @param {number} at */
  function drawList(at) {
    select(/** @type {NodeListOf<HTMLElement>} */ (line.querySelectorAll(".sl-tok")), (span) => covers(span, at));
    list.replaceChildren(...firing(tried(), at, state.latent, open));
  }
  line.addEventListener("click", (event) => {
    const span = closest(event, ".sl-tok");
    if (span) drawList((token = Number(span.dataset.start)));
  });
  tokenTip(tip, line, (_, i) => {
    const { text, values = [], strongest = [] } = tried();
    const top = strongest[i]?.slice(0, 3).map(([latent, v]) => `${latent} (${show(v)})`).join(", ");
    return text ? [["token", chip(labelOf(text, i))], ["id", String(text.ids[i])], ["position", String(i)],
      ["this latent", show(values[i] ?? 0)], ["strongest", top || "none"]] : null;
  }, 4);
  return { node, draw, changed: () => { token = -1; draw(); } };
}
