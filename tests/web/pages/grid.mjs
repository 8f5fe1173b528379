// /?words=bird
import {makeFound, makeRow, makeRows, makeSearch} from "/tests/photos.js";
const {asked, click, elapse, equal, Failure, find, last, later, ok, point, press, rest, serve, test, text, texts, timers, type, until} = harness;

const tile = (index) => find(`.tile[data-index="${index}"]`);
const photo = (index) => tile(index).querySelector(".photo");
const button = (index, name) => tile(index).querySelector(`.${name}`);
const indices = () => [...document.querySelectorAll(".tile")].map((each) => Number(each.dataset.index)).sort((a, b) => a - b);
const focused = () => Number(document.activeElement.closest(".tile")?.dataset.index);
const pressed = (index) => [...tile(index).querySelectorAll("[aria-pressed=true]")].map((each) => each.className);
const selected = () => [...document.querySelectorAll(".tile.selected")].map((each) => Number(each.dataset.index)).sort((a, b) => a - b);
const box = (index) => { const {left, top, width, height} = tile(index).getBoundingClientRect(); return [left, top, width, height].map(Math.round); };
async function scroll(top) {
  scrollTo(0, top);
  dispatchEvent(new Event("scroll"));
  await rest();
}
const search = async (found, days = []) => { serve(makeSearch(found, days)); await type("#words", `${found.result}`); find("#search").requestSubmit(); await rest(); };

test("tiles stand in rows, in two lists, the sure ones before the others", async () => {
  const photos = [makeRow(0, {copies: 1, why: ["a label"], present: true}), makeRow(1, {name: "<b>b</b>.jpg", present: false}), ...makeRows(2, 98)];
  const answers = makeSearch(makeFound(1000, {photos, total: {total: 1000, n_sure: 3}}));
  const labels = later();
  serve({...answers, labels: () => labels.promise});
  await until(() => tile(5)?.querySelector("img"));
  equal(button(1, "yes").title, "Mark as a label");
  await labels.answer(answers.labels);
  await rest();
  await until(() => Number(find("#columns").value) === Math.floor(find("#grid").clientWidth / 190), "as many columns as there is room for");
  const width = find("#grid").clientWidth, columns = Math.floor(width / 190), size = width / columns, row = Math.round(size) + 42;
  const [left, top] = box(0);
  equal(box(1), [Math.round(left + size), top, Math.round(size), row]);
  equal(box(3), [left, top + row + 48, Math.round(size), row], "the others begin below a heading");
  const heading = find("#unsure").getBoundingClientRect();
  ok(heading.top >= top + row - 1 && heading.bottom <= top + row + 49, "the heading stands between");
  equal([tile(2), tile(3)].map((each) => `${each.parentNode.getAttribute("aria-label") ?? each.parentNode.getAttribute("aria-labelledby")} ${each.ariaSetSize} ${each.ariaPosInSet}`),
    ["Photos found 3 3", "unsure 997 1"]);
  equal([...document.querySelectorAll("#grid > [role=list]")].map((each) => each.hidden), [false, false]);
  ok(indices().at(-1) < 80 && indices().at(-1) * row / columns > innerHeight, `tiles of the window, not ${indices().at(-1)}`);
  equal([text(tile(0).querySelector(".line span")), tile(0).querySelector(".line span").title], ["0.900", "score 0.900\na label\n/photos/0.jpg"]);
  equal(photo(1).ariaLabel, "<b>b</b>.jpg, score 0.900, 2020-05-01 10:00:00, marked as not bird");
  equal([photo(0).ariaLabel, photo(2).ariaLabel].map((each) => each.slice(-16)), [", marked as bird", "2020-05-01 10:00:00".slice(-16)]);
  equal([button(1, "yes").title, button(1, "no").title, button(1, "no").ariaLabel, button(1, "check").ariaLabel],
    ["Mark as bird", "Mark as not bird", "Mark as not bird: <b>b</b>.jpg", "Select <b>b</b>.jpg"]);
  equal([pressed(0), pressed(1), pressed(2)], [["yes"], ["no"], []]);
  equal([text(button(0, "copies")), button(0, "copies").ariaLabel, button(1, "copies")], ["+1 copy", "List the 1 copy of 0.jpg", null]);
  equal(photo(0).querySelector("img").getAttribute("src"), "/thumbnails/0");
  equal([photo(0).tabIndex, photo(1).tabIndex], [0, -1], "one photo is reached by Tab");
});

