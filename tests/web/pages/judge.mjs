// /judge?label=bird&kind=sample
import {LABELS, READINESS, STATUS, makeDetails, makeMarks} from "/tests/photos.js";
const {asked, click, elapse, equal, Failure, find, last, later, ok, press, serve, test, text, texts, timers, type, until} = harness;

const OWN = {label: "bird", model: "sight", threshold: 0.5, saved: false};
const makeQueue = (kind, ids, values = {}) => ({label: "bird", model: "sight", threshold: 0.5, kind, other_model: null, unjudged: 3,
  items: ids.map((id) => ({image_id: id, score: 0.25, other_score: null})), ...values});
const share = (precision) => ({precision, recall: 0.25, f1: null, accuracy: 1, intervals: {precision: [0.1, 0.9], recall: null, f1: null, accuracy: null}});
const makeReport = (threshold, values = {}) => ({threshold: {...OWN, ...values}, judged: [[0.75, true], [0.2, false]],
  figures: {...share(0.5), threshold, n: 1234, tp: 1000, fp: 2, fn: 3, tn: 4, library: null}});
const shown = () => (find("#card").hidden ? "none" : Number(/thumbnails\/(\d+)\?size=large/.exec(find("#photo").src)[1]));

test("the address chooses label and list; a sample shows no score", async () => {
  const status = later();
  serve({labels: LABELS, queue: ({query}) => makeQueue(query.kind, [1, 2, 3]), report: {threshold: OWN, figures: null, judged: []}, readiness: READINESS,
    status: () => status.promise});
  await until(() => shown() === 1);
  equal(last("queue"), {label: "bird", kind: "sample"});
  equal(last("report"), {label: "bird"});
  equal(text("#caption"), "3 photos left in the sample");
  equal(text("#question"), "Does this photo show bird?");
  equal([text("#no-marks").slice(0, 27), find("#report").hidden, find("#empty").hidden], ["No photos are marked yet: a", true, true]);
  equal(find("#photo").alt, "The photo to judge: does it show bird?");
  equal(texts("#label optgroup option"), ["bird (1,200)", "cat"], "labels to be learned are not judged");
  equal([...find("#label").children].map((each) => each.label), ["In your photos", "Other labels"]);
  equal(find("#undo").disabled, true, "nothing to undo");
  await status.answer({...STATUS, unreadable: 1500});
  equal(text("#status"), "1,234 photos, 1,500 unreadable");
  await elapse(15000);
  equal(asked("status").length, 2);
  serve({status: {...STATUS, running: true, models: ["a", "b"], scored: 1001}});
  await elapse(15000);
  equal(text("#status"), "Indexing with a and b: 1,234 photos; 1,001 scored");
  ok(timers().includes(2000), "a run is looked at every two seconds");
  serve({status: new Failure(500, "")});
  await elapse(2000);
  equal(text("#status"), "server error 500");
  serve({status: STATUS});
  await elapse(15000);
  equal(text("#status"), "1,234 photos");
});

test("an answer is marked, and the next photo comes; keys do the same, but not in a field or an open dialog", async () => {
  const marks = makeMarks();
  serve({...marks, details: ({query}) => makeDetails(Number(query.image_id)), neighbours: [], exposure: {}});
  await click("#yes");
  equal([last("mark"), shown(), text("#caption")], [{image_id: 1, label: "bird", present: true, new: false}, 2, "2 photos left in the sample"]);
  equal([find("#undo").disabled, find("#details-undo").disabled], [false, false], "a mark can be undone");
  equal(asked("report").length, 2, "the report follows");
  equal(await press("n", document.body), true);
  equal([last("mark").image_id, last("mark").present, shown()], [2, false, 3]);
  await press("y", "#label");
  await press("y", document.body, {ctrlKey: true});
  equal(await press("q", document.body), false);
  equal(asked("mark").length, 2, "typed, no answer");
  await click("#open");
  await until(() => find("#details").open);
  equal([last("details"), text("#details-name")], [{image_id: "3", label: "bird"}, "3.jpg"]);
  await press("s", "#details");
  await press("s", document.body);
  equal(shown(), 3, "the photo behind the open dialog is not judged by a key");
  await click("#details-close");
  equal(find("#details").open, false);
});

test("undo asks about the photo again, at once", async () => {
  await press("u", document.body);
  equal([last("undo"), text("#message")], [{step: 2}, "Undone: bird"]);
  await until(() => shown() === 2);
  equal(texts("#message"), ["Undone: bird"]);
  await elapse(3500);
  equal(text("#message"), "(hidden)");
  await click("#undo");
  await until(() => shown() === 1);
  equal([last("undo"), find("#undo").disabled], [{step: 1}, true]);
  const asks = asked("undo").length;
  await press("u", document.body);
  equal([text("#message").slice(0, 12), find("#message").className, asked("undo").length], ["This tab has", "error", asks]);
  await elapse(8999);
  equal(find("#message").hidden, false, "an error stays for longer");
  await elapse(1);
  equal(text("#message"), "(hidden)");
});

