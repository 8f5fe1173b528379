// /duplicates
import {HOSTILE, STATUS, makeDetails} from "/tests/photos.js";
const {click, equal, Failure, find, last, later, serve, test, text, texts, type, until} = harness;

const member = (id, kind, values = {}) => ({image_id: id, name: `${id}.jpg`, path: `/a/${id}.jpg`, kind, width: 60, height: 40, size_bytes: 2000, ...values});
const GROUPS = [[member(1, "kept"), member(2, "same content", {path: `/a/${HOSTILE}`})], [member(3, "raw pair"), member(4, "near")]];

test("groups come some at a time, each with the photo to keep", async () => {
  serve({status: STATUS, duplicates: ({query}) => ({list: "l1", total: 3, spare_bytes: 3_000_000, groups: query.first === "0" ? GROUPS : [[member(5, "kept")]]})});
  await until(() => texts(".group").length === 2);
  equal([last("duplicates").first, last("duplicates").near, text("#summary"), find("#more").hidden], ["0", "yes", "3 groups. Removing extra copies would free 3.0 MB.", false]);
  equal(texts(".member b"), ["Keep this one", "Identical file", "Keep: RAW and JPEG of one shot", "Same picture"]);
  equal([texts(".member bdi")[1], find(".member button").ariaLabel, find(".member img").getAttribute("src")], [`/a/${HOSTILE}`, "Details of 1.jpg", "/thumbnails/1"]);
  equal([...document.querySelectorAll(".group")].map((each) => each.ariaLabel), ["Group 1", "Group 2"]);
  await click("#more");
  equal([last("duplicates").first, last("duplicates").list, texts(".group").length, find("#more").hidden, find(".group:nth-child(3)").ariaLabel], ["2", "l1", 3, true, "Group 3"]);
  serve({details: makeDetails(1), neighbours: [], exposure: {}});
  await click(".member button");
  equal(last("details"), {image_id: "1"});
  await click("#details-close");
});

test("identical files alone are another list, and an older answer is not shown", async () => {
  const old = later();
  serve({duplicates: () => old.promise});
  await type("#kind", "exact", "change");
  equal([last("duplicates").near, last("duplicates").first, last("duplicates").list, texts(".group"), text("#summary")], ["no", "0", undefined, [], "Searching…"]);
  serve({duplicates: {list: "l2", total: 0, spare_bytes: 0, groups: []}});
  await type("#kind", "near", "change");
  await old.answer({list: "l1", total: 2, spare_bytes: 0, groups: GROUPS});
  equal([texts(".group"), text("#summary"), find("#more").hidden], [[], "No duplicates found.", true]);
  serve({duplicates: new Failure(500, "locked")});
  await type("#keep", "raw", "change");
  equal(last("duplicates").keep, "raw");
  equal([text("#message"), text("#summary")], ["locked", ""]);
});
