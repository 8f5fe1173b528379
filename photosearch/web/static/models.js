// The models on this computer, and those that can be downloaded.
import {ask, attempt, byId, change, formatBytes, formatCount, make, showMessage} from "./api.js";

export class Models {
  // changed(): after another model has become the default.
  constructor(changed) {
    Object.assign(this, {changed, known: null, sizes: new Map()});
  }

  // What /api/models gives; undefined where it can't be had.
  async load() {
    this.known = await attempt(() => ask("models"));
    if (this.known) this.show(this.known);
    return this.known;
  }

  show({default: byDefault, images, models, offers}) {
    byId("model-summary").textContent = `“${byDefault}” answers questions.`;
    byId("model-rows").replaceChildren(...models.map((model) => this.makeModel(model, images)));
    byId("offer-rows").replaceChildren(...offers.map((offer) => this.makeOffer(offer)));
  }

  makeModel({name, version, labels, describes, input_size: size, licence, included, is_default: isDefault, scored}, images) {
    const gives = [labels ? formatCount(labels, "label") : "", describes ? "search by description" : ""].filter(Boolean).join(", ");
    const facts = `version ${version}, ${size} px, ${included ? "included" : "added"}`;
    const button = make("button", {type: "button", "aria-label": `Make ${name} the default`, onclick: () => this.setDefault(name)}, "Make default");
    return make("li", {}, make("div", {className: "about"}, make("b", {}, name, isDefault ? " (default)" : ""), make("p", {}, gives),
      make("p", {className: "small"}, `${facts}; has scored ${scored.toLocaleString("en")} of ${formatCount(images, "picture")} here`),
      ...(licence ? [make("p", {className: "small"}, `Licence: ${licence}`)] : [])),
    ...(isDefault || !scored ? [] : [make("div", {className: "buttons"}, button)]));
  }

  makeOffer({name, description, licence, repository, is_here: isHere}) {
    const size = make("span", {role: "status"}, this.sizes.has(name) ? formatBytes(this.sizes.get(name)) : "");
    const button = make("button", {
      type: "button", "aria-label": `Ask the hub for the size of ${name}`, hidden: isHere || this.sizes.has(name),
      onclick: () => this.askSize(name, size, button),
    }, "Ask for its size");
    return make("li", {}, make("div", {className: "about"}, make("b", {}, name, isHere ? " (installed)" : ""), make("p", {}, description),
      make("p", {className: "small"}, `Licence: ${licence}; from ${repository}`),
      ...(isHere ? [] : [make("p", {className: "small"}, "To download it: ", make("code", {}, `photosearch models pull ${name}`))])),
    make("div", {className: "buttons"}, size, button));
  }

  async askSize(name, size, button) {
    button.disabled = true;
    size.textContent = "Asking the hub…";
    const answer = await attempt(() => change("offer-size", {name}));
    button.disabled = false;
    size.textContent = answer ? formatBytes(answer.size_bytes) : "";
    if (!answer) return;
    this.sizes.set(name, answer.size_bytes);
    button.hidden = true;
  }

  async setDefault(name) {
    if (!await attempt(() => change("default-model", {name}))) return;
    showMessage(`The default model is ${name} now`);
    this.changed();
  }
}
