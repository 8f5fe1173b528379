// One photo, large: what the models see in it, right or wrong about each label, where it lies, what is known of it.
import {ask, attempt, change, isTyping, make, say, size, thumbnail} from "./api.js";

const at = (name) => document.querySelector(`#large-${name}`);
const dialog = document.querySelector("#large");

export class Large {
  // why(id) -> a line; step(by): to the photo beside; marked(told); like(id, sign): ask for such.
  constructor({why, step, marked, like}) {
    Object.assign(this, {why, step, marked, like});
    at("close").addEventListener("click", () => dialog.close());
    at("previous").addEventListener("click", () => step(-1));
    at("next").addEventListener("click", () => step(1));
    at("undo").addEventListener("click", () => this.undo());
    at("like").addEventListener("click", () => this.alike(1));
    at("unlike").addEventListener("click", () => this.alike(-1));
    at("say").addEventListener("submit", (event) => {
      event.preventDefault();
      this.mark(at("label").value.trim(), event.submitter.value === "yes");
    });
    dialog.addEventListener("keydown", (event) => this.key(event));
    dialog.addEventListener("close", () => dialog.querySelector("#message") && document.body.append(dialog.querySelector("#message")));
    if (!like) at("like").hidden = at("unlike").hidden = true;
  }

  get isOpen() { return dialog.open; }

  // labels: those that are asked for; keys mark the first.
  async show(id, labels) {
    Object.assign(this, {id, labels});
    const known = await attempt(() => ask("picture", {id, label: labels}));
    if (!known || this.id !== id) return;
    this.known = known;
    const [first] = known.photos, image = at("image");
    image.src = thumbnail(id, true);
    image.alt = first.path.split(/[\\/]/).pop();
    at("name").textContent = image.alt;
    at("why").textContent = this.why(id);
    this.tellLabels();
    at("where").replaceChildren(...known.photos.map((each) => make("li", {},
      make("bdi", {}, each.path), each.unseen ? ` (${each.unseen})` : "")));
    const changed = new Date(first.mtime_ns / 1e6).toLocaleString("sv");
    const facts = {
      taken: known.taken ? `${known.taken.replace("T", " ")}, by ${known.taken_from}` : "not said in the photo",
      size: `${known.width} × ${known.height} pixels, ${size(first.size_bytes)}`, "file changed": changed,
    };
    at("facts").replaceChildren(...Object.entries(facts).flatMap(([key, value]) => [make("dt", {}, key), make("dd", {}, value)]));
    if (!dialog.open) dialog.showModal();
  }

  tellLabels() {
    const {scores, said} = this.known, told = new Set();
    const rows = scores.map((each) => {
      const first = !told.has(each.label);
      told.add(each.label);
      const holds = each.score >= each.threshold;
      return make("li", {}, make("span", {className: holds ? "name holds" : "name"}, each.label),
        make("span", {className: "score", title: `${each.model}: it holds from ${each.threshold.toFixed(3)} on`},
          `${each.score.toFixed(3)} ${holds ? "≥" : "<"} ${each.threshold.toFixed(3)}`),
        ...(first ? this.buttons(each.label) : []));
    });
    for (const label of [...this.labels, ...Object.keys(said)]) {
      if (told.has(label)) continue;
      told.add(label);
      rows.push(make("li", {}, make("span", {className: "name"}, label), make("span", {className: "score"}, "no score"), ...this.buttons(label)));
    }
    at("labels").replaceChildren(...rows);
  }

  buttons(label) {
    const said = this.known.said[label];
    return [["✓", true, "right", "shows"], ["✗", false, "wrong", "does not show"]].map(([sign, present, kind, verb]) =>
      make("button", {type: "button", className: kind, "aria-pressed": said === present, "aria-label": `It ${verb} ${label}`,
        onclick: () => this.mark(label, said === present ? null : present)}, sign));
  }

  async mark(label, present) {
    if (!label) return;
    const told = await attempt(() => change("mark", {image: this.id, label, present}));
    if (told) this.take(told);
  }

  async undo() {
    const told = await attempt(() => change("undo"));
    if (told) this.take(told);
  }

  take(told) {
    if (told.image === this.id) {
      if (told.present === null) delete this.known.said[told.label];
      else this.known.said[told.label] = told.present;
      this.tellLabels();
    }
    say(told.present === null ? `${told.label}: taken back` : `${told.label}: ${told.present ? "right" : "wrong"}`);
    this.marked?.(told);
  }

  alike(sign) {
    dialog.close();
    this.like?.(this.id, sign);
  }

  key(event) {
    if (isTyping(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
    const [label] = this.labels;
    const keys = {
      ArrowLeft: () => this.step(-1), ArrowRight: () => this.step(1), u: () => this.undo(), l: () => this.like && this.alike(1),
      y: () => (label ? this.mark(label, true) : say("choose a label below")), n: () => (label ? this.mark(label, false) : say("choose a label below")),
    };
    const act = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!act) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  }
}
