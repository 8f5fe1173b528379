// The bar for photos that are selected: mark them, copy their paths, make an album of them.
import {attempt, byId, change, formatCount, showMessage} from "./api.js";
import {markMany} from "./marks.js";

export class Picks {
  // label() -> to mark, "" without one. result() -> the id of the list. album(): make one of the selected photos.
  constructor(grid, {label, result, album}) {
    Object.assign(this, {grid, label, result});
    byId("picks-yes").addEventListener("click", () => this.mark(true));
    byId("picks-no").addEventListener("click", () => this.mark(false));
    byId("picks-paths").addEventListener("click", () => this.copyPaths());
    byId("picks-album").addEventListener("click", album);
    byId("picks-all").addEventListener("click", () => grid.selectAll());
    byId("picks-clear").addEventListener("click", () => { grid.select(null); grid.focus(grid.current); });
  }

  get selected() { return {result: this.result(), ranges: this.grid.selection.toList()}; }

  update() {
    const {size} = this.grid.selection;
    byId("picks").hidden = !size;
    byId("picks-count").textContent = `${size.toLocaleString("en")} selected`;
    byId("picks-all").textContent = `Select all ${this.grid.total.toLocaleString("en")}`;
    byId("picks-all").hidden = size === this.grid.total;
  }

  async mark(present) {
    const label = this.label();
    if (!label) return;
    const done = await markMany(this.selected, label, present);
    if (!done) return;
    showMessage(`${formatCount(done.n, "photo")} marked as ${present ? "" : "not "}${done.label}`);
    this.grid.reload();
  }

  async copyPaths() {
    const found = await attempt(() => change("paths", this.selected));
    if (!found) return;
    await attempt(() => navigator.clipboard.writeText(found.paths.join("\n")));
    showMessage(`${formatCount(found.paths.length, "path")} copied`);
  }
}
