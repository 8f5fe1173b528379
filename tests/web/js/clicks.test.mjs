// A second click takes a mark back, and a tab can undo after a mark of its own.
import assert from "node:assert/strict";
import test from "node:test";
import {Clicks, UndoSteps} from "../../../photosearch/web/static/clicks.mjs";

test("a click marks, a second click takes the mark back, the other button changes it", () => {
  const clicks = new Clicks();
  assert.equal(clicks.toggle("1 bird", null, true), true);
  assert.equal(clicks.toggle("1 bird", true, true), null);
  assert.equal(clicks.toggle("1 bird", true, false), false);
});

test("clicks count before they are answered, as many as there are", () => {
  const clicks = new Clicks(), asked = [];
  for (let i = 0; i < 4; i += 1) { // the page shows no mark all the while
    asked.push(clicks.toggle("1 bird", null, true));
    clicks.ask("1 bird", asked.at(-1));
  }
  assert.deepEqual(asked, [true, null, true, null]);
  assert.equal(clicks.toggle("2 bird", null, true), true, "of another photo");
  for (let i = 0; i < 3; i += 1) clicks.answer("1 bird");
  assert.equal(clicks.toggle("1 bird", true, true), true, "one is still asked for: no mark");
  clicks.answer("1 bird");
  assert.equal(clicks.toggle("1 bird", true, true), null, "the page is right again");
});

function makeStorage(text = null) {
  return {text, getItem() { return this.text; }, setItem(_, value) { this.text = value; }};
}

test("nothing can be undone before a mark, and the newest mark after it", () => {
  const steps = new UndoSteps(makeStorage());
  assert.equal(steps.last, undefined);
  steps.add(17);
  steps.add(19);
  assert.equal(steps.last, 19);
  steps.remove(19);
  assert.equal(steps.last, 17);
  steps.remove(17);
  assert.equal(steps.last, undefined);
});

test("a reloaded tab has its steps, another tab has none, and unusable storage is empty", () => {
  const storage = makeStorage();
  new UndoSteps(storage).add(5);
  assert.equal(new UndoSteps(storage).last, 5);
  assert.equal(new UndoSteps(makeStorage()).last, undefined);
  assert.equal(new UndoSteps(makeStorage("[")).last, undefined);
});

test("a hundred steps are kept", () => {
  const steps = new UndoSteps(makeStorage());
  for (let step = 1; step <= 150; step += 1) steps.add(step);
  assert.deepEqual([steps.all.length, steps.all[0], steps.last], [100, 51, 150]);
});
