// Labels that complete what is being typed, each with the number of photos here that have it.
import {ask, formatCount, make} from "./api.js";
import {Latest} from "./answers.mjs";

export class Suggestions {
  // input: the field that is typed in. list: shows the suggestions.
  constructor(input, list) {
    Object.assign(this, {input, list, selected: -1, completions: [], submitted: null, latest: new Latest()});
    input.addEventListener("input", () => { this.select(-1); this.show(); });
    input.addEventListener("keydown", (event) => this.handleKey(event));
    input.addEventListener("blur", () => this.close());
  }

  close() {
    this.list.hidden = true;
    this.selected = -1;
    this.input.setAttribute("aria-expanded", "false");
    this.input.removeAttribute("aria-activedescendant");
  }

  // The text was sent: suggestions that arrive late are not shown.
  submit() {
    this.submitted = this.input.value;
    this.latest.begin();
    this.close();
  }

  async show() {
    const text = this.input.value, isLatest = this.latest.begin();
    const completions = text.trim() ? await ask("complete", {words: text}).catch(() => []) : [];
    if (!isLatest() || document.activeElement !== this.input || this.submitted === text) return;
    this.offer(completions.filter((each) => each.text !== text), (each) => [
      make("span", {}, each.text), make("span", {className: "count"}, each.photos ? formatCount(each.photos, "photo") : ""),
    ]);
  }

  // Replace what is offered; what was selected since the last key stays selected. describe(completion) -> elements.
  offer(completions, describe) {
    const chosen = this.completions[this.selected]?.text;
    this.close();
    this.completions = completions;
    this.list.replaceChildren(...completions.map((each, i) => make("li", {
      id: `suggestion-${i}`, role: "option", "aria-selected": false,
      onmousedown: (event) => { event.preventDefault(); this.accept(i); },
    }, ...describe(each))));
    this.list.hidden = !completions.length;
    this.input.setAttribute("aria-expanded", String(!this.list.hidden));
    this.select(completions.findIndex((each) => each.text === chosen));
  }

  select(index) {
    const options = [...this.list.children];
    this.selected = index < -1 ? options.length - 1 : index >= options.length ? -1 : index;
    options.forEach((option, i) => option.setAttribute("aria-selected", i === this.selected));
    if (this.selected < 0) this.input.removeAttribute("aria-activedescendant");
    else {
      this.input.setAttribute("aria-activedescendant", options[this.selected].id);
      options[this.selected].scrollIntoView({block: "nearest"});
    }
  }

  accept(index) {
    this.input.value = this.completions[index].text;
    this.close();
    this.input.focus();
  }

  handleKey(event) {
    if (this.list.hidden) return;
    if (event.key === "ArrowDown") this.select(this.selected + 1);
    else if (event.key === "ArrowUp") this.select(this.selected < 0 ? -2 : this.selected - 1);
    else if (event.key === "Escape") this.close();
    else if (event.key === "Enter" && this.selected >= 0) this.accept(this.selected);
    else return;
    event.preventDefault();
  }
}
