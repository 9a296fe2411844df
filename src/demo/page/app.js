// The demo's page: asks once for the city, once a second for what changed, and draws in between.
// Cars are told where they drive, not where they are: each moves along its way by the engine's
// clock, which runs on between two answers.

const TEXTS = {
  en: {
    subtitle: 'simulated Rio, city time', active: 'active rides', searching: 'searching',
    completed: 'completed', fleet: 'Drivers', withPassenger: 'with passenger',
    toPickup: 'to the pickup', boarding: 'boarding', offered: 'has an offer', idle: 'free',
    waiting: 'looking for a car', people: 'People', cityTime: 'city time', wait: 'wait for a driver',
    pickup: 'until the car is there', engine: 'Engine', realTime: 'real time', accept: 'accept answered',
    commit: 'commit × decisions', sockets: 'open sockets', offers: 'offers',
    last: 'Last rides', note: 'A drawn city and simulated people. Every car is a WebSocket session.',
    framesPerSecond: 'frames/s', lost: 'races lost', canceled: 'canceled', noDriver: 'no driver found',
    starting: 'The city wakes up …', gone: 'The demo has ended. Waiting for it …', fleetOf: 'with work',
  },
  pt: {
    subtitle: 'Rio simulado, relógio da cidade', active: 'corridas ativas', searching: 'buscando',
    completed: 'concluídas', fleet: 'Motoristas', withPassenger: 'com passageiro',
    toPickup: 'a caminho', boarding: 'embarque', offered: 'com oferta', idle: 'livre',
    waiting: 'procurando carro', people: 'Pessoas', cityTime: 'relógio da cidade',
    wait: 'espera por motorista', pickup: 'até o carro chegar', engine: 'Motor', realTime: 'tempo real',
    accept: 'aceite respondido', commit: 'commit × decisões', sockets: 'sockets abertos',
    offers: 'ofertas', last: 'Últimas corridas',
    note: 'Cidade desenhada, pessoas simuladas. Cada carro é uma sessão WebSocket.',
    framesPerSecond: 'quadros/s', lost: 'disputas perdidas', canceled: 'cancelada',
    noDriver: 'sem motorista', starting: 'A cidade está acordando …',
    gone: 'A demo terminou. Esperando por ela …', fleetOf: 'com trabalho',
  },
};
const language = (navigator.language || 'en').toLowerCase().startsWith('pt') ? 'pt' : 'en';
const locale = language === 'pt' ? 'pt-BR' : 'en';
const text = TEXTS[language];
const $ = (id) => document.getElementById(id);
document.documentElement.lang = locale;
for (const element of document.querySelectorAll('[data-text]')) {
  element.textContent = text[element.dataset.text];
}

// --- Colours -----------------------------------------------------------------------------------

const light = matchMedia('(prefers-color-scheme: light)');
let theme = light.matches ? 'light' : 'dark';
let colors = {};

function applyTheme() {
  document.documentElement.dataset.theme = theme;
  const style = getComputedStyle(document.documentElement);
  const names = ['sea', 'land', 'shore', 'hill', 'hill-line', 'street', 'avenue', 'link', 'label',
    'halo', 'water-label', 'hill-label', 's1', 's2', 's3', 's4', 's5', 'ring', 'ink'];
  colors = Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
  stale = true;
}

// --- The map -----------------------------------------------------------------------------------

const canvas = $('map');
const stage = canvas.getContext('2d');
const ground = document.createElement('canvas');
const SQUEEZE = Math.cos(22.93 * Math.PI / 180);
const view = { x: 0, y: 0, scale: 1 };
let city = null;
let size = { width: 0, height: 0, ratio: 1 };
let stale = true;
let home = null;

/** Hundred-thousandths of a degree to plane coordinates; a unit is about a metre. */
const plane = (lat, lng) => [(lng - city.west) * SQUEEZE, city.north - lat];
const toX = (x) => (x - view.x) * view.scale;
const toY = (y) => (y - view.y) * view.scale;

