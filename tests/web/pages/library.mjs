// /library
import {HOSTILE, STATUS} from "/tests/photos.js";
const {asked, click, elapse, equal, Failure, find, last, later, ok, rest, serve, test, text, texts, until} = harness;

const RUN = {number: 0, running: false, stopping: false, folders: [], done: 0, total: null, scored: 0, unreadable: 0, seconds: 0, rate: 0, notes: [], error: null, stopped: false, summary: null};
const NOTHING = {models: null, tiles: null, exclude: null, include: null, follow_symlinks: null, metadata: null};
const FOLDERS = [{id: "f1", path: `/a/${HOSTILE}`, present: true, photos: 1200, unreadable: 3, removed: 0, excluded: 5, words: {models: "toy", excluded: "*.gif"},
  own: {...NOTHING, models: [null, "own.onnx"], exclude: ["*.gif"], follow_symlinks: true, tiles: 4}},
{id: "f2", path: "/b", present: false, photos: 1, unreadable: 0, removed: 0, excluded: 0, words: {}, own: NOTHING}];
const LIBRARY = {path: "/home/<b>me</b>/library.db", size_bytes: 2_000_000, photos: 1201, unreadable: 3, removed: 2000, marks: 1, folders: FOLDERS,
  runs: [{started_at: "2026-05-01T10:00:00Z", finished_at: "2026-05-01T10:00:35Z", models: ["sight", "toy"], provider: "CPU", summary: {new: 3, stopped: true}},
    {started_at: "2026-05-01T09:00:00Z", finished_at: null, models: ["sight"], provider: "CPU", summary: null}]};
const model = (name, values = {}) => ({name, version: "1.2", labels: 3, describes: false, input_size: 224, licence: "", tiles: [0, 4], included: true, is_default: false, scored: 0, ...values});
const MODELS = {default: "sight", images: 1500, models: [model("sight", {is_default: true, labels: 1200, describes: true, scored: 1200, licence: "MIT"}), model("toy", {scored: 1, tiles: [9]}), model("new", {included: false})],
  offers: [{name: "large", description: "<b>more</b>", licence: "Apache-2.0", repository: "hub/large", is_here: false}, {name: "here", description: "d", licence: "MIT", repository: "hub/here", is_here: true}]};
const PULL = {name: "", running: false, bytes: 0, size_bytes: 0, error: null, remarks: []};
const named = (label) => [...document.querySelectorAll("button")].find((each) => each.ariaLabel === label);

test("the library is told: folders, runs and models", async () => {
  serve({status: STATUS, run: RUN, pull: PULL, models: MODELS, library: LIBRARY, directories: {paths: [], more: false, reason: null}});
  await until(() => texts("#folder-rows li").length);
  equal(text("#summary"), "1,201 photos, 3 unreadable, 2,000 removed, 1 mark. The library is /home/<b>me</b>/library.db (2.0 MB).");
  equal(texts("#folder-rows li").map((each) => each.replace("Index againWatchSettings…Forget…", "")),
    [`/a/${HOSTILE}1,200 photos, 3 unreadable, 5 excludedmodels: toy; excluded: *.gif`, "/b1 photo (not here now)"]);
  equal([find("#no-folders").hidden, find("#all-folders").hidden, find("#runs").hidden], [true, false, false]);
  equal(texts("#run-rows tr td:not(:first-child)"), ["35 s", "sight, toy on CPU", "3 new; stopped", "not finished", "sight on CPU", ""]);
  ok(/^2026-05-01 \d\d:00$/.test(texts("#run-rows td")[0]), texts("#run-rows td")[0]);
  equal([text("#model-summary"), texts("#model-rows li")], ["“sight” answers questions.", [
    "sight (default)1,200 labels, search by descriptionversion 1.2, 224 px, included; has scored 1,200 of 1,500 pictures hereLicence: MIT",
    "toy3 labelsversion 1.2, 224 px, included; has scored 1 of 1,500 pictures hereMake default", "new3 labelsversion 1.2, 224 px, added; has scored 0 of 1,500 pictures here"]]);
  equal([texts("#offer-rows li"), named("Download large").hidden, named("Download here").hidden],
    [["large<b>more</b>Licence: Apache-2.0; from hub/largeDownload…", "here (installed)dLicence: MIT; from hub/hereDownload…"], false, true]);
  equal([texts("#add-models label").length, find("#pull").hidden], [3, true]);
});

