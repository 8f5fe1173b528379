// The dialog with the settings of one folder.
import {attempt, byId, change, make, showMessage} from "./api.js";
import {makeModelChoices} from "./add_folder.js";
import {readChoice, readPatterns, writeChoice} from "./runs.mjs";

const dialog = byId("settings"), form = byId("settings-form");

export class FolderSettings {
  // saved(): after the settings have changed.
  constructor(saved) {
    Object.assign(this, {saved, folder: null});
    form.addEventListener("submit", (event) => { event.preventDefault(); this.save(this.read()); });
    byId("settings-cancel").addEventListener("click", () => dialog.close());
    byId("settings-reset").addEventListener("click", () => this.save(
      {models: null, tiles: null, exclude: null, include: null, follow_symlinks: null, metadata: null}));
  }

  // folder: as /api/library lists it. models: as /api/models gives them.
  open(folder, {models, default: byDefault}) {
    const {own} = folder, fields = form.elements, chosen = (own.models ?? []).map((name) => name ?? byDefault);
    this.folder = folder;
    byId("settings-title").replaceChildren("Settings of ", make("bdi", {}, folder.path));
    fields.exclude.value = (own.exclude ?? []).join("\n");
    fields.include.value = (own.include ?? []).join("\n");
    const listed = models.map(({name}) => name), others = chosen.filter((name) => !listed.includes(name)); // a file
    byId("settings-models").replaceChildren(...makeModelChoices(
      [...models, ...others.map((name) => ({name, labels: 0, describes: false}))], chosen));
    const tiles = [...new Set([...models.flatMap((model) => model.tiles), own.tiles ?? 0])].sort((a, b) => a - b);
    fields.tiles.replaceChildren(make("option", {value: ""}, "as above, or the model's default"),
      ...tiles.map((n) => make("option", {value: n}, n ? `${n} overlapping tiles` : "none")));
    fields.tiles.value = own.tiles ?? "";
    fields.links.value = writeChoice(own.follow_symlinks);
    fields.metadata.value = writeChoice(own.metadata);
    dialog.showModal();
  }

  read() {
    const {own} = this.folder, fields = form.elements;
    const models = [...byId("settings-models").querySelectorAll("input:checked")].map(({value}) => value);
    return {
      models: models.length ? models : null, tiles: fields.tiles.value === "" ? null : Number(fields.tiles.value),
      exclude: readPatterns(fields.exclude.value, own.exclude ?? null), include: readPatterns(fields.include.value, own.include ?? null),
      follow_symlinks: readChoice(fields.links.value), metadata: readChoice(fields.metadata.value),
    };
  }

  async save(settings) {
    const saved = await attempt(() => change("settings", {folder: this.folder.id, ...settings}));
    if (!saved) return;
    dialog.close();
    showMessage(`Settings saved: ${saved.words}. They apply from the next index.`);
    this.saved();
  }
}
