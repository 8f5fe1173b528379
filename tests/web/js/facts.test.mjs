// What the details of a photo say, and what they leave out.
import assert from "node:assert/strict";
import test from "node:test";
import {describePhoto, mapsTo} from "../../../photosearch/web/static/facts.mjs";

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
