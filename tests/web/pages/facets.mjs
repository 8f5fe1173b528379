// /?words=bird#view={"columns":3,"fit":true,"filters":true}
import {HOSTILE, makeFound, makeSearch} from "/tests/photos.js";
const {asked, click, equal, Failure, find, last, later, rest, serve, test, text, texts, until} = harness;

const part = (name) => find(`[data-facet=${name}]`);
const values = (name) => [...part(name).querySelectorAll(".value")].map((each) => each.ariaLabel);
const value = (name, label) => [...part(name).querySelectorAll(".value")].find((each) => each.ariaLabel.startsWith(label));
const rows = (...all) => all.map(([value_, photos, group = "", isLeast = false]) => ({value: value_, group, photos, is_least: isLeast}));
async function open(name, isOpen = true) {
  part(name).open = isOpen;
  await until(() => true);
  await rest();
  await rest();
}
const DAYS = [["2020-05-02", 30], ["2020-03-30", 100], ["2018-12-24", 4], ["", 1500]];

let number = 0;
const findNext = () => makeFound(1634, {result: `n${++number}`, ranked_by: "date", label: null});

test("the view is as it was left", async () => {
  serve({...makeSearch(findNext, DAYS), tree: [{id: "f1", path: "/photos", photos: 40, own: 0},
    {id: "f2", path: `/photos/${HOSTILE}`, photos: 30, own: 10}, {id: "f3", path: `/photos/${HOSTILE}/in`, photos: 20, own: 20}, {id: "f4", path: "/photos/c", photos: 10, own: 10}],
  edit: ({query}) => ({words: `${query.words} ${query.kind}:${query.value}`})});
  await until(() => values("folder").length);
  equal([find("#columns").value, find("#columns").getAttribute("aria-valuetext"), find("#grid").classList.contains("fit"), find("#fit").ariaPressed, find("#filters").open],
    ["3", "3 columns", true, "true", true]);
});

test("years have bars, a year has months, and a month narrows the sentence", async () => {
  const bars = () => [...part("day").querySelectorAll(".bars button")];
  equal(bars().map((each) => [each.ariaLabel, each.title, each.disabled, text(each.querySelector(".label")), each.querySelector(".bar").style.height]),
    [["2018, 4 photos", "2018: 4 photos", false, "2018", "17.5412%"], ["2019, 0 photos", "2019: 0 photos", true, "2019", "0%"], ["2020, 130 photos", "2020: 130 photos", false, "2020", "100%"]]);
  equal([text(part("day").querySelector("p.small")), part("day").querySelector(".bars").ariaLabel], ["1,500 photos without a date", "Years"]);
  await click(bars()[2]);
  equal([bars().length, bars()[2].ariaLabel, part("day").querySelector(".bars").ariaLabel, document.activeElement === bars()[2], text(bars()[2].querySelector(".label"))],
    [12, "March 2020, 100 photos", "Months of 2020", true, "M"]);
  await click(part("day").querySelectorAll("p.row button")[0]);
  equal(bars().length, 3);
  await click(bars()[2]);
  await click(part("day").querySelectorAll("p.row button")[1]);
  equal([last("edit"), last("find").words], [{words: "bird", kind: "taken", value: "2020"}, "bird taken:2020"]);
  await until(() => bars().length === 3, "a new search shows the years");
  await click(bars()[2]);
  await click(bars()[4]);
  equal([last("edit").value, find("#words").value], ["2020-05", "bird taken:2020 taken:2020-05"]);
});

test("folders are a tree, of which one is chosen", async () => {
  await until(() => values("folder").length);
  equal(values("folder"), [`${HOSTILE}, 30 photos`, "c, 10 photos", "/photos, 40 photos"]);
  const inner = value("folder", HOSTILE).closest(".branch").querySelector("details");
  equal([inner.open, inner.querySelector("summary").ariaLabel, value("folder", "c").closest("li").className, value("folder", "c").title],
    [false, `Folders in ${HOSTILE}`, "leaf", "/photos/c"]);
  inner.open = true;
  await until(() => value("folder", "in"));
  await click(value("folder", "in"));
  equal(last("find").under, "f3");
  await until(() => part("folder").querySelector("[aria-pressed=true]"));
  equal([part("folder").querySelector("[aria-pressed=true]").title, texts("#chips .value"), document.querySelectorAll("[data-facet] b").length],
    [`/photos/${HOSTILE}/in`, ["…"], 0]);
  await click(part("folder").querySelector("[aria-pressed=true]"));
  equal(last("find").under, undefined, "a second click takes it back");
});

