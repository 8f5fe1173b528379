// /?words=a+bird&since=2020-01-01&under=f1&min_score=0.2&sure_only=1&query_mode=text&like=7&unlike=8
import {HOSTILE, makeFound, makeRow, makeRows, makeSearch, LABELS} from "/tests/photos.js";
const {asked, click, equal, Failure, find, last, later, ok, press, rest, serve, test, text, texts, type, until} = harness;

const tiles = () => [...document.querySelectorAll(".tile")].length;
const submit = async (words) => { find("#words").value = words; find("#search").requestSubmit(); await rest(); await rest(); };
const remove = (name) => [...document.querySelectorAll("#chips button")].find((each) => each.ariaLabel === `${name}: remove`);
const options = () => texts("#suggestions li");
const highlighted = () => texts("#suggestions [aria-selected=true]");

test("the address is the question, the form and the chips", async () => {
  const answers = makeSearch(makeFound(200, {total: null, chips: [{kind: "in", value: "<b>Rome</b>", wanted: true}, {kind: "label", value: "cat", wanted: false}],
    hints: [{text: "Read 'brid' as bird", words: "", label: ""}, {text: "Did you mean bat?", words: "a bat", label: ""},
      {text: "sight is small", words: "", label: "", model: "big"}], explanation: ["<b>a line</b>"]}));
  const total = later(), labels = later();
  serve({...answers, total: () => total.promise, labels: () => labels.promise});
  await until(() => tiles() > 0);
  equal(last("find"), {words: "a bird", since: "2020-01-01", under: "f1", query_mode: "text", min_score: "0.2", sure_only: "1", like: "7", unlike: "8"});
  equal(["since", "under", "min_score", "query_mode"].map((name) => find("#search").elements[name].value), ["2020-01-01", "f1", "0.2", "text"]);
  equal([find("#words").value, find("#search").elements.sure_only.checked, find("#search").elements.copies.checked, document.title], ["a bird", true, false, "a bird · photosearch"]);
  equal([text("#summary"), find("#tools").hidden, find("#more").hidden], ["More than 100 photos", false, true]);
  await labels.answer(LABELS);
  await total.answer({total: 200, n_sure: 150});
  await until(() => text("#summary") === "150 photos, and 50 not sure");
  await until(() => texts("#chips button").some((each) => each.includes("/photos")));
  equal(texts("#chips button"), ["in<b>Rome</b>×", "notcat×", "takenfrom 2020-01-01×", "folder/photos×", "read asa description×", "score from0.2×", "only sure photos×", "more like this×", "less like this×"]);
  equal([...document.querySelectorAll("#chips button")].map((each) => each.classList.contains("unwanted")), [false, true, false, false, false, false, false, false, true]);
  equal([document.querySelectorAll("#chips img").length, find("#chips").hidden], [2, false]);
  equal([find("#explanation").hidden, texts("#explanation li"), texts("#hints li")], [false, ["<b>a line</b>"], ["Read 'brid' as bird", "Did you mean bat?Search for “a bat”", "sight is small. Download big…"]]);
  equal(find("#hints a").getAttribute("href"), "/library#models");
  equal(document.querySelectorAll("main b").length, 0, "names make no elements");
  equal([last("total"), last("days")], [{result: "r1"}, {result: "r1"}]);
  equal(find(".tile").ariaSetSize, "150");
  equal([find("#label").value, texts("#label option").slice(0, 3)], ["bird", ["choose a label", "my dog", "bird (1,200)"]]);
});

test("each chip takes its own part away, and Back brings it again", async () => {
  serve({edit: ({query}) => ({words: `without ${query.value}`})});
  await click(remove("not cat"));
  equal([last("edit"), last("find").words], [{words: "a bird", kind: "label", value: "cat", unwanted: "1", remove: "1"}, "without cat"]);
  await click(remove("in <b>Rome</b>"));
  equal([last("edit"), last("find").words, find("#words").value], [{words: "without cat", kind: "in", value: "<b>Rome</b>", remove: "1"}, "without <b>Rome</b>", "without <b>Rome</b>"]);
  for (const [name, key] of [["taken from 2020-01-01", "since"], ["folder /photos", "under"], ["read as a description", "query_mode"], ["score from 0.2", "min_score"], ["only sure photos", "sure_only"],
    ["more like this", "like"], ["less like this", "unlike"]]) {
    ok(last("find")[key] !== undefined, key);
    await click(remove(name));
    equal([last("find")[key], new URLSearchParams(location.search).has(key)], [undefined, false], key);
  }
  history.back();
  await until(() => last("find").unlike === "8");
  equal(texts("#chips .value").at(-1), "less like this");
  serve({edit: new Failure(400, JSON.stringify({error: "not a sentence"}))});
  const asks = asked("find").length;
  await click(remove("in <b>Rome</b>"));
  equal([text("#message"), asked("find").length], ["not a sentence", asks]);
});

