// A selection is ranges, and behaves like a set of indices.
import assert from "node:assert/strict";
import test from "node:test";
import {Selection} from "../../../photosearch/web/static/selection.mjs";

test("a selection is the same as a set, whatever is set and unset", () => {
  const selection = new Selection(), set = new Set();
  let seed = 7;
  const random = (n) => { seed = (seed * 48271) % 2147483647; return seed % n; };
  for (let i = 0; i < 400; i += 1) {
    const first = random(60), end = first + 1 + random(12), isSelected = random(3) > 0;
    selection.set(first, end, isSelected);
    for (let index = first; index < end; index += 1) if (isSelected) set.add(index); else set.delete(index);
    assert.equal(selection.size, set.size);
    assert.deepEqual(selection.toList().flatMap((at, j, all) => (j % 2 ? [] : Array.from({length: all[j + 1] - at}, (_, k) => at + k))),
      [...set].sort((a, b) => a - b));
    assert.ok(selection.toList().every((at, j, all) => !j || at > all[j - 1]), "ranges lie apart");
  }
});

test("a click begins a range, and shift goes on from it in both directions", () => {
  const selection = new Selection();
  selection.toggle(10);
  selection.extend(12);
  selection.extend(8);
  assert.deepEqual(selection.toList(), [8, 13]);
  selection.toggle(11);
  assert.deepEqual([selection.has(11), selection.has(12), selection.size], [false, true, 4]);
  selection.set(0, 1_000_000, true);
  assert.deepEqual(selection.toList(), [0, 1_000_000]);
  selection.clear();
  selection.extend(5);
  selection.extend(7);
  assert.deepEqual(selection.toList(), [5, 8], "without a click, a range begins where shift was first held");
  selection.clear();
  assert.equal(selection.size, 0);
});
