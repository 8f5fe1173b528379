// An endless grid: as high as all its rows, though only those that can be seen are in the page. Rows come in parts, and
// parts that are far away are dropped, so that a hundred thousand photos weigh no more than a hundred.
import {make, picture} from "./api.js";

const PART = 100, PARTS = 24, BEYOND = 2, LINE = 42, SETTLED = 70; // the last in ms

export class Grid {
  // fetch(from, n) -> rows; open(place), mark(place, present), like(id): what a click asks for.
  constructor(root, {fetch, open, mark, like}) {
    Object.assign(this, {root, fetch, open, mark, like, total: 0, current: 0, tiles: new Map(), parts: new Map(), run: 0});
    this.images = true;
    addEventListener("scroll", () => this.scrolled(), {passive: true});
    new ResizeObserver(() => this.layout()).observe(root);
    root.addEventListener("keydown", (event) => this.key(event));
  }

  show(rows, total) {
    this.run += 1; // what was asked for an older answer must not come into this one
    this.clear();
    this.parts.clear();
    for (let i = 0; i < rows.length; i += PART) {
      if (i + PART <= rows.length || rows.length === total) this.parts.set(i / PART, Promise.resolve(rows.slice(i, i + PART)));
    }
    this.total = total;
    this.current = 0;
    this.layout();
  }

  clear() {
    for (const tile of this.tiles.values()) tile.remove();
    this.tiles.clear();
  }

  grow(total) {
    this.total = total;
    this.layout();
  }

  layout() {
    const width = this.root.clientWidth;
    this.columns = Math.max(2, Math.floor(width / (width < 640 ? 120 : 190)));
    this.size = width / this.columns;
    this.height = Math.round(this.size) + LINE;
    this.root.style.height = `${Math.ceil(this.total / this.columns) * this.height}px`;
    for (const [place, tile] of this.tiles) this.put(tile, place);
    this.draw();
  }

  put(tile, place) {
    const row = Math.floor(place / this.columns), column = place % this.columns;
    tile.style.width = `${this.size}px`;
    tile.style.height = `${this.height}px`;
    tile.style.transform = `translate(${column * this.size}px, ${row * this.height}px)`;
  }

  scrolled() {
    this.images = false; // who flies past hundreds of rows needs none of their pictures
    clearTimeout(this.timer);
    this.timer = setTimeout(() => { this.images = true; this.draw(); }, SETTLED);
    this.draw();
  }

  draw() {
    const top = -this.root.getBoundingClientRect().top;
    const first = Math.max(0, Math.floor(top / this.height) - BEYOND) * this.columns;
    const last = Math.min(this.total, (Math.ceil((top + innerHeight) / this.height) + BEYOND) * this.columns);
    for (const [place, tile] of this.tiles) {
      if ((place < first || place >= last) && place !== this.current) {
        tile.remove();
        this.tiles.delete(place);
      }
    }
    for (let place = first; place < last; place += 1) {
      if (!this.tiles.has(place)) this.add(place);
      this.fill(place);
    }
    this.drop(first, last);
  }

  add(place) {
    const photo = make("button", {type: "button", className: "photo", tabIndex: place === this.current ? 0 : -1,
      onclick: () => { this.choose(place); this.open(place); }});
    const tile = make("div", {className: "tile", role: "listitem", "aria-setsize": this.total, "aria-posinset": place + 1}, photo);
    this.put(tile, place);
    this.tiles.set(place, tile);
    this.root.append(tile);
  }

  async fill(place) {
    const tile = this.tiles.get(place), run = this.run;
    if (tile.row === undefined) {
      const row = await this.row(place);
      if (run !== this.run || !row || tile.row !== undefined) return;
      tile.row = row;
      const mark = (present) => this.mark(place, tile.row.present === present ? null : present);
      tile.append(make("div", {className: "line"},
        make("span", {title: row.path}, row.score.toFixed(3)),
        make("button", {type: "button", className: "alike", tabIndex: -1, title: "Like this", "aria-label": `Like ${row.name}`,
          onclick: () => this.like(row.image_id)}, "≈"),
        make("button", {type: "button", className: "right", tabIndex: -1, onclick: () => mark(true)}, "✓"),
        make("button", {type: "button", className: "wrong", tabIndex: -1, onclick: () => mark(false)}, "✗")));
      this.tell(tile);
    }
    if (this.images && !tile.pictured) {
      tile.pictured = true;
      tile.firstChild.append(picture(tile.row.image_id));
    }
  }

  // What a tile says to who can't see it, and which of its marks is pressed.
  tell(tile) {
    const {name, score, taken, present} = tile.row;
    const said = present === true ? ", marked right" : present === false ? ", marked wrong" : "";
    tile.firstChild.setAttribute("aria-label", `${name}, ${score.toFixed(3)}, ${taken.replace("T", " ")}${said}`);
    for (const [kind, yes] of [["right", true], ["wrong", false]]) {
      const button = tile.querySelector(`.${kind}`);
      button.setAttribute("aria-pressed", present === yes);
      button.setAttribute("aria-label", `${name} is ${kind}`);
    }
  }

  async row(place) {
    const part = Math.floor(place / PART);
    if (!this.parts.has(part)) {
      const coming = this.fetch(part * PART, PART);
      this.parts.set(part, coming);
      coming.catch(() => this.parts.delete(part));
    }
    const rows = await this.parts.get(part).catch(() => []);
    return rows[place - part * PART];
  }

  drop(first, last) {
    if (this.parts.size <= PARTS) return;
    const middle = (first + last) / 2 / PART;
    const far = [...this.parts.keys()].sort((a, b) => Math.abs(b - middle) - Math.abs(a - middle));
    for (const part of far.slice(0, this.parts.size - PARTS)) this.parts.delete(part);
  }

  // A picture was marked here or elsewhere: every tile that shows it says so.
  async remark(imageId, present) {
    for (const coming of this.parts.values()) {
      for (const row of await coming.catch(() => [])) if (row.image_id === imageId) row.present = present;
    }
    for (const tile of this.tiles.values()) {
      if (tile.row?.image_id === imageId) {
        tile.row.present = present;
        this.tell(tile);
      }
    }
  }

  choose(place) {
    const before = this.tiles.get(this.current);
    if (before) before.firstChild.tabIndex = -1;
    this.current = place;
    if (!this.tiles.has(place)) { this.add(place); this.fill(place); }
    this.tiles.get(place).firstChild.tabIndex = 0;
  }

  go(place) {
    if (place < 0 || place >= this.total) return;
    this.choose(place);
    const photo = this.tiles.get(place).firstChild;
    photo.focus({preventScroll: true});
    photo.scrollIntoView({block: "nearest"});
  }

  key(event) {
    const page = this.columns * Math.max(1, Math.floor(innerHeight / this.height) - 1);
    const steps = {ArrowRight: 1, ArrowLeft: -1, ArrowDown: this.columns, ArrowUp: -this.columns, PageDown: page, PageUp: -page};
    if (event.key in steps) this.go(Math.min(this.total - 1, Math.max(0, this.current + steps[event.key])));
    else if (event.key === "Home") this.go(0);
    else if (event.key === "End") this.go(this.total - 1);
    else return;
    event.preventDefault();
  }
}
