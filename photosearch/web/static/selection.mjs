// Which photos of a list are selected: ranges of indices, so that a million take no more than one.

export class Selection {
  #ranges = []; // [first, end), ascending, apart from each other

  constructor() { this.anchor = null; } // where a range begins

  get size() { return this.#ranges.reduce((sum, [first, end]) => sum + end - first, 0); }

  has(index) { return this.#ranges.some(([first, end]) => first <= index && index < end); }

  clear() {
    this.#ranges = [];
    this.anchor = null;
  }

  toggle(index) {
    this.anchor = index;
    this.set(index, index + 1, !this.has(index));
  }

  // From the last photo that was clicked to this one.
  extend(index) {
    this.anchor ??= index;
    this.set(Math.min(this.anchor, index), Math.max(this.anchor, index) + 1, true);
  }

  set(first, end, isSelected) {
    const rest = this.#ranges.flatMap(([a, b]) => [[a, Math.min(b, first)], [Math.max(a, end), b]]).filter(([a, b]) => a < b);
    if (isSelected) rest.push([first, end]);
    rest.sort(([a], [b]) => a - b);
    this.#ranges = [];
    for (const range of rest) {
      const last = this.#ranges.at(-1);
      if (last && last[1] >= range[0]) last[1] = Math.max(last[1], range[1]); else this.#ranges.push(range);
    }
  }

  // As the API takes it: first, end, first, end, ...
  toList() { return this.#ranges.flat(); }
}
