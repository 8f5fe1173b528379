// One photo, large, with its labels, files and date. Its labels can be marked.
import {ask, attempt, byId, isTyping, make, makeThumbnail, showMessage} from "./api.js";
import {Latest} from "./answers.mjs";
import {describePhoto, mapsTo} from "./facts.mjs";
import {mark, onMarks, toggle, undo} from "./marks.js";
import {Zoom} from "./zoom.js";

const part = (name) => byId(`details-${name}`);
const dialog = byId("details"), latest = new Latest();

export class Details {
  // step(by): show the previous or next photo. like(imageId, sign): search for photos like it, or unlike it (-1).
  constructor({step = () => {}, like = null} = {}) {
    Object.assign(this, {step, like, zoom: new Zoom(part("photo"), part("canvas"), part("image"), part("zoom"))});
    part("close").addEventListener("click", () => dialog.close());
    part("previous").addEventListener("click", () => step(-1));
    part("next").addEventListener("click", () => step(1));
    part("like").addEventListener("click", () => this.searchLike(1));
    part("unlike").addEventListener("click", () => this.searchLike(-1));
    part("boxes").addEventListener("click", () => this.toggleBoxes());
    part("like").hidden = part("unlike").hidden = !like;
    part("mark").addEventListener("submit", (event) => {
      event.preventDefault();
      this.mark(part("label").value.trim(), event.submitter.value === "yes");
    });
    dialog.addEventListener("keydown", (event) => this.handleKey(event));
    // Back closes the photo, and the page below stays: an open photo has an entry of its own in the history.
    dialog.addEventListener("close", () => {
      if (dialog.open || this.isLeaving || !history.state?.isPhoto) return;
      this.isLeaving = true;
      history.back();
    });
    addEventListener("popstate", () => this.followHistory());
    onMarks((marks) => this.update(marks));
  }

  get isOpen() { return dialog.open; }

  // labels: shown even with a low score; keys mark the first. explanation: why the photo was found. row: as in the grid.
  async show(imageId, {labels = [], explanation = "", row = null} = {}) {
    const isLatest = latest.begin(), image = await attempt(() => ask("details", {image_id: imageId, label: labels}));
    if (!image || !isLatest()) return;
    Object.assign(this, {imageId, labels, image});
    const [{name}] = image.files;
    this.zoom.show(imageId, image);
    part("image").alt = part("name").textContent = name;
    part("explanation").textContent = explanation;
    part("why").replaceChildren(...(row?.why ?? []).map((each) => make("li", {}, each)));
    this.showLabels();
    this.showTexts(image.texts ?? []);
    part("files-title").textContent = image.files.length > 1 ? `Files: ${image.files.length} copies` : "File";
    part("files").replaceChildren(...image.files.map((file) => make("li", {},
      make("bdi", {}, file.path), file.unavailable ? ` (${file.unavailable})` : "")));
    this.showFacts(row);
    if (!dialog.open) this.open();
    const photoId = row?.photo_id ?? image.files[0].photo_id;
    ask("exposure", {image_id: imageId}).then((exposure) => { if (isLatest()) this.showFacts(row, exposure); }, () => {});
    this.showStrip("near", isLatest, photoId ? ask("neighbours", {photo_id: photoId}) : null, photoId);
    this.showStrip("similar", isLatest, this.like ? ask("similar", {image_id: imageId}) : null);
  }

  open() {
    dialog.showModal();
    if (!history.state?.isPhoto) this.enterHistory();
  }

  enterHistory() {
    history.scrollRestoration = "manual"; // the page below goes along with the photos
    history.pushState({isPhoto: true}, "");
  }

  followHistory() {
    if (history.state?.isPhoto) return;
    history.scrollRestoration = "auto";
    if (this.isLeaving && dialog.open) this.enterHistory(); // the next photo was opened before the last one was left
    else dialog.close();
    this.isLeaving = false;
  }

  showFacts(row, exposure = {}) {
    part("facts").replaceChildren(...describePhoto(this.image, row, exposure).flatMap(({title, text, link}) => [make("dt", {}, title),
      make("dd", {}, link ? make("a", {href: `/map?${mapsTo(link)}`}, text) : make("bdi", {}, text))]));
  }