test("a folder is indexed again as the boxes say; removing asks first", async () => {
  serve({index: new Failure(400, JSON.stringify({error: "busy"}))});
  find("#index-retry").checked = true;
  await click(named("Index again: /b"));
  equal([last("index"), text("#message"), find("#index-retry").checked], [{folder: "f2", retry: true, prune: false, force: false}, "busy", true]);
  find("#index-force").checked = true;
  find("#index-prune").checked = true;
  const asks = asked("index").length;
  await click("#index-all");
  equal([find("#confirm").open, text("#confirm-title"), text("#confirm-yes"), find("#confirm-yes").className, asked("index").length],
    [true, "Remove missing photos?", "Index and remove", "danger", asks]);
  ok(texts("#confirm-text p")[0].startsWith("all folders: photos that are no longer on the disk"), text("#confirm-text"));
  await click("#confirm-no");
  equal([find("#confirm").open, asked("index").length], [false, asks], "no is no");
  serve({index: {...RUN, number: 1, running: true}});
  await click("#index-all");
  find("#confirm-form").requestSubmit();
  await rest();
  equal([last("index"), find("#confirm").open, text("#run-title")], [{retry: true, prune: true, force: true}, false, "Indexing all folders"]);
  equal(["retry", "prune", "force"].map((name) => find(`#index-${name}`).checked), [false, false, false]);
  const loads = asked("library").length;
  serve({run: {...RUN, number: 1, done: 3, seconds: 1, summary: {}}});
  await elapse(1000);
  await until(() => asked("library").length === loads + 1, "what a run changed is shown");
});

test("settings of a folder are shown, saved and taken back", async () => {
  const form = find("#settings-form").elements;
  serve({settings: {words: "models: toy"}});
  await click(named(`Settings: /a/${HOSTILE}`));
  equal([find("#settings").open, text("#settings-title"), form.exclude.value, form.include.value, form.tiles.value, form.links.value, form.metadata.value],
    [true, `Settings of /a/${HOSTILE}`, "*.gif", "", "4", "yes", ""]);
  equal([...document.querySelectorAll("#settings-models input")].map((each) => [each.value, each.checked]), [["sight", true], ["toy", false], ["new", false], ["own.onnx", true]]);
  equal(texts("#settings [name=tiles] option"), ["as above, or the model's default", "none", "4 overlapping tiles", "9 overlapping tiles"]);
  form.include.value = "a\nb";
  form.metadata.value = "no";
  form.tiles.value = "0";
  document.querySelectorAll("#settings-models input")[0].checked = false;
  find("#settings-form").requestSubmit();
  await rest();
  equal(last("settings"), {folder: "f1", models: ["own.onnx"], tiles: 0, exclude: ["*.gif"], include: ["a", "b"], follow_symlinks: true, metadata: false});
  equal([find("#settings").open, text("#message")], [false, "Settings saved: models: toy. They apply from the next index."]);
  await click(named("Settings: /b"));
  equal([form.exclude.value, form.tiles.value, form.links.value], ["", "", ""]);
  find("#settings-form").requestSubmit();
  await rest();
  equal(last("settings"), {folder: "f2", ...NOTHING});
  await click(named(`Settings: /a/${HOSTILE}`));
  serve({settings: new Failure(400, JSON.stringify({error: "no such model"}))});
  await click("#settings-reset");
  equal([last("settings"), find("#settings").open, text("#message")], [{folder: "f1", ...NOTHING}, true, "no such model"]);
  await click("#settings-cancel");
  equal(find("#settings").open, false);
});

