// Folders become a tree, whatever their names are.
import assert from "node:assert/strict";
import test from "node:test";
import {makeTree} from "../../../photosearch/web/static/tree.mjs";

test("a folder lies in the one whose path it goes on with, and beside one that only begins alike", () => {
  const rows = ["/a", "/a/b", "/a/b/c", "/a/bc", "/d"].map((path) => ({path}));
  const show = (nodes) => nodes.map(({name, children}) => [name, show(children)]);
  assert.deepEqual(show(makeTree(rows)), [["/a", [["b", [["c", []]]], ["bc", []]]], ["/d", []]]);
  assert.deepEqual(show(makeTree([{path: "/"}, {path: "/x"}])), [["/", [["x", []]]]]);
  assert.deepEqual(show(makeTree([{path: "C:\\p"}, {path: "C:\\p\\q"}])), [["C:\\p", [["q", []]]]]);
});
