// The demo's page: asks once for the city, once a second for what changed, and draws in between.
// Cars are told where they drive, not where they are: each moves along its way by the engine's
// clock, which runs on between two answers.

import { $ } from './dom.js';
import { showFeed, showNumbers } from './figures.js';
import { paintGround, paintLabels } from './ground.js';
import { RidePanel } from './ride.js';
import { locale, text } from './texts.js';

document.documentElement.lang = locale;
for (const element of document.querySelectorAll('[data-text]')) {
  element.textContent = text[element.dataset.text];
}
for (const element of document.querySelectorAll('[data-label]')) {
  element.setAttribute('aria-label', text[element.dataset.label]);
}

// --- Colours -----------------------------------------------------------------------------------

const light = matchMedia('(prefers-color-scheme: light)');
let theme = light.matches ? 'light' : 'dark';
let colors = {};

function applyTheme() {
  document.documentElement.dataset.theme = theme;
  const style = getComputedStyle(document.documentElement);
  const names = ['sea', 'land', 'shore', 'hill', 'hill-line', 'street', 'avenue', 'link', 'label',
    'halo', 'water-label', 'hill-label', 's1', 's2', 's3', 's4', 's5', 'ring', 'ink', 'dim', 'mine',
    'from', 'to', 'on-mark'];
  const value = (name) => style.getPropertyValue(`--${name}`).trim();
  colors = Object.fromEntries(names.map((name) => [name, value(name)]));
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
let glide = null;

/** What the map shows now, for whoever paints on it. */
const seen = () => ({ city, size, colors, scale: view.scale, toX, toY });

/** Hundred-thousandths of a degree to plane coordinates; a unit is about a metre. */
const plane = (lat, lng) => [(lng - city.west) * SQUEEZE, city.north - lat];
const planeOf = ({ lat, lng }) => plane(lat * 1e5, lng * 1e5);
const placeAt = ([x, y]) => ({ lat: (city.north - y) / 1e5, lng: (x / SQUEEZE + city.west) / 1e5 });
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
  const labels =
    drawing.labels.map(([name, lat, lng, kind]) => ({ name, at: plane(lat, lng), kind }));
  Object.assign(city, {
    nodes, roads, labels, land: drawing.land.map(line), lagoon: line(drawing.lagoon),
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

/** The part of the window that no card covers. */
function clear() {
  if (size.width > 720) return { left: 380, top: 56, right: size.width - 356, bottom: size.height };
  const sheet = document.querySelector(`.sheet.${document.body.dataset.tab}`);
  return { left: 0, top: 62, right: size.width, bottom: sheet.getBoundingClientRect().top };
}

/** Shows where the drivers are, between the cards. */
function fit() {
  if (!city) return;
  glide = null;
  const wide = size.width > 720;
  const [width, height] = [size.width, clear().bottom];
  // The part of the city where most people are.
  const box = { x: 1300, y: 1000, w: city.extent[0] - 2300, h: city.extent[1] - 1000 };
  view.scale = wide ? Math.max(width / box.w, height / box.h) * 0.94 : height / box.h;
  view.x = box.x + box.w * 0.5 - width / 2 / view.scale;
  view.y = box.y + box.h * 0.52 - height / 2 / view.scale;
  stale = true;
  home = { ...view };
}

/** Moves the map until all these points of the plane are in the clear part, if they are not. */
function show(points) {
  const { left, top, right, bottom } = clear();
  const edge = 44;
  const isSeen = ([x, y]) =>
    toX(x) > left + edge && toX(x) < right - edge && toY(y) > top + edge && toY(y) < bottom - edge;
  if (points.every(isSeen)) return;
  const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
  const [west, east, north, south] =
    [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const [width, height] = [right - left - 2 * edge, bottom - top - 2 * edge];
  const whole = Math.min(width / (east - west + 1), height / (south - north + 1));
  const scale = Math.max(0.02, Math.min(whole, view.scale, 0.4));
  const to = {
    scale,
    x: (west + east) / 2 - (left + right) / 2 / scale,
    y: (north + south) / 2 - (top + bottom) / 2 / scale,
  };
  const isStill = matchMedia('(prefers-reduced-motion: reduce)').matches;
  glide = { from: { ...view }, to, began: performance.now(), lasts: isStill ? 1 : 600 };
}

function followGlide() {
  const share = Math.min(1, (performance.now() - glide.began) / glide.lasts);
  const eased = share * share * (3 - 2 * share);
  for (const name of ['x', 'y', 'scale']) {
    view[name] = glide.from[name] + (glide.to[name] - glide.from[name]) * eased;
  }
  if (share === 1) glide = null;
  stale = true;
}

// --- People ------------------------------------------------------------------------------------

const drivers = new Map();
let passengers = [];
/** Who drives the visitor: drawn by what the engine tells them, not by what the bot says. */
let yours = null;
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
    const driver = drivers.get(number) ?? { number, heading: Math.random() * 6.28, shown: null };
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
      const off = heading - driver.heading;
      const turn = Math.atan2(Math.sin(off), Math.cos(off));
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
  if (glide) followGlide();
  if (stale) {
    stale = false;
    paintGround(ground.getContext('2d'), seen());
  }
  stage.setTransform(1, 0, 0, 1, 0, 0);
  stage.drawImage(ground, 0, 0);
  if (!city) return;
  stage.setTransform(size.ratio, 0, 0, size.ratio, 0, 0);
  const now = engineNow();
  const all = [...drivers.values()];
  const shown = all.filter(({ does, number }) => does > 0 && number !== yours);
  shown.sort((a, b) => a.does - b.does);
  for (const driver of shown) place(driver, now);
  paintWays(shown);
  paintLabels(stage, seen());
  paintPassengers(time);
  paintCars(shown, time);
  ride.paint({ ...seen(), stage, time });
}

// --- What is asked for -------------------------------------------------------------------------

let change = 0;
let run = null;

function banner(words) {
  $('banner').hidden = !words;
  if (words) $('banner').textContent = words;
}

async function ask() {
  let pause = 1000;
  try {
    const mine = ride.id ? `&ride=${ride.id}` : '';
    const answer = await (await fetch(`/demo/live?since=${change}${mine}`)).json();
    if (answer.starting) {
      banner(text.starting);
    } else {
      // Another demo runs now.
      if (run && answer.run !== run) return location.reload();
      if (!run) await ride.begin(answer.run);
      run = answer.run;
      yours = answer.yours;
      change = answer.change;
      hearClock(answer.now, answer.speed);
      hearDrivers(answer.drivers);
      passengers = answer.passengers;
      showNumbers(answer.numbers, [...drivers.values()]);
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
    ride.draw(city);
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
/** How far the map was dragged since the finger came down. */
let dragged = 0;
const TAP_PX = 7;

function spread() {
  const [a, b] = [...fingers.values()];
  return { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2, apart: Math.hypot(a.x - b.x, a.y - b.y) };
}

canvas.addEventListener('pointerdown', (event) => {
  glide = null;
  dragged = fingers.size ? Infinity : 0;
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
  dragged += Math.hypot(dx, dy);
  // A finger that taps trembles.
  if (dragged < TAP_PX) return;
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
  glide = null;
  zoom(Math.exp(-event.deltaY * 0.0015), event.clientX, event.clientY);
}, { passive: false });
canvas.addEventListener('click', ({ clientX, clientY, detail }) => {
  if (!city || dragged >= TAP_PX || detail > 1) return;
  ride.tap([view.x + clientX / view.scale, view.y + clientY / view.scale]);
});
canvas.addEventListener('dblclick', (event) => zoom(2, event.clientX, event.clientY));
$('in').addEventListener('click', () => zoom(1.5));
$('out').addEventListener('click', () => zoom(1 / 1.5));
$('fit').addEventListener('click', fit);
$('theme').addEventListener('click', () => {
  theme = theme === 'dark' ? 'light' : 'dark';
  applyTheme();
});
for (const tab of document.querySelectorAll('.tabs button')) {
  tab.addEventListener('click', () => showTab(tab.value));
}

/** On a phone one sheet is shown at a time. */
function showTab(name) {
  document.body.dataset.tab = name;
  for (const tab of document.querySelectorAll('.tabs button')) {
    tab.setAttribute('aria-pressed', String(tab.value === name));
  }
}

light.addEventListener('change', () => {
  theme = light.matches ? 'light' : 'dark';
  applyTheme();
});
addEventListener('resize', () => {
  const untouched = home && home.x === view.x && home.y === view.y && home.scale === view.scale;
  resize();
  if (untouched) fit();
});

const onRide = () => showTab('ride');
const ride = new RidePanel({ planeOf, placeAt, show, now: engineNow, onRide });
applyTheme();
showTab('ride');
resize();
requestAnimationFrame(frame);
begin();
