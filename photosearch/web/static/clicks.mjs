// What a click on a mark means, and which marks this tab can take back.

const MAX_STEPS = 100; // the library keeps no more

// The marks that were asked for and not answered yet.
export class Clicks {
  #asked = new Map();

  // The mark to ask for: a second click on a button takes its mark back. shown: the mark on the page, null without one.
  toggle(key, shown, clicked) {
    const {present} = this.#asked.get(key) ?? {present: shown};
    return present === clicked ? null : clicked;
  }

  ask(key, present) {
    this.#asked.set(key, {present, left: (this.#asked.get(key)?.left ?? 0) + 1});
  }

  answer(key) {
    const asked = this.#asked.get(key);
    asked.left -= 1;
    if (!asked.left) this.#asked.delete(key);
  }
}

// The steps that this tab can undo, newest last, kept while the tab is open. storage: as window.sessionStorage.
export class UndoSteps {
  constructor(storage) { this.storage = storage; }

  get all() {
    try { return JSON.parse(this.storage.getItem("undo")) ?? []; } catch { return []; }
  }

  get last() { return this.all.at(-1); }

  add(step) { this.#save([...this.all, step].slice(-MAX_STEPS)); }

  remove(step) { this.#save(this.all.filter((each) => each !== step)); }

  #save(steps) { this.storage.setItem("undo", JSON.stringify(steps)); }
}
