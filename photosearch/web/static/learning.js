// Learning a label from marks: how far it is, what learning would change, then keep or discard, and undo.
import {ask, attempt, byId, change, make, makeThumbnail, showMessage} from "./api.js";
import {Latest} from "./answers.mjs";
import {onMarks} from "./marks.js";
import {describePreview, describeReadiness, describeRank} from "./wording.mjs";

const part = (name) => byId(`learning${name}`);
const dialog = part("-dialog");

export class Learning {
  // label() -> the one that is being marked. isTaught() -> whether the user chose to mark photos for it. changed(label):
  // the label finds other photos now.
  constructor({label, isTaught = () => false, changed}) {
    Object.assign(this, {label, isTaught, changed, latest: new Latest()});
    part("-learn").addEventListener("click", () => this.preview());
    part("-undo").addEventListener("click", () => this.undo());
    part("-discard").addEventListener("click", () => dialog.close());
    dialog.addEventListener("submit", (event) => { event.preventDefault(); this.keep(); });
    onMarks((marks) => { if (marks.some((each) => each.label === this.label())) this.update(); });
  }

  async update() {
    const label = this.label(), isLatest = this.latest.begin();
    const readiness = label ? await attempt(() => ask("readiness", {label})) : null;
    if (!isLatest()) return;
    const {text, learn, canUndo} = readiness ? describeReadiness(readiness, this.isTaught()) : {text: "", learn: "", canUndo: false};
    part("-state").textContent = text;
    part("-learn").textContent = learn;
    part("-learn").hidden = !learn;
    part("-undo").hidden = !canUndo;
    part("").hidden = !text && !learn && !canUndo;
  }

  async preview() {
    const label = this.label(), button = part("-learn");
    button.disabled = true;
    const preview = await attempt(() => ask("preview", {label}));
    button.disabled = false;
    if (!preview || label !== this.label()) return;
    part("-title").textContent = `Learn “${preview.label}”?`;
    part("-lines").replaceChildren(...describePreview(preview).map((line) => make("p", {}, line)));
    for (const [name, rows] of [["added", preview.added], ["removed", preview.removed]]) {
      part(`-${name}`).hidden = !rows.length;
      part(`-${name}`).querySelector("ul").replaceChildren(...rows.map((row) => make("li", {title: row.path},
        makeThumbnail(row.image_id, row.name), make("span", {}, describeRank(row).short))));
    }
    part("-keep").hidden = !preview.better;
    part("-discard").textContent = preview.better ? "Discard" : "Close";
    dialog.showModal();
  }

  async keep() {
    part("-keep").disabled = true;
    const learned = await attempt(() => change("learn", {label: this.label()}));
    part("-keep").disabled = false;
    if (!learned) return;
    dialog.close();
    showMessage(learned.learned ? `Learned: ${learned.label}` : `${learned.label} stays as it was`);
    await this.changed(learned.label, true);
    this.update();
  }

  async undo() {
    const undone = await attempt(() => change("unlearn", {label: this.label()}));
    if (!undone) return;
    showMessage(`Learning undone: ${undone.label}`);
    await this.changed(undone.label, undone.exists);
    this.update();
  }
}