test("a mark that failed keeps its photo, and the error is shown", async () => {
  const {promise, answer} = later();
  serve({mark: () => promise});
  await click("#no");
  equal(shown(), 2, "the next one comes at once");
  await answer(new Failure(500, JSON.stringify({error: "disk full"})));
  equal([text("#message"), shown(), find("#undo").disabled], ["disk full", 1, true]);
  serve({mark: () => { throw new TypeError("network"); }});
  await click("#no");
  equal([text("#message"), shown()], ["Can't reach photosearch. Is `photosearch browse` still running?", 1]);
  serve(makeMarks());
});

test("skipped photos do not come again, until another list is chosen", async () => {
  serve({queue: ({query}) => (query.kind === "near" ? makeQueue("near", [1, 2]) : makeQueue(query.kind, [1], {other_model: "toy"}))});
  await type("#kind", "near", "change");
  equal([shown(), text("#caption"), location.search], [1, "sight: score 0.250, threshold 0.500", "?label=bird&kind=near"]);
  await click("#skip");
  equal(shown(), 2);
  const asks = asked("queue").length;
  equal(await press("S", document.body), true);
  await until(() => asked("queue").length > asks);
  equal([shown(), text("#question"), text("#empty")], ["none", "No photos to judge for bird", "All photos with a score are judged."]);
  equal(["yes", "no", "skip"].map((id) => find(`#${id}`).disabled), [true, true, true]);
  const marked = asked("mark").length;
  await press("y", document.body);
  await press("s", document.body);
  equal([asked("mark").length, asked("queue").length], [marked, asks + 1], "nothing left to judge");
  await type("#kind", "disagree", "change");
  equal([shown(), find("#yes").disabled], [1, false]);
  await click("#yes");
  await until(() => asked("queue").length === asks + 3, "an empty list is asked for again");
});

test("of two lists that were asked for the newer one is shown, whichever comes first", async () => {
  const old = later(), newer = later(), oldReport = later();
  serve({queue: ({query}) => (query.label === "cat" ? old : newer).promise, report: ({query}) => (query.label === "cat" ? oldReport.promise : makeReport(0.5))});
  await type("#label", "cat", "change");
  await type("#label", "bird", "change");
  await newer.answer(makeQueue("near", [8]));
  await old.answer(makeQueue("near", [9]));
  await oldReport.answer(makeReport(0.9));
  equal([shown(), find("#threshold").value], [8, "0.5"]);
  equal(last("readiness"), {label: "bird"});
  serve({queue: new Failure(500, "broken")});
  await type("#kind", "near", "change");
  equal([shown(), text("#message")], [8, "broken"], "an error is no empty list");
});

test("the report has its figures, for the photos that are marked or the whole library", async () => {
  equal([text("#basis"), text("#at"), find("#no-marks").hidden, find("#report").hidden],
    ["1,234 photos that you marked, not a random sample", "0.500", true, false]);
  equal(texts("#shares tr"), ["precision50.0 %10.0 to 90.0 %", "recall25.0 %–", "f1––", "accuracy100.0 %–"]);
  equal(["#tp", "#fp", "#fn", "#tn"].map(text), ["1,000", "2", "3", "4"]);
  equal([...find("#strip").children].map((each) => `${each.getAttribute("class")} ${each.getAttribute("x1")} ${each.getAttribute("x2")} ${each.getAttribute("y1")} ${each.getAttribute("y2")}`),
    ["positive 750 750 4 27", "negative 200 200 33 56", "threshold 500 500 0 60"]);
  equal([text("#saved"), find("#reset").disabled], ["Threshold of bird (model: sight): 0.5000, the model's own.", true]);
  serve({queue: makeQueue("near", [8]), report: ({query}) => ({...makeReport(Number(query.threshold ?? 0.5), {saved: true, threshold: 0.25}),
    figures: {...makeReport(Number(query.threshold ?? 0.5)).figures, library: {...share(0.75), population: 5000, judged: 40, drawn: 60}}})});
  await type("#threshold", "0.75", "input");
  equal([last("report"), text("#at"), text("#basis")], [{label: "bird", threshold: "0.75"}, "0.750",
    "Whole library (5,000 photos), estimated from 40 of 60 sampled photos"]);
  equal([texts("#shares tr")[0], text("#saved"), find("#reset").disabled, find("#threshold").value],
    ["precision75.0 %10.0 to 90.0 %", "Threshold of bird (model: sight): 0.2500, saved by you.", false, "0.75"]);
});

