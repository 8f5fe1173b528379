// Where the tiles of a grid stand: rows of equal tiles, and a heading before those from `split` on.

export class Layout {
  // total: tiles. split: those above the heading; without any below, there is no heading. Lengths are in pixels.
  constructor({total, split, columns, rowHeight, headingHeight}) {
    Object.assign(this, {total, split: Math.min(split, total), columns, rowHeight});
    this.rowsAbove = Math.ceil(this.split / columns);
    this.rows = this.rowsAbove + Math.ceil((total - this.split) / columns);
    this.hasHeading = this.split < total;
    this.headingTop = this.rowsAbove * rowHeight;
    this.below = this.headingTop + (this.hasHeading ? headingHeight : 0); // where the rows below the heading begin
    this.height = this.below + (this.rows - this.rowsAbove) * rowHeight;
  }

  place(index) {
    const {row, column} = this.#find(index);
    return {column, top: row < this.rowsAbove ? row * this.rowHeight : this.below + (row - this.rowsAbove) * this.rowHeight};
  }

  // The tiles that are seen between two heights: [first, end).
  range(top, bottom) {
    const above = (y) => Math.max(0, y) / this.rowHeight, below = (y) => Math.max(0, y - this.below) / this.rowHeight;
    const first = top < this.below ? Math.min(this.split, Math.floor(above(top)) * this.columns)
      : this.split + Math.floor(below(top)) * this.columns;
    const end = bottom <= this.below ? Math.min(this.split, Math.ceil(above(bottom)) * this.columns)
      : this.split + Math.ceil(below(bottom)) * this.columns;
    return [Math.min(first, this.total), Math.min(end, this.total)];
  }

  // The tile some rows further down (up: negative), in the same column where that row is long enough.
  move(index, rows) {
    const {row, column} = this.#find(index), target = Math.min(this.rows - 1, Math.max(0, row + rows));
    const isAbove = target < this.rowsAbove;
    const first = isAbove ? target * this.columns : this.split + (target - this.rowsAbove) * this.columns;
    return Math.min(first + column, (isAbove ? this.split : this.total) - 1);
  }

  #find(index) {
    const isAbove = index < this.split, i = isAbove ? index : index - this.split;
    return {row: (isAbove ? 0 : this.rowsAbove) + Math.floor(i / this.columns), column: i % this.columns};
  }
}
