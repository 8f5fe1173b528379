// A list of any height is seen from one end to the other, by small steps and by long ones.
import assert from "node:assert/strict";
import test from "node:test";
import {ScrollMap} from "../../../photosearch/web/static/scroll.mjs";

const VIEW = 1000;
const make = (height, most = 100_000) => { const map = new ScrollMap(most); map.resize(height, VIEW); return map; };

test("a list that fits is scrolled as the page is", () => {
  const map = make(50_000);
  assert.deepEqual([map.shown, map.scroll(0), map.scroll(300), map.scroll(48_000), map.offset, map.settle()], [50_000, 0, 300, 48_000, 0, null]);
});

test("a long step goes in proportion, a small one pixel by pixel", () => {
  const map = make(10_000_000);
  assert.equal(map.shown, 100_000);
  const middle = map.scroll(49_500);
  assert.equal(middle, 4_999_500, "half of the page is half of the list");
  assert.equal(map.scroll(49_600), middle + 100);
  const at = map.settle();
  assert.ok(Math.abs(at - 49_501) <= 1, `${at}`);
  assert.equal(map.scroll(at), middle + 100, "what is seen stays");
  assert.equal(map.settle(), null, "it is there");
});

test("the page's end is the list's end, however it is come to", () => {
  const map = make(10_000_000);
  for (const at of [94_000, 95_500, 97_000, 98_500]) map.scroll(at);
  assert.ok(map.top < 10_000_000 - 2 * VIEW, "small steps, and no rest");
  assert.equal(map.scroll(99_000), 10_000_000 - VIEW);
});

test("both ends are reached by small steps from anywhere", () => {
  for (const [start, step] of [[20_000, -90], [80_000, 90]]) {
    const map = make(3_000_000);
    let page = start, last = map.scroll(page), n = 0;
    for (; n < 60_000 && map.top > 0 && map.top < 3_000_000 - VIEW; n += 1) {
      page += step;
      const top = map.scroll(page);
      assert.ok(Math.abs(top - last) <= 91, `from ${last} to ${top} at ${page}`);
      last = top;
      if (n % 40 === 0 || map.isUrgent) page = map.settle() ?? page;
    }
    assert.ok(step < 0 ? map.top <= 0 : map.top >= 3_000_000 - VIEW, `${map.top} after ${n}`);
  }
});

test("a jump says where the page has to be", () => {
  const map = make(3_000_000);
  const page = map.jump(1_234_567);
  assert.equal(map.scroll(page), 1_234_567);
  assert.equal(map.offset, 1_234_567 - page);
  assert.equal(map.settle(), null);
  map.resize(3_000_000, 2 * VIEW);
  assert.equal(map.top, 1_234_567, "a larger window shows the same place");
  map.resize(50_000, VIEW);
  assert.deepEqual([map.top, map.offset, map.isUrgent], [page, 0, false], "a list that is short now is scrolled as the page is");
  const short = make(500);
  assert.equal(short.jump(400), 0, "it all fits");
  map.resize(3_000_000, VIEW);
  assert.equal(map.jump(9e9), 100_000 - VIEW);
  assert.equal(map.top, 3_000_000 - VIEW);
});
