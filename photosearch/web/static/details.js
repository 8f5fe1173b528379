// One photo, large, with its labels, files and date. Its labels can be marked.
import {ask, attempt, byId, formatBytes, isTyping, make, showMessage, thumbnailUrl} from "./api.js";
import {Latest} from "./answers.mjs";
import {mark, onMarks, toggle, undo} from "./marks.js";

const part = (name) => byId(`details-${name}`);
const dialog = byId("details"), latest = new Latest();

export class Details {
  // step(by): show the previous or next photo. like(imageId, sign): search for photos like it, or unlike it (-1).
  constructor({step = () => {}, like = null} = {}) {
    Object.assign(this, {step, like});
    part("close").addEventListener("click", () => dialog.close());
    part("previous").addEventListener("click", () => step(-1));
    part("next").addEventListener("click", () => step(1));
    part("like").addEventListener("click", () => this.searchLike(1));
    part("unlike").addEventListener("click", () => this.searchLike(-1));
    part("like").hidden = part("unlike").hidden = !like;
    part("mark").addEventListener("submit", (event) => {
      event.preventDefault();
      this.mark(part("label").value.trim(), event.submitter.value === "yes");
    });
    dialog.addEventListener("keydown", (event) => this.handleKey(event));
    onMarks((marks) => this.update(marks));
  }

  get isOpen() { return dialog.open; }

  // labels: shown even with a low score; keys mark the first. explanation: why the photo was found. row: as in the grid.
  async show(imageId, {labels = [], explanation = "", row = null} = {}) {
    const isLatest = latest.begin(), image = await attempt(() => ask("details", {image_id: imageId, label: labels}));
    if (!image || !isLatest()) return;
    Object.assign(this, {imageId, labels, image});
    const [first] = image.files, {name} = first;
    part("image").src = thumbnailUrl(imageId, true);
    part("image").alt = part("name").textContent = name;
    part("explanation").textContent = explanation;
    this.showLabels();
    part("files-title").textContent = image.files.length > 1 ? "Files" : "File";
    part("files").replaceChildren(...image.files.map((file) => make("li", {},
      make("bdi", {}, file.path), file.unavailable ? ` (${file.unavailable})` : "")));
    const facts = {
      Taken: formatDate(image, row), Size: `${image.width} × ${image.height} pixels, ${formatBytes(first.size_bytes)}`,
      ...(first.mtime_ns === null ? {} : {Modified: new Date(first.mtime_ns / 1e6).toLocaleString("sv")}),
    };
    part("facts").replaceChildren(...Object.entries(facts).flatMap(([key, value]) => [make("dt", {}, key), make("dd", {}, value)]));
    if (!dialog.open) dialog.showModal();
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
      y: () => this.mark(label, true), n: () => this.mark(label, false),
    };
    const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action) return;
    event.preventDefault();
    event.stopPropagation();
    action();
  }
}

// The date in the photo's metadata, else the one in its name.
function formatDate(image, row) {
  if (image.taken) return `${image.taken.replace("T", " ")} (${image.taken_from})`;
  return row?.taken_from === "name" ? `${row.taken.replace("T", " ")} (file name)` : "Date unknown";
}
