// What the map shows of the visitor's own ride: where from, where to, and the car, by nothing but
// what the client was told. Between two positions the car is moved from one to the next.

/** Positions that its trail remembers. */
const TRAIL_MAX = 240;
/** A position after a longer silence is where the car is now, not where it drives to. */
const JUMP_AFTER_MS = 4000;

/** The car of a ride. */
export class Car {
  trail = [];
  heading = 0;
  #from = null;
  #to = null;
  #heardAt = 0;
  #lasts = 0;

  /** The car is at this point of the plane. */
  hear(point, now = performance.now()) {
    const pause = now - this.#heardAt;
    const last = this.#to;
    if (last && Math.hypot(point[0] - last[0], point[1] - last[1]) < 1) return;
    this.#from = last && pause < JUMP_AFTER_MS ? this.at(now) : point;
    this.#lasts = Math.min(2000, Math.max(200, pause));
    this.#to = point;
    this.#heardAt = now;
    this.trail.push(point);
    if (this.trail.length > TRAIL_MAX) this.trail.shift();
    if (last) this.heading = Math.atan2(point[1] - last[1], point[0] - last[0]);
  }

  get isKnown() {
    return this.#to !== null;
  }

  /** The newest position. */
  get last() {
    return this.#to;
  }

  at(now) {
    const share = Math.min(1, (now - this.#heardAt) / this.#lasts);
    const [a, b] = [this.#from, this.#to];
    return [a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share];
  }
}

/** Draws it all: `seen` is `{from, to, car, plate, isSearching, isLive}`, points in the plane. */
export function paintMarks(seen, map) {
  const { from, to, car } = seen;
  if (from && to && !car?.isKnown) paintBow(from, to, map);
  if (car?.isKnown) paintTrail(car, map);
  if (from && seen.isSearching) paintRings(from, map);
  if (to) paintPin(to, 'B', map.colors.to, map);
  if (from) paintPin(from, 'A', map.colors.from, map);
  if (car?.isKnown) paintCar(car, seen, map);
}

function paintBow(from, to, { stage, toX, toY, colors }) {
  const [ax, ay, bx, by] = [toX(from[0]), toY(from[1]), toX(to[0]), toY(to[1])];
  const lift = Math.min(90, Math.hypot(bx - ax, by - ay) * 0.22);
  stage.beginPath();
  stage.moveTo(ax, ay);
  stage.quadraticCurveTo((ax + bx) / 2, (ay + by) / 2 - lift, bx, by);
  stage.strokeStyle = colors.mine;
  stage.lineWidth = 2.5;
  stage.lineCap = 'round';
  stage.setLineDash([1, 7]);
  stage.stroke();
  stage.setLineDash([]);
}

function paintTrail({ trail }, { stage, toX, toY, colors }) {
  if (trail.length < 2) return;
  stage.beginPath();
  trail.forEach(([x, y], i) => (i ? stage.lineTo(toX(x), toY(y)) : stage.moveTo(toX(x), toY(y))));
  stage.strokeStyle = colors.mine;
  stage.globalAlpha = 0.45;
  stage.lineWidth = 4;
  stage.lineJoin = stage.lineCap = 'round';
  stage.stroke();
  stage.globalAlpha = 1;
}

function paintRings([px, py], { stage, toX, toY, colors, time }) {
  for (const lag of [0, 0.33, 0.66]) {
    const share = (time / 2400 + lag) % 1;
    stage.globalAlpha = (1 - share) * 0.7;
    stage.strokeStyle = colors.mine;
    stage.lineWidth = 2.5;
    stage.beginPath();
    stage.arc(toX(px), toY(py), 8 + 60 * share, 0, 7);
    stage.stroke();
  }
  stage.globalAlpha = 1;
}

/** A drop with a letter; its tip is the place. */
function paintPin([px, py], letter, ink, { stage, toX, toY, colors }) {
  const [x, y, r] = [toX(px), toY(py), 12];
  stage.beginPath();
  stage.arc(x, y - 25, r, Math.PI * 0.83, Math.PI * 0.17);
  stage.quadraticCurveTo(x + 3, y - 9, x, y);
  const [left, low] = [x - r * Math.cos(Math.PI * 0.17), y - 25 + r * Math.sin(Math.PI * 0.17)];
  stage.quadraticCurveTo(x - 3, y - 9, left, low);
  stage.closePath();
  stage.fillStyle = ink;
  stage.strokeStyle = colors.halo;
  stage.lineWidth = 2;
  stage.stroke();
  stage.fill();
  stage.fillStyle = colors['on-mark'];
  stage.font = '700 13px system-ui, "DejaVu Sans", sans-serif';
  stage.textAlign = 'center';
  stage.textBaseline = 'middle';
  stage.fillText(letter, x, y - 24.5);
}

function paintCar(car, { plate, isLive }, { stage, toX, toY, colors }) {
  const [px, py] = car.at(performance.now());
  const [x, y] = [toX(px), toY(py)];
  const ink = isLive ? colors.mine : colors.dim;
  stage.globalAlpha = 0.25;
  stage.fillStyle = ink;
  stage.beginPath();
  stage.arc(x, y, 22, 0, 7);
  stage.fill();
  stage.globalAlpha = 1;
  stage.save();
  stage.translate(x, y);
  stage.rotate(car.heading);
  stage.beginPath();
  stage.moveTo(14, 0);
  stage.lineTo(-11, 9.5);
  stage.lineTo(-5.5, 0);
  stage.lineTo(-11, -9.5);
  stage.closePath();
  stage.restore();
  stage.fillStyle = ink;
  stage.strokeStyle = colors.halo;
  stage.lineWidth = 2.5;
  stage.lineJoin = 'round';
  stage.stroke();
  stage.fill();
  if (plate) paintPlate(plate, [x, y + 34], ink, { stage, colors });
}

function paintPlate(plate, [x, y], ink, { stage, colors }) {
  stage.font = '700 12px ui-monospace, "DejaVu Sans Mono", monospace';
  const width = stage.measureText(plate).width + 14;
  stage.beginPath();
  stage.roundRect(x - width / 2, y - 10, width, 20, 6);
  stage.fillStyle = ink;
  stage.fill();
  stage.fillStyle = colors['on-mark'];
  stage.textAlign = 'center';
  stage.textBaseline = 'middle';
  stage.fillText(plate, x, y + 0.5);
}
