// Where the tiles of a grid stand: rows of equal tiles in sections, each below its heading.

export class Layout {
  // sections: [{n, title}]; without a title a section has no heading. Lengths are in pixels.
  constructor({sections, columns, rowHeight, headingHeight}) {
    Object.assign(this, {sections: sections.filter(({n}) => n > 0), columns, rowHeight});
    this.firsts = []; // of each section: its first tile, where it begins, and where its tiles begin
    this.tops = [];
    this.bodies = [];
    let first = 0, top = 0;
    for (const {n, title} of this.sections) {
      this.firsts.push(first);
      this.tops.push(top);
      top += title ? headingHeight : 0;
      this.bodies.push(top);
      first += n;
      top += Math.ceil(n / columns) * rowHeight;
    }
    this.total = first;
    this.height = top;
  }

  place(index) {
    const section = findLast(this.firsts, index), i = index - this.firsts[section];
    return {section, column: i % this.columns, top: this.bodies[section] + Math.floor(i / this.columns) * this.rowHeight};
  }

  // The tiles that are seen between two heights: [first, end).
  range(top, bottom) {
    if (!this.total || bottom <= 0) return [0, 0];
    const before = (y, round) => { // the tiles in rows above a height
      const section = findLast(this.tops, y), rows = round(Math.max(0, y - this.bodies[section]) / this.rowHeight);
      return this.firsts[section] + Math.min(this.sections[section].n, rows * this.columns);
    };
    return [before(Math.max(0, top), Math.floor), before(bottom, Math.ceil)];
  }

  // The headings that are seen between two heights: [{section, title, top}].
  headings(top, bottom) {
    const found = [];
    for (let i = findLast(this.tops, Math.max(0, top)); i < this.sections.length && this.tops[i] < bottom; i += 1) {
      if (i >= 0 && this.sections[i].title) found.push({section: i, title: this.sections[i].title, top: this.tops[i]});
    }
    return found;
  }

  // The tile some rows further down (up: negative), in the same column where that row is long enough.
  move(index, rows) {
    const {column} = this.place(index), step = Math.sign(rows);
    let section = findLast(this.firsts, index), row = Math.floor((index - this.firsts[section]) / this.columns);
    for (let left = Math.abs(rows); left; left -= 1) {
      const last = Math.ceil(this.sections[section].n / this.columns) - 1;
      if (row + step >= 0 && row + step <= last) row += step;
      else if (!this.sections[section + step]) break;
      else {
        section += step;
        row = step > 0 ? 0 : Math.ceil(this.sections[section].n / this.columns) - 1;
      }
    }
    return this.firsts[section] + Math.min(row * this.columns + column, this.sections[section].n - 1);
  }

  // The tile at a height, or the next one.
  indexAt(y) {
    return Math.min(this.total - 1, this.range(Math.max(0, y), Math.max(0, y) + 1)[0]);
  }
}

// The last place whose value is at most y; -1 without any. values: ascending.
function findLast(values, y) {
  let low = 0, high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] <= y) low = middle + 1; else high = middle;
  }
  return low - 1;
}
