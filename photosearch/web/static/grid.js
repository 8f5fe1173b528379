// A virtual grid: elements for the visible rows only, so that a million photos take no more memory than a hundred.
import {make, makeThumbnail} from "./api.js";
import {groupDays} from "./days.mjs";
import {Layout} from "./layout.mjs";
import {Parts} from "./parts.mjs";
import {ScrollMap} from "./scroll.mjs";
import {Selection} from "./selection.mjs";
import {describeRank, formatCount} from "./wording.mjs";

const PART_SIZE = 100, MAX_PARTS = 24, EXTRA_ROWS = 2, CAPTION_HEIGHT = 42, HEADING_HEIGHT = 48, NARROW = 640,
  NARROW_CAPTION = 7, SCROLL_END_MS = 70, RETRY_MS = 2000, HOLD_MS = 400;
export const UNSURE = "Not sure about these";

export class Grid {
  // fetch(first, n) -> rows. open(index), toggle(row, present), like(imageId), listCopies(row): what a click does.
  // label() -> to mark. selected(): the selection has changed. moved(): other photos are seen. root: holds a list of the
  // sure photos, a heading, a list of the others, and a place for the headings of days.
  constructor(root, {fetch, open, toggle, like, listCopies, label, selected, moved}) {
    Object.assign(this, {root, open, toggle, like, listCopies, label, selected, moved, total: 0, split: 0, current: 0,
      days: null, wantedColumns: 0, isSelecting: false, selection: new Selection(), map: new ScrollMap()});
    [this.sure, this.heading, this.unsure, this.titles] = root.children;
    this.tiles = new Map();
    this.parts = new Parts(fetch, {size: PART_SIZE, most: MAX_PARTS, failed: (error) => {
      if (error.status !== 400) setTimeout(() => this.draw(), RETRY_MS);
    }});
    this.loadsImages = true;
    addEventListener("scroll", () => this.handleScroll(), {passive: true});
    new ResizeObserver(() => this.layOut()).observe(root);
    root.addEventListener("keydown", (event) => this.handleKey(event));
    this.listenToPointer();
  }

  // split: how many of all photos are sure. days: [[day, photos]] where the photos stand by days.
  show(rows, total, split, days = null) {
    for (const tile of this.tiles.values()) tile.remove();
    this.tiles.clear();
    this.parts.reset(rows, total);
    this.current = 0;
    this.select(null);
    this.grow(total, split, days);
  }

  grow(total, split, days = null) {
    Object.assign(this, {total, split: Math.min(split, total), days});
    this.sure.hidden = !this.split;
    this.heading.hidden = this.unsure.hidden = this.split === total;
    for (const [index, tile] of this.tiles) this.number(tile, index);
    this.layOut();
  }

  // 0: as many as there is room for.
  setColumns(columns) {
    const index = this.topIndex;
    this.wantedColumns = columns;
    this.layOut();
    if (this.map.top > 0) this.jump(index);
  }

  layOut() {
    const width = this.root.clientWidth;
    this.isNarrow = width < NARROW; // asked for each tile, after the one before was changed, it would be laid out as often
    this.columns = this.wantedColumns || Math.max(2, Math.floor(width / (this.isNarrow ? 110 : 190)));
    this.size = width / this.columns;
    this.rowHeight = Math.round(this.size) + CAPTION_HEIGHT;
    this.root.classList.toggle("tiny", this.size < 110);
    const sections = this.days ? groupDays(this.days, this.columns) : [{n: this.split, title: ""}, {n: this.total - this.split, title: UNSURE}];
    this.layout = new Layout({sections, columns: this.columns, rowHeight: this.rowHeight, headingHeight: HEADING_HEIGHT});
    this.map.resize(this.layout.height, innerHeight);
    this.map.scroll(this.pageTop);
    this.root.style.height = `${this.map.shown}px`;
    this.placeAll();
    this.draw();
  }

  get pageTop() { return -this.root.getBoundingClientRect().top; }

  placeAll() {
    this.placedAt = this.map.offset;
    for (const [index, tile] of this.tiles) this.place(tile, index);
  }

  place(tile, index) {
    const {column, top} = this.layout.place(index);
    tile.style.width = `${this.size}px`;
    tile.style.height = `${this.rowHeight}px`;
    tile.style.transform = `translate(${column * this.size}px, ${top - this.map.offset}px)`;
  }

  number(tile, index) {
    const isSure = index < this.split;
    tile.setAttribute("aria-setsize", isSure ? this.split : this.total - this.split);
    tile.setAttribute("aria-posinset", 1 + (isSure ? index : index - this.split));
  }

  handleScroll() {
    this.map.scroll(this.pageTop);
    this.loadsImages = false; // no thumbnails for rows that only fly past
    clearTimeout(this.timer);
    this.timer = setTimeout(() => { this.loadsImages = true; this.settle(); this.draw(); }, SCROLL_END_MS);
    if (this.map.isUrgent) this.settle();
    this.draw();
  }

