// The search page: the search is in the address, its results are in the grid.
import {ask, attempt, byId, change, fillMenu, formatCount, isTyping, loadLabels, make, makeThumbnail, showMessage} from "./api.js";
import {Latest, neutralize} from "./answers.mjs";
import {Details} from "./details.js";
import {Grid} from "./grid.js";
import {Learning} from "./learning.js";
import {allowNew, mark, onMarks, toggle, undo} from "./marks.js";
import {Suggestions} from "./suggestions.js";
import {describeAdvice, describeRank, summarize} from "./wording.mjs";

const form = byId("search"), words = byId("words"), label = byId("label");
const FIELDS = ["words", "since", "until", "under", "query_mode", "sort", "min_score"], CHECKS = ["file_dates", "sure_only", "copies"];
const FILTERS = ["since", "until", "under", "query_mode", "min_score", "sure_only"]; // may leave photos out
let results = null; // of the last search, as /api/find gives them
let examples = []; // photos to be like (sign 1) or unlike (sign -1)
let labels = []; // as /api/labels gives them
let taught = ""; // the label that is to be learned, and stays the one to mark from search to search
const latestSearch = new Latest(), suggestions = new Suggestions(words, byId("suggestions"));

const grid = new Grid(byId("grid"), {
  fetch: async (first, n) => {
    const {result} = results;
    try {
      return (await ask("results", {result, first, n, label: label.value})).photos;
    } catch (error) {
      if (results.result === result) showMessage(error.message, true);
      throw error;
    }
  },
  open: (index) => open(index),
  toggle: (row, present) => { if (hasLabel()) toggle(row.image_id, label.value, row.present, present); },
  like: (imageId) => searchLike(imageId, 1), listCopies: (row) => listCopies(row), label: () => label.value,
});

const details = new Details({
  step: (by) => { const index = grid.current + by; if (index >= 0 && index < grid.total) { grid.focus(index); open(index); } },
  like: (imageId, sign) => searchLike(imageId, sign),
});

const learning = new Learning({
  label: () => label.value, isTaught: () => Boolean(taught),
  changed: async (name, exists) => {
    taught = exists ? "" : name;
    words.value = name;
    await Promise.all([showLabels(), submit()]);
  },
});

async function open(index) {
  const row = await grid.getRow(index);
  if (!row) return;
  const named = [...new Set([label.value, ...results.labels])].filter(Boolean);
  details.show(row.image_id, {labels: named, explanation: explain(row), row});
}

function explain(row) {
  if (row.by === "date") return "";
  return `${results.question || "like your photos"}: ${describeRank(row).long} (model: ${results.models.join(" and ")})`;
}

function hasLabel() {
  if (!label.value) showMessage("Choose a label to mark first", true);
  return Boolean(label.value);
}

async function markPhoto(index, present) {
  if (!hasLabel()) return;
  const row = await grid.getRow(index);
  if (row) mark(row.image_id, label.value, present);
}

onMarks((marks) => {
  const current = marks.filter((each) => each.label === label.value);
  grid.updateMarks(new Map(current.map((each) => [each.image_id, each.present])));
});

function searchLike(imageId, sign) {
  examples = [...examples.filter((each) => each.imageId !== imageId), {imageId, sign}];
  if (sign > 0) words.value = "";
  submit();
}

async function listCopies({image_id: imageId}) {
  form.elements.copies.checked = byId("filters").open = true;
  await submit();
  grid.focus(results?.photos.findIndex((each) => each.image_id === imageId) ?? -1);
}

// Mark photos for a label, so that it can be learned.
function teach(name) {
  taught = name;
  allowNew(name);
  if (![...label.options].some(({value}) => value === name)) label.append(make("option", {value: name}, name));
  return search();
}

// ---- the search, in the address and in the form

function readForm() {
  const data = new FormData(form);
  const search = Object.fromEntries(FIELDS.map((name) => [name, (data.get(name) ?? "").trim()]).filter(([, value]) => value));
  for (const name of CHECKS) if (data.get(name)) search[name] = "1";
  const withSign = (sign) => examples.filter((each) => each.sign === sign).map((each) => each.imageId);
  return {...search, like: withSign(1), unlike: withSign(-1)};
}

function toAddress(search) {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(search)) for (const each of [value].flat()) query.append(key, each);
  return query.size ? `?${query}` : location.pathname;
}

function fillForm() {
  const query = new URLSearchParams(location.search);
  for (const name of FIELDS) form.elements[name].value = query.get(name) ?? "";
  for (const name of CHECKS) form.elements[name].checked = query.has(name);
  const read = (name, sign) => query.getAll(name).map((id) => ({imageId: Number(id), sign}));
  examples = [...read("like", 1), ...read("unlike", -1)];
  byId("filters").open = [...query.keys()].some((key) => !["words", "like", "unlike"].includes(key));
}

function submit() {
  const address = toAddress(readForm());
  if (address !== location.search) history.pushState(null, "", address);
  return search();
}

function showExamples() {
  byId("examples").replaceChildren(...examples.map((example) => make("button", {
    type: "button", "aria-label": `${example.sign > 0 ? "More" : "Less"} like this photo: remove`,
    onclick: () => { examples = examples.filter((each) => each !== example); submit(); },
  }, makeThumbnail(example.imageId), `${example.sign > 0 ? "more" : "less"} like this ×`)));
}

// ---- the results

