// The drawn city under the cars: land and water, streets, names. `map` says what of it is seen:
// `toX` and `toY` from the plane to the window, its `scale`, `size` and `colors`, and the `city`.

/** A closed line whose corners are curves: each begins and ends a third along its sides. */
function round(to, points, { toX, toY }) {
  const along = (a, b) => [toX(a[0] + (b[0] - a[0]) * 0.34), toY(a[1] + (b[1] - a[1]) * 0.34)];
  points.forEach((point, i) => {
    const last = points[(i + points.length - 1) % points.length];
    const next = points[(i + 1) % points.length];
    if (i === 0) to.moveTo(...along(point, last));
    else to.lineTo(...along(point, last));
    to.quadraticCurveTo(toX(point[0]), toY(point[1]), ...along(point, next));
  });
  to.closePath();
}

function area(to, lines, map, { fill, stroke, width }) {
  to.beginPath();
  for (const line of lines) round(to, line, map);
  to.fillStyle = fill;
  to.fill();
  if (stroke) {
    to.strokeStyle = stroke;
    to.lineWidth = width;
    to.stroke();
  }
}

/** Draws water, land, hills and streets. */
export function paintGround(to, map) {
  const { city, size, colors, scale, toX, toY } = map;
  to.setTransform(size.ratio, 0, 0, size.ratio, 0, 0);
  to.fillStyle = colors.sea;
  to.fillRect(0, 0, size.width, size.height);
  if (!city) return;
  const metre = scale;
  to.lineJoin = 'round';
  to.lineCap = 'round';
  // The shore: a soft rim of shallow water.
  const { land, shore, hill, sea } = colors;
  area(to, city.land, map, { fill: land, stroke: shore, width: Math.max(3, 150 * metre) });
  area(to, city.land, map, { fill: land });
  area(to, city.hills, map, { fill: hill, stroke: colors['hill-line'], width: 1.5 });
  area(to, [city.lagoon], map, { fill: sea, stroke: shore, width: Math.max(2, 50 * metre) });
  area(to, [city.lagoon], map, { fill: sea });
  const widths = [Math.max(0.7, 13 * metre), Math.max(1.3, 24 * metre), Math.max(2, 30 * metre)];
  const inks = [colors.street, colors.avenue, colors.link];
  city.roads.forEach((ends, kind) => {
    to.beginPath();
    for (let i = 0; i < ends.length; i += 2) {
      to.moveTo(toX(ends[i][0]), toY(ends[i][1]));
      to.lineTo(toX(ends[i + 1][0]), toY(ends[i + 1][1]));
    }
    to.strokeStyle = inks[kind];
    to.lineWidth = widths[kind];
    to.stroke();
  });
}

/** Writes the names. */
export function paintLabels(to, { city, size, colors, scale, toX, toY }) {
  const inks = [colors.label, colors['water-label'], colors['hill-label']];
  const big = Math.min(1.35, Math.max(0.82, scale * 11));
  to.textAlign = 'center';
  to.textBaseline = 'middle';
  to.lineJoin = 'round';
  for (const { name, at, kind } of city.labels) {
    const [x, y] = [toX(at[0]), toY(at[1])];
    if (x < -90 || y < -30 || x > size.width + 90 || y > size.height + 30) continue;
    const px = (kind === 1 ? 13.5 : 12) * big;
    to.font = `${kind === 0 ? '600' : 'italic 500'} ${px}px system-ui, "DejaVu Sans", sans-serif`;
    to.lineWidth = 3.2;
    to.globalAlpha = 0.85;
    to.strokeStyle = kind === 1 ? colors.sea : kind === 2 ? colors.hill : colors.halo;
    to.strokeText(name, x, y);
    to.globalAlpha = 1;
    to.fillStyle = inks[kind];
    to.fillText(name, x, y);
  }
}
