import assert from "node:assert/strict";
import test from "node:test";
import {
  announce, describeEnd, describeNote, describePull, describeRun, describeSummary, describeWatch, estimateLeft, formatDuration, formatRate, formatSeconds, groupReasons,
  readChoice, readPatterns, writeChoice,
} from "../../../photosearch/web/static/runs.mjs";

const RUN = {number: 1, running: true, stopping: false, stopped: false, error: null, done: 0, total: null, rate: 0, seconds: 1, summary: null};

test("a run tells how far it is, how fast, and how long it takes", () => {
  assert.equal(describeRun(RUN), "Starting: the model is loaded, and the photos are counted.");
  assert.equal(describeRun({...RUN, total: 1}), "Starting: 1 photo.");
  assert.equal(describeRun({...RUN, done: 12, rate: 8.34}), "12 photos so far, 8.3 a second");
  assert.equal(describeRun({...RUN, done: 1200, total: 4000, rate: 14}), "1,200 of 4,000 photos, 14 a second, about 3 minutes left");
  assert.equal(describeRun({...RUN, done: 5, total: 4, rate: 14}), "5 photos so far, 14 a second", "more came while they were counted");
  assert.equal(describeRun({...RUN, stopping: true, done: 5}), "Finishing the current batch. What is done is kept.");
});

test("the time left is unknown without a total or a rate", () => {
  assert.equal(estimateLeft({done: 10, total: 110, rate: 2}), 50);
  assert.equal(estimateLeft({done: 10, total: null, rate: 2}), null);
  assert.equal(estimateLeft({done: 10, total: 110, rate: 0}), null);
  assert.deepEqual([20, 60, 90, 5000, 6000, 80000].map(formatDuration),
    ["less than a minute", "about 1 minute", "about 2 minutes", "about 83 minutes", "about 2 hours", "about 22 hours"]);
});

test("speeds and times are rounded to what a person reads", () => {
  assert.deepEqual([0.04, 8.34, 9.96, 10.4, 1234.5].map(formatRate), ["0", "8.3", "10", "10", "1,235"]);
  assert.deepEqual([2.04, 9.94, 35.4, 99.6, 100, 6000].map(formatSeconds), ["2.0 s", "9.9 s", "35 s", "100 s", "2 min", "100 min"]);
  assert.deepEqual([44, 45, 5399, 5400].map(formatDuration), ["less than a minute", "about 1 minute", "about 90 minutes", "about 2 hours"]);
});

test("the end of a run says what was done, or why it could not be", () => {
  const ended = {...RUN, running: false, done: 300, total: 300, seconds: 35};
  const summary = {new: 290, unchanged: 8, unreadable: 2, moved: 0};
  assert.equal(describeEnd({...ended, summary}), "Done: 300 photos in 35 s: 290 new, 8 unchanged, 2 unreadable.");
  assert.equal(describeEnd({...ended, done: 12, stopped: true, summary}), "Stopped after 12 of 300 photos. What is done is kept; index again to go on.");
  assert.equal(describeEnd({...ended, error: "/x: no such folder"}), "/x: no such folder");
  assert.equal(describeEnd({...ended, total: null, stopped: true, summary}), "Stopped after 300 photos. What is done is kept; index again to go on.");
  assert.equal(describeSummary({new: 0}), "nothing new");
  assert.equal(describeSummary(Object.fromEntries(["new", "changed", "rescored", "unchanged", "moved", "returned", "unreadable", "excluded", "removed"].map((name, i) => [name, 1000 * i]))),
    "1,000 changed, 2,000 rescored, 3,000 unchanged, 4,000 moved, 5,000 returned, 6,000 unreadable, 7,000 excluded, 8,000 removed");
  assert.equal(describeSummary(null), "");
});

test("a screen reader hears the start, each tenth, and the end", () => {
  const at = (done) => ({...RUN, done, total: 100, rate: 10});
  assert.equal(announce(null, at(0)), "Indexing has begun");
  assert.equal(announce(at(0), at(9)), "");
  assert.equal(announce(at(0), {...at(30), number: 2}), "Indexing has begun", "another run");
  assert.equal(announce({...at(10), stopping: true}, {...at(30), stopping: true}), "");
  assert.equal(announce(at(9), {...at(50), total: null}), "");
  assert.equal(announce(at(9), at(10)), "10 of 100 photos, 10 a second, less than a minute left");
  assert.equal(announce(at(10), {...at(10), stopping: true}), "Finishing the current batch. What is done is kept.");
  assert.match(announce(at(99), {...at(100), running: false, summary: {new: 100}}), /^Done: 100 photos/);
  assert.equal(announce({...at(100), running: false}, {...at(100), running: false}), "");
  assert.equal(announce({...at(100), running: false}, {...at(0), number: 2}), "Indexing has begun");
});

