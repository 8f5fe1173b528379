// What the details of a photo say, and what they leave out.
import assert from "node:assert/strict";
import test from "node:test";
import {describePhoto, formatBytes, mapsTo} from "../../../photosearch/web/static/facts.mjs";

const FILE = {name: "a.jpg", path: "/photos/rome/a.jpg", size_bytes: 2_000_000, mtime_ns: null};
const IMAGE = {width: 40, height: 30, taken: "2020-05-01T12:00:00", taken_from: "DateTimeOriginal", files: [FILE]};

test("a photo of which little is known has few lines", () => {
  assert.deepEqual(describePhoto(IMAGE), [
    {title: "Taken", text: "2020-05-01 12:00:00 (DateTimeOriginal)", link: null},
    {title: "Size", text: "40 × 30 pixels, 2.0 MB", link: null}, {title: "Folder", text: "/photos/rome", link: null}]);
});

test("what the photo's own file says is shown, not what a copy's says", () => {
  const details = {latitude: -33.05, longitude: 151.2, where: "Sydney, Australia", camera: "Canon EOS 5D", lens: null, rating: 4, people: ["Anna", "Ben"],
    taken: "2021-01-01T00:00:00", taken_from: "xmp"};
  const image = {...IMAGE, files: [FILE, {...FILE, path: "/b/a.jpg", details}]};
  const lines = Object.fromEntries(describePhoto(image, {path: "/b/a.jpg"}, {exposure_seconds: 0.004, aperture: 2.8, iso: 200, focal_length: 50.04}).map(({title, text}) => [title, text]));
  assert.deepEqual([lines.Taken, lines.Place, lines.Position, lines.People, lines.Rating, lines.Exposure],
    ["2021-01-01 00:00:00 (xmp)", "Sydney, Australia", "33.05000° S, 151.20000° E", "Anna, Ben", "★★★★ (4)", "1/250 s, f/2.8, ISO 200, 50 mm"]);
  assert.equal(describePhoto(image).find(({title}) => title === "Place"), undefined);
  assert.equal(String(mapsTo(details)), "at=-33.05000%2C151.20000%2C12");
});

test("what is known of a photo is said, whoever says it", () => {
  const say = (image, row, exposure) => Object.fromEntries(describePhoto({...IMAGE, ...image}, row, exposure).map(({title, text}) => [title, text]));
  const withDetails = (details, values = {}) => ({files: [{...FILE, ...values, details}]});
  assert.equal(say({taken: null}).Taken, "Date unknown");
  assert.equal(say({taken: null}, {path: "/x", taken: "2019-02-03T04:05:06", taken_from: "name"}).Taken, "2019-02-03 04:05:06 (file name)");
  assert.equal(say({taken: null}, {path: "/x", taken: "2019-02-03T04:05:06", taken_from: "file"}).Taken, "Date unknown");
  assert.deepEqual(["title", "caption", "camera", "lens"].map((name) => Object.entries(say(withDetails({[name]: "<b>"}))).find(([, text]) => text === "<b>")[0]),
    ["Title", "Caption", "Camera", "Lens"]);
  assert.deepEqual([-1, 0, 3.4].map((rating) => say(withDetails({rating})).Rating), ["rejected", undefined, "★★★ (3.4)"]);
  assert.equal(say(withDetails({keywords: ["a", "b"]})).Keywords, "a, b");
  assert.equal(say(withDetails({location: "Alfama"})).Place, "Alfama");
  const nowhere = say(withDetails({latitude: 0, longitude: -1.5}));
  assert.deepEqual([nowhere.Place, nowhere.Position], ["0.00000° N, 1.50000° W", undefined], "a position is the place where no name is known");
  assert.deepEqual([0.25, 0.3, 2.04, null].map((seconds) => say({}, null, {exposure_seconds: seconds, aperture: 8, focal_length: 35}).Exposure),
    ["1/4 s, f/8, 35 mm", "0.3 s, f/8, 35 mm", "2 s, f/8, 35 mm", "f/8, 35 mm"]);
  assert.deepEqual([say(withDetails(null, {path: "C:\\p\\a.jpg"})).Folder, say(withDetails(null, {path: "/a.jpg"})).Folder], ["C:\\p", "/"]);
  assert.match(say(withDetails(null, {mtime_ns: Date.UTC(2020, 4, 1, 12) * 1e6})).Modified, /^2020-05-0\d \d\d:00:00$/);
});

test("bytes are in kB and MB", () => assert.deepEqual([1, 999_000, 999_999, 1e6, 1.25e7].map(formatBytes), ["1 kB", "999 kB", "1000 kB", "1.0 MB", "12.5 MB"]));
