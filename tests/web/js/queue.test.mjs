// A photo to judge is lost by no failure, and one that was skipped does not come back at once.
import assert from "node:assert/strict";
import test from "node:test";
import {Queue, describeItem, explainEmpty} from "../../../photosearch/web/static/queue.mjs";

const makeQueue = (...ids) => { const queue = new Queue(); queue.load(list(...ids)); return queue; };
const list = (...ids) => ({items: ids.map((id) => ({image_id: id}))});
const ids = ({items}) => items.map(({image_id: id}) => id);

test("photos are asked about in order, and one whose mark failed is the next again", () => {
  const queue = makeQueue(1, 2, 3), {item, isCurrent, putBack} = queue.take();
  assert.deepEqual([item.image_id, ids(queue), isCurrent()], [1, [2, 3], true]);
  putBack();
  assert.deepEqual(ids(queue), [1, 2, 3]);
});

test("a photo of an older list is not put into a newer one", () => {
  const queue = makeQueue(1, 2), {isCurrent, putBack} = queue.take();
  queue.load(list(7, 8));
  putBack();
  assert.deepEqual([isCurrent(), ids(queue)], [false, [7, 8]]);
});

test("a skipped photo stays away until it is asked for, or everything skipped is", () => {
  const queue = makeQueue(1, 2, 3);
  queue.skip();
  queue.skip();
  queue.load(list(1, 2, 3, 4));
  assert.deepEqual(ids(queue), [3, 4]);
  queue.ask(new Set([2]));
  queue.load(list(1, 2, 3, 4), new Set([2, 4]));
  assert.deepEqual(ids(queue), [2, 4, 3], "what was unmarked comes first");
  queue.forgetSkipped();
  queue.load(list(1, 2));
  assert.deepEqual(ids(queue), [1, 2]);
});

test("an empty queue has nothing to take or to skip", () => {
  const queue = makeQueue();
  queue.skip();
  assert.deepEqual([queue.take().item, queue.skipped.size, new Queue().items, new Queue().about], [undefined, 0, [], null]);
});

test("a sample shows no score, the other lists do", () => {
  const item = {score: 0.51239, other_score: null}, about = {kind: "near", model: "sight", threshold: 0.5, other_model: null};
  assert.equal(describeItem(item, {...about, kind: "sample"}, 3), "3 photos left in the sample");
  assert.equal(describeItem(item, about, 3), "sight: score 0.512, threshold 0.500");
  assert.equal(describeItem({...item, other_score: 0.25}, {...about, kind: "disagree", other_model: "toy"}, 3), "sight: score 0.512, threshold 0.500; toy: score 0.250");
});

test("an empty list says why it is empty", () => {
  assert.deepEqual([{kind: "sample", unjudged: null}, {kind: "sample", unjudged: 0}, {kind: "disagree", model: "a", other_model: "b"},
    {kind: "disagree", other_model: null}, {kind: "near"}].map(explainEmpty),
  ["No sample was drawn yet.", "The whole sample is judged: the report now covers the whole library.", "a and b agree on all other photos.",
    "Only one model has this label.", "All photos with a score are judged."]);
});
