// What responses mean. No page and no network in here, nor in the other .mjs files: Node runs their tests.

export class RequestError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status; // 400: the server refuses this request, and would again
  }
}

// The data of a response. A server error, or something that is not JSON, is no answer: it throws.
export function readAnswer(status, text) {
  let data;
  try { data = JSON.parse(text); } catch { /* access denied is plain text */ }
  if (status < 200 || status > 299) throw new RequestError(data?.error ?? (text.slice(0, 300) || `server error ${status}`), status);
  if (data === undefined) throw new RequestError("The server's answer can't be read", status);
  return data;
}

// Of several requests for one place on the page, only the latest may change it: begin() -> isLatest(). isLatest.signal
// ends the requests that were begun before.
export class Latest {
  #last = new AbortController();

  begin() {
    this.#last.abort();
    const mine = this.#last = new AbortController();
    return Object.assign(() => mine === this.#last, {signal: mine.signal});
  }
}

// Characters that change the direction of text, as visible text: a name must not look like another one.
export const neutralize = (text) => text.replace(/[\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
  (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