test("advice asks its question", async () => {
  await click("#hints button");
  equal([last("find").words, find("#words").value, location.search], ["a bat", "a bat", "?words=a+bat&unlike=8"]);
});

test("an error is no answer, and an older answer is none to a newer question", async () => {
  serve({find: new Failure(500, JSON.stringify({error: "database is locked"}))});
  await submit("x");
  equal([text("#summary"), tiles(), find("#tools").hidden, texts("#hints li"), find("#explanation").hidden], ["database is locked", 0, true, [], true]);
  serve({find: new Failure(200, "<!doctype html>")});
  await submit("y");
  equal(text("#summary"), "The server's answer can't be read");
  const old = later(), newer = later();
  serve({find: ({query}) => (query.words === "old" ? old : newer).promise});
  await submit("old");
  await submit("new");
  await newer.answer(makeFound(3, {result: "new"}));
  await old.answer(makeFound(9, {result: "old"}));
  equal([text("#summary"), tiles(), document.title], ["3 photos", 3, "new · photosearch"]);
  serve({find: ({query}) => (query.words === "old" ? new Failure(500, "late") : makeFound(3))});
  const total = later();
  serve({total: () => total.promise, find: ({query}) => makeFound(query.words === "part" ? 9 : 3, query.words === "part" ? {total: null} : {})});
  await submit("part");
  await submit("whole");
  equal([asked("total").at(-1).signal.aborted, asked("find").at(-2).signal.aborted, asked("find").at(-1).signal.aborted], [true, true, false]);
  await total.answer({total: 900, n_sure: 900});
  equal([text("#summary"), tiles()], ["3 photos", 3]);
});

test("a slow answer is announced", async () => {
  const slow = later(), before = text("#summary");
  serve({find: () => slow.promise});
  await submit("slow");
  equal(text("#summary"), before);
  await harness.elapse(500);
  equal(text("#summary"), "Searching…");
  await slow.answer(makeFound(3));
  equal(text("#summary"), "3 photos");
  serve({find: makeFound(4)});
  await submit("whole");
  await harness.elapse(500);
  equal(text("#summary"), "4 photos", "a quick one is not");
});

test("a long question takes three lines of the chips", async () => {
  serve({find: makeFound(3, {chips: [{kind: "description", value: "a dog that runs ".repeat(125), wanted: true}, {kind: "in", value: "Rome", wanted: true}]})});
  await submit("long");
  const [long, short] = [...document.querySelectorAll("#chips .value")].map((each) => each.offsetHeight);
  equal(long, 3 * short);
  serve({find: makeFound(4)});
  await submit("whole");
});

test("nothing found names a way out", async () => {
  serve({find: makeFound(0)});
  await type("[name=until]", "2019-01-01", "input", "change");
  equal([last("find").until, text("#summary")], ["2019-01-01", "Nothing found with these filters. Clear filters"]);
  await click("#summary button");
  equal([last("find").until, location.search, text("#summary"), find("[name=until]").value], [undefined, "?words=whole&unlike=8", "Nothing found.", ""]);
  serve({find: makeFound(4)});
  await type("[name=until]", "2019-01-01", "input", "change");
  await click("#clear");
  equal([last("find").until, find("#summary button")], [undefined, null]);
});

test("an order is chosen, and the menu says what it is without one", async () => {
  await type("#sort", "size", "change");
  equal([last("find").sort, texts("#sort option")[0], find("#sort").options[1].hidden], ["size", "best first", false]);
  serve({find: makeFound(4, {ranked_by: "date", label: null})});
  await type("#sort", "", "change");
  equal([last("find").sort, texts("#sort option")[0], find("#sort").options[1].hidden, text("#summary")], [undefined, "newest first", true, "4 photos, newest first"]);
});

test("a list goes on where its end was, and the page stays there", async () => {
  serve({find: ({query}) => (query.all_similar ? makeFound(40, {total: {total: 40, n_sure: 20}}) : makeFound(20, {ranked_by: "similarity", more: true}))});
  await submit("zebra");
  equal([find("#more").hidden, text("#summary")], [false, "20 closest matches"]);
  scrollTo(0, 300);
  await click("#more");
  await until(() => document.activeElement.closest(".tile"));
  equal([last("find").all_similar, find("#more").hidden, document.activeElement.closest(".tile").dataset.index, scrollY > 0], ["1", true, "20", true]);
  await submit("zebras");
  equal(scrollY, 0, "a new list begins at its top");
});

