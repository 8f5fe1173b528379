// Answers of the API, as short as a test needs them.
export const HOSTILE = "<b>a</b>.jpg";

// A row of the grid.
export const makeRow = (id, values = {}) => ({image_id: id, photo_id: 1000 + id, name: `${id}.jpg`, path: `/photos/${id}.jpg`, score: 0.9, taken: "2020-05-01T10:00:00",
  taken_from: "exif", by: "label", sure: true, copies: 0, present: null, why: [], ...values});

export const makeRows = (first, n, values = {}) => Array.from({length: n}, (_, i) => makeRow(first + i, values));

export const makeDetails = (id, values = {}) => ({image_id: id, width: 600, height: 400, taken: "2020-05-01T10:00:00", taken_from: "exif", scores: [], marks: {}, texts: null,
  files: [{name: `${id}.jpg`, path: `/photos/${id}.jpg`, size_bytes: 2_000_000, mtime_ns: null, unavailable: null, photo_id: 1000 + id, details: null}], ...values});

export const LABELS = [{name: "bird", photos: 1200, is_new: false}, {name: "cat", photos: 0, is_new: false}, {name: "my dog", photos: 0, is_new: true}];
export const STATUS = {running: false, photos: 1234, unreadable: 0, models: [], scored: 0};
export const READINESS = {label: "bird", yes: 0, no: 0, missing_yes: 5, missing_no: 5, has_vectors: true, is_ready: false, is_learned: false};

// A library that answers marks: every mark is a step that can be undone.
export function makeMarks() {
  let step = 0;
  const made = new Map();
  return {
    mark({body: {image_id: id, label, present}}) {
      made.set(++step, id);
      return {marks: [{image_id: id, label, present}], step};
    },
    undo({body}) { return {marks: [{image_id: made.get(body.step), label: "bird", present: null}], step: null}; },
  };
}

// An answer of /api/find: `total` photos, of which the first 100 come at once.
export const makeFound = (total, values = {}) => ({result: "r1", question: "bird", ranked_by: "label", models: ["sight"], is_user_label: false, labels: ["bird"],
  label: "bird", sure: true, more: false, hints: [], since: null, until: null, explanation: [], chips: [], total: {total, n_sure: total},
  photos: makeRows(0, Math.min(100, total)), ...values});

// What the search page asks for when it opens. find: an answer, or a function.
export const makeSearch = (find, days = []) => ({find, days, labels: LABELS, folders: [{id: "f1", path: "/photos"}], readiness: READINESS, status: STATUS, tree: [],
  facet: [], complete: [], ...makeMarks(), results: ({query}) => ({first: Number(query.first), photos: makeRows(Number(query.first), Number(query.n))})});
