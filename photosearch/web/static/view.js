// How the grid looks, kept in this browser: its columns, whether photos are cropped, the filters beside it.
import {byId} from "./api.js";

const MIN = 2, MAX = 16, WIDE = 1200;

export class View {
  // changed(): the grid stands otherwise now.
  constructor(grid, changed) {
    Object.assign(this, {grid, changed});
    byId("columns").addEventListener("input", () => { this.setColumns(Number(byId("columns").value)); this.save(); });
    byId("fit").addEventListener("click", () => this.toggleFit());
    const stored = read(), isWide = innerWidth >= WIDE;
    this.filters = stored.filters; // whether they are shown, where the user chose otherwise than the width of the window
    byId("filters").open = this.filters ?? isWide;
    byId("filters").addEventListener("toggle", () => {
      const {open} = byId("filters");
      this.filters = open === isWide ? undefined : open;
      this.save();
    });
    this.setFit(stored.fit === true);
    if (stored.columns >= MIN && stored.columns <= MAX) this.setColumns(stored.columns);
    new ResizeObserver(() => { this.showColumns(); this.changed(); }).observe(byId("grid"));
  }

  setColumns(columns) {
    this.grid.setColumns(Math.min(MAX, Math.max(MIN, columns)));
    this.showColumns();
    this.changed();
  }

  changeColumns(by) {
    this.setColumns(this.grid.columns + by);
    this.save();
  }

  showColumns() {
    byId("columns").value = this.grid.columns;
    byId("columns").setAttribute("aria-valuetext", `${this.grid.columns} columns`);
  }

  toggleFit() {
    this.setFit(!this.isFit);
    this.save();
  }

  // Whether the whole photo is seen, uncropped.
  setFit(isFit) {
    this.isFit = isFit;
    byId("grid").classList.toggle("fit", isFit);
    byId("fit").setAttribute("aria-pressed", String(isFit));
  }

  // rankedBy: what orders the results where the user chose nothing.
  setOrder(rankedBy) {
    const [first, newest] = byId("sort").options;
    first.textContent = rankedBy === "date" ? "newest first" : "best first";
    newest.hidden = rankedBy === "date";
  }

  save() {
    const values = {columns: this.grid.wantedColumns, fit: this.isFit, filters: this.filters};
    try { localStorage.setItem("view", JSON.stringify(values)); } catch { /* it is not kept then */ }
  }
}

function read() {
  try { return JSON.parse(localStorage.getItem("view")) ?? {}; } catch { return {}; }
}
