// The index run of this server: how far it is, its notes, and the button that stops it.
import {ask, attempt, byId, change, make} from "./api.js";
import {announce, describeEnd, describeNote, describeRun} from "./runs.mjs";

const part = (name) => byId(`run-${name}`);
const RUNNING_MS = 1000, IDLE_MS = 6000, HIDDEN_MS = 30000;

export class RunPanel {
  // changed(run): after each look at a run that goes on. ended(run): once, when it has ended.
  constructor({changed = () => {}, ended = () => {}} = {}) {
    Object.assign(this, {changed, ended, run: null});
    part("stop").addEventListener("click", () => this.stop());
    this.poll();
  }

  // Start a run -> whether it has begun. request: as /api/index takes it.
  async start(request) {
    const run = await attempt(() => change("index", request));
    if (!run) return false;
    this.show(run);
    byId("run").scrollIntoView({block: "nearest"});
    part("stop").focus();
    return true;
  }

  async stop() {
    const run = await attempt(() => change("stop", {at_once: this.run?.stopping ?? false}));
    if (run) this.show(run);
  }

  async poll() {
    clearTimeout(this.timer);
    try {
      this.show(await ask("run"));
    } catch (error) {
      part("text").textContent = error.message;
    }
    this.timer = setTimeout(() => this.poll(), this.run?.running ? RUNNING_MS : document.hidden ? HIDDEN_MS : IDLE_MS);
  }

  show(run) {
    const before = this.run, hadFocus = document.activeElement === part("stop"), said = before && announce(before, run);
    this.run = run;
    byId("run").hidden = !run.number;
    part("text").textContent = run.running ? describeRun(run) : run.number ? describeEnd(run) : "";
    part("text").classList.toggle("error", Boolean(run.error));
    part("title").textContent = run.running ? `Indexing ${run.folders.join(", ") || "all folders"}` : "Last index from this page";
    part("bar").hidden = part("buttons").hidden = !run.running;
    part("stop").textContent = run.stopping ? "Stop at once" : "Stop";
    if (run.total) Object.assign(part("bar"), {max: run.total, value: Math.min(run.done, run.total)});
    else part("bar").removeAttribute("value");
    if (before?.notes.length !== run.notes.length) part("notes").replaceChildren(...run.notes.map((note) => make("li", {}, describeNote(note))));
    if (said) part("said").textContent = said;
    if (run.running) this.changed(run);
    if (before?.running && !run.running) {
      if (hadFocus) part("title").focus(); // the button is gone
      this.ended(run);
    }
    if (!before?.running && run.running && before) { clearTimeout(this.timer); this.timer = setTimeout(() => this.poll(), RUNNING_MS); }
  }
}
