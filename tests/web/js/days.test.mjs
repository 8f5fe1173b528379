// Days become sections that waste no rows, months and bars.
import assert from "node:assert/strict";
import test from "node:test";
import {groupDays, listBars, listMonths, nameDays, nameMonth} from "../../../photosearch/web/static/days.mjs";

const DAYS = [["2020-05-31", 9], ["2020-05-30", 2], ["2020-05-28", 1], ["2020-05-27", 3], ["2020-04-30", 1], ["2018-01-01", 2], ["", 4]];

test("neighbouring days of a year share a row that has room for them", () => {
  assert.deepEqual(groupDays(DAYS, 4), [
    {n: 9, title: "Sunday, 31 May 2020"}, {n: 3, title: "28–30 May 2020"}, {n: 4, title: "30 April – 27 May 2020"}, {n: 2, title: "Monday, 1 January 2018"}, {n: 4, title: "No date"}]);
  assert.deepEqual(groupDays([...DAYS].reverse().slice(2, 5), 5).map(({title}) => title), ["30 April – 28 May 2020"]);
  assert.deepEqual(groupDays([["2020-05", 3], ["2020-04", 2]], 9).map(({title}) => title), ["May 2020", "April 2020"]);
});

test("months know their first photo", () => {
  assert.deepEqual(listMonths(DAYS), [{month: "2020-05", n: 15, first: 0}, {month: "2020-04", n: 1, first: 15},
    {month: "2018-01", n: 2, first: 16}, {month: "", n: 4, first: 18}]);
  assert.deepEqual([nameMonth(""), nameMonth("0044-03"), nameDays("2020-02-29")], ["No date", "March 44", "Saturday, 29 February 2020"]);
});

test("bars are years without gaps, or the twelve months of one; wrong clocks make no thousand bars", () => {
  assert.deepEqual(listBars(DAYS).map(({value, n}) => [value, n]), [["2018", 2], ["2019", 0], ["2020", 16]]);
  const months = listBars(DAYS, "2020");
  assert.deepEqual([months.length, months[4], months[0].n], [12, {label: "M", title: "May 2020", value: "2020-05", n: 15}, 0]);
  assert.deepEqual(listBars([["0001-01-01", 1], ["9999-01-01", 1]]).map(({value}) => value), ["0001", "9999"]);
  assert.deepEqual(listBars([["", 3]]), []);
});