test("a click marks, a second one takes the mark back, however quick; a failure changes nothing", async () => {
  button(2, "yes").click();
  button(2, "yes").click();
  await rest();
  await rest();
  equal(asked("mark").map(({body}) => [body.image_id, body.present, body.label]), [[2, true, "bird"], [2, null, "bird"]]);
  equal(pressed(2), []);
  await click(button(2, "no"));
  equal([pressed(2), photo(2).ariaLabel.endsWith("marked as not bird"), find("#undo").disabled], [["no"], true, false]);
  serve({mark: new Failure(500, JSON.stringify({error: "disk full"}))});
  await click(button(2, "yes"));
  equal([pressed(2), text("#message")], [["no"], "disk full"]);
  await press("u");
  equal([pressed(2), text("#message")], [[], "Undone: bird"]);
  equal(last("undo"), {step: 3});
  serve({undo: new Failure(500, "later")});
  await press("U");
  equal([last("undo"), find("#undo").disabled], [{step: 2}, false], "it can be tried again");
  serve({undo: new Failure(400, "gone")});
  await press("u");
  await press("u");
  equal([last("undo"), find("#undo").disabled], [{step: 1}, true], "what can't be undone is not offered again");
});

test("keys move, and what they reach is focused and seen", async () => {
  const columns = Number(find("#columns").value), isSeen = (index) => { const {top, bottom} = tile(index).getBoundingClientRect(); return top >= -1 && bottom <= innerHeight + 1; };
  photo(0).focus();
  for (const [key, at] of [["ArrowRight", 1], ["ArrowLeft", 0], ["ArrowLeft", 0], ["ArrowDown", 3], ["ArrowUp", 0]]) {
    equal(await press(key), true);
    equal(focused(), at, key);
  }
  await press("End");
  await until(() => focused() === 999 && isSeen(999));
  equal([photo(999).tabIndex, document.querySelectorAll(".photo[tabindex='0']").length], [0, 1]);
  await until(() => tile(999).querySelector(".line"));
  await press("ArrowRight");
  equal(focused(), 999);
  await press("PageUp");
  ok(focused() < 999 - columns && isSeen(focused()), `a page up is ${focused()}`);
  const before = focused();
  await press("PageDown");
  ok(focused() > before, "a page down");
  await press("Home");
  await until(() => focused() === 0 && isSeen(0));
  equal(await press("a", photo(0)), false, "no key of the grid");
  ok(indices().length < 100, "only what is seen stays");
});

test("thumbnails of rows that only fly past are not loaded", async () => {
  await scroll(12_000);
  await until(() => tile(indices().at(-1)).querySelector(".line"));
  const index = indices().at(-1), element = tile(index);
  equal(tile(index).querySelector("img"), null);
  await scroll(12_010);
  equal(tile(index) === element, true, "what is still seen is not drawn again");
  await elapse(70);
  await until(() => tile(index).querySelector("img"));
});

test("a part that failed is told, and asked for again; one that is refused is not", async () => {
  serve({results: new Failure(500, "")});
  await search(makeFound(1000, {result: "r2"}));
  serve({results: new Failure(500, "")});
  photo(0).focus();
  await press("End");
  await rest();
  const asks = asked("results").filter(({query}) => query.result === "r2").length;
  equal([asks > 0, text("#message"), timers().includes(2000), tile(999).querySelector(".line")], [true, "server error 500", true, null]);
  serve({results: ({query}) => ({first: Number(query.first), photos: makeRows(Number(query.first), Number(query.n))})});
  await elapse(2000);
  await until(() => tile(999).querySelector(".line"));
  equal(last("results"), {result: "r2", first: "900", n: "100", label: "bird"});
  await search(makeFound(1000, {result: "r3"}));
  serve({results: new Failure(400, JSON.stringify({error: "these results have expired; search again"}))});
  photo(0).focus();
  await press("End");
  await rest();
  equal([`${text("#message")}${find("#message").className === "error" ? "" : "?"}`, timers().includes(2000)], ["these results have expired; search again", false]);
});