test("copies are listed, at the photo whose copies they are", async () => {
  serve({find: ({query}) => (query.copies ? makeFound(30) : makeFound(20, {photos: [makeRow(0), makeRow(5, {copies: 2}), ...makeRows(30, 18)]}))});
  await submit("copied");
  await click(".tile .copies");
  await until(() => document.activeElement.closest(".tile"));
  equal([last("find").copies, document.activeElement.closest(".tile").dataset.index, find("[name=copies]").checked], ["1", "5", true]);
  await type("[name=copies]", "on", "input");
  find("[name=copies]").checked = false;
  await type("[name=copies]", "on", "change");
  equal(last("find").copies, undefined);
  const at = (index) => find(`.tile[data-index="${index}"] .photo`);
  const asks = asked("find").length;
  at(0).focus();
  await press("c");
  equal(asked("find").length, asks, "it has none");
  await press("ArrowRight");
  await press("c");
  equal([asked("find").length, last("find").copies], [asks + 1, "1"]);
  await until(() => document.activeElement.closest(".tile")?.dataset.index === "5");
  await press("l");
  equal([last("find").like, last("find").words], ["5", undefined]);
  await click(".tile .like");
  equal([last("find").like, last("find").words], ["5,0", undefined]);
});

test("a label is chosen to be marked; a new one can be taught", async () => {
  serve({find: ({query}) => makeFound(5, {label: query.label || null, hints: [{text: "", words: "", label: "his cat"}]}), readiness: ({query}) => ({label: query.label, yes: 0, no: 0,
    missing_yes: 5, missing_no: 5, has_vectors: true, is_ready: false, is_learned: false})});
  await submit("pets");
  await until(() => find(".tile .yes"));
  await click(".tile .yes");
  equal([asked("mark").length, text("#message"), find("#message").className], [0, "Choose a label to mark first", "error"]);
  await press("y", find(".tile .photo"));
  equal(asked("mark").length, 0);
  await type("#label", "cat", "change");
  equal(last("find").label, "cat");
  await click(".tile .yes");
  equal(last("mark"), {image_id: 0, label: "cat", present: true, new: false});
  await press("n", find(".tile .photo"));
  equal([last("mark").present, find(".tile .no").ariaPressed], [false, "true"]);
  await press("y", find("#words"));
  equal(asked("mark").length, 2, "typed");
  await click("#hints button");
  equal([last("find").label, find("#label").value, texts("#hints button")], ["his cat", "his cat", []]);
  equal(text("#learning-state"), "“his cat”: 0 marked yes, 0 no. To learn it: 5 more yes and 5 more no.");
  await click(".tile .no");
  equal(last("mark"), {image_id: 0, label: "his cat", present: false, new: true});
  await submit("others");
  equal([last("find").label, find("#label").value], ["his cat", "his cat"], "it stays the one to mark");
  await type("#label", "my dog", "change");
  equal(last("find").label, "my dog");
  await click(".tile .no");
  equal(last("mark").new, true);
  await type("#label", "cat", "change");
  await submit("again");
  equal(last("find").label, undefined);
});

test("labels complete what is typed; late ones, or after it was sent, do not show", async () => {
  const first = later();
  serve({complete: ({query}) => (query.words === "b" ? first.promise : [{text: "bird", photos: 1200}, {text: `bi${HOSTILE}`, photos: 0}, {text: "bi", photos: 1}])});
  find("#words").focus();
  await type("#words", "b");
  await type("#words", "bi");
  await first.answer([{text: "bus", photos: 1}]);
  equal([options(), find("#suggestions").hidden, find("#words").ariaExpanded], [["bird1,200 photos", `bi${HOSTILE}`], false, "true"]);
  equal(await press("ArrowDown"), true);
  equal([highlighted(), find("#words").getAttribute("aria-activedescendant")], [["bird1,200 photos"], "suggestion-0"]);
  await press("ArrowDown");
  await press("ArrowDown");
  equal([highlighted(), find("#words").getAttribute("aria-activedescendant")], [[], null], "after the last, the field");
  await press("ArrowUp");
  equal(highlighted(), [`bi${HOSTILE}`]);
  await press("ArrowUp");
  equal(highlighted(), ["bird1,200 photos"]);
  equal(await press("ArrowLeft"), false);
  equal(await press("Enter"), true);
  equal([find("#words").value, find("#suggestions").hidden, find("#words").ariaExpanded, document.activeElement.id], ["bird", true, "false", "words"]);
  equal(await press("ArrowDown"), false, "nothing is open");
  await type("#words", "bi");
  equal(await press("Enter"), false, "none is chosen: the text is sent");
  await press("Escape");
  equal(find("#suggestions").hidden, true);
  await type("#words", "bi");
  const down = new MouseEvent("mousedown", {bubbles: true, cancelable: true});
  find("#suggestions li:nth-child(2)").dispatchEvent(down);
  equal([find("#words").value, down.defaultPrevented], [`bi${HOSTILE}`, true]);
  await type("#words", "bi");
  find("#words").blur();
  equal(find("#suggestions").hidden, true);
  find("#words").focus();
  const late = later();
  serve({complete: () => late.promise});
  await type("#words", "bird");
  await submit("bird");
  await late.answer([{text: "birds", photos: 1}]);
  equal([find("#suggestions").hidden, last("find").words], [true, "bird"]);
  const asks = asked("complete").length;
  serve({complete: new Failure(500, "")});
  await type("#words", "  ");
  equal(asked("complete").length, asks);
  find("#message").hidden = true;
  await type("#words", "birdie");
  equal([find("#suggestions").hidden, text("#message")], [true, "(hidden)"], "an error is no suggestion, and no alarm");
});

