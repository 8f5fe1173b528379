// What the page says, for each state of an answer and of learning.
import assert from "node:assert/strict";
import test from "node:test";
import {describeAdvice, describeChip, describePreview, describeRank, describeReadiness, groupByDay, groupLabels, groupPlaces, summarize} from "../../../photosearch/web/static/wording.mjs";

test("a photo's rank is a score, a similarity or a date", () => {
  assert.deepEqual(describeRank({by: "label", score: 0.98765, taken: ""}), {short: "0.988", long: "score 0.988"});
  assert.deepEqual(describeRank({by: "similarity", score: -0.1, taken: ""}), {short: "-0.100", long: "similarity -0.100"});
  assert.deepEqual(describeRank({by: "date", score: null, taken: "2024-05-31T10:00:00"}), {short: "2024-05-31", long: "2024-05-31 10:00:00"});
  assert.deepEqual(describeRank({by: "date", score: null, taken: ""}), {short: "no date", long: "no date"});
});

const found = (rankedBy, total, nSure, isUserLabel = false) => ({ranked_by: rankedBy, is_user_label: isUserLabel,
  photos: [], total: total === null ? null : {total, n_sure: nSure}});
for (const [result, text] of [
  [found("date", 1452, 1452), "1,452 photos, newest first"], [found("label", 1, 1), "1 photo"],
  [found("label", 4, 4, true), "4 photos (your label)"], [found("label", 20, 4), "4 photos, and 16 not sure"],
  [found("similarity", 12, 12), "12 closest matches"], [found("similarity", 1, 1), "1 closest match"],
  [found("similarity", 10, 2), "2 closest matches, and 8 not sure"], [found("similarity", 10, 0), "No sure match; the nearest 10 photos"],
  [found("label", 0, 0), "Nothing found."], [{...found("label", null), photos: Array(120)}, "More than 120 photos"],
]) {
  test(`the summary says: ${text}`, () => assert.equal(summarize(result, {isFiltered: false, isAsked: true}), text));
}

test("the summary says which days were asked for", () => {
  const state = {isFiltered: false, isAsked: true}, say = (since, until, n = 3) => summarize({...found("label", n, n), since, until}, state);
  assert.equal(say(null, null), "3 photos");
  assert.equal(say("2024-05-01", "2024-05-31"), "3 photos, from 2024-05-01, until 2024-05-31");
  assert.equal(say("2024-05-01", "2024-05-01"), "3 photos, of 2024-05-01");
  assert.equal(say(null, "2024"), "3 photos, until 2024");
  assert.equal(say("2024", null, 0), "Nothing found at that time; ask without it.");
});

test("nothing found names the next step", () => {
  assert.equal(summarize(found("label", 0, 0), {isFiltered: true, isAsked: true}), "Nothing found with these filters.");
  assert.match(summarize(found("date", 0, 0), {isFiltered: false, isAsked: false}), /Library page/);
});

test("advice has a button where there is something to ask or to mark", () => {
  assert.deepEqual(describeAdvice({text: "Read 'dgo' as dog", words: "", label: ""}), {text: "Read 'dgo' as dog", button: ""});
  assert.equal(describeAdvice({text: "Did you mean dog?", words: "a dog", label: ""}).button, "Search for “a dog”");
  const taught = describeAdvice({text: "photosearch mark PHOTO... --is 'my dog'", words: "", label: "my dog"});
  assert.equal(taught.button, "Mark photos for “my dog”");
  assert.doesNotMatch(taught.text, /photosearch/, "no command on the page");
  assert.deepEqual(describeAdvice({text: "sight is small", words: "", label: "", model: "big"}), {text: "sight is small.", button: "", link: "Download big…"});
});

const readiness = (values) => ({label: "my dog", yes: 0, no: 0, missing_yes: 5, missing_no: 5, has_vectors: true,
  is_ready: false, is_learned: false, ...values});
