// The search page: its state is the address (state.mjs), its results are in the grid.
import {ask, attempt, byId, change, fillMenu, formatCount, isTyping, loadLabels, make, makeThumbnail, showMessage} from "./api.js";
import {Latest, neutralize} from "./answers.mjs";
import {Chips} from "./chips.js";
import {Details} from "./details.js";
import {Facets} from "./facets.js";
import {showOptions} from "./folds.js";
import {Grid} from "./grid.js";
import {Learning} from "./learning.js";
import {allowNew, mark, onAlbumUndone, onMarks, toggle, undo} from "./marks.js";
import {Picks} from "./picks.js";
import {Scrubber} from "./scrubber.js";
import {CHECKS, FIELDS, isFiltered, readAddress, toAddress, toRequest} from "./state.mjs";
import {Suggestions} from "./suggestions.js";
import {View} from "./view.js";
import {describeAdvice, describeRank, groupByDay, summarize} from "./wording.mjs";

const form = byId("search"), words = byId("words"), label = byId("label");
const SLOW_MS = 500, REST_MS = 300;
let state = readAddress(location.search);
let results = null; // of the last search, as /api/find gives them
let labels = []; // as /api/labels gives them
let folders = []; // as /api/folders gives them
let first = JSON.parse(byId("first").textContent); // as /api/find answers on the page as it opens, null elsewhere
let placeTimer; // until the place in the list is kept
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
  selected: () => picks.update(), moved: () => { scrubber.update(grid.map.top); schedulePlace(); },
});
const scrubber = new Scrubber(byId("scrubber"), (index) => grid.jump(index));
const view = new View(grid, () => scrubber.show(grid.days, grid.layout));
const chips = new Chips(byId("chips"), {words: () => state.words, change: (edited) => go({words: edited})});
const facets = new Facets(byId("filters"), {add: (kind, value) => chips.edit({kind, value}), under: (id) => go({under: id})});

const details = new Details({
  step: (by) => { const index = grid.current + by; if (index >= 0 && index < grid.total) { grid.focus(index); open(index); } },
  like: (imageId, sign) => searchLike(imageId, sign),
});

// The photo that was opened may be far away by then, and gone from the grid.
byId("details").addEventListener("close", () => {
  if (!byId("grid").contains(document.activeElement)) grid.focus(grid.current);
});

const learning = new Learning({
  label: () => label.value, isTaught: () => Boolean(taught),
  changed: async (name, exists) => {
    taught = exists ? "" : name;
    await Promise.all([showLabels(), go({words: name})]);
  },
});

const picks = new Picks(grid, {label: () => (hasLabel() ? label.value : ""), result: () => results.result,
  album: () => results?.album ?? null, folder: () => openCopies(), changed: () => search()});
