// /start
import {HOSTILE, STATUS, makeDetails} from "/tests/photos.js";
const {asked, click, elapse, equal, Failure, find, last, later, ok, press, rest, serve, test, text, texts, timers, type, until} = harness;

const IDLE = {number: 0, running: false, stopping: false, folders: [], done: 0, total: null, scored: 0, unreadable: 0, seconds: 0, rate: 0, notes: [], error: null, stopped: false, summary: null};
const RUN = {...IDLE, number: 1, running: true, folders: ["/home/me/Pictures"]};
const MODELS = {default: "sight", images: 0, offers: [], models: [{name: "sight", labels: 1200, describes: true}, {name: "<b>toy</b>", labels: 3, describes: false}]};
const options = () => texts("#add-folders li");

test("folders are offered while a path is typed", async () => {
  serve({status: STATUS, models: MODELS, run: IDLE, newest: [], directories: ({query}) => ({paths: query.typed ? ["/home/me/<b>P</b>", "/home/me/Pictures"] : ["/home/me"], more: false, reason: null})});
  await until(() => document.activeElement.id === "add-path");
  await until(() => options().length);
  equal([options(), find("#add-folders").hidden, find("#add-path").ariaExpanded, text("#add-hint")], [["/home/me"], false, "true", ""]);
  equal([find("#run").hidden, find("#arrivals").hidden, find("#add").hidden], [true, true, false]);
  equal([texts("#add-models label"), [...document.querySelectorAll("#add-models input")].map((each) => [each.value, each.checked])],
    [["sight (1,200 labels, descriptions)", "<b>toy</b> (3 labels)"], [["sight", true], ["<b>toy</b>", false]]]);
  await type("#add-path", "/home/me/P");
  equal([last("directories"), options()], [{typed: "/home/me/P"}, ["/home/me/<b>P</b>", "/home/me/Pictures"]]);
  await press("ArrowDown");
  await press("ArrowDown");
  equal(await press("Enter"), true);
  equal([find("#add-path").value, last("directories")], ["/home/me/Pictures/", {typed: "/home/me/Pictures/"}], "the folders in it come next");
  const down = new MouseEvent("mousedown", {bubbles: true, cancelable: true});
  find("#add-folders li").dispatchEvent(down);
  equal([find("#add-path").value, down.defaultPrevented], ["/home/me/<b>P</b>/", true]);
  serve({directories: {paths: ["C:\\a"], more: true, reason: null}});
  await type("#add-path", "C:\\");
  equal(text("#add-hint"), "More folders begin like this: type on.");
  await press("ArrowDown");
  await press("Enter");
  equal(find("#add-path").value, "C:\\a\\");
  serve({directories: {paths: ["C:\\a\\"], more: false, reason: "no such folder"}});
  await type("#add-path", "C:\\a\\");
  equal([text("#add-hint"), options(), find("#add-folders").hidden, find("#add-path").ariaExpanded], ["no such folder", [], true, "false"], "what is typed already is not offered");
  const old = later();
  serve({directories: () => old.promise});
  await type("#add-path", "/old");
  serve({directories: new Failure(500, "locked")});
  await type("#add-path", "/new");
  await old.answer({paths: ["/old"], more: false, reason: null});
  equal([text("#add-hint"), options()], ["locked", []]);
  serve({directories: {paths: ["/x"], more: false, reason: null}});
  find("#add-path").blur();
  await rest();
  const asks = asked("directories").length;
  find("#add-path").focus();
  await rest();
  equal(asked("directories").length, asks, "not over what is typed");
});

test("a folder is added with its settings; a refusal keeps what was typed", async () => {
  const form = find("#add");
  find("#add-path").value = "/home/me/Pictures";
  form.elements.exclude.value = "Screenshots/\n*.gif";
  form.elements.include.value = "a";
  form.elements.links.checked = true;
  form.elements.metadata.checked = false;
  document.querySelectorAll("#add-models input")[1].checked = true;
  serve({index: new Failure(400, JSON.stringify({error: "no such folder"}))});
  form.requestSubmit();
  await rest();
  equal(last("index"), {path: "/home/me/Pictures", exclude: ["Screenshots/", "*.gif"], include: ["a"], models: ["sight", "<b>toy</b>"], follow_symlinks: true, metadata: false});
  equal([text("#message"), find("#add-path").value, find("#run").hidden], ["no such folder", "/home/me/Pictures", true]);
  document.querySelectorAll("#add-models input")[0].checked = false;
  form.requestSubmit();
  await rest();
  equal(last("index").models, ["<b>toy</b>"]);
  form.reset();
  find("#add-path").value = "/home/me/Pictures";
  serve({index: RUN});
  form.requestSubmit();
  await until(() => !find("#run").hidden);
  equal(last("index"), {path: "/home/me/Pictures", exclude: [""], include: [""], models: [], follow_symlinks: null, metadata: null}, "the default is named nowhere");
  equal([find("#add-path").value, document.activeElement.id, find("#add").hidden], ["", "run-stop", true]);
  equal([text("#run-title"), text("#run-text"), find("#run-bar").hidden, find("#run-bar").hasAttribute("value")],
    ["Indexing /home/me/Pictures", "Starting: the model is loaded, and the photos are counted.", false, false]);
});

