// The models on this computer, and those that can be downloaded.
import {ask, attempt, byId, change, formatBytes, formatCount, make, showMessage} from "./api.js";
import {confirm} from "./confirm.js";
import {describePull} from "./runs.mjs";

const RUNNING_MS = 1000;

export class Models {
  // changed(): after another model has become the default.
  constructor(changed) {
    Object.assign(this, {changed, known: null, pull: null});
    byId("pull-stop").addEventListener("click", () => attempt(() => change("stop-pull")));
    this.pollPull();
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

  makeOffer(offer) {
    const {name, description, licence, repository, is_here: isHere} = offer;
    const button = make("button", {type: "button", "aria-label": `Download ${name}`, hidden: isHere, onclick: () => this.offer(offer, button)}, "Download…");
    return make("li", {}, make("div", {className: "about"}, make("b", {}, name, isHere ? " (installed)" : ""), make("p", {}, description),
      make("p", {className: "small"}, `Licence: ${licence}; from ${repository}`)), make("div", {className: "buttons"}, button));
  }

  // The size is asked for first, which is a request over the network, and then the user.
  async offer({name, description, licence, repository}, button) {
    button.disabled = true;
    byId("pull-text").textContent = `Asking the hub for the size of ${name}…`;
    const size = await attempt(() => change("offer-size", {name}));
    byId("pull-text").textContent = "";
    button.disabled = false;
    if (!size) return;
    const {size_bytes: bytes} = size;
    confirm({title: `Download ${name}?`, yes: `Download ${formatBytes(bytes)}`, isDangerous: false, lines: [description,
      `${formatBytes(bytes)} from ${repository}, under the licence ${licence}. Nothing of yours is sent.`]}, async () => {
      const pull = await attempt(() => change("start-pull", {name, size_bytes: bytes}));
      if (pull) this.showPull(pull);
    });
  }

  // Follow a download to its end.
  showPull(pull) {
    const before = this.pull;
    this.pull = pull;
    byId("pull").hidden = !pull.name;
    byId("pull-text").textContent = describePull(pull, formatBytes);
    byId("pull-bar").hidden = byId("pull-stop").hidden = !pull.running;
    Object.assign(byId("pull-bar"), {max: pull.size_bytes || 1, value: Math.min(pull.bytes, pull.size_bytes)});
    if (pull.running) setTimeout(() => this.pollPull(), RUNNING_MS);
    else if (before?.running) {
      showMessage(describePull(pull, formatBytes), Boolean(pull.error));
      this.changed();
    }
  }

  async pollPull() {
    const pull = await attempt(() => ask("pull"));
    if (pull) this.showPull(pull);
    else setTimeout(() => this.pollPull(), 10 * RUNNING_MS);
  }

  async setDefault(name) {
    if (!await attempt(() => change("default-model", {name}))) return;
    showMessage(`The default model is ${name} now`);
    this.changed();
  }
}