test("a threshold is saved and restored, and the lists follow; a refusal changes nothing", async () => {
  serve({threshold: ({body}) => ({...OWN, threshold: body.threshold ?? 0.5})});
  const asks = asked("queue").length;
  await click("#save");
  equal([last("threshold"), text("#message"), asked("queue").length], [{label: "bird", threshold: 0.75}, "Threshold of bird: 0.750", asks + 1]);
  equal([last("report"), find("#threshold").value], [{label: "bird"}, "0.5"]);
  await click("#reset");
  equal(last("threshold"), {label: "bird", threshold: null});
  serve({threshold: new Failure(400, JSON.stringify({error: "no such label"}))});
  await click("#save");
  equal([text("#message"), asked("queue").length], ["no such label", asks + 2]);
});

test("a sample that is drawn is judged next", async () => {
  serve({sample: {label: "bird", sample: 1, n_photos: 60}});
  const reports = asked("report").length;
  await click("#draw");
  equal([last("sample"), text("#message"), find("#kind").value, last("queue").kind, asked("report").length],
    [{label: "bird", n: 60}, "Drew 60 photos", "sample", "sample", reports + 1]);
  serve({sample: new Failure(400, JSON.stringify({error: "no scores"}))});
  await type("#kind", "near", "change");
  await click("#draw");
  equal([text("#message"), find("#kind").value], ["no scores", "near"]);
});

test("a label is learned here after a look at what it would change, and that is undone", async () => {
  serve({readiness: {...READINESS, yes: 5, no: 5, is_ready: true}});
  await click("#yes");
  await until(() => !find("#learning").hidden);
  equal([text("#learning-learn"), text("#learning-undo"), text("#learning-state")], ["Learn “bird” from 10 marks", "(hidden)", ""]);
  const {promise, answer} = later(), row = {image_id: 5, name: "5.jpg", path: "/5.jpg", by: "label", score: 0.75, taken: ""};
  const preview = {label: "bird", better: true, why: "", found: 31, found_before: null, shares: {precision: 1, recall: 1}, shares_before: null, added: [row], removed: []};
  serve({preview: () => promise});
  await click("#learning-learn");
  equal(find("#learning-learn").disabled, true);
  await answer(preview);
  equal([find("#learning-dialog").open, text("#learning-title"), find("#learning-learn").disabled], [true, "Learn “bird”?", false]);
  equal([texts("#learning-lines p")[0], texts("#learning-added li"), text("#learning-removed"), find("#learning-added li").title],
    ["It would find 31 photos.", ["0.750"], "(hidden)", "/5.jpg"]);
  equal([text("#learning-keep"), text("#learning-discard"), find("#learning-added img").alt], ["Keep", "Discard", "5.jpg"]);
  await click("#learning-discard");
  equal([find("#learning-dialog").open, asked("learn").length], [false, 0]);
  serve({preview: {...preview, better: false, why: "as good"}, learn: {label: "bird", learned: true}});
  await click("#learning-learn");
  equal([text("#learning-keep"), text("#learning-discard")], ["(hidden)", "Close"]);
  await click("#learning-discard");
  serve({preview, learn: new Failure(500, "not now"), unlearn: {label: "bird", exists: true}});
  await click("#learning-learn");
  await click("#learning-keep");
  equal([text("#message"), find("#learning-dialog").open, find("#learning-keep").disabled, find("#message").parentNode.id],
    ["not now", true, false, "learning-dialog"]);
  const asks = asked("queue").length;
  serve({learn: {label: "bird", learned: true}, readiness: {...READINESS, is_learned: true}});
  await click("#learning-keep");
  equal([last("learn"), text("#message"), find("#learning-dialog").open, asked("queue").length], [{label: "bird"}, "Learned: bird", false, asks + 1]);
  equal([text("#learning-state"), text("#learning-learn"), text("#learning-undo")], ["“bird” was learned from your marks.", "(hidden)", "Undo learning"]);
  serve({readiness: READINESS});
  await click("#learning-undo");
  equal([last("unlearn"), text("#message"), find("#learning").hidden, asked("queue").length], [{label: "bird"}, "Learning undone: bird", true, asks + 2]);
  serve({unlearn: new Failure(400, "no")});
  await click("#learning-undo");
  equal([text("#message"), asked("queue").length], ["no", asks + 2]);
});

test("what was learned for a label that is no longer chosen is not shown", async () => {
  const {promise, answer} = later();
  serve({preview: () => promise, readiness: {...READINESS, is_ready: true, yes: 5, no: 5}, report: {threshold: OWN, figures: null, judged: []}});
  await type("#label", "cat", "change");
  await click("#learning-learn");
  await type("#label", "bird", "change");
  await answer({label: "cat", better: true, why: "", found: 1, found_before: null, shares: {precision: 1, recall: 1}, shares_before: null, added: [], removed: []});
  equal(find("#learning-dialog").open, false);
});