test("photos that were found, or selected, are copied to a folder", async () => {
  const send = async () => { find("#album-form").requestSubmit(); await rest(); };
  serve({find: makeFound(1500, {result: "c1", question: "a/b: <c>"}), album: {folder: "/albums/x", created: 2, existing: 0, missing: 0}});
  await submit("copies");
  await click("#album");
  equal([find("#album-dialog").open, text("#album-count"), find("#album-name").value, find("#album-first").closest("p").hidden], [true, "1,500 photos found", "a b   c ", false]);
  find("#album-name").value = "";
  await send();
  equal([asked("album").length, find("#album-dialog").open], [0, true], "not without a name");
  find("#album-name").value = "a b   c ";
  await send();
  equal([last("album"), find("#album-dialog").open, text("#message")], [{result: "c1", ranges: null, name: "a b   c ", how: "copy"}, false, "/albums/x: 2 copies"]);
  await click("#album");
  find("#album-first").value = "20";
  find("#album-form [value=link]").checked = true;
  serve({album: {folder: "/albums/x", created: 1, existing: 3, missing: 4}});
  await send();
  equal([last("album").ranges, last("album").how, text("#message")], [[0, 20], "link", "/albums/x: 1 link, 3 already there, 4 left out"]);
  await click("#album");
  find("#album-first").value = "9999";
  serve({album: new Failure(400, JSON.stringify({error: "it is a file"}))});
  await send();
  equal([last("album").ranges, find("#album-dialog").open, text("#message")], [[0, 1500], true, "it is a file"]);
  await click("#album-cancel");
  equal(find("#album-dialog").open, false);
  await click(".tile .check");
  await click("#album");
  equal([text("#album-count"), find("#album-first").closest("p").hidden], ["1 photo selected", true]);
  await send();
  equal(last("album").ranges, [0, 1]);
  await click("#album-cancel");
});

test("paths of selected photos are copied, all of them are selected, or none", async () => {
  let copied = "";
  navigator.clipboard.writeText = async (given) => { copied = given; };
  serve({paths: {paths: ["/a/1.jpg", "/a/2.jpg"]}});
  await click("#picks-paths");
  await rest();
  equal([last("paths"), copied, text("#message")], [{result: "c1", ranges: [0, 1]}, "/a/1.jpg\n/a/2.jpg", "2 paths copied"]);
  navigator.clipboard.writeText = () => Promise.reject(new DOMException("no", "NotAllowedError"));
  await click("#picks-paths");
  await rest();
  equal([text("#message"), find("#message").className], ["The browser doesn't let this page copy: nothing was copied", "error"]);
  serve({paths: new Failure(400, JSON.stringify({error: "too many"}))});
  await click("#picks-paths");
  equal(text("#message"), "too many");
  equal([text("#picks-all"), text("#picks-count")], ["Select all 1,500", "1 selected"]);
  await click("#picks-all");
  equal([text("#picks-count"), find("#picks-all").hidden], ["1,500 selected", true]);
  await click("#picks-clear");
  equal([find("#picks").hidden, document.activeElement.className], [true, "photo"]);
});

