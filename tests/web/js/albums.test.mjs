// What the page says of albums, and of what was undone.
import assert from "node:assert/strict";
import test from "node:test";
import {describeChange, describeTarget, describeUndone} from "../../../photosearch/web/static/albums.mjs";

test("a typed name is an album that is there, whatever its case and spaces, or a new one", () => {
  const albums = [{name: "Rome 2019", photos: 1}, {name: "Rex", photos: 1200}];
  assert.equal(describeTarget(" rome  2019", albums), "“Rome 2019” has 1 photo.");
  assert.equal(describeTarget("REX", albums), "“Rex” has 1,200 photos.");
  assert.equal(describeTarget("Rome", albums), "A new album.");
  assert.equal(describeTarget("  ", albums), "You have 2 albums.");
  assert.equal(describeTarget("", []), "This will be your first album.");
});

test("a change of an album is told, and that nothing changed", () => {
  assert.equal(describeChange({name: "Rex", photos: 2, created: true}, true), "“Rex” was created, with 2 photos");
  assert.equal(describeChange({name: "Rex", photos: 1, created: false}, true), "1 photo added to “Rex”");
  assert.equal(describeChange({name: "Rex", photos: 10_000, created: false}, false), "10,000 photos removed from “Rex”");
  assert.equal(describeChange({name: "Rex", photos: 0, created: false}, true), "“Rex” has these photos already");
  assert.equal(describeChange({name: "Rex", photos: 0, created: false}, false), "None of these photos is in “Rex”");
});

test("what was undone is named, of marks and of albums", () => {
  assert.equal(describeUndone({marks: [{label: "bird"}], album: null}), "Undone: bird");
  assert.equal(describeUndone({marks: [{label: "bird"}, {label: "bird"}], album: null}), "Undone: 2 marks");
  assert.equal(describeUndone({marks: [], album: {name: "Rex", change: "created", images: 3}}), "Undone: “Rex” was made");
  assert.equal(describeUndone({marks: [], album: {name: "Rex", change: "photos", images: 3}}), "Undone: “Rex” changed by 3 photos");
});