test("values are counted once they are looked at, and asked for again after an error", async () => {
  equal(asked("facet").length, 0);
  serve({facet: new Failure(500, "")});
  await open("person");
  equal([last("facet"), text("#message"), values("person")], [{result: `n${number}`, facet: "person"}, "server error 500", []]);
  serve({facet: rows(["Anna", 1200, "", true], ["<b>Ben</b>", 1])});
  await open("person", false);
  await open("person");
  equal([values("person"), texts("[data-facet=person] .count")], [["Anna, 1,200 photos", "<b>Ben</b>, 1 photo"], ["1,200+", "1"]]);
  const asks = asked("facet").length;
  await open("person", false);
  await open("person");
  equal(asked("facet").length, asks, "once for a result");
  await click(value("person", "Anna"));
  equal([last("edit").kind, last("edit").value], ["person", "Anna"]);
  await open("person", false);
});

for (const [facet, kind] of [["camera", "camera"], ["label", "label"], ["keyword", "keyword"], ["is", "is"]]) {
  test(`a value of ${facet} narrows the sentence`, async () => {
    serve({facet: rows(["one", 2])});
    await open(facet);
    await click(value(facet, "one"));
    equal([last("facet").facet, last("edit").kind], [facet, kind]);
    await open(facet, false);
  });
}

test("ratings are stars", async () => {
  serve({facet: rows(["5", 2], ["0", 2], ["-1", 1])});
  await open("rating");
  equal(values("rating"), ["★★★★★, 2 photos", "0, 2 photos", "rejected, 1 photo"]);
  await click(value("rating", "rejected"));
  equal([last("edit").kind, last("edit").value], ["rating", "-1"]);
  await open("rating", false);
});

test("towns stand below their country", async () => {
  serve({facet: rows(["Porto", 5, "Portugal"], ["Portugal", 2, "Portugal"], ["", 3, ""])});
  await open("place");
  equal(values("place"), ["Portugal, 7 photos", "Porto, 5 photos", "elsewhere, 3 photos"]);
  const edits = asked("edit").length;
  await click(value("place", "elsewhere"));
  equal(asked("edit").length, edits);
  await click(value("place", "Porto"));
  equal([last("edit").kind, last("edit").value], ["in", "Porto"]);
  await until(() => value("place", "Portugal"));
  await click(value("place", "Portugal"));
  equal([last("edit").kind, last("edit").value], ["in", "Portugal"]);
  await open("place", false);
});

test("of many values the first are shown, and the others on request", async () => {
  serve({facet: rows(...Array.from({length: 15}, (_, i) => [`k${i}`, 1]))});
  await open("keyword");
  const more = () => [...part("keyword").querySelectorAll("button.small")];
  equal([values("keyword").length, texts("[data-facet=keyword] button.small")], [12, ["3 more"]]);
  more()[0].click();
  equal([values("keyword").length, more().length, document.activeElement.ariaLabel], [15, 0, "k12, 1 photo"]);
  serve({facet: [], find: makeFound(3, {result: "r2"})});
  find("#search").requestSubmit();
  await until(() => text("[data-facet=keyword] .values") === "None.");
  equal([last("facet"), more().length], [{result: "r2", facet: "keyword"}, 0]);
});

test("counts of an older result never stand beside a newer one", async () => {
  const old = later();
  serve({facet: () => old.promise, find: makeFound(3, {result: "r3"})});
  find("#search").requestSubmit();
  await until(() => last("facet").result === "r3");
  serve({facet: rows(["new", 1]), find: makeFound(3, {result: "r4"})});
  find("#search").requestSubmit();
  await until(() => values("keyword")[0] === "new, 1 photo");
  await old.answer(rows(["old", 1]));
  equal(values("keyword"), ["new, 1 photo"]);
  find("#filters").open = false;
  await until(() => JSON.parse(localStorage.getItem("view")).filters === false);
  const asks = asked("facet").length;
  serve({find: makeFound(3, {result: "r5"})});
  find("#search").requestSubmit();
  await rest();
  await rest();
  equal(asked("facet").length, asks, "nothing is counted while nobody looks");
  find("#filters").open = true;
  await until(() => asked("facet").length === asks + 1);
});

test("where there is no answer, nothing is counted", async () => {
  const counted = () => ["day", "folder"].map((name) => part(name).querySelector(".values").childElementCount > 0);
  find("#filters").open = true;
  await open("day");
  await open("folder");
  serve({find: findNext});
  find("#search").requestSubmit();
  await until(() => counted().every(Boolean));
  serve({find: new Failure(400, JSON.stringify({error: "a bracket is opened and not closed"}))});
  find("#search").requestSubmit();
  await until(() => text("#summary") === "a bracket is opened and not closed");
  equal(counted(), [false, false]);
  serve({find: findNext});
  find("#search").requestSubmit();
  await until(() => counted().every(Boolean), "the next answer is counted again");
});