  settle() {
    const before = this.pageTop, at = this.map.settle();
    if (at !== null) scrollBy(0, at - before);
  }

  // The photo that `jump` brings back to where the list is now.
  get topIndex() { return this.map.top > 0 ? this.layout.indexAt(this.map.top + HEADING_HEIGHT) : 0; }

  // Bring a photo to the top of the window.
  jump(index) {
    const before = this.pageTop, {top} = this.layout.place(index);
    scrollBy(0, this.map.jump(Math.max(0, top - HEADING_HEIGHT)) - before);
    this.draw();
  }

  draw() {
    if (this.map.offset !== this.placedAt) this.placeAll();
    const extra = EXTRA_ROWS * this.rowHeight, top = this.map.top - extra, bottom = this.map.top + innerHeight + extra;
    const [first, end] = this.layout.range(top, bottom);
    for (const [index, tile] of this.tiles) {
      if ((index < first || index >= end) && index !== this.current) {
        tile.remove();
        this.tiles.delete(index);
      }
    }
    const fills = [];
    for (let index = first; index < end; index += 1) {
      if (!this.tiles.has(index)) this.add(index);
      fills.push(this.fill(index));
    }
    this.filled = Promise.all(fills); // once these tiles have their rows, and have asked for their pictures
    this.drawHeadings(this.layout.headings(top, bottom));
    this.parts.drop((first + end) / 2);
    this.moved();
  }

  drawHeadings(headings) {
    if (!this.days) {
      this.titles.replaceChildren();
      this.heading.style.transform = `translateY(${(headings[0]?.top ?? this.layout.tops.at(-1) ?? 0) - this.map.offset}px)`;
      return;
    }
    const texts = headings.map(({section, title}) => `${section} ${title}`).join("\n");
    if (texts !== this.drawnTitles || !this.titles.childElementCount) {
      this.titles.replaceChildren(...headings.map(({title}) => make("h2", {className: "day"}, title)));
      this.drawnTitles = texts;
    }
    headings.forEach(({top}, i) => { this.titles.children[i].style.transform = `translateY(${top - this.map.offset}px)`; });
  }

  add(index) {
    const photo = make("button", {type: "button", className: "photo", tabIndex: index === this.current ? 0 : -1,
      onclick: (event) => this.click(index, event)});
    const check = make("button", {type: "button", className: "check", role: "checkbox", tabIndex: -1, "aria-checked": "false", "aria-label": "Select",
      onclick: (event) => { if (event.shiftKey) this.extend(index); else this.select(index); }});
    const tile = make("div", {className: "tile", role: "listitem"}, photo, check);
    tile.dataset.index = index;
    this.number(tile, index);
    this.place(tile, index);
    this.tiles.set(index, tile);
    this.showSelected(tile, index);
    (index < this.split ? this.sure : this.unsure).append(tile);
  }

  async fill(index) {
    const tile = this.tiles.get(index);
    if (tile.row === undefined) {
      const row = await this.getRow(index);
      if (!row || tile.row !== undefined) return;
      tile.row = row;
      const toggle = (present) => this.toggle(tile.row, present);
      const {short, long} = describeRank(row), caption = this.isNarrow ? short.slice(0, NARROW_CAPTION) : short;
      if (row.copies) {
        tile.append(make("button", {type: "button", className: "copies", tabIndex: -1, title: "List all copies",
          "aria-label": `List the ${formatCount(row.copies, "copy", "copies")} of ${row.name}`,
          onclick: () => this.listCopies(row)}, `+${formatCount(row.copies, "copy", "copies")}`));
      }
      tile.append(make("div", {className: "line"},
        make("span", {title: [long, ...(row.why ?? []), row.path].join("\n")}, caption),
        make("button", {type: "button", className: "like", tabIndex: -1, title: "More like this", "aria-label": `More like ${row.name}`,
          onclick: () => this.like(row.image_id)}, "≈"),
        make("button", {type: "button", className: "yes", tabIndex: -1, onclick: () => toggle(true)}, "✓"),
        make("button", {type: "button", className: "no", tabIndex: -1, onclick: () => toggle(false)}, "✗")));
      this.describe(tile);
    }
    if (this.loadsImages && !tile.hasImage) {
      tile.hasImage = true;
      tile.firstChild.append(makeThumbnail(tile.row.image_id));
    }
  }

  // The names of a tile's buttons, and which mark is pressed.
  describe(tile) {
    const {name, by, taken, present} = tile.row, label = this.label() || "a label";
    const marked = present === null ? "" : `, marked as ${present ? "" : "not "}${label}`;
    tile.firstChild.setAttribute("aria-label", [name, describeRank(tile.row).long, by === "date" ? "" : taken.replace("T", " ")].filter(Boolean).join(", ") + marked);
    tile.querySelector(".check").setAttribute("aria-label", `Select ${name}`);
    for (const [className, value] of [["yes", true], ["no", false]]) {
      const button = tile.querySelector(`.${className}`);
      button.title = `Mark as ${value ? "" : "not "}${label}`;
      button.setAttribute("aria-pressed", present === value);
      button.setAttribute("aria-label", `${button.title}: ${name}`);
    }
  }

