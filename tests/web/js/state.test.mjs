// The address says all of a state, and a state makes the same address again.
import assert from "node:assert/strict";
import test from "node:test";
import {isFiltered, readAddress, toAddress, toRequest} from "../../../photosearch/web/static/state.mjs";

test("an address is read and written without a loss", () => {
  for (const address of ["", "?words=a+dog+in%3A%22Cape+Town%22&under=abc&sort=oldest&copies=1&like=3&like=4&unlike=5"]) {
    assert.equal(toAddress(readAddress(address)), address);
  }
  const state = readAddress("?words=+x+&like=no&like=7&nonsense=1&sure_only=");
  assert.deepEqual([state.words, state.examples, state.sure_only, state.sort], ["x", [{imageId: 7, sign: 1}], true, ""]);
  assert.deepEqual(toRequest(state), {words: "x", sure_only: "1", like: [7], unlike: []});
});

test("an order and copies leave no photo out, other filters do", () => {
  assert.deepEqual(["?sort=name&copies=1&file_dates=1", "?until=2020", "?under=a"].map((each) => isFiltered(readAddress(each))), [false, true, true]);
});