  // asked: a promise of rows; here: the photo id of this one.
  async showStrip(name, isLatest, asked, here = null) {
    const section = part(name).closest("section");
    const rows = (await asked?.catch(() => null)) ?? [];
    if (!isLatest()) return;
    section.hidden = !rows.some((row) => row.photo_id !== here);
    part(name).replaceChildren(...rows.map((row) => make("li", {}, make("button", {type: "button", title: row.name,
      "aria-label": row.name, ...(row.photo_id === here ? {"aria-current": "true"} : {}),
      onclick: () => this.show(row.image_id, {labels: this.labels, row})}, makeThumbnail(row.image_id)))));
  }

  // texts: [{text, left, top, width, height}], as shares of the photo.
  showTexts(texts) {
    part("texts").closest("section").hidden = part("boxes").hidden = !texts.length;
    part("texts").replaceChildren(...texts.map(({text}) => make("li", {}, text)));
    this.zoom.showBoxes(texts);
  }

  toggleBoxes() {
    const isShown = part("boxes").getAttribute("aria-pressed") !== "true";
    part("boxes").setAttribute("aria-pressed", String(isShown));
    part("canvas").classList.toggle("no-boxes", !isShown);
  }

  showLabels() {
    const {scores, marks} = this.image, listed = new Set(), severalModels = new Set(scores.map(({model}) => model)).size > 1;
    const rows = scores.map(({label, model, score, threshold}) => {
      const applies = score >= threshold, buttons = listed.has(label) ? [] : this.makeButtons(label);
      listed.add(label);
      const figures = `${score.toFixed(3)} ${applies ? "≥" : "<"} ${threshold.toFixed(3)}`;
      return make("li", {}, make("span", {className: applies ? "name applies" : "name"}, label),
        make("span", {className: "score", title: `model ${model}, threshold ${threshold.toFixed(3)}`},
          severalModels ? `${model} ${figures}` : figures), ...buttons);
    });
    const others = [...new Set([...this.labels, ...Object.keys(marks)])].filter((label) => !listed.has(label));
    rows.push(...others.map((label) => make("li", {}, make("span", {className: "name"}, label),
      make("span", {className: "score"}, "no score"), ...this.makeButtons(label))));
    part("labels").replaceChildren(...rows);
  }

  makeButtons(label) {
    const present = this.image.marks[label];
    return [["✓", true, "yes", `Mark as ${label}`], ["✗", false, "no", `Mark as not ${label}`]].map(([sign, value, className, title]) =>
      make("button", {type: "button", className, title, "aria-pressed": present === value, "aria-label": title,
        onclick: () => this.tell(toggle(this.imageId, label, present ?? null, value))}, sign));
  }

  mark(label, present) {
    if (label) this.tell(mark(this.imageId, label, present));
    else showMessage("Choose a label below first", true);
  }

  async tell(marking) {
    const marks = await marking, present = marks?.[0].present;
    if (marks) showMessage(present === null ? `Mark removed: ${marks[0].label}` : `Marked: ${present ? "" : "not "}${marks[0].label}`);
  }

  update(marks) {
    if (!dialog.open) return;
    for (const {image_id: imageId, label, present} of marks) {
      if (imageId !== this.imageId) continue;
      if (present === null) delete this.image.marks[label];
      else this.image.marks[label] = present;
    }
    this.showLabels();
  }

  searchLike(sign) {
    dialog.close();
    this.like(this.imageId, sign);
  }

  handleKey(event) {
    if (isTyping(event)) return;
    const [label] = this.labels;
    const actions = {
      ArrowLeft: () => this.step(-1), ArrowRight: () => this.step(1), u: undo, l: () => this.like && this.searchLike(1),
      y: () => this.mark(label, true), n: () => this.mark(label, false), z: () => this.zoom.toggle(),
      i: () => dialog.classList.toggle("alone"), t: () => this.toggleBoxes(),
    };
    const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action) return;
    event.preventDefault();
    event.stopPropagation();
    action();
  }
}
