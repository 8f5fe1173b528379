// /found
const {equal, test, text, type} = harness;

const shown = () => [...document.querySelectorAll("figure")].filter((each) => !each.hidden).map((each) => each.textContent.match(/\w+\.jpg$/)[0]);

test("photos are filtered by all words of their captions", async () => {
  equal([shown(), text("#shown")], [["Dog.jpg", "Dog.jpg", "cat.jpg", "cat.jpg"], ""]);
  await type("#filter", "DOG");
  equal([shown(), text("#shown")], [["Dog.jpg", "Dog.jpg"], "2 of 4 photos"]);
  await type("#filter", " 2021  cat ");
  equal([shown(), text("#shown")], [["cat.jpg"], "1 of 4 photos"]);
  await type("#filter", "bird");
  equal([shown(), text("#shown")], [[], "0 of 4 photos"]);
  await type("#filter", "  ");
  equal([shown().length, text("#shown")], [4, ""]);
});
