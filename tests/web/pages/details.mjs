// /?words=bird&query_mode=label
import {HOSTILE, makeDetails, makeFound, makeRow, makeRows, makeSearch} from "/tests/photos.js";
const {asked, click, equal, Failure, find, last, later, ok, point, press, rest, serve, test, text, texts, until} = harness;

const part = (name) => find(`#details-${name}`);
const photo = (index) => find(`.tile[data-index="${index}"] .photo`);
const row = (text) => [...part("labels").children].find((each) => each.querySelector(".name").textContent === text);
const pressed = (label) => [...row(label).querySelectorAll("[aria-pressed=true]")].map((each) => each.className);
const file = (path, values = {}) => ({...makeDetails(0).files[0], name: HOSTILE, path, ...values});
const whole = (id) => makeDetails(id, {
  scores: [{label: "bird", model: "sight", score: 0.75, threshold: 0.5}, {label: "cat", model: "sight", score: 0.25, threshold: 0.5},
    {label: "bird", model: "toy", score: 0.5, threshold: 0.5}],
  marks: {cat: false, "<i>mine</i>": true}, texts: [{text: "<u>EXIT</u>", left: 0.1, top: 0.2, width: 0.3, height: 0.4}],
  files: [file(`/a/${HOSTILE}`, {details: {latitude: 41.15, longitude: -8.61, where: "Porto"}}), file("/b/2.jpg", {unavailable: "missing"})],
});

test("a photo is opened with what is known of it, all of it as text", async () => {
  const answers = makeSearch(makeFound(30, {photos: [makeRow(0), makeRow(1, {why: ["score of bird", "<b>why</b>"], path: `/a/${HOSTILE}`}), ...makeRows(2, 3), makeRow(999), ...makeRows(6, 24)]}));
  const exposure = later();
  serve({...answers, details: ({query}) => whole(Number(query.image_id)), exposure: () => exposure.promise,
    neighbours: [makeRow(0, {name: HOSTILE}), makeRow(1), makeRow(2)], similar: [makeRow(9)]});
  await until(() => photo(1)?.ariaLabel);
  await click(photo(1));
  await until(() => find("#details").open);
  equal([last("details"), last("neighbours"), last("similar")], [{image_id: "1", label: "bird"}, {photo_id: "1001"}, {image_id: "1"}]);
  equal(["name", "explanation", "why", "files-title"].map((name) => text(part(name))),
    [HOSTILE, "bird: score 0.900 (model: sight)", "score of bird<b>why</b>", "Files: 2 copies"]);
  equal(texts("#details-files li"), [`/a/${HOSTILE}`, "/b/2.jpg (missing)"]);
  equal([part("image").alt, part("image").getAttribute("src")], [HOSTILE, "/thumbnails/1?size=large"]);
  equal(texts("#details-labels li").map((each) => each.replace(/✓✗/, "+")),
    ["birdsight 0.750 ≥ 0.500+", "catsight 0.250 < 0.500+", "birdtoy 0.500 ≥ 0.500", "<i>mine</i>no score+"]);
  equal([...part("labels").children].map((each) => each.querySelector(".name").className), ["name applies", "name", "name applies", "name"]);
  equal([pressed("bird"), pressed("cat"), pressed("<i>mine</i>")], [[], ["no"], ["yes"]]);
  equal([...row("cat").querySelectorAll("button")].map((each) => [each.title, each.ariaLabel]), [["Mark as cat", "Mark as cat"], ["Mark as not cat", "Mark as not cat"]]);
  equal(row("bird").querySelector(".score").title, "model sight, threshold 0.500");
  equal([texts("#details-facts dt").slice(0, 2), texts("#details-facts dd")[1], part("facts").querySelector("a").getAttribute("href")],
    [["Taken", "Place"], "Porto", "/map?at=41.15000%2C-8.61000%2C12"]);
  await exposure.answer({iso: 200});
  ok(texts("#details-facts dd").includes("ISO 200"), "the exposure is read from the file, later");
  await until(() => part("near").children.length === 3);
  equal([[...part("near").querySelectorAll("button")].map((each) => `${each.title} ${each.ariaLabel} ${each.ariaCurrent}`), text(part("similar").closest("section"))],
    [[`${HOSTILE} ${HOSTILE} null`, "1.jpg 1.jpg true", "2.jpg 2.jpg null"], "Similar"]);
  equal([part("texts").closest("section").hidden, texts("#details-texts li"), part("boxes").hidden], [false, ["<u>EXIT</u>"], false]);
  const {left, top, width, height} = find(".text-box").style;
  equal([left, top, width, height, find(".text-box").title], ["10%", "20%", "30%", "40%", "<u>EXIT</u>"]);
  equal(document.querySelectorAll("dialog b:not([class]), dialog i, dialog u").length, 0, "elements from names");
});