// more: parameters besides the form's. isContinued: the list goes on, so that the page stays where it is.
async function search(more = {}, isContinued = false) {
  suggestions.close();
  showExamples();
  const request = readForm(), isLatest = latestSearch.begin();
  document.title = `${neutralize(request.words || "Search")} · photosearch`;
  try {
    const response = await ask("find", {...request, label: taught, ...more});
    if (!isLatest()) return;
    show(response, isContinued);
    if (response.total === null) {
      const total = await ask("total", {result: response.result});
      if (isLatest()) { response.total = total; summarizeResults(); grid.grow(total.total, total.n_sure); }
    }
  } catch (error) {
    if (isLatest()) { show(null); byId("summary").textContent = error.message; }
  }
}

function show(response, isContinued = false) {
  results = response;
  const {explanation = [], photos = [], hints = [], total} = response ?? {};
  byId("tools").hidden = !photos.length;
  byId("explanation").hidden = !explanation.length;
  byId("more").hidden = !response?.more;
  if (response) label.value = response.label ?? "";
  byId("explanation").querySelector("ul").replaceChildren(...explanation.map((line) => make("li", {}, line)));
  byId("hints").replaceChildren(...hints.filter((hint) => !hint.label || hint.label !== taught).map(makeHint));
  if (!isContinued) scrollTo(0, 0);
  grid.show(photos, total?.total ?? photos.length, total?.n_sure ?? photos.length);
  learning.update();
  summarizeResults();
}

function makeHint(hint) {
  const {text, button} = describeAdvice(hint);
  const act = () => { if (hint.label) teach(hint.label); else { words.value = hint.words; submit(); } };
  return make("li", {}, text, ...(button ? [make("button", {type: "button", onclick: act}, button)] : []));
}

function summarizeResults() {
  const search = readForm(), isFiltered = FILTERS.some((name) => search[name]);
  const summary = byId("summary");
  summary.textContent = results ? summarize(results, {isFiltered, isAsked: Boolean(search.words || examples.length)}) : "";
  if (isFiltered && results?.total?.total === 0) summary.append(" ", make("button", {type: "button", onclick: clearFilters}, "Clear filters"));
}

async function showMore() {
  const shown = grid.total;
  await search({all_similar: "1"}, true);
  grid.focus(shown); // the button is gone
}

byId("more").addEventListener("click", showMore);

// ---- albums

byId("album").addEventListener("click", () => {
  byId("album-count").textContent = `${formatCount(results.total?.total ?? results.photos.length, "photo")} found`;
  byId("album-name").value = (results.question || (examples.length ? "like this" : "photos")).replace(/[/\\:*?"<>|]/g, " ").slice(0, 60);
  byId("album-dialog").showModal();
});
byId("album-cancel").addEventListener("click", () => byId("album-dialog").close());
byId("album-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const how = new FormData(event.target).get("how"), n = Number(byId("album-first").value); // 0 if empty: all
  const indices = n ? [...Array(Math.min(n, results.total?.total ?? n)).keys()] : null;
  const album = await attempt(() => change("album", {result: results.result, indices, name: byId("album-name").value, how}));
  if (!album) return;
  byId("album-dialog").close();
  const created = how === "link" ? formatCount(album.created, "link") : formatCount(album.created, "copy", "copies");
  const others = `${album.existing ? `, ${album.existing} already there` : ""}${album.missing ? `, ${album.missing} left out` : ""}`;
  showMessage(`${album.folder}: ${created}${others}`);
});

// ---- keys, and the start

document.addEventListener("keydown", (event) => {
  if (isTyping(event) || document.querySelector("dialog[open]")) return;
  const actions = {
    "/": () => { words.focus(); words.select(); }, u: undo,
    y: () => markPhoto(grid.current, true), n: () => markPhoto(grid.current, false),
    c: async () => { const row = await grid.getRow(grid.current); if (row?.copies) listCopies(row); },
    l: async () => { const row = await grid.getRow(grid.current); if (row) searchLike(row.image_id, 1); },
  };
  const action = actions[event.key.toLowerCase()];
  if (!action || (event.key !== "/" && !grid.total)) return;
  event.preventDefault();
  action();
});
form.addEventListener("submit", (event) => { event.preventDefault(); suggestions.submit(); submit(); });
byId("filters").addEventListener("change", submit);
byId("clear").addEventListener("click", clearFilters);

function clearFilters() {
  for (const name of FIELDS) if (name !== "words") form.elements[name].value = "";
  for (const name of CHECKS) form.elements[name].checked = false;
  submit();
}

label.addEventListener("change", () => {
  const {value} = label;
  taught = "";
  if (labels.some(({name, is_new: isNew}) => isNew && name === value)) teach(value);
  else search({label: value});
});
addEventListener("popstate", () => { fillForm(); search(); });

async function showLabels() {
  labels = await loadLabels();
  fillMenu(label, labels, make("option", {value: ""}, "choose a label"));
  if (taught && label.value !== taught) label.append(make("option", {value: taught}, taught));
  label.value = results?.label ?? "";
}

attempt(async () => {
  const hasFolder = new URLSearchParams(location.search).has("under"); // its option must exist before the search
  fillForm();
  const searching = hasFolder ? null : search();
  if (!location.search) words.focus();
  const [folders] = await Promise.all([ask("folders"), showLabels()]);
  form.elements.under.append(...folders.map((folder) => make("option", {value: folder.id}, folder.path)));
  if (hasFolder) fillForm();
  await (hasFolder ? search() : searching);
});