  // The label to mark has another name now.
  describeAll() { for (const tile of this.tiles.values()) if (tile.row) this.describe(tile); }

  getRow(index) { return this.parts.row(index); }

  // Show marks of the label that were changed here or in the details. marks: image id -> present.
  async updateMarks(marks) {
    for (const tile of this.tiles.values()) {
      if (tile.row && marks.has(tile.row.image_id)) {
        tile.row.present = marks.get(tile.row.image_id);
        this.describe(tile);
      }
    }
    for (const row of await this.parts.loaded()) if (row && marks.has(row.image_id)) row.present = marks.get(row.image_id);
  }

  // Fetch the rows again: their marks have changed.
  reload() {
    this.parts.reset([], this.total);
    for (const tile of this.tiles.values()) tile.remove();
    this.tiles.clear();
    this.draw();
  }

  // ---- the current photo

  setCurrent(index) {
    const before = this.tiles.get(this.current);
    if (before) before.firstChild.tabIndex = -1;
    this.current = index;
    if (!this.tiles.has(index)) { this.add(index); this.fill(index); }
    this.tiles.get(index).firstChild.tabIndex = 0;
  }

  focus(index) {
    if (index < 0 || index >= this.total) return;
    this.setCurrent(index);
    const {top} = this.layout.place(index), view = innerHeight, seen = this.map.top;
    const wanted = top < seen ? top - HEADING_HEIGHT : top + this.rowHeight > seen + view ? top + this.rowHeight - view : seen;
    const before = this.pageTop;
    if (Math.abs(wanted - seen) > 2 * view) scrollBy(0, this.map.jump(Math.max(0, wanted)) - before);
    else if (wanted !== seen) scrollBy(0, wanted - seen);
    this.draw();
    this.tiles.get(index).firstChild.focus({preventScroll: true});
  }

  handleKey(event) {
    const page = Math.max(1, Math.floor(innerHeight / this.rowHeight) - 1), rows = {ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page};
    const from = this.current;
    if (event.key === "ArrowRight") this.focus(this.current + 1);
    else if (event.key === "ArrowLeft") this.focus(this.current - 1);
    else if (event.key in rows) this.focus(this.layout.move(this.current, rows[event.key]));
    else if (event.key === "Home") this.focus(0);
    else if (event.key === "End") this.focus(this.total - 1);
    else return;
    if (event.shiftKey) {
      this.selection.anchor ??= from;
      this.extend(this.current);
    }
    event.preventDefault();
  }

  // ---- the selection

  click(index, event) {
    this.setCurrent(index);
    if (this.held) { this.held = false; return; }
    if (event.shiftKey) this.extend(index);
    else if (event.ctrlKey || event.metaKey || this.isSelecting) this.select(index);
    else this.open(index);
  }

  // null: nothing.
  select(index) {
    if (index === null) this.selection.clear(); else this.selection.toggle(index);
    this.changeSelection();
  }

  extend(index) {
    this.selection.extend(index);
    this.changeSelection();
  }

  selectAll() {
    this.selection.set(0, this.total, true);
    this.changeSelection();
  }

  changeSelection() {
    this.isSelecting = this.selection.size > 0;
    this.root.classList.toggle("selecting", this.isSelecting);
    for (const [index, tile] of this.tiles) this.showSelected(tile, index);
    this.selected();
  }

  showSelected(tile, index) {
    const isSelected = this.selection.has(index);
    tile.classList.toggle("selected", isSelected);
    tile.querySelector(".check").setAttribute("aria-checked", String(isSelected));
  }

  // A drag over check marks selects all between; a long touch selects a photo.
  listenToPointer() {
    let anchor = null, timer;
    const find = (target) => target?.closest?.(".tile")?.dataset.index;
    this.root.addEventListener("pointerdown", (event) => {
      const index = find(event.target);
      this.held = false;
      if (index === undefined) return;
      if (event.pointerType === "touch") {
        timer = setTimeout(() => { this.held = true; this.select(Number(index)); }, HOLD_MS);
      } else if (event.target.closest(".check") || (this.isSelecting && event.target.closest(".photo"))) {
        anchor = Number(index);
      }
    });
    this.root.addEventListener("pointermove", (event) => {
      const index = anchor === null ? undefined : find(document.elementFromPoint(event.clientX, event.clientY));
      if (index === undefined || Number(index) === anchor) return;
      this.selection.anchor = anchor;
      this.extend(Number(index));
    });
    for (const name of ["pointerup", "pointercancel"]) addEventListener(name, () => { anchor = null; clearTimeout(timer); });
    addEventListener("scroll", () => clearTimeout(timer), {passive: true});
    this.root.addEventListener("contextmenu", (event) => { if (this.held) event.preventDefault(); });
  }
}