test("photos of an older list never stand in a newer one", async () => {
  await search(makeFound(1000, {result: "r4"}));
  const {promise, answer} = later();
  serve({results: () => promise});
  photo(0).focus();
  await press("End");
  const count = asked("results").length;
  await search(makeFound(1000, {result: "r5"}));
  await answer({first: 900, photos: makeRows(900, 100, {name: "old.jpg"})});
  photo(0).focus();
  await press("End");
  await until(() => tile(999).querySelector(".line"));
  equal([last("results").result, asked("results").length > count, /old/.test(photo(999).ariaLabel)], ["r5", true, false]);
});

test("far parts are dropped, the nearest are kept", async () => {
  await type("#columns", "16");
  equal(find("#grid").classList.contains("tiny"), true);
  await type("#columns", "5");
  equal(find("#grid").classList.contains("tiny"), false);
  await search(makeFound(4000, {result: "r6"}));
  const top = find("#grid").getBoundingClientRect().top + scrollY, part = find("#grid").clientHeight / 40;
  for (let i = 0; i < 40; i += 1) await scroll(top + (i + 0.5) * part);
  equal(asked("results").at(-1).query.first, "3900");
  const asks = asked("results").length;
  for (let i = 39; i > 20; i -= 1) await scroll(top + (i + 0.5) * part);
  equal(asked("results").length, asks, "near ones are here");
  await scroll(top + 10.5 * part);
  equal([asked("results").length, last("results").first], [asks + 1, "1000"], "far ones are not");
});

test("photos are selected by check marks, clicks and keys", async () => {
  await search(makeFound(30, {result: "r7"}));
  serve({details: () => new Failure(400, "not to be opened")});
  equal([selected(), find("#picks").hidden, find("#grid").classList.contains("selecting")], [[], true, false]);
  await click(button(2, "check"));
  equal([selected(), button(2, "check").ariaChecked, button(1, "check").ariaChecked, text("#picks-count")], [[2], "true", "false", "1 selected"]);
  equal(find("#grid").classList.contains("selecting"), true);
  await click(button(4, "check"), {shiftKey: true});
  equal(selected(), [2, 3, 4]);
  await click(photo(7));
  equal(selected(), [2, 3, 4, 7], "while some are selected, a click selects");
  await click(photo(9), {shiftKey: true});
  equal(selected(), [2, 3, 4, 7, 8, 9]);
  await click(button(3, "check"));
  equal(selected(), [2, 4, 7, 8, 9]);
  await press("Escape");
  equal([selected(), find("#picks").hidden], [[], true]);
  await click(photo(5), {ctrlKey: true});
  await click(photo(5), {metaKey: true});
  equal([selected(), asked("details").length], [[], 0]);
  photo(5).focus();
  await press("x");
  await press("ArrowRight", undefined, {shiftKey: true});
  await press("ArrowLeft", undefined, {shiftKey: true});
  equal(selected(), [5, 6]);
  await press("Escape");
  await press("ArrowRight", undefined, {shiftKey: true});
  equal(selected(), [5, 6], "from the one that was left");
  equal(await press("a", undefined, {ctrlKey: true}), true);
  equal([text("#picks-count"), selected().length], ["30 selected", indices().length]);
  await search(makeFound(30, {result: "r8"}));
  equal([selected(), find("#picks").hidden], [[], true], "a new list has nothing selected");
  await click(photo(1));
  equal(last("details"), {image_id: "1", label: "bird"}, "a click opens it");
});

