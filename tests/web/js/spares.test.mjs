// What the page says of duplicates, and of spare photos that are moved.
import assert from "node:assert/strict";
import test from "node:test";
import {describeBursts, describeGroups, describeMember, describeMove, describePlan} from "../../../photosearch/web/static/spares.mjs";

test("each kind of photo in a group has words, and its reason", () => {
  assert.deepEqual(describeMember({kind: "kept", reason: "larger; has GPS"}), {title: "Keep this one", reason: "Kept: larger; has GPS"});
  assert.deepEqual(describeMember({kind: "near", reason: "smaller"}), {title: "Same picture", reason: "smaller"});
  for (const kind of ["same content", "near", "raw pair", "edited copy", "live photo"]) {
    assert.notEqual(describeMember({kind, reason: ""}).title, kind, kind);
  }
});

test("groups and bursts are counted", () => {
  assert.equal(describeGroups({total: 1, spare_bytes: 2e6}), "1 group. Removing extra copies would free 2.0 MB.");
  assert.equal(describeGroups({total: 0, spare_bytes: 0}), "No duplicates found.");
  assert.equal(describeBursts({total: 2, photos: 7}), "2 bursts, 7 photos");
  assert.equal(describeBursts({total: 0, photos: 0}), "No bursts found.");
});

const PLAN = {folder: "/spare", photos: 3, beside: 1, size_bytes: 4e6, n_left: 0, excluded_from: null, unfinished: 0};

test("a plan names what would be moved where, and what else it would do", () => {
  assert.deepEqual(describePlan(PLAN), {isEmpty: false, lines: [
    "This would move 3 spare photos and 1 file beside them, 4.0 MB, to /spare. Nothing is deleted."]});
  assert.deepEqual(describePlan({...PLAN, photos: 0, beside: 0, n_left: 2}), {isEmpty: true, lines: ["Nothing to move.", "2 photos would stay:"]});
  const {isEmpty, lines} = describePlan({...PLAN, photos: 0, beside: 0, unfinished: 1, excluded_from: "/photos"});
  assert.equal(isEmpty, false);
  assert.deepEqual(lines.slice(1), ["A move was cut off there; it is finished first.", "That folder is in /photos: it will be excluded from indexing."]);
});

const MOVE = {running: false, back: false, done: 2, total: 2, photos: 2, files: 3, size_bytes: 1e6, error: null, folder: "/spare", n_left: 0};

test("a move is told while it goes on, once it has ended, and back", () => {
  assert.equal(describeMove({...MOVE, running: true, done: 1}), "Moving: 1 of 2");
  assert.equal(describeMove({...MOVE, running: true, back: true, done: 1, total: null}), "Moving back: 1 photo");
  assert.equal(describeMove(MOVE), "Moved 2 photos and 1 file beside them, 1.0 MB, to /spare.");
  assert.equal(describeMove({...MOVE, n_left: 1}), "Moved 2 photos and 1 file beside them, 1.0 MB, to /spare. 1 file stayed:");
  assert.equal(describeMove({...MOVE, back: true, files: 2}), "Moved back 2 photos.");
  assert.equal(describeMove({...MOVE, error: "no room"}), "no room");
});
