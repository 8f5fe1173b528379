// /unreadable
import {HOSTILE, STATUS} from "/tests/photos.js";
const {click, elapse, equal, find, last, serve, test, text, texts, until} = harness;

const RUN = {number: 0, running: false, stopping: false, folders: [], done: 0, total: null, scored: 0, unreadable: 0, seconds: 0, rate: 0, notes: [], error: null, stopped: false, summary: null};
const photos = (n, reason, path = "/a") => Array.from({length: n}, (_, i) => ({path: `${path}/${i}.jpg`, reason, since: "2026-05-01T10:00:00Z"}));

test("photos stand below their reasons, some hundreds at a time", async () => {
  serve({status: STATUS, run: RUN, unreadable: [...photos(2, "<b>broken</b>", `/${HOSTILE}`), ...photos(450, "empty file")]});
  await until(() => texts("#rows details").length);
  equal(text("#summary"), "452 photos could not be read. The files are unchanged.");
  equal([texts("#rows summary"), [...document.querySelectorAll("#rows details")].map((each) => each.open)], [["empty file: 450 photos", "<b>broken</b>: 2 photos"], [true, true]]);
  const group = find("#rows details"), more = group.querySelector("button"), count = () => group.querySelectorAll("li").length;
  equal([count(), text(more), texts("#rows li").at(-1)], [200, "Show more", `/${HOSTILE}/1.jpg (since 2026-05-01)`]);
  await click(more);
  equal([count(), more.hidden], [400, false]);
  await click(more);
  equal([count(), more.hidden, find("#rows details:nth-child(2) button").hidden], [450, true, true]);
  equal(find("#retry").hidden, false);
});

test("they are tried again, and the page says what is left", async () => {
  serve({index: {...RUN, number: 1, running: true}, unreadable: ["a", "b", "c", "d"].flatMap((reason) => photos(1, reason))});
  await click("#retry");
  equal([last("index"), find("#run").hidden], [{retry: true}, false]);
  serve({run: {...RUN, number: 1, done: 4, seconds: 1, summary: {}}});
  await elapse(1000);
  await until(() => texts("#rows details").length === 4);
  equal([...document.querySelectorAll("#rows details")].map((each) => each.open), [false, false, false, false]);
  serve({index: {...RUN, number: 2, running: true}, unreadable: []});
  await click("#retry");
  serve({run: {...RUN, number: 2, done: 4, seconds: 1, summary: {}}});
  await elapse(1000);
  await until(() => text("#summary") === "All photos could be read.");
  equal([find("#retry").hidden, texts("#rows details")], [true, []]);
});
