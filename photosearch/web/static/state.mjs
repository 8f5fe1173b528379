// The state of the search page, which is its address: words, filters, order, photos to be like.

export const FIELDS = ["words", "since", "until", "under", "query_mode", "sort", "min_score"];
export const CHECKS = ["file_dates", "sure_only", "copies"];
const FILTERS = ["since", "until", "under", "query_mode", "min_score", "sure_only"]; // may leave photos out

// {words: "", ..., copies: false, ..., examples: [{imageId, sign}]}; sign: 1: like that photo, -1: unlike it.
export function readAddress(search) {
  const query = new URLSearchParams(search), read = (name, sign) => query.getAll(name).map((id) => ({imageId: Number(id), sign}));
  return {
    ...Object.fromEntries(FIELDS.map((name) => [name, (query.get(name) ?? "").trim()])),
    ...Object.fromEntries(CHECKS.map((name) => [name, query.has(name)])),
    examples: [...read("like", 1), ...read("unlike", -1)].filter(({imageId}) => Number.isInteger(imageId)),
  };
}

// What the API takes, without what is empty.
export function toRequest(state) {
  const withSign = (sign) => state.examples.filter((each) => each.sign === sign).map((each) => each.imageId);
  return {
    ...Object.fromEntries(FIELDS.filter((name) => state[name]).map((name) => [name, state[name]])),
    ...Object.fromEntries(CHECKS.filter((name) => state[name]).map((name) => [name, "1"])),
    like: withSign(1), unlike: withSign(-1),
  };
}

// ?words=...; "" for the page as it opens.
export function toAddress(state) {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(toRequest(state))) for (const each of [value].flat()) query.append(key, each);
  return query.size ? `?${query}` : "";
}

export const isFiltered = (state) => FILTERS.some((name) => state[name]);
