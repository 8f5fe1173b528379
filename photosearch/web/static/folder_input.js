// A field for a folder's path, completed by the folders of this machine as it is typed.
import {ask, byId, formatCount, make} from "./api.js";
import {Suggestions} from "./suggestions.js";

export class FolderInput extends Suggestions {
  // hint: an element that says why nothing is offered.
  constructor(input, list, hint) {
    super(input, list);
    this.hint = hint;
    input.addEventListener("focus", () => { if (!input.value) this.show(); });
  }

  async show() {
    const text = this.input.value, isLatest = this.latest.begin();
    let found = {paths: [], more: false, reason: null};
    try {
      found = await ask("directories", {typed: text});
    } catch (error) {
      found.reason = error.message;
    }
    if (!isLatest() || document.activeElement !== this.input) return;
    this.close();
    this.hint.textContent = found.reason ?? (found.more ? "More folders begin like this: type on." : "");
    this.completions = found.paths.filter((path) => path !== text).map((path) => ({text: path}));
    this.list.replaceChildren(...this.completions.map(({text: path}, i) => make("li", {
      id: `suggestion-${i}`, role: "option", "aria-selected": false,
      onmousedown: (event) => { event.preventDefault(); this.accept(i); },
    }, make("bdi", {}, path))));
    this.list.hidden = !this.completions.length;
    this.input.setAttribute("aria-expanded", String(!this.list.hidden));
  }

  // The folders in a chosen one are offered next.
  accept(index) {
    super.accept(index);
    const separator = this.input.value.includes("\\") ? "\\" : "/";
    if (!this.input.value.endsWith(separator)) this.input.value += separator;
    this.show();
  }
}

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
    if (begun) this.form.reset();
  }
}

// A checkbox for each model. chosen: names of those that are ticked.
export const makeModelChoices = (models, chosen) => models.map(({name, labels, describes}) => make("label", {className: "check"},
  make("input", {type: "checkbox", name: "models", value: name, checked: chosen.includes(name), defaultChecked: chosen.includes(name)}),
  `${name} (${[labels ? formatCount(labels, "label") : "", describes ? "descriptions" : ""].filter(Boolean).join(", ")})`));
