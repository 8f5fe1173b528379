// /map?at=41.15000,-8.61000,12&words=dog
import {STATUS} from "/tests/photos.js";
const {asked, click, elapse, equal, Failure, find, last, later, ok, point, press, rest, serve, test, text, until} = harness;

const clusters = () => [...document.querySelectorAll(".cluster")];
const at = () => new URLSearchParams(location.search).get("at").split(",").map(Number);
const place = (photos, latitude, longitude, reach = 0, id = 1) => ({photos, latitude, longitude, south: latitude - reach, north: latitude + reach, west: longitude - reach, east: longitude + reach, image_id: id});
const middle = (element) => { const {left, top, width, height} = element.getBoundingClientRect(); return [left + width / 2, top + height / 2]; };
const settle = async () => { await elapse(180); await rest(); };
const near = (actual, expected, message) => ok(Math.abs(actual - expected) < 0.02, `${message}: ${actual} is not ${expected}`);
let left = "";
navigation.addEventListener("navigate", (event) => { if (new URL(event.destination.url).pathname !== "/map") { left = event.destination.url; event.preventDefault(); } });

test("photos of the window are counted, and those near each other are one", async () => {
  serve({find: {result: "r1"}, status: STATUS, clusters: [place(1200, 41.15, -8.61, 0.01, 7), place(2, 41.15, -8.6101, 0.01, 8), place(1, 41.17, -8.65, 0, 9)]});
  await until(() => last("find"));
  equal([last("find"), find("#words").value], [{words: "dog"}, "dog"]);
  await settle();
  await until(() => clusters().length);
  const {result, west, east, south, north} = last("clusters");
  equal([result, west < -8.61 && east > -8.61 && south < 41.15 && north > 41.15], ["r1", true]);
  equal(clusters().map((each) => [each.ariaLabel, text(each), each.className]), [["1,202 photos at 41.15, -8.61", "1,202", "cluster many"], ["1 photo at 41.17, -8.65", "", "cluster"]]);
  equal([text("#summary"), clusters()[0].querySelector("img").getAttribute("src")], ["1,203 photos here", "/thumbnails/7"]);
  const [x, y] = middle(clusters()[0]), [mx, my] = middle(find("#map"));
  ok(Math.abs(x - mx) < 3 && Math.abs(y - my) < 3, `in the middle, not at ${x - mx} ${y - my}`);
  const [x2, y2] = middle(clusters()[1]);
  ok(x2 < x && y2 < y, "farther west and north");
  equal([find("#here").hidden, new URL(find("#here").href).searchParams.get("words").replace(/near:[\d.]+,-[\d.]+~[\d.]+km/, "near:HERE")], [false, "dog near:HERE"]);
  ok(/^\d+ km$/.test(text("#scale")), text("#scale"));
  const km = Number(text("#scale").split(" ")[0]), shown = (east - west) * Math.cos((41.15 * Math.PI) / 180) * 40_075 / 360;
  ok(Math.abs(Number.parseFloat(find("#scale").style.width) - (km / shown) * find("#map").clientWidth) < 1, "the scale is right");
  ok(Number.parseFloat(find("#scale").style.width) <= 150, "and short");
});

test("keys and buttons move and zoom, and the address follows once it rests", async () => {
  const start = at(), keys = {ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [1, 0], ArrowDown: [-1, 0]};
  for (const [key, [north, east]] of Object.entries(keys)) {
    const [latitude, longitude] = at();
    equal(await press(key, "#map"), true);
    equal(at(), [latitude, longitude, start[2]], "not yet");
    await settle();
    equal([Math.sign(Math.round(1e4 * (at()[0] - latitude))), Math.sign(Math.round(1e4 * (at()[1] - longitude)))], [north, east], key);
  }
  near(at()[0], start[0], "back again");
  for (const [act, step] of [[() => press("+", "#map"), 1], [() => press("-", "#map"), -1], [() => press("=", "#map"), 1], [() => click("#out"), -1], [() => click("#in"), 1], [() => click("#out"), -1]]) {
    const before = at()[2];
    await act();
    await settle();
    near(at()[2] - before, step * Math.log2(1.6), "a step");
    near(at()[0], start[0], "the middle stays");
  }
  equal([await press("+", "#map", {ctrlKey: true}), await press("q", "#map")], [false, false]);
  const from = at(), box = find("#map").getBoundingClientRect(), corner = [box.left + 10, box.top + 10];
  const asks = asked("clusters").length;
  equal(await point("wheel", "#map", ...corner, {deltaY: -400}), true);
  await point("wheel", "#map", ...corner, {deltaY: 400});
  await settle();
  equal(asked("clusters").length, asks + 1, "once, when it rests");
  near(at()[0], from[0], "there and back");
  await point("wheel", "#map", ...corner, {deltaY: -400});
  await settle();
  near(at()[2] - from[2], 400 * Math.log2(1.0018), "the wheel");
  ok(at()[0] > from[0] + 0.001 && at()[1] < from[1] - 0.001, "towards the pointer");
  await press("0", "#map");
  await settle();
  ok(at()[2] < 3, `the whole world, ${at()[2]}`);
  equal(find("#here").hidden, true, "too wide for a circle");
});