test("a double click adds to an album once", async () => {
  const added = later(), send = async () => { find("#add-form").requestSubmit(); await rest(); };
  serve({albums: [], add_to_album: () => added.promise});
  await click(".tile .check");
  await click("#picks-add");
  await type("#add-name", "Rome");
  await send();
  await send();
  equal([asked("add_to_album").length, last("add_to_album").name], [1, "Rome"]);
  await added.answer({name: "Rome", photos: 1, created: true, step: 7});
  await until(() => !find("#add-dialog").open);
  equal(text("#message"), "“Rome” was created, with 1 photo Undo");
  await click(".tile .check");
  await click("#picks-add");
  await type("#add-name", "Rome");
  await send();
  equal(asked("add_to_album").length, 2);
});

test("columns and crops are chosen, and kept for the next visit", async () => {
  document.body.focus();
  document.activeElement.blur();
  await type("#columns", "7");
  equal(JSON.parse(localStorage.getItem("view")), {columns: 7, fit: false});
  await press("+", document.body);
  equal([find("#columns").value, find("#columns").getAttribute("aria-valuetext"), JSON.parse(localStorage.getItem("view")).columns], ["6", "6 columns", 6]);
  await press("-", document.body);
  equal(find("#columns").value, "7");
  for (let i = 0; i < 12; i += 1) await press("-", document.body);
  equal(find("#columns").value, "16");
  for (let i = 0; i < 20; i += 1) await press("+", document.body);
  equal(find("#columns").value, "2");
  await press("f", document.body);
  equal([find("#fit").ariaPressed, find("#grid").classList.contains("fit"), JSON.parse(localStorage.getItem("view"))], ["true", true, {columns: 2, fit: true}]);
  await click("#fit");
  equal([find("#fit").ariaPressed, find("#grid").classList.contains("fit")], ["false", false]);
  equal(find("#filters").open, true, "a wide window has room for them");
  find("#filters").open = false;
  await until(() => JSON.parse(localStorage.getItem("view")).filters === false);
  find("#filters").open = true;
  await until(() => JSON.parse(localStorage.getItem("view")).filters === undefined);
});

test("keys are listed, and go to the field; not while a dialog is open", async () => {
  equal(await press("?", document.body), true);
  equal(find("#keys").open, true);
  equal(await press("f", find("#keys-close")), false);
  await click("#keys-close");
  await click("#keys-open");
  equal(find("#keys").open, true);
  await click("#keys-close");
  equal(find("#keys").open, false);
  equal(await press("/", document.body), true);
  equal(document.activeElement.id, "words");
  equal(await press("f", document.body, {ctrlKey: true}), false);
  equal(await press("f", document.body, {altKey: true}), false);
  serve({find: makeFound(0)});
  await submit("none");
  equal(await press("x", document.body), false, "there is no photo");
});

test("what was learned is what is searched for", async () => {
  serve({find: ({query}) => makeFound(5, {label: query.label || "bird", hints: []}), readiness: {label: "bird", yes: 5, no: 5, missing_yes: 0, missing_no: 0, has_vectors: true, is_ready: true, is_learned: true},
    preview: {label: "bird", better: true, why: "", found: 1, found_before: 2, shares: {precision: 1, recall: 1}, shares_before: null, added: [], removed: [makeRow(1)]}, learn: {label: "bird", learned: false},
    unlearn: {label: "bird", exists: false}});
  await submit("other words");
  await click("#learning-learn");
  equal([find("#learning-added").hidden, texts("#learning-removed li")], [true, ["0.900"]]);
  const labels = asked("labels").length;
  await click("#learning-keep");
  await until(() => last("find").words === "bird");
  equal([text("#message"), asked("labels").length, last("find").label], ["bird stays as it was", labels + 1, undefined]);
  await click("#learning-undo");
  await until(() => last("find").label === "bird", "a label that is not learned any more is taught");
});

test("what is seen is asked for first, then what is counted, and one count waits for the other", async () => {
  const total = later(), without = () => document.querySelectorAll(".tile:not(:has(img))").length, seen = [];
  find("#filters").open = true;
  await harness.elapse(1000); // the list has come to rest
  serve({find: makeFound(9, {total: null, result: "r8", chips: [{kind: "in", value: "Rome", wanted: true}]}), total: () => total.promise, tree: ({query}) => { if (query.result === "r8") seen.push([tiles() > 0, without()]); return []; }});
  await submit("many");
  await until(() => seen.length);
  equal([seen, last("total"), last("days").result === "r8"], [[[true, 0]], {result: "r8"}, false]);
  await total.answer({total: 9, n_sure: 9});
  equal(last("days"), {result: "r8"});
});

test("a request that was ended is no error", async () => {
  serve({edit: () => { throw new DOMException("it was ended", "AbortError"); }});
  find("#message").hidden = true;
  await click(remove("in Rome"));
  equal(last("edit").value, "Rome");
  ok(find("#message").hidden, text("#message"));
});