test("learning is offered where there are enough marks, and what is missing is said before", () => {
  assert.deepEqual(describeReadiness(readiness({}), false), {text: "", learn: "", canUndo: false});
  assert.equal(describeReadiness(readiness({}), true).text, "“my dog”: 0 marked yes, 0 no. To learn it: 5 more yes and 5 more no.");
  assert.equal(describeReadiness(readiness({yes: 9, no: 2, missing_yes: 0, missing_no: 3}), false).text,
    "“my dog”: 9 marked yes, 2 no. To learn it: 3 more no.");
  assert.deepEqual(describeReadiness(readiness({yes: 7, no: 5, is_ready: true}), false),
    {text: "", learn: "Learn “my dog” from 12 marks", canUndo: false});
  assert.deepEqual(describeReadiness(readiness({yes: 7, no: 5, is_ready: true, is_learned: true}), false),
    {text: "", learn: "Learn “my dog” from 12 marks", canUndo: true});
  assert.deepEqual(describeReadiness(readiness({yes: 7, no: 5, is_learned: true}), false),
    {text: "“my dog” was learned from your marks.", learn: "", canUndo: true});
  assert.match(describeReadiness(readiness({has_vectors: false}), true).text, /gives no vectors/);
});

test("a preview says what would be found, and how sure that is", () => {
  const preview = {better: true, why: "", found: 31, found_before: null, shares: {precision: 1, recall: null}, shares_before: null};
  assert.deepEqual(describePreview(preview),
    ["It would find 31 photos.", "On your marks, cross-validated: precision 100.0 %, recall –."]);
  const better = {...preview, found_before: 1200, shares_before: {precision: 0.5, recall: 0.25}};
  assert.deepEqual(describePreview(better), ["It would find 31 photos; now 1,200.",
    "On your marks, cross-validated: precision 100.0 %, recall –; the label now: precision 50.0 %, recall 25.0 %."]);
  assert.match(describePreview({...better, better: false, why: "it is as good"})[0], /^The label stays as it is, and finds 31 photos: it is as good/);
});

test("a menu has labels to be learned, labels with photos, then all others, and no empty group", () => {
  const row = (name, photos, isNew = false) => ({name, photos, is_new: isNew});
  assert.deepEqual(groupLabels([row("my dog", 0, true), row("dog", 9), row("owl", 0), row("cat", 1)]).map(({title, rows}) =>
    [title, rows.map(({name}) => name)]), [["To be learned", ["my dog"]], ["In your photos", ["dog", "cat"]], ["Other labels", ["owl"]]]);
  assert.deepEqual(groupLabels([row("owl", 0)]).map(({title}) => title), ["Other labels"]);
});

test("a piece of a sentence is said as shortly as it can be", () => {
  const say = (kind, value, wanted = true) => { const {kind: named, text} = describeChip({kind, value, wanted}); return `${named} ${text}`.trim(); };
  assert.deepEqual([say("in", "Porto"), say("label", "dog", false), say("description", "a red car"), say("taken", "2019-05-03"),
    say("taken", "2019-01-01..2019-12-31"), say("taken", "2020-02-01..2020-02-29"), say("taken", "2019-03-01.."), say("taken", "..2019-03-01"),
    say("taken", "2019-12-21..2020-03-19"), say("taken", "2018-01-01..2021-12-31"), say("any", "in:Rome or in:Porto")],
  ["in Porto", "not dog", "“a red car”", "taken 2019-05-03", "taken 2019", "taken 2020-02", "taken since 2019-03-01", "taken until 2019-03-01",
    "taken 2019-12-21 to 2020-03-19", "taken 2018 to 2021", "in:Rome or in:Porto"]);
});

test("towns stand below their country, and photos without a date of their own under no day", () => {
  const rows = [{value: "Porto", group: "Portugal", photos: 5}, {value: "Rome", group: "Italy", photos: 4}, {value: "Portugal", group: "Portugal", photos: 2},
    {value: "Lisbon", group: "Portugal", photos: 1}];
  assert.deepEqual(groupPlaces(rows).map(({country, photos, towns}) => [country, photos, towns.map(({value}) => value)]),
    [["Portugal", 8, ["Porto", "Lisbon"]], ["Italy", 4, ["Rome"]]]);
  const taken = (day, from = "exif") => ({taken: `${day}T10:00:00`, taken_from: from});
  assert.deepEqual(groupByDay([taken("2020-05-02"), taken("2020-05-02"), taken("2020-05-01"), taken("2020-05-03", "file"), null]),
    [["2020-05-02", 2], ["2020-05-01", 1], ["", 2]]);
});