test("a drag over check marks selects all between, a long touch one", async () => {
  const middle = (index) => { const rect = tile(index).getBoundingClientRect(); return [rect.left + rect.width / 2, rect.top + rect.height / 2]; };
  await point("pointerdown", button(2, "check"), ...middle(2));
  await point("pointermove", button(2, "check"), ...middle(2));
  equal(selected(), []);
  await point("pointermove", button(2, "check"), ...middle(5));
  equal(selected(), [2, 3, 4, 5]);
  await point("pointerup", button(2, "check"), ...middle(5));
  await point("pointermove", button(2, "check"), ...middle(8));
  equal(selected(), [2, 3, 4, 5], "it has ended");
  await point("pointerdown", photo(7), ...middle(7));
  await point("pointermove", photo(7), ...middle(8));
  equal(selected(), [2, 3, 4, 5, 7, 8], "while some are selected, from a photo too");
  await point("pointerup", photo(7), ...middle(8));
  await press("Escape", document.body);
  await point("pointerdown", photo(7), ...middle(7));
  await point("pointermove", photo(7), ...middle(8));
  equal(selected(), []);
  await point("pointerup", photo(7), ...middle(8));
  const opened = asked("details").length, touch = {pointerType: "touch"};
  await point("pointerdown", photo(3), ...middle(3), touch);
  equal(timers().includes(400), true);
  await elapse(400);
  equal(selected(), [3]);
  const menu = new MouseEvent("contextmenu", {bubbles: true, cancelable: true});
  photo(3).dispatchEvent(menu);
  await click(photo(3));
  equal([selected(), menu.defaultPrevented, asked("details").length], [[3], true, opened], "the end of the touch is no click");
  for (const name of ["pointerup", "pointercancel", "scroll"]) {
    await point("pointerdown", photo(4), ...middle(4), touch);
    if (name === "scroll") dispatchEvent(new Event("scroll")); else await point(name, photo(4), ...middle(4), touch);
    await elapse(400);
  }
  equal(selected(), [3], "a short touch, or one that scrolls");
  await point("pointerup", photo(4), ...middle(4), touch);
});

test("all selected photos are marked in one step, and their tiles say so", async () => {
  await press("Escape", document.body);
  await click(button(1, "check"));
  await click(button(3, "check"), {shiftKey: true});
  serve({mark_selected: {label: "bird", n: 1200, step: 77}, results: ({query}) => ({first: 0, photos: makeRows(0, 30, {present: Number(query.n) > 0})})});
  await click("#picks-no");
  equal(last("mark_selected"), {result: "r8", ranges: [1, 4], label: "bird", present: false, new: false});
  await until(() => pressed(1).length);
  equal([text("#message"), selected(), find("#undo").disabled], ["1,200 photos marked as not bird", [1, 2, 3], false]);
  await press("y", photo(1));
  equal([last("mark_selected").present, asked("mark_selected").length], [true, 2]);
  serve({mark_selected: {label: "bird", n: 0, step: null}, undo: {marks: [{image_id: 1, label: "bird", present: null}, {image_id: 2, label: "bird", present: null}], step: null}});
  await click("#picks-yes");
  await press("u", document.body);
  await until(() => last("undo")?.step === 77);
  equal(text("#message"), "Undone: 2 marks");
  await until(() => !pressed(1).length);
  equal(pressed(3), ["yes"]);
  serve({mark_selected: new Failure(400, JSON.stringify({error: "too many"}))});
  const asks = asked("results").length;
  await click("#picks-no");
  equal([text("#message"), asked("results").length], ["too many", asks]);
});

test("a mark stays on a photo whose tile comes and goes", async () => {
  await search(makeFound(1000, {result: "r9"}));
  await click(button(2, "no"));
  photo(5).focus();
  await press("End");
  await until(() => tile(999)?.querySelector(".line"));
  equal(tile(2), null);
  await press("Home");
  await until(() => tile(2)?.querySelector(".line"));
  equal(pressed(2), ["no"]);
});

