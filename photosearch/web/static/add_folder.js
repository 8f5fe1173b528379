// A folder is added: its path, its settings, the models that look at its photos.
import {byId, formatCount, make} from "./api.js";
import {FolderInput} from "./folder_input.js";

// The form that adds a folder. start(request) -> a promise: whether a run has begun.
export class AddFolder {
  constructor(start) {
    Object.assign(this, {start, form: byId("add")});
    this.input = new FolderInput(byId("add-path"), byId("add-folders"), byId("add-hint"));
    this.form.addEventListener("submit", (event) => { event.preventDefault(); this.submit(); });
  }

  showModels({models, default: byDefault}) {
    byId("add-models").replaceChildren(...makeModelChoices(models, [byDefault]));
  }

  async submit() {
    const lines = (name) => this.form.elements[name].value.split("\n");
    const models = [...byId("add-models").querySelectorAll("input:checked")].map(({value}) => value);
    const isDefault = models.length === 1 && byId("add-models").querySelector("input:checked").defaultChecked;
    this.input.submit();
    const begun = await this.start({
      path: this.form.elements.path.value, exclude: lines("exclude"), include: lines("include"),
      models: isDefault ? [] : models, follow_symlinks: this.form.elements.links.checked || null,
      metadata: this.form.elements.metadata.checked ? null : false,
    });
    if (!begun) return;
    this.form.reset();
    this.input.keep();
  }
}

// A checkbox for each model. chosen: names of those that are ticked.
export const makeModelChoices = (models, chosen) => models.map(({name, labels, describes}) => make("label", {className: "check"},
  make("input", {type: "checkbox", name: "models", value: name, checked: chosen.includes(name), defaultChecked: chosen.includes(name)}),
  `${name} (${[labels ? formatCount(labels, "label") : "", describes ? "descriptions" : ""].filter(Boolean).join(", ")})`));