test("a run is followed to its end, with its first photos", async () => {
  equal(timers().includes(1000), true);
  serve({run: {...RUN, done: 12, total: 40, rate: 8, notes: [{event: "PatternUnused", path: "/a", pattern: "*.gif", excludes: true}]},
    newest: [{image_id: 5, name: HOSTILE, path: `/a/${HOSTILE}`}, {image_id: 6, name: "6.jpg", path: "/a/6.jpg"}]});
  await elapse(1000);
  equal([text("#run-text"), find("#run-bar").max, find("#run-bar").value, texts("#run-notes li")], ["12 of 40 photos, 8 a second, less than a minute left", 40, 12, ["“*.gif” excludes nothing in /a"]]);
  equal(text("#run-said"), "12 of 40 photos, 8 a second, less than a minute left", "a screen reader hears each tenth");
  await until(() => find("#newest").children.length === 2);
  equal([find("#arrivals").hidden, last("newest"), find("#newest li").title, find("#newest button").ariaLabel, find("#newest img").getAttribute("src")],
    [false, {n: "48"}, `/a/${HOSTILE}`, `Details of ${HOSTILE}`, "/thumbnails/5"]);
  const tile = find("#newest li");
  await elapse(1000);
  await rest();
  equal(find("#newest li") === tile, true, "what is there is not drawn again");
  serve({details: makeDetails(5), neighbours: [], exposure: {}});
  await click("#newest button");
  equal(last("details"), {image_id: "5"});
  await click("#details-close");
  equal([find("#details-like").hidden, find("#details-unlike").hidden, asked("similar").length], [true, true, 0], "no search on this page");
  serve({run: new Failure(500, "locked")});
  await elapse(1000);
  equal(text("#run-text"), "locked");
  serve({run: {...RUN, done: 12, total: 40}, stop: ({body}) => ({...RUN, stopping: true, done: body.at_once ? 13 : 12, total: 40})});
  await elapse(1000);
  await click("#run-stop");
  equal([last("stop"), text("#run-stop"), text("#run-text")], [{at_once: false}, "Stop at once", "Finishing the current batch. What is done is kept."]);
  await click("#run-stop");
  equal([last("stop"), find("#run-bar").value], [{at_once: true}, 13]);
  find("#run-stop").focus();
  serve({run: {...RUN, running: false, done: 14, total: 14, seconds: 3, summary: {new: 14}}, newest: []});
  await elapse(1000);
  await until(() => !find("#add").hidden);
  equal([text("#run-text"), text("#run-title"), text("#run-buttons"), find("#run-bar").hidden, text("#run-stop")],
    ["Done: 14 photos in 3.0 s: 14 new.", "Last index from this page", "(hidden)", true, "Stop"]);
  equal([document.activeElement.id, find("#arrivals").hidden, text("#run-said")], ["run-title", true, "Done: 14 photos in 3.0 s: 14 new."], "no photo came");
  ok(timers().includes(6000), "an idle server is asked seldom");
});

test("a run of another tab shows up, and its end leads to the search; an error does not", async () => {
  serve({run: {...RUN, number: 2, done: 1}, newest: [{image_id: 6, name: "6.jpg", path: "/a/6.jpg"}]});
  await elapse(6000);
  equal([find("#run").hidden, text("#run-title"), text("#run-said"), find("#add").hidden, find("#run-bar").hasAttribute("value")],
    [false, "Indexing /home/me/Pictures", "Indexing has begun", true, false]);
  serve({run: {...RUN, number: 2, running: false, done: 1, error: "disk full"}});
  find("#main").focus();
  await elapse(1000);
  await until(() => !find("#add").hidden);
  await rest();
  equal([text("#run-text"), find("#run-text").classList.contains("error"), document.activeElement.id], ["disk full", true, "main"]);
  serve({run: {...RUN, number: 3, done: 1, total: 1}});
  await elapse(6000);
  equal(find("#run-text").classList.contains("error"), false);
  serve({run: {...RUN, number: 3, running: false, done: 1, total: 1, seconds: 1, summary: {new: 1}}});
  await elapse(1000);
  await until(() => document.activeElement.id === "see");
});