test("forgetting names what goes, and asks", async () => {
  serve({forgotten: {path: "/b", photos: 1200, marks: 1, judged: 2, backups: ["/x/library.db.bak"]}, forget: {path: "/b"}});
  await click(named("Forget: /b"));
  equal([last("forgotten"), text("#confirm-title"), text("#confirm-yes"), asked("forget").length], [{folder: "f2"}, "Forget /b?", "Forget this folder", 0]);
  equal(texts("#confirm-text p"), ["This removes from the library: 1,200 photos, 1 mark of yours, 2 judged photos of samples. It can't be undone.",
    "The files in the folder are not changed.", "Backups that still contain them: /x/library.db.bak."]);
  const loads = asked("library").length;
  find("#confirm-form").requestSubmit();
  await until(() => asked("library").length === loads + 1);
  equal([last("forget"), text("#message")], [{folder: "f2", photos: 1200, marks: 1}, "Forgotten: /b"]);
  serve({forget: new Failure(400, JSON.stringify({error: "it has changed"})), forgotten: {path: "/b", photos: 1, marks: 0, judged: 0, backups: []}});
  await click(named("Forget: /b"));
  equal(texts("#confirm-text p").length, 2);
  find("#confirm-form").requestSubmit();
  await until(() => asked("library").length === loads + 2);
  equal(text("#message"), "it has changed");
  serve({forgotten: new Failure(400, JSON.stringify({error: "no such folder"}))});
  await click(named("Forget: /b"));
  equal([find("#confirm").open, text("#message")], [false, "no such folder"]);
});

test("another model becomes the default", async () => {
  serve({"default-model": {}});
  const loads = asked("library").length;
  await click(named("Make toy the default"));
  equal([last("default-model"), text("#message"), asked("library").length], [{name: "toy"}, "The default model is toy now", loads + 1]);
  serve({"default-model": new Failure(400, JSON.stringify({error: "gone"}))});
  await click(named("Make toy the default"));
  equal([text("#message"), asked("library").length], ["gone", loads + 1]);
});

test("a model is downloaded after its size was named, and followed to its end", async () => {
  const size = later();
  serve({"offer-size": () => size.promise});
  await click(named("Download large"));
  equal([last("offer-size"), text("#pull-text"), named("Download large").disabled], [{name: "large"}, "Asking the hub for the size of large…", true]);
  await size.answer({name: "large", size_bytes: 600_000_000});
  equal([text("#confirm-title"), text("#confirm-yes"), find("#confirm-yes").className, texts("#confirm-text p"), asked("start-pull").length],
    ["Download large?", "Download 600.0 MB", "strong", ["<b>more</b>", "600.0 MB from hub/large, under the licence Apache-2.0. Nothing of yours is sent."], 0]);
  equal([named("Download large").disabled, text("#pull-text")], [false, ""]);
  serve({"start-pull": {...PULL, name: "large", running: true, size_bytes: 600_000_000}, "stop-pull": {}});
  find("#confirm-form").requestSubmit();
  await rest();
  equal([last("start-pull"), find("#pull").hidden, text("#pull-text")], [{name: "large", size_bytes: 600_000_000}, false, "large: 0 kB of 600.0 MB"]);
  serve({pull: {...PULL, name: "large", running: true, bytes: 300_000_000, size_bytes: 600_000_000}});
  await elapse(1000);
  equal([find("#pull-bar").value, find("#pull-bar").max, find("#pull-bar").hidden, find("#pull-stop").hidden], [300_000_000, 600_000_000, false, false]);
  await click("#pull-stop");
  equal(asked("stop-pull").length, 1);
  serve({pull: new Failure(500, "locked")});
  await elapse(1000);
  const loads = asked("library").length;
  serve({pull: {...PULL, name: "large", error: "large: stopped"}});
  await elapse(9999);
  equal(asked("library").length, loads, "after an error it is asked for ten seconds later");
  await elapse(1);
  equal([text("#pull-text"), text("#message"), find("#message").className, find("#pull-bar").hidden, find("#pull-stop").hidden, asked("library").length],
    ["large: stopped", "large: stopped", "error", true, true, loads + 1]);
  serve({"offer-size": new Failure(400, JSON.stringify({error: "no network"}))});
  await click(named("Download large"));
  equal([find("#confirm").open, text("#message"), named("Download large").disabled], [false, "no network", false]);
});