test("boxes around texts are hidden and shown, and so is what is known", async () => {
  equal(part("boxes").ariaPressed, "true");
  await press("t", part("photo"));
  equal([part("boxes").ariaPressed, part("canvas").className], ["false", "canvas no-boxes"]);
  await click(part("boxes"));
  equal([part("boxes").ariaPressed, part("canvas").className], ["true", "canvas"]);
  await press("i", part("photo"));
  equal(find("#details").className, "alone");
  await press("I", part("photo"));
  equal(find("#details").className, "");
});

test("labels are marked by buttons, by keys and by name; a second click takes a mark back", async () => {
  await click(row("bird").querySelector(".yes"));
  equal([last("mark"), pressed("bird"), text("#message")], [{image_id: 1, label: "bird", present: true, new: false}, ["yes"], "Marked: bird"]);
  equal([find("#message").parentNode.id, find(".tile[data-index='1'] .yes").ariaPressed], ["details", "true"]);
  await click(row("bird").querySelector(".yes"));
  equal([last("mark").present, pressed("bird"), text("#message"), find(".tile[data-index='1'] .yes").ariaPressed], [null, [], "Mark removed: bird", "false"]);
  equal(await press("n", part("photo")), true);
  equal([last("mark").present, pressed("bird"), text("#message")], [false, ["no"], "Marked: not bird"]);
  await press("y", part("photo"));
  equal([last("mark").present, pressed("bird"), asked("mark").length], [true, ["yes"], 4], "once, though the page below has the same key");
  await press("u", part("photo"));
  await press("y", part("label"));
  equal([last("undo"), asked("mark").length, pressed("bird")], [{step: 4}, 4, []]);
  part("label").value = " my dog ";
  find("#details-mark button[value=no]").click();
  await rest();
  equal([last("mark"), pressed("my dog")], [{image_id: 1, label: "my dog", present: false, new: false}, ["no"]]);
  part("label").value = "  ";
  find("#details-mark button[value=yes]").click();
  await rest();
  equal([text("#message"), find("#message").className, asked("mark").length], ["Choose a label below first", "error", 5]);
  serve({mark: new Failure(500, "disk full")});
  await click(row("cat").querySelector(".yes"));
  equal([text("#message"), pressed("cat")], ["disk full", ["no"]]);
});

test("arrows and buttons turn to the next photo, and stop at the ends", async () => {
  await press("ArrowRight", part("photo"));
  equal([last("details").image_id, part("image").getAttribute("src")], ["2", "/thumbnails/2?size=large"]);
  await click(part("previous"));
  await press("ArrowLeft", part("photo"));
  equal(last("details").image_id, "0");
  const asks = asked("details").length;
  await click(part("previous"));
  equal(asked("details").length, asks, "there is none before");
  await click(part("next"));
  equal(last("details").image_id, "1");
  equal(await press("q", part("photo")), false);
  await click(part("similar").querySelector("button"));
  equal([last("details"), part("image").getAttribute("src")], [{image_id: "9", label: "bird"}, "/thumbnails/9?size=large"]);
});

