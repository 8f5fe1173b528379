// The judge page: one photo after another, does it show the label? Beside it, the report that follows from the answers.
import {ask, attempt, byId, change, formatCount, fillMenu, formatInterval, formatPercent, isTyping, loadLabels, make,
  showMessage, thumbnailUrl} from "./api.js";
import {Latest} from "./answers.mjs";
import {Details} from "./details.js";
import {Learning} from "./learning.js";
import {mark, onMarks, undo} from "./marks.js";
import {Queue, describeItem, explainEmpty} from "./queue.mjs";

const label = byId("label"), kind = byId("kind"), slider = byId("threshold"), queue = new Queue();

const learning = new Learning({label: () => label.value, changed: () => Promise.all([loadQueue(), loadReport()])});
const details = new Details(), latestQueue = new Latest(), latestReport = new Latest();

// ---- the queue

// first: image ids to show before the others.
async function loadQueue(first) {
  const query = {label: label.value, kind: kind.value};
  history.replaceState(null, "", `?${new URLSearchParams(query)}`);
  const isLatest = latestQueue.begin(), about = await attempt(() => ask("queue", query));
  if (!about || !isLatest()) return;
  queue.load(about, first);
  showNext();
}

function showNext() {
  const [item, ...others] = queue.items, isEmpty = !item;
  byId("question").textContent = isEmpty ? `No photos to judge for ${label.value}` : `Does this photo show ${label.value}?`;
  byId("card").hidden = isEmpty;
  byId("empty").hidden = !isEmpty;
  for (const name of ["yes", "no", "skip"]) byId(name).disabled = isEmpty;
  if (isEmpty) { byId("empty").textContent = explainEmpty(queue.about); return; }
  byId("photo").src = thumbnailUrl(item.image_id, true);
  byId("photo").alt = `The photo to judge: does it show ${label.value}?`;
  byId("caption").textContent = describeItem(item, queue.about, queue.items.length);
  for (const next of others.slice(0, 2)) new Image().src = thumbnailUrl(next.image_id, true);
}

async function answer(present) {
  const {item, isCurrent, putBack} = queue.take();
  if (!item) return;
  showNext();
  const marked = await mark(item.image_id, label.value, present);
  if (!isCurrent()) return; // another label, or list, meanwhile
  if (!marked) { putBack(); showNext(); } else if (!queue.items.length) loadQueue();
}

function skip() {
  if (!queue.items.length) return;
  queue.skip();
  showNext();
  if (!queue.items.length) loadQueue();
}

onMarks((marks) => {
  const unmarked = new Set(marks.filter((each) => each.label === label.value && each.present === null).map((each) => each.image_id));
  if (unmarked.size) {
    queue.ask(unmarked);
    loadQueue(unmarked);
  }
  loadReport();
});

// ---- the report

async function loadReport(at) {
  const isLatest = latestReport.begin(), report = await attempt(() => ask("report", {label: label.value, threshold: at}));
  if (!report || !isLatest()) return;
  const {threshold: own, figures} = report;
  byId("report").hidden = !figures;
  byId("no-marks").hidden = Boolean(figures);
  byId("saved").textContent = `Threshold of ${own.label} (model: ${own.model}): ${own.threshold.toFixed(4)}, ${own.saved ? "saved by you" : "the model's own"}.`;
  byId("reset").disabled = !own.saved;
  if (!figures) return;
  if (at === undefined) slider.value = figures.threshold;
  byId("at").textContent = figures.threshold.toFixed(3);
  const library = figures.library?.judged ? figures.library : null, shown = library ?? figures;
  byId("basis").textContent = library
    ? `Whole library (${formatCount(library.population, "photo")}), estimated from ${library.judged} of ${library.drawn} sampled photos`
    : `${formatCount(figures.n, "photo")} that you marked, not a random sample`;
  byId("shares").replaceChildren(...["precision", "recall", "f1", "accuracy"].map((name) => make("tr", {},
    make("th", {scope: "row"}, name), make("td", {}, formatPercent(shown[name])), make("td", {}, formatInterval(shown.intervals[name])))));
  for (const name of ["tp", "fp", "fn", "tn"]) byId(name).textContent = figures[name].toLocaleString("en");
  drawStrip(report.judged, figures.threshold);
}

// Each judged photo at its score: those that show the label above, the others below.
function drawStrip(judged, threshold) {
  const drawLine = (x, y1, y2, className) => {
    const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
    for (const [key, value] of Object.entries({x1: 1000 * x, x2: 1000 * x, y1, y2, class: className})) line.setAttribute(key, value);
    return line;
  };
  const drawn = judged.filter((_, i) => i % Math.ceil(judged.length / 1000) === 0);
  byId("strip").replaceChildren(
    ...drawn.map(([score, present]) => (present ? drawLine(score, 4, 27, "positive") : drawLine(score, 33, 56, "negative"))),
    drawLine(threshold, 0, 60, "threshold"));
}

async function saveThreshold(threshold) {
  const saved = await attempt(() => change("threshold", {label: label.value, threshold}));
  if (!saved) return;
  showMessage(`Threshold of ${saved.label}: ${saved.threshold.toFixed(3)}`);
  loadReport();
  loadQueue();
}

slider.addEventListener("input", () => { byId("at").textContent = Number(slider.value).toFixed(3); loadReport(slider.value); });
byId("save").addEventListener("click", () => saveThreshold(Number(slider.value)));
byId("reset").addEventListener("click", () => saveThreshold(null));
byId("draw").addEventListener("click", async () => {
  const sample = await attempt(() => change("sample", {label: label.value, n: 60}));
  if (!sample) return;
  showMessage(`Drew ${formatCount(sample.n_photos, "photo")}`);
  kind.value = "sample";
  queue.forgetSkipped();
  loadQueue();
  loadReport();
});

// ---- keys, and the start

byId("yes").addEventListener("click", () => answer(true));
byId("no").addEventListener("click", () => answer(false));
byId("skip").addEventListener("click", skip);
byId("open").addEventListener("click", () => { if (queue.items.length) details.show(queue.items[0].image_id, {labels: [label.value]}); });
document.addEventListener("keydown", (event) => {
  if (isTyping(event) || details.isOpen) return;
  const action = {y: () => answer(true), n: () => answer(false), s: skip, u: undo}[event.key.toLowerCase()];
  if (!action) return;
  event.preventDefault();
  action();
});
label.addEventListener("change", () => { queue.forgetSkipped(); loadQueue(); loadReport(); learning.update(); });
kind.addEventListener("change", () => { queue.forgetSkipped(); loadQueue(); });

attempt(async () => {
  const labels = (await loadLabels()).filter(({is_new: isNew}) => !isNew), query = new URLSearchParams(location.search);
  fillMenu(label, labels);
  const names = labels.map(({name}) => name);
  if (!names.length) { byId("question").textContent = "Nothing is indexed yet"; return; }
  const wanted = query.get("label") ?? (names.includes("bird") ? "bird" : names[0]);
  label.value = names.includes(wanted) ? wanted : names[0];
  if (["near", "disagree", "sample"].includes(query.get("kind"))) kind.value = query.get("kind");
  await Promise.all([loadQueue(), loadReport(), learning.update()]);
});