test("a folder is watched until that is stopped, one at a time", async () => {
  const watch = {number: 1, running: true, stopping: false, indexing: false, folders: ["/b"], notes: [{event: "WatchStarted", path: "/b", seconds: null, reason: null}], error: null, summary: null, changed_at: null};
  serve({watch: new Failure(400, JSON.stringify({error: "busy"})), watching: {...watch, number: 0, running: false, folders: [], notes: []}});
  await click(named("Watch: /b"));
  equal([last("watch"), text("#message"), find("#watch").hidden], [{folder: "f2"}, "busy", true]);
  serve({watch, watching: watch});
  await click(named("Watch: /b"));
  await until(() => !find("#watch").hidden);
  equal([text("#watch-text"), texts("#watch-notes li"), text("#watch-stop"), document.activeElement.id],
    ["Watching /b. Nothing has changed yet.", ["/b: changes are reported by the system"], "Stop watching", "watch-stop"]);
  equal([...document.querySelectorAll("button.watch")].map((each) => each.disabled), [true, true, true]);
  const loads = asked("library").length, changed = {...watch, changed_at: "2026-05-02T10:00:00Z", summary: {new: 2}};
  serve({watching: changed});
  await elapse(2000);
  await until(() => asked("library").length > loads);
  ok(/^Watching \/b\. Last change, 2026-05-02 \d\d:00: 2 new\.$/.test(text("#watch-text")), text("#watch-text"));
  serve({watching: {...changed, stopping: true}, "stop-watch": {...changed, stopping: true}});
  await click("#watch-stop");
  equal([last("stop-watch"), text("#watch-stop"), text("#watch-text")], [{at_once: false}, "Stop at once", "Stopping. What is done is kept."]);
  serve({"stop-watch": {...changed, running: false, error: "<b>gone</b>"}, watching: {...changed, running: false, error: "<b>gone</b>"}});
  await click("#watch-stop");
  equal([last("stop-watch"), text("#watch-text"), find("#watch-text").classList.contains("error"), find("#watch-buttons").hidden], [{at_once: true}, "<b>gone</b>", true, true]);
  equal([...document.querySelectorAll("button.watch")].map((each) => each.disabled), [false, false, false]);
  serve({watch, watching: watch});
  await click("#watch-all");
  equal(last("watch"), {});
});

test("the installation is checked, failures by name", async () => {
  const checks = later();
  serve({checks: () => checks.promise});
  await click("#check");
  equal([find("#check").disabled, text("#check-summary")], [true, "Checking…"]);
  await checks.answer([{name: "decoding", works: true, installed: true, detail: "<b>ok</b>", milliseconds: 1.234},
    {name: "CUDA", works: false, installed: true, detail: "no device", milliseconds: null}, {name: "text", works: false, installed: false, detail: "add ocr", milliseconds: null}]);
  equal([find("#check").disabled, text("#check-summary"), texts("#check-rows li"), [...document.querySelectorAll("#check-rows p:not(.small)")].map((each) => each.className)],
    [false, "1 check failed.", ["decodingworks, 1.23 ms per photo<b>ok</b>", "CUDAFAILSno device", "textnot installedadd ocr"], ["works", "fails", ""]]);
  serve({checks: [{name: "decoding", works: true, installed: true, detail: "", milliseconds: null}, {name: "text", works: false, installed: false, detail: "", milliseconds: null}]});
  await click("#check");
  equal([text("#check-summary"), texts("#check-rows li")], ["Everything that is installed works.", ["decodingworks", "textnot installed"]]);
  serve({checks: new Failure(500, "broken")});
  await click("#check");
  equal([text("#message"), text("#check-summary"), find("#check").disabled, texts("#check-rows li")], ["broken", "", false, []]);
});

test("a library without folders says so, and an error is no empty library", async () => {
  serve({library: {...LIBRARY, folders: [], runs: [], unreadable: 0, removed: 0}, "default-model": {}});
  await click(named("Make toy the default"));
  await until(() => !find("#no-folders").hidden);
  equal([find("#all-folders").hidden, find("#runs").hidden, text("#summary").slice(0, 40)], [true, true, "1,201 photos, 1 mark. The library is /ho"]);
  serve({library: new Failure(500, "locked"), models: new Failure(500, "locked")});
  await click(named("Make toy the default"));
  await rest();
  equal([text("#summary"), texts("#model-rows li").length], ["", 3]);
});