test("of two photos the one that was asked for last is shown, and an error is none", async () => {
  const old = later(), newer = later();
  serve({details: ({query}) => (query.image_id === "2" ? old : newer).promise});
  await press("ArrowRight", part("photo"));
  await press("ArrowRight", part("photo"));
  await newer.answer(makeDetails(3));
  await old.answer(makeDetails(2));
  equal([text(part("name")), text(part("files-title"))], ["3.jpg", "File"]);
  equal([part("texts").closest("section").hidden, part("boxes").hidden, find(".text-box")], [true, true, null], "nothing of the one before");
  const strips = [part("near"), part("similar")].map((each) => each.closest("section"));
  serve({details: ({query}) => makeDetails(Number(query.image_id)), neighbours: [makeRow(4)], similar: new Failure(500, ""), exposure: new Failure(500, "")});
  await press("ArrowRight", part("photo"));
  await rest();
  equal([last("neighbours"), strips.map((each) => each.hidden), texts("#message")[0] !== "server error 500"], [{photo_id: "1004"}, [true, true], true], "a strip is no error");
  serve({details: new Failure(400, JSON.stringify({error: "this photo is gone"}))});
  await press("ArrowRight", part("photo"));
  equal([text("#message"), text(part("name"))], ["this photo is gone", "4.jpg"]);
});

test("a photo is zoomed around the pointer, moved as far as its edges, and fitted again", async () => {
  const window_ = part("photo"), canvas = part("canvas");
  const view = () => { const [x, y] = [...canvas.style.transform.matchAll(/(-?[\d.]+)px/g)].map((each) => Math.round(Number(each[1]))); return [Math.round(Number.parseFloat(canvas.style.width)), x, y]; };
  serve({details: ({query}) => makeDetails(Number(query.image_id), {width: 6000, height: 4000})});
  await press("ArrowLeft", window_);
  const {left, top, width, height} = window_.getBoundingClientRect(), fitted = Math.round(Math.min(window_.clientWidth / 6000, window_.clientHeight / 4000) * 6000);
  const at = [left + width / 2, top + height / 2];
  equal([view(), part("zoom").ariaPressed, window_.classList.contains("zoomed")], [[fitted, 0, 0], "false", false]);
  equal(Math.round(Number.parseFloat(canvas.style.height)), Math.round(fitted * 2 / 3));
  await press("z", window_);
  equal([view(), part("zoom").ariaPressed, window_.classList.contains("zoomed")], [[6000, 0, 0], "true", true]);
  ok(/\/originals\/\d+$/.test(part("image").src), "from some size on the photo itself is loaded");
  await click(part("zoom"));
  equal(view(), [fitted, 0, 0]);
  equal(await point("wheel", window_, ...at, {deltaY: 100}), true);
  equal(view(), [fitted, 0, 0], "not smaller than fitted");
  await point("wheel", window_, at[0] + 20, at[1] + 10, {deltaY: -1000});
  const times = 1.0015 ** 1000, [w] = view();
  ok(Math.abs(w - fitted * times) < 3, `${w} is not ${fitted * times}`);
  ok([20, 10].every((offset, i) => Math.abs(view()[1 + i] - (offset - offset * times)) < 4), "what is below the pointer stays");
  await point("wheel", window_, ...at, {deltaY: -99999});
  equal(view()[0], 48000, "eight times its own pixels");
  await press("z", window_);
  window_.dispatchEvent(new MouseEvent("dblclick", {bubbles: true, clientX: at[0], clientY: at[1]}));
  equal(view()[0], 6000);
  part("zoom").dispatchEvent(new MouseEvent("dblclick", {bubbles: true}));
  equal(view()[0], 6000, "a double click on a button is two clicks");
  await press("z", window_);
  await press("z", window_);
  await point("pointerdown", window_, ...at);
  equal(window_.captured, 1);
  await point("pointermove", window_, at[0] - 30, at[1] + 10);
  equal(view(), [6000, -30, 10]);
  await point("pointermove", window_, at[0] - 99999, at[1]);
  equal(view(), [6000, -Math.round((6000 - window_.clientWidth) / 2), 0], "its edge is the end");
  await point("pointerup", window_, ...at);
  await point("pointermove", window_, at[0] + 500, at[1]);
  equal(view()[1], -Math.round((6000 - window_.clientWidth) / 2), "the drag has ended");
  await press("z", window_);
  await press("z", window_);
  await point("pointerdown", window_, at[0] - 50, at[1], {pointerId: 1});
  await point("pointerdown", window_, at[0] + 50, at[1], {pointerId: 2});
  await point("pointermove", window_, at[0] + 150, at[1], {pointerId: 2});
  equal([view()[0], view()[1]], [12000, Math.round(50 - 50 * 2)], "two fingers, twice as far apart");
  await point("pointercancel", window_, ...at, {pointerId: 1});
  await point("pointerup", window_, ...at, {pointerId: 2});
  delete window_.captured;
  await point("pointerdown", part("zoom"), ...at);
  equal(window_.captured, undefined);
});

