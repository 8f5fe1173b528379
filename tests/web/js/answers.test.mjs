// A server error is not an answer, and a stale answer never replaces a newer one.
import assert from "node:assert/strict";
import test from "node:test";
import {Latest, neutralize, readAnswer} from "../../../photosearch/web/static/answers.mjs";

test("an answer is its JSON, null and an empty list included", () => {
  for (const [text, data] of [['{"total":3}', {total: 3}], ["[]", []], ["null", null]]) assert.deepEqual(readAnswer(200, text), data);
});

for (const [status, text, message] of [
  [400, '{"error":"no label"}', "no label"], [403, "Access denied.", "Access denied."], [500, "", "server error 500"],
  [500, "null", "null"], [503, '{"photos":[]}', '{"photos":[]}'], [302, "[]", "[]"],
]) {
  test(`status ${status} with ${JSON.stringify(text)} is an error`, () => {
    assert.throws(() => readAnswer(status, text), {name: "Error", message, status});
  });
}

test("a page, a part of JSON or nothing is no answer, whatever its status", () => {
  for (const text of ["<!doctype html>", '{"total":', ""]) assert.throws(() => readAnswer(200, text), /can't be read/);
});

test("only the latest of several requests may change the page, in whichever order they are answered", async () => {
  const latest = new Latest(), shown = [];
  const search = async (words, answered) => {
    const isLatest = latest.begin();
    await answered;
    if (isLatest()) shown.push(words);
  };
  let answerOld;
  const old = search("old", new Promise((resolve) => { answerOld = resolve; }));
  await search("new", Promise.resolve());
  answerOld();
  await old;
  assert.deepEqual(shown, ["new"]);
});

test("a request ends once another one takes its place", () => {
  const latest = new Latest(), other = new Latest(), {signal: old} = latest.begin();
  assert.equal(old.aborted, false);
  const {signal} = latest.begin();
  other.begin();
  assert.deepEqual([old.aborted, signal.aborted], [true, false]);
});

test("direction controls are shown as text, and other names are whole", () => {
  assert.equal(neutralize("gpj.\u202egnp\u2069"), "gpj.\\u202egnp\\u2069");
  for (const name of ["a\\b.jpg", "שלום.jpg", "à b.jpg"]) assert.equal(neutralize(name), name);
});
