// Move spare photos: a folder is typed, what would be moved is shown, and moved once the user agrees; and back.
import {ask, attempt, byId, change, formatBytes, make} from "./api.js";
import {confirm} from "./confirm.js";
import {FolderInput} from "./folder_input.js";
import {describeMove, describePlan} from "./spares.mjs";

const part = (name) => byId(`spares-${name}`);
const RUNNING_MS = 500;

export class Spares {
  // list() -> the id of the list of duplicates. moved(): photos were moved, so that the list is another one.
  constructor({list, moved}) {
    Object.assign(this, {list, moved, plan: null, move: null});
    this.input = new FolderInput(part("path"), part("folders"), part("hint"));
    part("form").addEventListener("submit", (event) => { event.preventDefault(); this.showPlan(); });
    part("path").addEventListener("input", () => this.forgetPlan());
    part("move").addEventListener("click", () => this.confirmMove());
    part("undo").addEventListener("click", () => this.start("undo-spares", {log: this.move.log}));
    this.poll();
  }

  forgetPlan() {
    this.plan = null;
    part("plan").hidden = true;
  }

  async showPlan() {
    this.input.submit();
    this.forgetPlan();
    const plan = await attempt(() => change("plan-spares", {list: this.list(), folder: part("path").value}));
    if (!plan) return;
    this.plan = plan;
    const {isEmpty, lines} = describePlan(plan), hidden = plan.photos + plan.beside - plan.rows.length;
    part("lines").replaceChildren(...lines.map((line) => make("p", {}, line)));
    part("left").replaceChildren(...makeLeft(plan.left.map(({path, reason}) => [path, reason]), plan.n_left));
    part("rows").replaceChildren(...plan.rows.map(({source, target, size_bytes: size, reason}) => make("li", {},
      make("bdi", {}, source), " → ", make("bdi", {}, target), ` (${[formatBytes(size), reason].filter(Boolean).join(", ")})`)),
    ...(hidden > 0 ? [make("li", {}, `and ${hidden.toLocaleString("en")} more`)] : []));
    part("files").hidden = !plan.rows.length;
    part("move").hidden = isEmpty;
    part("plan").hidden = false;
    (isEmpty ? part("path") : part("move")).focus();
  }

  confirmMove() {
    const {plan} = this;
    confirm({title: "Move spare photos?", lines: describePlan(plan).lines.filter((line) => !line.endsWith(":")), yes: "Move them"},
      () => this.start("move-spares", {plan: plan.id}));
  }

  async start(name, body) {
    const move = await attempt(() => change(name, body));
    if (!move) return;
    this.forgetPlan();
    this.show(move);
    this.poll();
  }

  async poll() {
    clearTimeout(this.timer);
    const move = await attempt(() => ask("spares"));
    if (move) this.show(move);
    if (move?.running) this.timer = setTimeout(() => this.poll(), RUNNING_MS);
  }

  show(move) {
    const hasEnded = this.move?.running && !move.running;
    this.move = move;
    part("state").hidden = !move.number;
    part("text").textContent = move.number ? describeMove(move) : "";
    part("text").classList.toggle("error", Boolean(move.error));
    part("stayed").replaceChildren(...makeLeft(move.left, move.n_left));
    part("undo").hidden = move.running || !move.log;
    if (hasEnded) {
      this.moved();
      if (move.log) part("undo").focus();
    }
  }
}

const makeLeft = (left, n) => [
  ...left.map(([path, reason]) => make("li", {}, make("bdi", {}, path), `: ${reason}`)),
  ...(n > left.length ? [make("li", {}, `and ${(n - left.length).toLocaleString("en")} more`)] : []),
];
