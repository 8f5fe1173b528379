// The rows of a long list, fetched in parts when one of their rows is wanted. Parts far away are dropped.

export class Parts {
  // fetch(first, n) -> a promise of rows. failed(error): a part was not fetched; it is asked for again when next wanted.
  constructor(fetch, {size, most, failed = () => {}}) {
    Object.assign(this, {fetch, size, most, failed, version: 0, parts: new Map()});
  }

  // Start another list of `total` rows, whose first rows are known.
  reset(rows, total) {
    this.version += 1;
    this.parts.clear();
    for (let i = 0; i < rows.length; i += this.size) {
      if (i + this.size <= rows.length || rows.length === total) this.parts.set(i / this.size, Promise.resolve(rows.slice(i, i + this.size)));
    }
  }

  // A row; undefined where it can't be had, or another list has started meanwhile.
  async row(index) {
    const {version} = this, part = Math.floor(index / this.size);
    if (!this.parts.has(part)) this.parts.set(part, this.#ask(part));
    const rows = await this.parts.get(part);
    return version === this.version ? rows?.[index - part * this.size] : undefined;
  }

  #ask(part) {
    const {version} = this;
    const asked = this.fetch(part * this.size, this.size).catch((error) => {
      if (this.parts.get(part) === asked) this.parts.delete(part);
      if (version === this.version) this.failed(error);
    });
    return asked;
  }

  // All rows that are here.
  async loaded() {
    return (await Promise.all(this.parts.values())).flatMap((rows) => rows ?? []);
  }

  // Drop the parts farthest from a row, beyond the number that is kept.
  drop(index) {
    const middle = index / this.size, farthest = [...this.parts.keys()].sort((a, b) => Math.abs(b - middle) - Math.abs(a - middle));
    for (const part of farthest.slice(0, Math.max(0, this.parts.size - this.most))) this.parts.delete(part);
  }
}
