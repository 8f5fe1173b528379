// The map's projection and windows; the outlines that come with it.
import assert from "node:assert/strict";
import {readFileSync} from "node:fs";
import test from "node:test";
import {clampView, decodeWorld, findBox, fitAll, fitBox, measureReach, mergeClusters, nearBox, project, readView, toScale, unproject, writeView} from "../../../photosearch/web/static/mercator.mjs";

const WINDOW = {width: 800, height: 600};

test("a place is projected and found again", () => {
  assert.deepEqual(project(0, 0).map((n) => Number(n.toFixed(9))), [0.5, 0.5]);
  const {latitude, longitude} = unproject(...project(41.15, -8.61));
  assert.ok(Math.abs(latitude - 41.15) < 1e-9 && Math.abs(longitude + 8.61) < 1e-9);
});

test("a window stays in the world, and a box that is shown lies in its window", () => {
  const view = clampView({x: -3, y: 9, scale: toScale(4)}, WINDOW), box = findBox(view, WINDOW);
  assert.ok(box.west >= -180 && box.west < -179.9 && box.south > -85.1 && box.south < -84);
  const porto = {south: 41.1, north: 41.2, west: -8.7, east: -8.5}, shown = findBox(fitBox(porto, WINDOW), WINDOW);
  assert.ok(shown.south < porto.south && shown.north > porto.north && shown.west < porto.west && shown.east > porto.east);
  assert.ok(measureReach(shown) < 5 * measureReach(porto));
});

test("a box becomes a circle of a question, unless it is too wide for one", () => {
  assert.equal(nearBox({south: 41, north: 41, west: -8, east: -8}), "41.0000,-8.0000~0.2km");
  assert.match(nearBox({south: 41, north: 41.1, west: -8.1, east: -8}), /^41\.0500,-8\.0500~7\.\d+km$/);
  assert.equal(nearBox({south: 0, north: 40, west: 0, east: 40}), null);
});

test("a view is written and read; nonsense is none", () => {
  const view = readView("41.15,-8.61,12");
  assert.equal(writeView(view), "41.1500,-8.6100,12.00");
  assert.deepEqual([readView(null), readView("1,2"), readView("91,0,3"), readView("a,b,c")], [null, null, null, null]);
});

test("the outlines are those of the world: Lisbon is land, the middle of the Atlantic is not", () => {
  const world = decodeWorld(JSON.parse(readFileSync(new URL("../../../photosearch/web/static/world.json", import.meta.url))));
  const isInside = (ring, [x, y]) => ring.reduce((inside, [ax, ay], i) => {
    const [bx, by] = ring[(i + 1) % ring.length];
    return (ay > y) !== (by > y) && x < ((bx - ax) * (y - ay)) / (by - ay) + ax ? !inside : inside;
  }, false);
  const isLand = (latitude, longitude) => world.land.some(([outer]) => isInside(outer, project(latitude, longitude)));
  assert.deepEqual([[39, -8], [48.8, 2.3], [-25, 135], [35, -40], [0, 0]].map((at) => isLand(...at)), [true, true, true, false, false]);
  assert.deepEqual([[67, 178], [67, -176], [-80, 0], [-75, 140], [60, -10], [-16.5, 0]].map((at) => isLand(...at)), [true, true, true, true, false, false],
    "what crosses 180 degrees is no band around the world");
  assert.ok(world.lines.length > 100 && world.lines.every((line) => line.length > 0) && world.lines.flat().length > 2000, "borders and coasts");
  assert.ok(world.lines.every((line) => line.every(([x], i) => !i || Math.abs(x - line[i - 1][0]) < 0.5)));
});

test("clusters that would cover each other are one", () => {
  const make = (photos, latitude, longitude) => ({photos, latitude, longitude, south: latitude, north: latitude, west: longitude, east: longitude});
  const merged = mergeClusters([make(7, 38.7, -9.1), make(8, 38.71, -9.12), make(13, 41.1, -8.6)], toScale(8), 52);
  assert.deepEqual(merged.map(({photos, south, north}) => [photos, south, north]), [[13, 41.1, 41.1], [15, 38.7, 38.71]]);
  assert.equal(mergeClusters(merged, toScale(17), 52).length, 2);
});

test("a map opens with all photos, and with no less than a region", () => {
  const box = (latitude, longitude) => ({south: latitude, north: latitude, west: longitude, east: longitude}), window = {width: 390, height: 700};
  const isIn = (view, {south, west}) => { const {west: w, south: s, east: e, north: n} = findBox(view, window); return w < west && west < e && s < south && south < n; };
  for (const boxes of [[box(41.15, -8.61), box(-33.92, 18.42)], [box(41.15, -8.61)], [box(41.15, -8.61), box(41.16, -8.62)]]) {
    const view = fitAll(boxes, window);
    assert.ok(boxes.every((each) => isIn(view, each)), JSON.stringify(boxes));
    assert.ok(view.scale <= toScale(9));
  }
  assert.equal(fitAll([box(41.15, -8.61)], window).scale, toScale(9));
});
