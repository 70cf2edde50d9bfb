// Every two texts of the picture that lie on one another, and every one that leaves it.
() => {
  const frame = document.querySelector("#flow svg").getBoundingClientRect();
  const texts = [...document.querySelectorAll("#flow text")].filter((text) => text.textContent.trim() && text.checkVisibility());
  const boxes = texts.map((text) => [text.textContent, text.getBoundingClientRect()]);
  const outside = boxes.filter(([, box]) => box.left < frame.left - 1 || box.right > frame.right + 1).map(([text]) => `${text} leaves the picture`);
  // A line of text has air above and below its letters: that much may touch.
  const touch = (a, b) => a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 4 && b.top < a.bottom - 4;
  return outside.concat(boxes.flatMap(([text, a], i) => boxes.slice(i + 1).filter(([, b]) => touch(a, b)).map(([other]) => `${text} | ${other}`)));
};
