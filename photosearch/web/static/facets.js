// What the photos that were found have in common: years and months, folders, places, people, cameras, labels, ratings,
// kinds. Each is counted once it is opened; a click narrows the search.
import {Latest} from "./answers.mjs";
import {ask, attempt, make} from "./api.js";
import {listBars} from "./days.mjs";
import {makeTree} from "./tree.mjs";
import {formatCount, groupPlaces} from "./wording.mjs";

const FIRST = 12; // values shown at first
// Facet of the API -> the kind of filter that it adds.
const KINDS = {place: "in", camera: "camera", person: "person", keyword: "keyword", rating: "rating", is: "is", label: "label"};

export class Facets {
  // root: holds <details data-facet=...>. add(kind, value): narrow the sentence. under(id): choose a folder, '' for all.
  constructor(root, {add, under}) {
    Object.assign(this, {root, add, under, result: null, days: [], year: null, folder: "", latest: new Latest()});
    for (const part of this.parts) part.addEventListener("toggle", () => this.fill(part));
    root.addEventListener("toggle", () => this.update());
  }

  get parts() { return [...this.root.querySelectorAll("details[data-facet]")]; }

  // result: an id. days: of its photos, null while they are not counted. folder: the id of the chosen one.
  show(result, days, folder) {
    if (result !== this.result) {
      for (const part of this.parts) part.isFilled = false;
      ({signal: this.signal} = this.latest.begin());
    }
    Object.assign(this, {result, days, folder});
    this.update();
  }

  // There is no answer whose photos could be counted.
  clear() {
    this.show(null, null, "");
    for (const part of this.parts) part.querySelector(".values").replaceChildren();
  }

  update() {
    if (this.root.open) for (const part of this.parts) this.fill(part);
  }

  async fill(part) {
    const {facet} = part.dataset, body = part.querySelector(".values");
    if (!part.open || !this.result || part.isFilled === (facet === "day" ? this.days : true)) return;
    if (facet === "day") {
      if (!this.days) return;
      part.isFilled = this.days;
      this.year = null;
      this.drawBars(body);
      return;
    }
    part.isFilled = true;
    const {result} = this, name = facet === "folder" ? "tree" : "facet";
    const rows = await attempt(() => ask(name, {result, facet}, this.signal));
    if (result !== this.result) return;
    if (!rows) { part.isFilled = false; return; }
    if (facet === "folder") this.drawTree(body, rows);
    else if (facet === "place") this.drawPlaces(body, rows);
    else this.drawValues(body, facet, rows);
  }

  drawValues(body, facet, rows) {
    const items = rows.map((row) => make("li", {}, this.makeValue(nameValue(facet, row.value), row.photos, row.is_least,
      () => this.add(KINDS[facet], row.value))));
    drawList(body, items);
  }

  drawPlaces(body, rows) {
    drawList(body, groupPlaces(rows).map(({country, photos, towns}) => {
      const value = this.makeValue(country || "elsewhere", photos, false, () => country && this.add("in", country));
      if (!towns.length) return make("li", {}, value);
      return make("li", {}, value, make("ul", {}, ...towns.map((town) => make("li", {},
        this.makeValue(town.value, town.photos, false, () => this.add("in", town.value))))));
    }));
  }

  makeValue(text, photos, isLeast, onclick) {
    return make("button", {type: "button", className: "value", onclick, "aria-label": `${text}, ${formatCount(photos, "photo")}`},
      make("bdi", {className: "name"}, text), make("span", {className: "count"}, `${photos.toLocaleString("en")}${isLeast ? "+" : ""}`));
  }

  drawTree(body, rows) {
    const makeNode = (node, depth) => {
      const isChosen = node.id === this.folder;
      const value = this.makeValue(node.name, node.photos, false, () => this.under(isChosen ? "" : node.id));
      value.title = node.path;
      if (isChosen) value.setAttribute("aria-pressed", "true");
      if (!node.children.length) return make("li", {className: "leaf"}, value);
      const inner = make("ul", {});
      const details = make("details", {open: depth === 0 || node.children.some((child) => hasChosen(child, this.folder)),
        ontoggle: () => { if (details.open && !inner.childElementCount) inner.append(...node.children.map((child) => makeNode(child, depth + 1))); }},
      make("summary", {"aria-label": `Folders in ${node.name}`}), inner);
      return make("li", {className: "branch"}, details, value);
    };
    body.replaceChildren(make("ul", {className: "tree"}, ...makeTree(rows).map((node) => makeNode(node, 0))));
    if (!rows.length) body.replaceChildren(make("p", {className: "small"}, "None."));
  }

  drawBars(body) {
    const bars = listBars(this.days, this.year), most = Math.max(1, ...bars.map(({n}) => n));
    const undated = this.days.filter(([day]) => !day).reduce((sum, [, n]) => sum + n, 0);
    const list = make("div", {className: "bars", role: "group", "aria-label": this.year ? `Months of ${this.year}` : "Years"},
      ...bars.map(({label, title, value, n}, i) => {
        const bar = make("span", {className: "bar"});
        bar.style.height = `${n ? Math.max(3, 100 * Math.sqrt(n / most)) : 0}%`;
        const isNamed = this.year !== null || bars.length < 9 || i % Math.ceil(bars.length / 6) === 0;
        return make("button", {type: "button", disabled: !n, title: `${title}: ${formatCount(n, "photo")}`, "aria-label": `${title}, ${formatCount(n, "photo")}`,
          onclick: () => this.chooseBar(body, value)}, bar, make("span", {className: "label", "aria-hidden": "true"}, isNamed ? label : ""));
      }));
    const back = this.year === null ? [] : [make("p", {className: "row small"},
      make("button", {type: "button", onclick: () => { this.year = null; this.drawBars(body); }}, "‹ all years"),
      make("button", {type: "button", onclick: () => this.add("taken", this.year)}, `All of ${this.year}`))];
    body.replaceChildren(...back, list, ...(undated ? [make("p", {className: "small"}, `${formatCount(undated, "photo")} without a date`)] : []));
    if (!bars.length) list.remove();
  }

  chooseBar(body, value) {
    if (value.length > 4) { this.add("taken", value); return; }
    this.year = value;
    this.drawBars(body);
    body.querySelector(".bars button:not(:disabled)")?.focus();
  }
}

const hasChosen = (node, id) => node.id === id || node.children.some((child) => hasChosen(child, id));
const nameValue = (facet, value) => (facet === "rating" ? (value === "-1" ? "rejected" : "★".repeat(Math.round(value)) || "0") : value);

function drawList(body, items) {
  const list = make("ul", {}, ...items.slice(0, FIRST)), rest = items.slice(FIRST);
  const more = make("button", {type: "button", className: "small", onclick: () => { list.append(...rest); more.remove(); rest[0].querySelector("button").focus(); }},
    `${rest.length} more`);
  body.replaceChildren(items.length ? list : make("p", {className: "small"}, "None."), ...(rest.length ? [more] : []));
}