onAlbumUndone(({name, change: undone}) => {
  if (undone === "created" && results?.album === name) go({words: ""}); // what was shown is gone
  else if (state.words.includes("album:")) search();
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
  if (!label.value) {
    showMessage("Choose a label to mark first", true);
    showOptions(); // where it is folded away
  }
  return Boolean(label.value);
}

async function markPhoto(index, present) {
  if (!hasLabel()) return;
  if (grid.selection.size) { picks.mark(present); return; }
  const row = await grid.getRow(index);
  if (row) mark(row.image_id, label.value, present);
}

onMarks((marks) => {
  const current = marks.filter((each) => each.label === label.value);
  grid.updateMarks(new Map(current.map((each) => [each.image_id, each.present])));
});

function searchLike(imageId, sign) {
  const examples = [...state.examples.filter((each) => each.imageId !== imageId), {imageId, sign}];
  go({examples, ...(sign > 0 ? {words: ""} : {})});
}

async function listCopies({image_id: imageId}) {
  byId("filters").open = true;
  await go({copies: true});
  grid.focus(results?.photos.findIndex((each) => each?.image_id === imageId) ?? -1);
}

// Mark photos for a label, so that it can be learned.
function teach(name) {
  taught = name;
  allowNew(name);
  if (![...label.options].some(({value}) => value === name)) label.append(make("option", {value: name}, name));
  return search();
}

// ---- the search, in the address and in the form

// Where the list is seen from, for who comes back to it. An open photo has an entry of its own.
function schedulePlace() {
  clearTimeout(placeTimer);
  placeTimer = setTimeout(keepPlace, REST_MS);
}

function keepPlace() {
  clearTimeout(placeTimer);
  if (!history.state?.isPhoto) history.replaceState({top: grid.topIndex}, "");
}

function takePlace() {
  clearTimeout(placeTimer);
  return history.state?.top ?? 0;
}

// Change the state, and with it the address.
function go(changes) {
  state = {...state, ...changes};
  const address = toAddress(state);
  keepPlace();
  // From an open photo, which is no place to come back to, the entry is replaced.
  const enter = history.state?.isPhoto ? "replaceState" : "pushState";
  if (address !== location.search) history[enter](null, "", address || location.pathname);
  fillForm();
  return search();
}

function submit() {
  const data = new FormData(form);
  return go({...Object.fromEntries(FIELDS.map((name) => [name, (data.get(name) ?? "").trim()])),
    ...Object.fromEntries(CHECKS.map((name) => [name, data.has(name)]))});
}

function fillForm() {
  for (const name of FIELDS) form.elements[name].value = state[name];
  for (const name of CHECKS) form.elements[name].checked = state[name];
}

// What is asked for besides the words, as chips.
function listOthers() {
  const {since, until, under, query_mode: mode, min_score: least} = state;
  const others = [
    [since || until, "taken", [since && `from ${since}`, until && `to ${until}`].filter(Boolean).join(" "), {since: "", until: ""}],
    [under, "folder", folders.find(({id}) => id === under)?.path ?? "…", {under: ""}],
    [mode, "read as", mode === "label" ? "labels" : "a description", {query_mode: ""}],
    [least, "score from", least, {min_score: ""}],
    [state.sure_only, "", "only sure photos", {sure_only: false}],
  ].filter(([value]) => value).map(([, kind, text, changes]) => ({kind, text, remove: () => go(changes)}));
  return [...others, ...state.examples.map((example) => ({
    kind: "", text: `${example.sign > 0 ? "more" : "less"} like this`, image: makeThumbnail(example.imageId), isUnwanted: example.sign < 0,
    remove: () => go({examples: state.examples.filter((each) => each !== example)}),
  }))];
}

// ---- the results

// What nobody has to ask for: the page came with it. Once.
function takeFirst() {
  const given = first;
  first = null;
  return given;
}

// more: parameters besides the state's. isContinued: the list goes on, so that the page stays where it is. top: the
// photo that it was seen from before.
async function search(more = {}, isContinued = false, top = 0) {
  suggestions.close();
  const isLatest = latestSearch.begin();
  document.title = `${neutralize(state.words || "Search")} · photosearch`;
  try {
    const {signal} = isLatest, response = takeFirst() ?? await waitFor(ask("find", {...toRequest(state), label: taught, ...more}, signal), isLatest);
    if (!isLatest()) return;
    show(response, isContinued);
    await grid.filled; // what is seen first comes first
    if (!isLatest()) return;
    facets.show(response.result, null, state.under);
    const isPart = response.total === null, {result} = response;
    // One after the other: days are counted from the list that the total makes.
    const total = isPart ? await ask("total", {result}, signal) : response.total;
    const days = await ask("days", {result}, signal);
    if (!isLatest()) return;
    response.total = total;
    summarizeResults();
    if (isPart || isByDay()) grid.grow(total.total, total.n_sure, isByDay() ? days : null);
    facets.show(response.result, days, state.under);
    scrubber.show(grid.days, grid.layout);
    if (top && grid.map.top <= 0) grid.jump(top);
  } catch (error) {
    if (isLatest()) { show(null); facets.clear(); byId("summary").textContent = error.message; }
  }
}

// Whether the photos stand by days.
const isByDay = () => results?.ranked_by === "date" && !["name", "size"].includes(state.sort);

// An answer; where it takes long, the line above the photos says so.
async function waitFor(asked, isLatest) {
  const timer = setTimeout(() => { if (isLatest()) byId("summary").textContent = "Searching…"; }, SLOW_MS);
  try { return await asked; } finally { clearTimeout(timer); }
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
  chips.show(response?.chips ?? [], listOthers());
  view.setOrder(response?.ranked_by);
  facets.show(null, null, state.under); // counted once the photos are drawn
  if (!isContinued) scrollTo(0, 0);
  grid.show(photos, total?.total ?? photos.length, total?.n_sure ?? photos.length, isByDay() ? groupByDay(photos) : null);
  scrubber.show(total ? grid.days : null, grid.layout);
  learning.update();
  summarizeResults();
}

function makeHint(hint) {
  const {text, button, link} = describeAdvice(hint);
  const act = () => (hint.label ? teach(hint.label) : go({words: hint.words}));
  return make("li", {}, text, ...(button ? [make("button", {type: "button", onclick: act}, button)] : []),
    ...(link ? [" ", make("a", {href: "/library#models"}, link)] : []));
}

function summarizeResults() {
  const isAsked = Boolean(state.words || state.examples.length), summary = byId("summary");
  summary.textContent = results ? summarize(results, {isFiltered: isFiltered(state), isAsked, sort: state.sort}) : "";
  if (isFiltered(state) && results?.total?.total === 0) summary.append(" ", make("button", {type: "button", onclick: clearFilters}, "Clear filters"));
}

async function showMore() {
  const shown = grid.total;
  await search({all_similar: "1"}, true);
  grid.focus(shown); // the button is gone
}

byId("more").addEventListener("click", showMore);

// ---- folders of copies

function openCopies() {
  const selected = grid.selection.size, total = results.total?.total ?? results.photos.length;
  byId("album-count").textContent = selected ? `${formatCount(selected, "photo")} selected` : `${formatCount(total, "photo")} found`;
  byId("album-first").closest("p").hidden = selected > 0;
  byId("album-name").value = (results.question || (state.examples.length ? "like this" : "photos")).replace(/[/\\:*?"<>|]/g, " ").slice(0, 60);
  byId("album-dialog").showModal();
}

byId("album").addEventListener("click", openCopies);
byId("album-cancel").addEventListener("click", () => byId("album-dialog").close());
byId("album-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const how = new FormData(event.target).get("how"), n = Number(byId("album-first").value); // 0 if empty: all
  const first = n ? [0, Math.min(n, results.total?.total ?? n)] : null, ranges = grid.selection.size ? grid.selection.toList() : first;
  const album = await attempt(() => change("album", {result: results.result, ranges, name: byId("album-name").value, how}));
  if (!album) return;
  byId("album-dialog").close();
  const created = how === "link" ? formatCount(album.created, "link") : formatCount(album.created, "copy", "copies");
  const others = `${album.existing ? `, ${album.existing} already there` : ""}${album.missing ? `, ${album.missing} left out` : ""}`;
  const found = !album.indexed ? "" : `. It is in ${album.indexed}, which is indexed: the next index lists these copies too`;
  showMessage(`${album.folder}: ${created}${others}${found}`);
});

// ---- keys, and the start

document.addEventListener("keydown", (event) => {
  if (document.querySelector("dialog[open]")) return;
  if ((event.ctrlKey || event.metaKey) && event.key === "a" && document.activeElement?.closest("#grid")) {
    event.preventDefault();
    grid.selectAll();
    return;
  }
  if (isTyping(event)) return;
  const current = async (action) => { const row = await grid.getRow(grid.current); if (row) action(row); };
  const actions = {
    "/": () => { words.focus(); words.select(); }, "?": () => byId("keys").showModal(), u: undo, f: () => view.toggleFit(),
    "+": () => view.changeColumns(-1), "-": () => view.changeColumns(1),
    y: () => markPhoto(grid.current, true), n: () => markPhoto(grid.current, false), x: () => grid.select(grid.current),
    c: () => current((row) => { if (row.copies) listCopies(row); }), l: () => current((row) => searchLike(row.image_id, 1)),
    Escape: () => { if (grid.selection.size) grid.select(null); },
  };
  const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!action || (!["/", "?", "u"].includes(event.key) && !grid.total)) return;
  event.preventDefault();
  action();
});
form.addEventListener("submit", (event) => { event.preventDefault(); suggestions.submit(); submit(); });
byId("filters").addEventListener("change", submit);
byId("sort").addEventListener("change", submit);
byId("clear").addEventListener("click", clearFilters);
byId("keys-close").addEventListener("click", () => byId("keys").close());
byId("keys-open").addEventListener("click", () => byId("keys").showModal());

function clearFilters() {
  go({...Object.fromEntries(FIELDS.filter((name) => !["words", "sort"].includes(name)).map((name) => [name, ""])),
    ...Object.fromEntries(CHECKS.map((name) => [name, false]))});
}

label.addEventListener("change", () => {
  const {value} = label;
  taught = "";
  if (labels.some(({name, is_new: isNew}) => isNew && name === value)) teach(value);
  else search({label: value});
});
addEventListener("popstate", () => {
  if (toAddress(state) === toAddress(readAddress(location.search))) return; // a photo was closed
  state = readAddress(location.search);
  fillForm();
  search({}, false, takePlace());
});

async function showLabels() {
  labels = await loadLabels();
  fillMenu(label, labels, make("option", {value: ""}, "choose a label"));
  if (taught && label.value !== taught) label.append(make("option", {value: taught}, taught));
  label.value = results?.label ?? "";
  grid.describeAll(); // photos that came before the labels
}

attempt(async () => {
  const typed = words.value; // before this script has come
  fillForm();
  const searching = search({}, false, takePlace());
  if (!location.search) words.focus();
  if (typed) {
    words.value = typed;
    suggestions.show();
  }
  [folders] = await Promise.all([ask("folders"), showLabels()]);
  await searching;
  chips.show(results?.chips ?? [], listOthers());
});