function prepare(drawing) {
  const [south, west, north, east] = drawing.edges;
  city = { west, north };
  const line = (flat) => {
    const points = [];
    for (let i = 0; i < flat.length; i += 2) points.push(plane(flat[i], flat[i + 1]));
    return points;
  };
  const nodes = line(drawing.nodes);
  const roads = [[], [], []];
  for (let i = 0; i < drawing.roads.length; i += 3) {
    roads[drawing.roads[i + 2]].push(nodes[drawing.roads[i]], nodes[drawing.roads[i + 1]]);
  }
  const labels = drawing.labels.map(([name, lat, lng, kind]) => ({ name, at: plane(lat, lng), kind }));
  Object.assign(city, {
    roads, labels, land: drawing.land.map(line), lagoon: line(drawing.lagoon),
    hills: drawing.hills.map(line), extent: plane(south, east),
  });
}

function resize() {
  const ratio = Math.min(devicePixelRatio || 1, 2);
  size = { width: innerWidth, height: innerHeight, ratio };
  for (const each of [canvas, ground]) {
    each.width = size.width * ratio;
    each.height = size.height * ratio;
  }
  stale = true;
}

/** Shows where the drivers are, beside the panel. */
function fit() {
  if (!city) return;
  const wide = size.width > 720;
  const right = wide ? 356 : 0;
  const bottom = wide ? 0 : 150;
  const [width, height] = [size.width - right, size.height - bottom];
  // The part of the city where most people are.
  const box = { x: 1300, y: 1000, w: city.extent[0] - 2300, h: city.extent[1] - 1000 };
  view.scale = wide ? Math.max(width / box.w, height / box.h) * 0.94 : height / box.h;
  view.x = box.x + box.w * (wide ? 0.47 : 0.5) - width / 2 / view.scale;
  view.y = box.y + box.h * 0.52 - height / 2 / view.scale;
  stale = true;
  home = { ...view };
}

/** A closed line through the middles of its sides: corners become curves. */
function round(to, points) {
  const middle = (a, b) => [toX((a[0] + b[0]) / 2), toY((a[1] + b[1]) / 2)];
  to.moveTo(...middle(points[points.length - 1], points[0]));
  points.forEach((point, i) => {
    const next = points[(i + 1) % points.length];
    to.quadraticCurveTo(toX(point[0]), toY(point[1]), ...middle(point, next));
  });
  to.closePath();
}

function area(to, lines, fill, stroke, width) {
  to.beginPath();
  for (const line of lines) round(to, line);
  to.fillStyle = fill;
  to.fill();
  if (stroke) {
    to.strokeStyle = stroke;
    to.lineWidth = width;
    to.stroke();
  }
}

