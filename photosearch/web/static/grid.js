// A virtual grid: as high as all its rows, with elements for the visible ones only, so that 100,000 photos take no more
// memory than 100.
import {make, makeThumbnail} from "./api.js";
import {Layout} from "./layout.mjs";
import {Parts} from "./parts.mjs";
import {describeRank, formatCount} from "./wording.mjs";

const PART_SIZE = 100, MAX_PARTS = 24, EXTRA_ROWS = 2, CAPTION_HEIGHT = 42, HEADING_HEIGHT = 48, NARROW = 640,
  NARROW_CAPTION = 7, SCROLL_END_MS = 70, RETRY_MS = 2000;

export class Grid {
  // fetch(first, n) -> rows. open(index), toggle(row, present), like(imageId), listCopies(row): what a click does.
  // label() -> to mark. root: holds a list of the sure photos, a heading, a list of the others.
  constructor(root, {fetch, open, toggle, like, listCopies, label}) {
    Object.assign(this, {root, open, toggle, like, listCopies, label, total: 0, split: 0, current: 0});
    [this.sure, this.heading, this.unsure] = root.children;
    this.tiles = new Map();
    this.parts = new Parts(fetch, {size: PART_SIZE, most: MAX_PARTS, failed: (error) => {
      if (error.status !== 400) setTimeout(() => this.draw(), RETRY_MS);
    }});
    this.loadsImages = true;
    addEventListener("scroll", () => this.handleScroll(), {passive: true});
    new ResizeObserver(() => this.layOut()).observe(root);
    root.addEventListener("keydown", (event) => this.handleKey(event));
  }

  // split: how many of all photos are sure.
  show(rows, total, split) {
    for (const tile of this.tiles.values()) tile.remove();
    this.tiles.clear();
    this.parts.reset(rows, total);
    this.current = 0;
    this.grow(total, split);
  }

  grow(total, split) {
    Object.assign(this, {total, split: Math.min(split, total)});
    this.sure.hidden = !this.split;
    this.heading.hidden = this.unsure.hidden = this.split === total;
    for (const [index, tile] of this.tiles) this.number(tile, index);
    this.layOut();
  }

  layOut() {
    const width = this.root.clientWidth;
    this.columns = Math.max(2, Math.floor(width / (width < NARROW ? 120 : 190)));
    this.size = width / this.columns;
    this.rowHeight = Math.round(this.size) + CAPTION_HEIGHT;
    this.layout = new Layout({total: this.total, split: this.split, columns: this.columns, rowHeight: this.rowHeight,
      headingHeight: HEADING_HEIGHT});
    this.root.style.height = `${this.layout.height}px`;
    this.heading.style.transform = `translateY(${this.layout.headingTop}px)`;
    for (const [index, tile] of this.tiles) this.place(tile, index);
    this.draw();
  }

  place(tile, index) {
    const {column, top} = this.layout.place(index);
    tile.style.width = `${this.size}px`;
    tile.style.height = `${this.rowHeight}px`;
    tile.style.transform = `translate(${column * this.size}px, ${top}px)`;
  }

  number(tile, index) {
    const isSure = index < this.split;
    tile.setAttribute("aria-setsize", isSure ? this.split : this.total - this.split);
    tile.setAttribute("aria-posinset", 1 + (isSure ? index : index - this.split));
  }

  handleScroll() {
    this.loadsImages = false; // no thumbnails for rows that only fly past
    clearTimeout(this.timer);
    this.timer = setTimeout(() => { this.loadsImages = true; this.draw(); }, SCROLL_END_MS);
    this.draw();
  }

  draw() {
    const top = -this.root.getBoundingClientRect().top, extra = EXTRA_ROWS * this.rowHeight;
    const [first, end] = this.layout.range(top - extra, top + innerHeight + extra);
    for (const [index, tile] of this.tiles) {
      if ((index < first || index >= end) && index !== this.current) {
        tile.remove();
        this.tiles.delete(index);
      }
    }
    for (let index = first; index < end; index += 1) {
      if (!this.tiles.has(index)) this.add(index);
      this.fill(index);
    }
    this.parts.drop((first + end) / 2);
  }

  add(index) {
    const photo = make("button", {type: "button", className: "photo", tabIndex: index === this.current ? 0 : -1,
      onclick: () => { this.select(index); this.open(index); }});
    const tile = make("div", {className: "tile", role: "listitem"}, photo);
    this.number(tile, index);
    this.place(tile, index);
    this.tiles.set(index, tile);
    (index < this.split ? this.sure : this.unsure).append(tile);
  }

  async fill(index) {
    const tile = this.tiles.get(index);
    if (tile.row === undefined) {
      const row = await this.getRow(index);
      if (!row || tile.row !== undefined) return;
      tile.row = row;
      const toggle = (present) => this.toggle(tile.row, present);
      const {short, long} = describeRank(row), caption = this.root.clientWidth < NARROW ? short.slice(0, NARROW_CAPTION) : short;
      if (row.copies) {
        tile.append(make("button", {type: "button", className: "copies", tabIndex: -1, title: "List all copies",
          "aria-label": `List the ${formatCount(row.copies, "copy", "copies")} of ${row.name}`,
          onclick: () => this.listCopies(row)}, `+${formatCount(row.copies, "copy", "copies")}`));
      }
      tile.append(make("div", {className: "line"},
        make("span", {title: `${long}\n${row.path}`}, caption),
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
    for (const [className, value] of [["yes", true], ["no", false]]) {
      const button = tile.querySelector(`.${className}`);
      button.title = `Mark as ${value ? "" : "not "}${label}`;
      button.setAttribute("aria-pressed", present === value);
      button.setAttribute("aria-label", `${button.title}: ${name}`);
    }
  }

  getRow(index) { return this.parts.row(index); }

  // Show marks of the label that were changed here or in the details. marks: image id -> present.
  async updateMarks(marks) {
    for (const tile of this.tiles.values()) {
      if (tile.row && marks.has(tile.row.image_id)) {
        tile.row.present = marks.get(tile.row.image_id);
        this.describe(tile);
      }
    }
    for (const row of await this.parts.loaded()) if (marks.has(row.image_id)) row.present = marks.get(row.image_id);
  }

  select(index) {
    const before = this.tiles.get(this.current);
    if (before) before.firstChild.tabIndex = -1;
    this.current = index;
    if (!this.tiles.has(index)) { this.add(index); this.fill(index); }
    this.tiles.get(index).firstChild.tabIndex = 0;
  }

  focus(index) {
    if (index < 0 || index >= this.total) return;
    this.select(index);
    const photo = this.tiles.get(index).firstChild;
    photo.focus({preventScroll: true});
    photo.scrollIntoView({block: "nearest"});
  }

  handleKey(event) {
    const page = Math.max(1, Math.floor(innerHeight / this.rowHeight) - 1), rows = {ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page};
    if (event.key === "ArrowRight") this.focus(this.current + 1);
    else if (event.key === "ArrowLeft") this.focus(this.current - 1);
    else if (event.key in rows) this.focus(this.layout.move(this.current, rows[event.key]));
    else if (event.key === "Home") this.focus(0);
    else if (event.key === "End") this.focus(this.total - 1);
    else return;
    event.preventDefault();
  }
}
