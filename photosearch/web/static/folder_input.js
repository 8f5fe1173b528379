// A field for a folder's path, completed by the folders of this machine as it is typed.
import {ask, make} from "./api.js";
import {Suggestions} from "./suggestions.js";

export class FolderInput extends Suggestions {
  // hint: an element that says why nothing is offered.
  constructor(input, list, hint) {
    super(input, list);
    this.hint = hint;
    input.value ||= history.state?.typed ?? ""; // before the page was loaded again
    input.addEventListener("focus", () => { if (!input.value) this.show(); });
  }

  async show() {
    const text = this.input.value, isLatest = this.latest.begin();
    this.keep();
    let found = {paths: [], more: false, reason: null};
    try {
      found = await ask("directories", {typed: text});
    } catch (error) {
      found.reason = error.message;
    }
    if (!isLatest() || document.activeElement !== this.input) return;
    this.hint.textContent = found.reason ?? (found.more ? "More folders begin like this: type on." : "");
    const completions = found.paths.filter((path) => path !== text).map((path) => ({text: path}));
    this.offer(completions, (each) => [make("bdi", {}, each.text)]);
  }

  keep() { history.replaceState({...history.state, typed: this.input.value}, ""); }

  // The folders in a chosen one are offered next.
  accept(index) {
    super.accept(index);
    const separator = this.input.value.includes("\\") ? "\\" : "/";
    if (!this.input.value.endsWith(separator)) this.input.value += separator;
    this.show();
  }
}