test("photos by date stand below their days; the months beside them lead there", async () => {
  const days = [["2020-05-02", 300], ["2020-04-30", 250], ["2019-12-24", 200], ["", 50]];
  const slider = find("#scrubber"), values = [];
  const watch = new MutationObserver(() => { if (!slider.hidden) values.push(slider.getAttribute("aria-valuetext")); }); // before the next frame
  watch.observe(slider, {attributeFilter: ["hidden"]});
  await search(makeFound(800, {result: "d1", ranked_by: "date", label: null, question: "", photos: makeRows(0, 100, {by: "date"})}), days);
  await until(() => !find("#scrubber").hidden);
  equal([texts("h2.day"), find("#unsure").hidden, text(tile(0).querySelector(".line span"))], [["Saturday, 2 May 2020"], true, "2020-05-01"]);
  equal(texts("#scrubber .year").map((each) => each || "-"), ["2020", "2019", "–"]);
  watch.disconnect();
  equal(values, ["May 2020, 300 photos"], "what appears says where it is");
  equal([slider.ariaValueMax, slider.ariaValueNow, slider.getAttribute("aria-valuetext")], ["3", "0", "May 2020, 300 photos"]);
  const go = async (key, value, first) => {
    const before = scrollY;
    equal(await press(key, slider), true);
    ok(indices().includes(first), `${key} shows photo ${first}, at once`);
    if (scrollY !== before) await scroll(scrollY);
    equal(slider.getAttribute("aria-valuetext"), value, key);
  };
  await go("ArrowDown", "April 2020, 250 photos", 300);
  await go("ArrowRight", "December 2019, 200 photos", 550);
  await go("ArrowUp", "April 2020, 250 photos", 300);
  await go("ArrowLeft", "May 2020, 300 photos", 0);
  await go("PageDown", "December 2019, 200 photos", 550);
  await go("PageUp", "April 2020, 250 photos", 300);
  await go("Home", "May 2020, 300 photos", 0);
  await go("End", "No date, 50 photos", 750);
  equal(await press("q", slider), false);
  const rect = slider.getBoundingClientRect(), hint = find("#scrubber .hint-month");
  await point("pointermove", slider, rect.left + 5, rect.top + 2);
  equal([text(hint), hint.style.top], ["May 2020, 300 photos", "2px"]);
  await point("pointerleave", slider, 0, 0);
  equal(hint.hidden, true);
  await point("pointermove", slider, rect.left + 5, rect.top + 2, {pointerType: "touch"});
  equal(hint.hidden, true);
  equal(await point("pointerdown", slider, rect.left + 5, rect.top + rect.height * 0.5), true);
  equal([slider.captured, document.activeElement === slider, text(hint)], [1, true, "April 2020, 250 photos"]);
  await scroll(scrollY);
  ok(indices().includes(400) && indices()[1] > 350, `half of the way is ${indices()[1]}`);
  await point("pointermove", slider, rect.left + 5, rect.bottom - 1);
  await scroll(scrollY);
  ok(indices().includes(799), "a drag goes on");
  const handle = find("#scrubber .handle").style.top;
  ok(Number.parseFloat(handle) > 95, `the handle follows: ${handle}`);
  await type("#columns", `${find("#columns").value - 1}`);
  ok(Number.parseFloat(find("#scrubber .handle").style.top) > 50, "and stays below after another layout");
  await point("pointerup", slider, rect.left + 5, rect.bottom - 1);
  equal(hint.hidden, true);
  await point("pointermove", slider, rect.left + 5, rect.top + 1);
  await scroll(scrollY);
  ok(indices().includes(799), "the drag has ended");
  await search(makeFound(4, {result: "d2", ranked_by: "date", label: null, photos: makeRows(0, 4, {by: "date"})}), [["2020-05-02", 2], ["2020-04-01", 2]]);
  equal([find("#scrubber").hidden, texts("h2.day")], [true, ["1 April – 2 May 2020"]], "nothing to scrub");
  for (const [result, days, hidden] of [["d3", [["2020-05-02", 400], ["2020-04-30", 400]], false], ["d4", [["2020-05-02", 800]], true]]) {
    await search(makeFound(800, {result, ranked_by: "date", label: null, photos: makeRows(0, 100, {by: "date"})}), days);
    await until(() => find("#scrubber").hidden === hidden, `${days.length} of 2 months or more`);
  }
});

test("a photo that left the library leaves a gap, and one that can't be opened says so", async () => {
  const photos = [makeRow(0), null, makeRow(999)];
  await search(makeFound(3, {result: "g1", photos}));
  await elapse(70);
  await until(() => tile(2).querySelector(".broken"));
  equal([text(tile(2).querySelector(".photo")), tile(1).querySelector(".line")], ["can't be opened", null]);
  await click(photo(1));
  equal(asked("details").at(-1).query.image_id === "1", true);
});

test("the window is measured once for all tiles, not once for each", async () => {
  const grid = find("#grid"), width = grid.clientWidth;
  let asked = 0;
  Object.defineProperty(grid, "clientWidth", {configurable: true, get() { asked += 1; return width; }});
  await search(makeFound(100, {result: "once"}));
  await until(() => tile(9)?.querySelector("img"));
  delete grid.clientWidth;
  ok(asked > 0 && asked < 5, `${asked} times, for ${indices().length} tiles`);
});
