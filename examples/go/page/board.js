// The board as SVG: a grid of points that you can click, or reach with the arrow keys.

const LETTERS = "ABCDEFGHJKLMNOPQRSTUVWXYZ"; // no I, as on every Go board
const UNIT = 20; // from line to line
const MARGIN = 1.35 * UNIT; // from the outer lines to the edge of the wood
const STARS = { 9: "C3 C7 E5 G3 G7", 13: "D4 D10 G7 K4 K10", 19: "D4 D10 D16 K4 K10 K16 Q4 Q10 Q16" };

function draw(name, parent, attributes = {}) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  parent.append(element);
  return element;
}

export class Board {
  /** `play` is called with a point such as "D4". */
  constructor(svg, play) {
    this.svg = svg;
    this.size = 0;
    this.cells = [];
    svg.addEventListener("click", (event) => {
      const cell = event.target.closest("[role=gridcell]");
      if (cell) this.choose(cell, play);
    });
    svg.addEventListener("keydown", (event) => {
      const cell = event.target.closest("[role=gridcell]");
      if (!cell || event.ctrlKey || event.metaKey || event.altKey) return;
      const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.size, ArrowDown: this.size };
      const from = this.cells.indexOf(cell);
      if (event.key in steps) {
        const to = from + steps[event.key];
        const isInRow = Math.floor(to / this.size) === Math.floor(from / this.size);
        if (this.cells[to] && (isInRow || Math.abs(steps[event.key]) > 1)) this.focus(this.cells[to]);
      } else if (event.key === "Enter" || event.key === " ") {
        this.choose(cell, play);
      } else return;
      event.preventDefault();
    });
  }

  /** Show a state of the game. `color` is the color that may play here now, or null. */
  show(state, color) {
    if (state.size !== this.size) this.build(state.size);
    this.svg.setAttribute("class", color ? `may-play ${color}` : "");
    this.svg.setAttribute("aria-readonly", String(!color));
    const points = [...state.stones.join("")];
    points.forEach((point, index) => {
      const cell = this.cells[index];
      const what = { X: "black", O: "white" }[point] ?? "empty";
      const isLast = cell.dataset.at === state.last_move;
      cell.setAttribute("class", isLast ? `${what} last` : what);
      cell.setAttribute("aria-label", `${cell.dataset.at}, ${what}${isLast ? ", the last move" : ""}`);
    });
  }

  choose(cell, play) {
    this.focus(cell);
    play(cell.dataset.at);
  }

  focus(cell) {
    for (const each of this.cells) each.setAttribute("tabindex", each === cell ? "0" : "-1");
    cell.focus();
  }

  build(size) {
    this.size = size;
    this.svg.replaceChildren();
    const end = (size - 1) * UNIT;
    this.svg.setAttribute("viewBox", `${-MARGIN} ${-MARGIN} ${end + 2 * MARGIN} ${end + 2 * MARGIN}`);
    this.drawWood(size, end);
    this.cells = [];
    for (let row = 0; row < size; row++) {
      const line = draw("g", this.svg, { role: "row" });
      for (let column = 0; column < size; column++) {
        const [x, y] = [column * UNIT, row * UNIT];
        const cell = draw("g", line, { role: "gridcell", tabindex: "-1", "data-at": `${LETTERS[column]}${size - row}` });
        draw("rect", cell, { class: "point", x: x - UNIT / 2, y: y - UNIT / 2, width: UNIT, height: UNIT });
        draw("circle", cell, { class: "stone", cx: x, cy: y, r: UNIT * 0.46 });
        draw("circle", cell, { class: "mark", cx: x, cy: y, r: UNIT * 0.2 });
        this.cells.push(cell);
      }
    }
    this.cells[Math.floor(this.cells.length / 2)].setAttribute("tabindex", "0");
  }

  drawWood(size, end) {
    const wood = draw("g", this.svg, { "aria-hidden": "true", class: "wood" });
    draw("rect", wood, { x: -MARGIN, y: -MARGIN, width: end + 2 * MARGIN, height: end + 2 * MARGIN, rx: 4 });
    for (let index = 0; index < size; index++) {
      const at = index * UNIT;
      draw("path", wood, { d: `M0 ${at}H${end}M${at} 0V${end}` });
      for (const far of [-0.9 * UNIT, end + 0.9 * UNIT]) {
        draw("text", wood, { x: at, y: far }).textContent = LETTERS[index];
        draw("text", wood, { x: far, y: at }).textContent = size - index;
      }
    }
    for (const star of STARS[size].split(" ")) {
      const [column, row] = [LETTERS.indexOf(star[0]), size - Number(star.slice(1))];
      draw("circle", wood, { cx: column * UNIT, cy: row * UNIT, r: 1.8 });
    }
  }
}
