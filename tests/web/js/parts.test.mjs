// A failed part of the grid is asked for again, and rows of an older list are never given for a newer one.
import assert from "node:assert/strict";
import test from "node:test";
import {Parts} from "../../../photosearch/web/static/parts.mjs";

const count = (first, n) => Array.from({length: n}, (_, i) => first + i);

function makeParts(fetch = async (first, n) => count(first, n)) {
  const asked = [], errors = [];
  const parts = new Parts((first, n) => { asked.push(first); return fetch(first, n); },
    {size: 10, most: 3, failed: (error) => errors.push(error.message)});
  return {parts, asked, errors};
}

test("each part is fetched once, when one of its rows is wanted", async () => {
  const {parts, asked} = makeParts();
  parts.reset([], 100);
  assert.deepEqual(await Promise.all([12, 15, 19, 40].map((index) => parts.row(index))), [12, 15, 19, 40]);
  assert.deepEqual(asked, [10, 40]);
});

test("the first rows of a list are not fetched again, unless they end within a part", async () => {
  const {parts, asked} = makeParts();
  parts.reset(count(0, 15), 100);
  assert.equal(await parts.row(9), 9);
  assert.deepEqual(asked, []);
  assert.equal(await parts.row(17), 17);
  assert.deepEqual(asked, [10]);
  parts.reset(count(0, 15), 15);
  assert.equal(await parts.row(14), 14);
  assert.deepEqual(asked, [10]);
});

test("a failed part is told, gives no row, and is asked for again", async () => {
  let fails = true;
  const {parts, asked, errors} = makeParts(async (first, n) => {
    if (fails) throw new Error("server error 500");
    return count(first, n);
  });
  parts.reset([], 100);
  assert.deepEqual(await Promise.all([parts.row(20), parts.row(21)]), [undefined, undefined]);
  assert.deepEqual(errors, ["server error 500"]);
  fails = false;
  assert.equal(await parts.row(20), 20);
  assert.deepEqual(asked, [20, 20]);
});

test("what arrives for an older list is not given for a newer one, a failure included", async () => {
  const answers = [];
  const {parts, errors} = makeParts(() => new Promise((resolve, reject) => answers.push({resolve, reject})));
  parts.reset([], 100);
  const old = [parts.row(0), parts.row(10)];
  parts.reset([], 100);
  const current = parts.row(0);
  answers[2].resolve(["new"]);
  answers[0].resolve(["old"]);
  answers[1].reject(new Error("gone"));
  assert.deepEqual(await Promise.all([...old, current]), [undefined, undefined, "new"]);
  assert.equal(await parts.row(0), "new");
  assert.deepEqual(errors, []);
});

test("the parts farthest away are dropped, and fetched again when they are wanted", async () => {
  const {parts, asked} = makeParts();
  parts.reset([], 1000);
  for (const index of [0, 100, 200, 300, 400]) await parts.row(index);
  parts.drop(400);
  assert.deepEqual(await parts.loaded(), [200, 300, 400].flatMap((first) => count(first, 10)));
  await parts.row(400);
  await parts.row(0);
  assert.deepEqual(asked, [0, 100, 200, 300, 400, 0]);
});
