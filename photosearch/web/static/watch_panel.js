// Folders that are watched while this server runs: their state, and the button that stops it.
import {ask, attempt, byId, change, make} from "./api.js";
import {describeNote, describeWatch} from "./runs.mjs";

const RUNNING_MS = 2000, IDLE_MS = 10000, HIDDEN_MS = 30000, part = (name) => byId(`watch-${name}`);

export class WatchPanel {
  // changed(): something was indexed.
  constructor(changed) {
    Object.assign(this, {changed, state: null});
    part("stop").addEventListener("click", () => this.send("stop-watch", {at_once: this.state?.stopping ?? false}));
    part("all").addEventListener("click", () => this.start({}));
    this.poll();
  }

  // request: as /api/watch takes it.
  start(request) { return this.send("watch", request); }

  async send(name, body) {
    const state = await attempt(() => change(name, body));
    if (!state) return;
    this.show(state);
    if (name === "watch") part("stop").focus();
    this.poll();
  }

  async poll() {
    clearTimeout(this.timer);
    const state = await ask("watching").catch(() => null);
    if (state) this.show(state);
    this.timer = setTimeout(() => this.poll(), this.state?.running ? RUNNING_MS : document.hidden ? HIDDEN_MS : IDLE_MS);
  }

  show(state) {
    const before = this.state, at = state.changed_at ? new Date(state.changed_at).toLocaleString("sv").slice(0, 16) : "";
    const text = describeWatch(state, at, state.folders.join(", ") || "all folders");
    this.state = state;
    byId("watch").hidden = !state.number;
    if (part("text").textContent !== text) part("text").textContent = text;
    part("text").classList.toggle("error", Boolean(state.error));
    part("buttons").hidden = !state.running;
    part("stop").textContent = state.stopping ? "Stop at once" : "Stop watching";
    if (before?.notes.length !== state.notes.length) part("notes").replaceChildren(...state.notes.map((note) => make("li", {}, describeNote(note))));
    this.enable();
    if (before && before.changed_at !== state.changed_at) this.changed();
  }

  // One watch at a time.
  enable() { for (const button of document.querySelectorAll("button.watch")) button.disabled = this.state?.running ?? false; }
}
