// Runs in a page before its own scripts: the server's API, the clock and unhandled errors are the test's. A request waits
// until the test says what is answered.
window.harness = (() => {
  const tests = [], requests = [], waiting = [], errors = [], timers = new Map(), answers = {};
  const sleep = window.setTimeout.bind(window);
  let now = 0, number = 1e6;

  // #view={...}: what this browser has kept of an earlier visit.
  localStorage.clear();
  if (location.hash.startsWith("#view=")) localStorage.setItem("view", decodeURIComponent(location.hash.slice(6)));

  addEventListener("error", (event) => { if (event.message && !/ResizeObserver/.test(event.message)) errors.push(event.message); });
  addEventListener("unhandledrejection", (event) => errors.push(`unhandled: ${event.reason?.message ?? event.reason}`));

  // ---- the clock: what waits longer than a turn, waits for elapse()
  window.setTimeout = (action, ms = 0) => {
    if (ms <= 0) return sleep(action, 0);
    timers.set(++number, {at: now + ms, action});
    return number;
  };
  const clear = window.clearTimeout.bind(window);
  window.clearTimeout = (id) => { if (!timers.delete(id)) clear(id); };
  async function elapse(ms) {
    now += ms;
    for (const [id, {at, action}] of [...timers]) if (at <= now && timers.delete(id)) action();
    await rest();
  }

  // ---- the server: answers[name] is what /api/name gives, or a function of {query, body}
  class Failure {
    constructor(status, text = "") { Object.assign(this, {status, text}); }
  }
  const fetchReal = window.fetch.bind(window);
  window.fetch = (url, options = {}) => {
    const {pathname, searchParams} = new URL(url, location);
    if (!pathname.startsWith("/api/")) return fetchReal(url, options);
    const query = {};
    for (const key of new Set(searchParams.keys())) query[key] = searchParams.getAll(key).join();
    const request = {name: pathname.slice(5), method: options.method ?? "GET", query, body: options.body ? JSON.parse(options.body) : null,
      signal: options.signal};
    requests.push(request);
    return new Promise((resolve, reject) => {
      const reply = async () => {
        const answer = answers[request.name];
        try {
          const data = await (typeof answer === "function" ? answer(request) : answer);
          const isFailure = data instanceof Failure;
          resolve({status: isFailure ? data.status : 200, text: async () => (isFailure ? data.text : JSON.stringify(data))});
        } catch (error) { reject(error); }
      };
      if (request.name in answers) reply(); else waiting.push([request.name, reply]);
    });
  };
  function serve(given) {
    Object.assign(answers, given);
    for (const [name, reply] of waiting.splice(0)) if (name in answers) reply(); else waiting.push([name, reply]);
  }
  // An answer that comes when the test says: {promise, answer(data)}.
  function later() {
    let answer;
    const promise = new Promise((resolve) => { answer = resolve; });
    return {promise, answer: async (data) => { answer(data); await rest(); }};
  }
  const asked = (name) => requests.filter((request) => request.name === name);
  const last = (name) => { const request = asked(name).at(-1); return request && (request.body ?? request.query); };

  // ---- what a user does
  const find = (target) => (typeof target === "string" ? document.querySelector(target) : target);
  const channel = new MessageChannel(), turns = [];
  channel.port1.onmessage = () => turns.shift()();
  async function rest() { // two turns, after all that is ready to run; a timer would wait for 4 ms
    for (let i = 0; i < 2; i += 1) await new Promise((resolve) => { turns.push(resolve); channel.port2.postMessage(0); });
  }
  async function click(target, values = {}) {
    find(target).dispatchEvent(new MouseEvent("click", {bubbles: true, cancelable: true, ...values}));
    await rest();
  }
  // -> whether the page has used the key.
  async function press(key, target = document.activeElement ?? document.body, values = {}) {
    const event = new KeyboardEvent("keydown", {key, bubbles: true, cancelable: true, ...values});
    find(target).dispatchEvent(event);
    await rest();
    return event.defaultPrevented;
  }
  async function type(target, value, ...events) {
    find(target).value = value;
    for (const name of events.length ? events : ["input"]) find(target).dispatchEvent(new Event(name, {bubbles: true}));
    await rest();
  }
  async function point(name, target, x, y, values = {}) {
    const Kind = name === "wheel" ? WheelEvent : PointerEvent;
    const event = new Kind(name, {pointerId: 1, pointerType: "mouse", clientX: x, clientY: y, bubbles: true, cancelable: true, ...values});
    find(target).dispatchEvent(event);
    await rest();
    return event.defaultPrevented;
  }
  // pointerdown, and the browser's own capture of a pointer, which only a real one has.
  Element.prototype.setPointerCapture = function capture(id) { this.captured = id; };

  // ---- what the test expects
  const show = (value) => JSON.stringify(value === undefined ? "undefined" : value);
  function equal(actual, expected, message = "") {
    if (show(actual) !== show(expected)) throw new Error(`${message} is ${show(actual)}, not ${show(expected)}`);
  }
  function ok(value, message) { if (!value) throw new Error(`not true: ${message}`); }
  async function until(condition, message = String(condition)) {
    for (let i = 0; i < 2000; i += 1) {
      if (condition()) return;
      await new Promise((resolve) => { sleep(resolve, 5); });
    }
    throw new Error(`never: ${message}`);
  }
  const text = (target) => { const found = find(target); return found.hidden ? "(hidden)" : found.textContent.replace(/\s+/g, " ").trim(); };
  const texts = (selector) => [...document.querySelectorAll(selector)].map(text);

  const isLate = () => new Promise((_, reject) => { sleep(() => reject(new Error("it takes more than 30 s")), 30_000); });
  async function run() {
    for (const [name, action] of tests) {
      try { await Promise.race([action(), isLate()]); } catch (error) { return `${name}: ${error.message}`; }
      if (errors.length) return `${name}: ${errors.join("; ")}`;
    }
    return tests.length ? "" : "no tests";
  }
  const test = (name, action) => tests.push([name, action]);
  return {test, run, requests, serve, later, Failure, asked, last, find, rest, elapse, click, press, type, point, equal, ok, until, text, texts,
    timers: () => [...timers.values()].map(({at}) => at - now)};
})();
