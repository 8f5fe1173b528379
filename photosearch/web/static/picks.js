// The bar for photos that are selected: mark them, put them into an album or take them out, a zip file, paths, copies.
import {describeChange, describeTarget} from "./albums.mjs";
import {ask, attempt, byId, change, formatCount, make, showMessage} from "./api.js";
import {changeMany, markMany, undo} from "./marks.js";

export class Picks {
  // label() -> to mark, "" without one. result() -> the id of the list. album() -> that is shown, null without one.
  // folder(): copy or link the selected photos. changed(): the list may hold other photos now.
  constructor(grid, {label, result, album, folder, changed}) {
    Object.assign(this, {grid, label, result, album, changed, albums: []});
    new ResizeObserver(([{target}]) => document.documentElement.style.setProperty("--picks", `${target.offsetHeight}px`))
      .observe(byId("picks"));
    byId("picks-yes").addEventListener("click", () => this.mark(true));
    byId("picks-no").addEventListener("click", () => this.mark(false));
    byId("picks-paths").addEventListener("click", () => this.copyPaths());
    byId("picks-add").addEventListener("click", () => this.openAlbums());
    byId("picks-remove").addEventListener("click", () => this.changeAlbum("remove_from_album", this.album()));
    byId("picks-zip").addEventListener("click", () => this.download());
    byId("picks-folder").addEventListener("click", folder);
    byId("picks-all").addEventListener("click", () => grid.selectAll());
    byId("picks-clear").addEventListener("click", () => { grid.select(null); grid.focus(grid.current); });
    byId("add-name").addEventListener("input", () => this.describe());
    byId("add-cancel").addEventListener("click", () => byId("add-dialog").close());
    let isAdding = false;
    byId("add-form").addEventListener("submit", async (event) => {
      event.preventDefault();
      if (isAdding) return; // a double click
      isAdding = true;
      await this.changeAlbum("add_to_album", byId("add-name").value).finally(() => { isAdding = false; });
    });
  }

  get selected() { return {result: this.result(), ranges: this.grid.selection.toList()}; }

  update() {
    const {size} = this.grid.selection, album = this.album();
    byId("picks").hidden = !size;
    byId("picks-count").textContent = `${size.toLocaleString("en")} selected`;
    byId("picks-all").textContent = `Select all ${this.grid.total.toLocaleString("en")}`;
    byId("picks-all").hidden = size === this.grid.total;
    byId("picks-remove").hidden = !album;
    if (album) byId("picks-remove").textContent = `Remove from “${album}”`;
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
    try {
      await navigator.clipboard.writeText(found.paths.join("\n"));
    } catch { // not allowed, or an address that is neither https nor of this computer
      showMessage("The browser doesn't let this page copy: nothing was copied", true);
      return;
    }
    showMessage(`${formatCount(found.paths.length, "path")} copied`);
  }

  // ---- albums

  async openAlbums() {
    const albums = await attempt(() => ask("albums"));
    if (!albums) return;
    this.albums = albums;
    byId("album-names").replaceChildren(...albums.map(({name, photos}) => make("option", {value: name, label: formatCount(photos, "photo")})));
    byId("add-count").textContent = `${formatCount(this.grid.selection.size, "photo")} selected`;
    byId("add-name").value = "";
    this.describe();
    byId("add-dialog").showModal();
  }

  describe() { byId("add-target").textContent = describeTarget(byId("add-name").value, this.albums); }

  async changeAlbum(action, name) {
    const done = await changeMany(action, {...this.selected, name});
    if (!done) return;
    byId("add-dialog").close();
    const isAdded = action === "add_to_album";
    showMessage(describeChange(done, isAdded), false, done.step === null ? null : {text: "Undo", act: undo});
    if (isAdded) this.grid.select(null);
    if (this.album() === done.name) this.changed();
  }

  // The browser saves the answer to a link, as it comes.
  async download() {
    const zip = await attempt(() => change("zip", this.selected));
    if (!zip) return;
    make("a", {href: `/zips/${zip.id}`, download: "photos.zip"}).click();
    showMessage(`${formatCount(zip.photos, "photo")}: the browser saves photos.zip`);
  }
}
