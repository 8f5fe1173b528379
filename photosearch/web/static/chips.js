// What a sentence was understood as, as chips over the results: each can be taken away.
import {ask, attempt, make} from "./api.js";
import {describeChip} from "./wording.mjs";

export class Chips {
  // root: a list. words(): the sentence. change(words): ask another one.
  constructor(root, {words, change}) {
    Object.assign(this, {root, words, change});
  }

  // chips: as /api/find gives them. others: [{text, remove()}], which are no words.
  show(chips, others) {
    const all = [...chips.map((chip) => ({...describeChip(chip), remove: () => this.edit(chip, true)})), ...others];
    this.root.replaceChildren(...all.map(({kind, text, isUnwanted, remove, image}) => make("li", {},
      make("button", {type: "button", className: isUnwanted ? "chip unwanted" : "chip", title: "Remove",
        "aria-label": `${[kind, text].filter(Boolean).join(" ")}: remove`, onclick: remove},
      ...(image ? [image] : []), ...(kind ? [make("span", {className: "kind"}, kind)] : []), make("span", {className: "value"}, text),
      make("span", {className: "remove", "aria-hidden": "true"}, "×")))));
    this.root.hidden = !all.length;
  }

  // Add a piece to the sentence, or remove it.
  async edit({kind, value, wanted = true}, remove = false) {
    const edited = await attempt(() => ask("edit", {words: this.words(), kind, value,
      ...(wanted ? {} : {unwanted: 1}), ...(remove ? {remove: 1} : {})}));
    if (edited) this.change(edited.words);
  }
}