test("a format that no browser reads is shown as its thumbnail", async () => {
  serve({details: makeDetails(999, {width: 6000, height: 4000})});
  await press("ArrowRight", part("photo"));
  equal([part("image").getAttribute("src"), part("zoom").ariaPressed], ["/thumbnails/999?size=large", "false"]);
  await press("z", part("photo"));
  await until(() => part("image").getAttribute("src") === "/thumbnails/999?size=large");
  const changes = new MutationObserver(() => {});
  changes.observe(part("image"), {attributes: true});
  part("image").dispatchEvent(new Event("error"));
  equal(changes.takeRecords().length, 0, "a thumbnail that fails is not asked for again and again");
  changes.disconnect();
});

test("a photo that is gone is told, until the next one", async () => {
  equal([text("#details-photo .broken"), part("canvas").hidden], ["This photo can't be opened.", true]);
  serve({details: ({query}) => makeDetails(Number(query.image_id))});
  await press("ArrowLeft", part("photo"));
  equal([text("#details-photo .broken"), part("canvas").hidden], ["(hidden)", false]);
  serve({details: makeDetails(999)});
  await press("ArrowRight", part("photo"));
  await until(() => part("canvas").hidden);
});

test("photos like this one, or unlike it, are searched for", async () => {
  const find_ = later();
  serve({find: () => find_.promise});
  await click(part("unlike"));
  equal([find("#details").open, last("find").unlike, last("find").words], [false, "999", "bird"]);
  await find_.answer(makeFound(3, {result: "r2"}));
  serve({find: makeFound(3, {result: "r3"})});
  await click(photo(1));
  await until(() => find("#details").open);
  const asks = asked("find").length;
  await press("l", part("photo"));
  equal([last("find").like, last("find").unlike, last("find").words, find("#details").open], ["1", "999", undefined, false]);
  equal(asked("find").length, asks + 1, "once, though the page below has the same key");
  await click(photo(1));
  await click(part("close"));
  equal(find("#details").open, false);
});

test("Back closes a photo, and the list stays where it is", async () => {
  const {href} = location, list = asked("find").length, opened = async () => { await click(photo(1)); await until(() => find("#details").open); };
  const closed = () => !find("#details").open && history.state === null;
  await until(closed);
  await opened();
  history.back();
  await until(closed, "Back closes it");
  equal([location.href, asked("find").length], [href, list]);
  await opened();
  await click(part("close"));
  await until(closed, "closed by its button, it is no step back");
  equal([location.href, asked("find").length], [href, list]);
  await opened();
  await click(part("unlike"));
  equal(last("find").unlike.split(",").includes("1"), true);
  history.back();
  await until(() => location.href === href);
  await until(() => asked("find").length === list + 2, "from another search, Back leads to the list at once");
  equal([closed(), last("find").like], [true, "1"]);
});

test("a closed photo leaves the focus at the last one that was seen", async () => {
  serve({find: makeFound(300, {result: "r9"}), details: ({query}) => makeDetails(Number(query.image_id))});
  find("#search").requestSubmit();
  await until(() => find(".tile").ariaSetSize === "300" && photo(0)?.ariaLabel);
  photo(0).focus();
  await click(photo(0));
  await until(() => find("#details").open);
  for (let i = 0; i < 60; i += 1) await press("ArrowRight", part("photo"));
  await until(() => !photo(0) && part("name").textContent === "60.jpg");
  await click(part("close"));
  await until(() => document.activeElement === photo(60));
});