test("notes name the folder and what to do", () => {
  assert.equal(describeNote({event: "ListFailed", path: "/a", reason: "permission denied"}), "/a: can't be listed: permission denied; its photos stay in the library");
  assert.match(describeNote({event: "RemovalRefused", path: "/a", missing: 90, known: 100}), /^\/a: 90 of 100 photos are missing, .*“Remove missing photos”/);
  assert.equal(describeNote({event: "PatternUnused", path: "/a", pattern: "*.gif", excludes: true}), "“*.gif” excludes nothing in /a");
  assert.match(describeNote({event: "RemovalRefused", path: "/a", missing: 1200, known: 1}), /^\/a: 1,200 of 1 photo are missing/);
  assert.equal(describeNote({event: "RootMoved", before: "/old", path: "/new"}), "/old is now /new; nothing is indexed again");
  assert.equal(describeNote({event: "NotScored", photos: 2, path: "/a/1.jpg", reason: "too large"}), "2 photos not scored, the first is /a/1.jpg: too large; index again");
  assert.equal(describeNote({event: "PatternUnused", path: "/a", pattern: "b", excludes: false}), "“b” includes nothing that is excluded in /a");
  assert.equal(describeNote({event: "Unknown", path: "/a"}), "Unknown: /a");
});

test("unreadable photos are grouped by reason, the most frequent first", () => {
  const photos = [["a", "empty"], ["b", "broken"], ["c", "broken"]].map(([path, reason]) => ({path, reason}));
  assert.deepEqual(groupReasons(photos).map(({reason, photos: found}) => [reason, found.map(({path}) => path)]), [["broken", ["b", "c"]], ["empty", ["a"]]]);
});

test("patterns that were not changed stay as they are", () => {
  assert.deepEqual(readPatterns(" *.gif \n\nScreenshots/\n", null), ["*.gif", "Screenshots/"]);
  assert.equal(readPatterns("", ["*.gif"]), null);
  assert.deepEqual(readPatterns("", []), [], "none at all, whatever the folder above excludes");
  assert.equal(readPatterns("\n", null), null);
  assert.deepEqual(readPatterns("*.gif", ["*.gif"]), ["*.gif"]);
});

test("a choice of three is null, true or false", () => {
  assert.deepEqual(["", "yes", "no"].map(readChoice), [null, true, false]);
  assert.deepEqual([null, undefined, true, false].map(writeChoice), ["", "", "yes", "no"]);
});

test("a download tells how far it is, and how it ended", () => {
  const format = (n) => `${n} B`, pull = {name: "clip", running: true, bytes: 5, size_bytes: 10, error: null, remarks: []};
  assert.equal(describePull({name: ""}, format), "");
  assert.equal(describePull(pull, format), "clip: 5 B of 10 B");
  assert.equal(describePull({...pull, bytes: 10}, format), "clip: checking and adding it");
  assert.equal(describePull({...pull, running: false, error: "clip: failed"}, format), "clip: failed");
  assert.match(describePull({...pull, running: false, remarks: ["It is slow."]}, format), /^clip is here\. .* It is slow\.$/);
});

test("watched folders tell what changed last, and that they stop", () => {
  const state = {number: 1, running: true, stopping: false, indexing: false, summary: null, error: null};
  assert.equal(describeWatch(state, "", "/photos"), "Watching /photos. Nothing has changed yet.");
  const changed = {...state, summary: {new: 2, removed: 1, unchanged: 0}};
  assert.equal(describeWatch(changed, "22:10", "/photos"), "Watching /photos. Last change, 22:10: 2 new, 1 removed.");
  assert.equal(describeWatch({...changed, indexing: true}, "22:10", "/photos"),
    "Watching /photos; indexing what has changed. Last change, 22:10: 2 new, 1 removed.");
  assert.equal(describeWatch({...state, stopping: true}, "", "/photos"), "Stopping. What is done is kept.");
  assert.equal(describeWatch({...changed, running: false}, "22:10", "/photos"), "Not watching any more. Last change, 22:10: 2 new, 1 removed.");
  assert.equal(describeWatch({...state, error: "no"}, "", "/photos"), "no");
  assert.equal(describeWatch({...state, number: 0, running: false}, "", ""), "");
});

test("how a folder is watched, and why its photos were not removed, is told", () => {
  assert.equal(describeNote({event: "WatchStarted", path: "/a", seconds: null, reason: ""}), "/a: changes are reported by the system");
  assert.equal(describeNote({event: "WatchStarted", path: "/a", seconds: 60, reason: "it is on a network (nfs)"}),
    "/a: looked at every 60 s, since it is on a network (nfs)");
  assert.match(describeNote({event: "FolderAway", path: "/a"}), /not connected/);
  assert.match(describeNote({event: "RemovalRefused", path: "/a", missing: 3, known: 7, earlier: 4}), /^\/a: 3 of 7 photos are missing after 4 others, so none/);
});
