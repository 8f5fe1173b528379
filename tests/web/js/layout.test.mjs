// Each tile has a place of its own, in its section, and what is seen is found from its height.
import assert from "node:assert/strict";
import test from "node:test";
import {Layout} from "../../../photosearch/web/static/layout.mjs";

const ROW = 100, HEADING = 40;
const make = (total, split, columns) => new Layout({columns, rowHeight: ROW, headingHeight: HEADING,
  sections: [{n: split, title: ""}, {n: total - split, title: "others"}]});
const place = (layout, index) => { const {column, top} = layout.place(index); return {column, top}; };

test("a heading stands between the sure tiles and the others, and only where there are others", () => {
  assert.deepEqual([0, 1, 2, 3, 4, 5].map((index) => place(make(6, 3, 2), index)), [
    {column: 0, top: 0}, {column: 1, top: 0}, {column: 0, top: 100},
    {column: 0, top: 240}, {column: 1, top: 240}, {column: 0, top: 340},
  ]);
  assert.deepEqual(make(6, 3, 2).headings(0, 1000), [{section: 1, title: "others", top: 200}]);
  assert.deepEqual(make(6, 3, 2).headings(0, 200), []);
  assert.equal(make(6, 3, 2).height, 440);
  assert.deepEqual(place(make(4, 0, 2), 0), {column: 0, top: HEADING});
  assert.equal(make(4, 4, 2).height, 200);
  assert.deepEqual(make(4, 4, 2).headings(0, 1000), []);
  assert.equal(make(0, 0, 3).height, 0);
});

test("the range of a window holds every tile that touches it, and whole rows only", () => {
  for (const total of [0, 1, 7, 20]) for (let split = 0; split <= total; split += 1) for (const columns of [1, 3, 4]) {
    const layout = make(total, split, columns);
    for (let top = -150; top < layout.height + 150; top += 30) {
      const bottom = top + 170, [first, end] = layout.range(top, bottom);
      for (let index = 0; index < total; index += 1) {
        const {top: y} = layout.place(index), touches = y < bottom && y + ROW > top;
        const inside = index >= first && index < end;
        assert.ok(inside || !touches, `${total} ${split} ${columns} ${top}: tile ${index} is missing`);
        assert.ok(!inside || (y < bottom + ROW + HEADING && y + 2 * ROW + HEADING > top), `${total} ${split} ${columns} ${top}: tile ${index} is far`);
      }
    }
  }
});

test("moving by rows keeps the column, crosses the heading, and ends at the ends", () => {
  const layout = make(9, 4, 3); // rows: 0 1 2 | 3 | 4 5 6 | 7 8
  assert.equal(layout.move(0, 1), 3);
  assert.equal(layout.move(2, 1), 3, "the row is shorter");
  assert.equal(layout.move(2, 2), 6);
  assert.equal(layout.move(6, 1), 8);
  assert.equal(layout.move(5, -1), 3);
  assert.equal(layout.move(7, -9), 1 - 1);
  assert.equal(layout.move(1, 99), 8);
});

test("the photo at a height is the first of its row, and of the next one below a heading", () => {
  const layout = make(9, 4, 3);
  assert.deepEqual([-50, 0, 99, 100, 205, 250, 340, 9999].map((y) => layout.indexAt(y)), [0, 0, 0, 3, 4, 4, 7, 8]);
});