test("the map is dragged by a pointer and pinched by two, and a drag opens nothing", async () => {
  history.replaceState(null, "", "?at=41.15,-8.61,12");
  for (let i = 0; i < 12; i += 1) await press("+", "#map");
  await settle();
  await until(() => clusters().length);
  const [x, y] = middle(find("#map")), before = at();
  await point("pointerdown", "#map", x, y);
  await point("pointermove", "#map", x + 3, y);
  await point("pointermove", "#map", x + 80, y - 40);
  await settle();
  ok(at()[1] < before[1] && at()[0] < before[0], `${at()} from ${before}`);
  await click(clusters()[0]);
  equal(left, "", "it was moved");
  await point("pointerup", "#map", x + 80, y - 40);
  await until(() => true);
  await point("pointermove", "#map", x, y);
  const rested = at();
  await settle();
  equal(at(), rested, "the drag has ended");
  await point("pointerdown", "#map", x - 50, y, {pointerId: 1});
  await point("pointerdown", "#map", x + 50, y, {pointerId: 2});
  await press("-", "#map");
  await settle();
  const zoom = at()[2];
  await point("pointermove", "#map", x + 75, y, {pointerId: 2});
  await settle();
  near(at()[2] - zoom, Math.log2(1.25), "two fingers");
  await point("pointerup", "#map", x, y, {pointerId: 1});
  await point("pointercancel", "#map", x, y, {pointerId: 2});
  await point("pointerdown", "#in", x, y);
  await point("pointermove", "#in", x + 50, y);
  const [, longitude] = at();
  await settle();
  equal(at()[1], longitude, "not by its buttons");
  await rest();
});

test("a cluster is seen from nearer, photos of one place are opened", async () => {
  await new Promise((resolve) => { setTimeout(resolve, 0); });
  const [latitude, longitude] = at();
  serve({clusters: [place(9, latitude, longitude, 1e-7), place(4, latitude + 1e-5, longitude, 0)]});
  await press("0", "#map");
  await settle();
  serve({clusters: [place(9, 10, 20, 1)]});
  await press("+", "#map");
  await settle();
  await until(() => clusters()[0]?.ariaLabel === "9 photos at 10.00, 20.00");
  const before = at()[2];
  await click(clusters()[0]);
  await settle();
  ok(at()[2] > before + 1 && Math.abs(at()[0] - 10) < 0.1 && Math.abs(at()[1] - 20) < 0.1, `${at()}`);
  equal(left, "");
  serve({clusters: [place(9, 10, 20, 0.0001)]});
  await press("+", "#map");
  await settle();
  await until(() => clusters().length === 1);
  await click(clusters()[0]);
  equal(new URL(left).searchParams.get("words"), "dog near:10.0000,20.0000~0.2km");
});

test("an older answer, or an error, is not shown", async () => {
  const old = later();
  serve({clusters: () => old.promise});
  await press("+", "#map");
  await settle();
  serve({clusters: []});
  await press("-", "#map");
  await settle();
  await until(() => text("#summary") === "No photo with a position here");
  await old.answer([place(5, 10, 20)]);
  equal([text("#summary"), clusters().length], ["No photo with a position here", 0]);
  serve({clusters: [place(5, 10, 20)], find: {result: "r2"}});
  find("#words").value = "cat";
  find("#map-search").requestSubmit();
  await rest();
  await until(() => text("#summary") === "5 photos here");
  equal([last("find"), last("clusters").result, new URLSearchParams(location.search).get("words")], [{words: "cat"}, "r2", "cat"]);
  serve({find: new Failure(400, JSON.stringify({error: "unbalanced"}))});
  const asks = asked("clusters").length;
  find("#map-search").requestSubmit();
  await rest();
  equal([text("#message"), asked("clusters").length], ["unbalanced", asks]);
  serve({clusters: new Failure(500, "locked")});
  await press("+", "#map");
  await settle();
  equal([text("#message"), clusters().length], ["locked", 1], "what was there stays");
});

test("outlines are drawn, land unlike the sea", async () => {
  await press("0", "#map");
  await until(() => {
    const pen = find("#outlines").getContext("2d"), {width, height} = find("#outlines");
    const colours = new Set();
    for (let i = 0; i < 60; i += 1) colours.add(pen.getImageData(Math.floor((i / 60) * width), Math.floor(height / 2), 1, 1).data.join());
    return colours.size > 1;
  }, "two colours");
  Object.defineProperty(window, "devicePixelRatio", {value: 2});
  await press("0", "#map");
  const {width, height} = find("#outlines");
  equal([width, height], [2 * find("#map").clientWidth, 2 * find("#map").clientHeight], "as fine as the screen");
  ok(find("#outlines").getContext("2d").getImageData(width - 2, height - 2, 1, 1).data[3] > 0, "drawn to its edges");
  Object.defineProperty(window, "devicePixelRatio", {value: 1});
  await press("0", "#map");
  equal([find("#outlines").width, find("#outlines").height], [find("#map").clientWidth, find("#map").clientHeight]);
});