function paintGround() {
  const to = ground.getContext('2d');
  to.setTransform(size.ratio, 0, 0, size.ratio, 0, 0);
  to.fillStyle = colors.sea;
  to.fillRect(0, 0, size.width, size.height);
  if (!city) return;
  const metre = view.scale;
  to.lineJoin = 'round';
  to.lineCap = 'round';
  // The shore: a soft rim of shallow water.
  area(to, city.land, colors.land, colors.shore, Math.max(3, 150 * metre));
  area(to, city.land, colors.land);
  area(to, city.hills, colors.hill, colors['hill-line'], 1.5);
  area(to, [city.lagoon], colors.sea, colors.shore, Math.max(2, 50 * metre));
  area(to, [city.lagoon], colors.sea);
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

function paintLabels(to) {
  const inks = [colors.label, colors['water-label'], colors['hill-label']];
  const big = Math.min(1.35, Math.max(0.82, view.scale * 11));
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

// --- People ------------------------------------------------------------------------------------

const drivers = new Map();
let passengers = [];
const clock = { offset: null, speed: 1 };

/** The engine's time now: what it last said, run on. */
const engineNow = () => performance.now() * clock.speed + clock.offset;

function hearClock(now, speed) {
  clock.speed = speed;
  const offset = now - performance.now() * speed;
  const jump = clock.offset === null || Math.abs(offset - clock.offset) > 3000 * speed;
  clock.offset = jump ? offset : clock.offset + (offset - clock.offset) * 0.15;
}

function hearDrivers(rows) {
  for (const [number, does, lat, lng, start, way] of rows) {
    const driver = drivers.get(number) ?? { heading: Math.random() * 6.28, shown: null };
    Object.assign(driver, { does, at: plane(lat, lng), leg: null });
    if (way) {
      const [points, times] = [[], []];
      for (let i = 0; i < way.length; i += 3) {
        points.push(plane(way[i], way[i + 1]));
        times.push(start + way[i + 2]);
      }
      driver.leg = { points, times, next: 1 };
    }
    drivers.set(number, driver);
  }
}

/** Moves a driver to where the clock says. */
function place(driver, now) {
  const { leg } = driver;
  let goal = driver.at;
  if (leg) {
    const { points, times } = leg;
    while (leg.next < times.length && times[leg.next] <= now) leg.next += 1;
    const i = leg.next;
    if (i >= times.length) {
      goal = points[points.length - 1];
    } else {
      const share = Math.max(0, (now - times[i - 1]) / Math.max(1, times[i] - times[i - 1]));
      const [a, b] = [points[i - 1], points[i]];
      goal = [a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share];
      const heading = Math.atan2(b[1] - a[1], b[0] - a[0]);
      const turn = Math.atan2(Math.sin(heading - driver.heading), Math.cos(heading - driver.heading));
      driver.heading += turn * 0.25;
    }
  }
  // A correction by a new answer is walked, not jumped.
  const last = driver.shown ?? goal;
  const gap = Math.hypot(goal[0] - last[0], goal[1] - last[1]);
  const pull = gap > 600 ? 1 : 0.35;
  driver.shown = [last[0] + (goal[0] - last[0]) * pull, last[1] + (goal[1] - last[1]) * pull];
  return driver.shown;
}

function paintWays(shown) {
  stage.lineCap = 'round';
  stage.lineJoin = 'round';
  for (const driver of shown) {
    const { leg, does } = driver;
    if (!leg || does < 3 || leg.next >= leg.points.length) continue;
    stage.beginPath();
    stage.moveTo(toX(driver.shown[0]), toY(driver.shown[1]));
    for (let i = leg.next; i < leg.points.length; i += 1) {
      stage.lineTo(toX(leg.points[i][0]), toY(leg.points[i][1]));
    }
    stage.strokeStyle = colors[`s${does}`];
    stage.globalAlpha = does === 3 ? 0.75 : 0.34;
    stage.lineWidth = does === 3 ? 2.2 : 1.8;
    stage.setLineDash(does === 3 ? [5, 5] : []);
    stage.stroke();
    if (does === 5) {
      const [x, y] = leg.points[leg.points.length - 1];
      stage.globalAlpha = 0.7;
      stage.beginPath();
      stage.arc(toX(x), toY(y), 3, 0, 7);
      stage.stroke();
    }
  }
  stage.setLineDash([]);
  stage.globalAlpha = 1;
}

function paintPassengers(time) {
  for (const [, does, lat, lng, , , waited] of passengers) {
    if (does === 3) continue;
    const [px, py] = plane(lat, lng);
    const [x, y] = [toX(px), toY(py)];
    if (does === 1) {
      const reach = 9 + Math.min(waited, 150) / 150 * 20;
      for (const lag of [0, 0.5]) {
        const share = (time / 1600 + lag + px * 0.37) % 1;
        stage.globalAlpha = (1 - share) * 0.9;
        stage.strokeStyle = colors.ring;
        stage.lineWidth = 2;
        stage.beginPath();
        stage.arc(x, y, 3 + reach * share, 0, 7);
        stage.stroke();
      }
    }
    stage.globalAlpha = 1;
    stage.fillStyle = colors.ring;
    stage.strokeStyle = colors.halo;
    stage.lineWidth = 1.5;
    stage.beginPath();
    stage.arc(x, y, does === 1 ? 4 : 3.4, 0, 7);
    stage.fill();
    stage.stroke();
  }
}

function paintCars(shown, time) {
  const length = Math.min(11, Math.max(5.6, view.scale * 88));
  for (const driver of shown) {
    const { does } = driver;
    const [x, y] = [toX(driver.shown[0]), toY(driver.shown[1])];
    if (x < -20 || y < -20 || x > size.width + 20 || y > size.height + 20) continue;
    const ink = colors[`s${does}`];
    if (does !== 1) {
      const pulse = does === 2 ? 0.25 + 0.25 * Math.sin(time / 130) : 0.2;
      stage.globalAlpha = pulse;
      stage.fillStyle = ink;
      stage.beginPath();
      stage.arc(x, y, length * 1.55, 0, 7);
      stage.fill();
    }
    stage.globalAlpha = does === 1 ? 0.9 : 1;
    stage.save();
    stage.translate(x, y);
    stage.rotate(driver.heading);
    stage.beginPath();
    stage.moveTo(length, 0);
    stage.lineTo(-length * 0.8, length * 0.68);
    stage.lineTo(-length * 0.38, 0);
    stage.lineTo(-length * 0.8, -length * 0.68);
    stage.closePath();
    stage.fillStyle = ink;
    stage.strokeStyle = colors.halo;
    stage.lineWidth = 1.4;
    stage.stroke();
    stage.fill();
    stage.restore();
  }
  stage.globalAlpha = 1;
}

function frame(time) {
  requestAnimationFrame(frame);
  if (stale) {
    stale = false;
    paintGround();
  }
  stage.setTransform(1, 0, 0, 1, 0, 0);
  stage.drawImage(ground, 0, 0);
  if (!city) return;
  stage.setTransform(size.ratio, 0, 0, size.ratio, 0, 0);
  const now = engineNow();
  const shown = [...drivers.values()].filter((driver) => driver.does > 0);
  shown.sort((a, b) => a.does - b.does);
  for (const driver of shown) place(driver, now);
  paintWays(shown);
  paintLabels(stage);
  paintPassengers(time);
  paintCars(shown, time);
}

// --- The panel ---------------------------------------------------------------------------------

const whole = new Intl.NumberFormat(locale, { maximumFractionDigits: 0 });
const tenth = new Intl.NumberFormat(locale, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const money = new Intl.NumberFormat(locale, { style: 'currency', currency: 'BRL' });
const put = (id, value) => {
  const element = $(id);
  if (element.textContent !== value) element.textContent = value;
};
const seconds = (value) => (value === null ? '–' : `${whole.format(value)} s`);
const ms = (value) => (value === null ? '–' : `${value < 10 ? tenth.format(value) : whole.format(value)} ms`);

function showNumbers(n) {
  put('speed', `${n.speed}×`);
  put('active', whole.format(n.active));
  put('searching', whole.format(n.searching));
  put('completed', whole.format(n.completed));
  put('fleet-count', `${whole.format(n.drivers - n.idle)} / ${whole.format(n.drivers)} ${text.fleetOf}`);
  put('wait50', seconds(n.wait_p50_s));
  put('wait90', seconds(n.wait_p90_s));
  put('pickup50', seconds(n.pickup_p50_s));
  put('accept50', ms(n.accept_p50_ms));
  put('accept99', ms(n.accept_p99_ms));
  put('commit', ms(n.commit_ms));
  put('batch', n.batch === null ? '–' : tenth.format(n.batch));
  put('sockets', whole.format(n.sockets));
  put('frames', `${whole.format(n.frames_per_s)} ${text.framesPerSecond}`);
  put('offers', whole.format(n.offers));
  put('lost', `${whole.format(n.lost)} ${text.lost}`);
  const rest = [[n.canceled, text.canceled], [n.no_driver, text.noDriver]];
  put('rest', rest.filter(([count]) => count > 0).map(([count, word]) => `${count} ${word}`).join(', '));
  const counts = [0, 0, 0, 0, 0, 0];
  for (const { does } of drivers.values()) counts[does] += 1;
  for (const part of $('bar').children) part.style.flexGrow = counts[Number(part.className[1])];
}

let told = 0;

function showFeed(lines) {
  const list = $('feed');
  const newest = lines.length ? lines[0].n : 0;
  if (newest === told) return;
  const rows = lines.map((line) => {
    const row = document.createElement('li');
    row.className = line.outcome + (line.n > told ? ' new' : '');
    const [dot, way, end] = ['i', 'span', 'em'].map((name) => document.createElement(name));
    way.textContent = `${line.from} → ${line.to}`;
    const failed = line.outcome === 'canceled' ? text.canceled : text.noDriver;
    end.textContent = line.outcome === 'completed' ? money.format(Number(line.fare)) : failed;
    row.append(dot, way, end);
    return row;
  });
  list.replaceChildren(...rows);
  told = newest;
}

// --- What is asked for -------------------------------------------------------------------------

let change = 0;

function banner(words) {
  $('banner').hidden = !words;
  if (words) $('banner').textContent = words;
}

async function ask() {
  let pause = 1000;
  try {
    const answer = await (await fetch(`/demo/live?since=${change}`)).json();
    if (answer.starting) {
      banner(text.starting);
    } else {
      // A clock or a count that went back: another demo runs now.
      if (answer.change < change) return location.reload();
      change = answer.change;
      hearClock(answer.now, answer.speed);
      hearDrivers(answer.drivers);
      passengers = answer.passengers;
      showNumbers(answer.numbers);
      showFeed(answer.feed);
      banner('');
    }
  } catch {
    banner(text.gone);
    pause = 3000;
  }
  setTimeout(ask, document.hidden ? 4000 : pause);
  return undefined;
}

async function begin() {
  try {
    prepare(await (await fetch('/demo/city')).json());
    fit();
    ask();
  } catch {
    banner(text.gone);
    setTimeout(begin, 3000);
  }
}

// --- Hands -------------------------------------------------------------------------------------

function zoom(factor, x = size.width / 2, y = size.height / 2) {
  const scale = Math.min(0.8, Math.max(0.02, view.scale * factor));
  view.x += x / view.scale - x / scale;
  view.y += y / view.scale - y / scale;
  view.scale = scale;
  stale = true;
}

const fingers = new Map();

function spread() {
  const [a, b] = [...fingers.values()];
  return { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2, apart: Math.hypot(a.x - b.x, a.y - b.y) };
}

canvas.addEventListener('pointerdown', (event) => {
  canvas.setPointerCapture(event.pointerId);
  fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
  canvas.classList.add('drag');
});
canvas.addEventListener('pointermove', (event) => {
  const finger = fingers.get(event.pointerId);
  if (!finger) return;
  const before = fingers.size === 2 ? spread() : null;
  const [dx, dy] = [event.clientX - finger.x, event.clientY - finger.y];
  Object.assign(finger, { x: event.clientX, y: event.clientY });
  view.x -= dx / view.scale / fingers.size;
  view.y -= dy / view.scale / fingers.size;
  if (before) {
    const after = spread();
    zoom(after.apart / Math.max(1, before.apart), after.x, after.y);
  }
  stale = true;
});
for (const end of ['pointerup', 'pointercancel']) {
  canvas.addEventListener(end, (event) => {
    fingers.delete(event.pointerId);
    if (!fingers.size) canvas.classList.remove('drag');
  });
}
canvas.addEventListener('wheel', (event) => {
  event.preventDefault();
  zoom(Math.exp(-event.deltaY * 0.0015), event.clientX, event.clientY);
}, { passive: false });
canvas.addEventListener('dblclick', (event) => zoom(2, event.clientX, event.clientY));
$('in').addEventListener('click', () => zoom(1.5));
$('out').addEventListener('click', () => zoom(1 / 1.5));
$('fit').addEventListener('click', fit);
$('theme').addEventListener('click', () => {
  theme = theme === 'dark' ? 'light' : 'dark';
  applyTheme();
});
$('grip').addEventListener('click', () => $('panel').classList.toggle('open'));
light.addEventListener('change', () => {
  theme = light.matches ? 'light' : 'dark';
  applyTheme();
});
addEventListener('resize', () => {
  const untouched = home && home.x === view.x && home.y === view.y && home.scale === view.scale;
  resize();
  if (untouched) fit();
});

applyTheme();
resize();
requestAnimationFrame(frame);
begin();
