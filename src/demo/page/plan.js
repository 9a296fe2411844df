// Where a visitor wants to be taken: two places, tapped on the map or chosen in a list.

import { $ } from './dom.js';
import { text } from './texts.js';

const ENDS = ['from', 'to'];
/** Metres of a unit of the plane. */
const UNIT_M = 1.112;
/** A trip to anywhere is about so long. */
const ANYWHERE_M = [800, 4500];

/** Metres between two points of the plane. */
export const apart = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]) * UNIT_M;

const nearest = (points, at) =>
  points.reduce((best, one) => (apart(one, at) < apart(best, at) ? one : best));
const random = (list) => list[Math.floor(Math.random() * list.length)];

export class Plan {
  /** Points of the plane, where they are chosen. */
  from = null;
  to = null;
  /** The end that the next tap sets. */
  #aim = 'from';
  #quarters = [];
  #crossings = [];
  #onChange;

  constructor(onChange) {
    this.#onChange = onChange;
    for (const end of ENDS) {
      $(end).addEventListener('focus', () => this.#aimAt(end));
      $(end).addEventListener('change', ({ target }) => this.#listed(end, target.value));
    }
  }

  /** The drawn city: quarters to choose from, and crossings, where cars can stop. */
  draw({ labels, nodes }) {
    this.#crossings = nodes;
    this.#quarters = labels.filter(({ kind }) => kind === 0)
      .sort((a, b) => a.name.localeCompare(b.name))
      .map(({ name, at }) => ({ name, at: nearest(nodes, at) }));
    for (const end of ENDS) {
      const tapped = Object.assign(new Option('', 'map'), { hidden: true });
      const options = this.#quarters.map(({ name }, number) => new Option(name, String(number)));
      $(end).replaceChildren(new Option(text.choose, ''), tapped, ...options);
    }
    this.clear();
  }

  get isReady() {
    return this.#crossings.length > 0;
  }

  get isWhole() {
    return this.from !== null && this.to !== null;
  }

  clear() {
    for (const end of ENDS) $(end).value = '';
    Object.assign(this, { from: null, to: null });
    this.#aimAt('from');
  }

  /** Takes over the places of a ride. */
  adopt(from, to) {
    Object.assign(this, { from, to });
  }

  /** The name of the quarter around a point. */
  nameOf(point) {
    const near = nearest(this.#quarters.map(({ at }) => at), point);
    return this.#quarters.find(({ at }) => at === near).name;
  }

  tap(point) {
    const end = this.#aim;
    const at = nearest(this.#crossings, point);
    const tapped = $(end).querySelector('[value=map]');
    Object.assign(tapped, { textContent: text.near(this.nameOf(at)), hidden: false });
    $(end).value = 'map';
    this.#choose(end, at);
  }

  anywhere() {
    const from = random(this.#quarters);
    const isNear = ({ at }) =>
      apart(at, from.at) > ANYWHERE_M[0] && apart(at, from.at) < ANYWHERE_M[1];
    const near = this.#quarters.filter(isNear);
    const to = random(near.length ? near : this.#quarters.filter((one) => one !== from));
    for (const [end, { name, at }] of [['from', from], ['to', to]]) {
      $(end).value = String(this.#quarters.findIndex((one) => one.name === name));
      this[end] = at;
    }
    this.#aimAt('to');
    this.#onChange();
  }

  #listed(end, value) {
    if (value === 'map') return;
    if (value === '') {
      this[end] = null;
      this.#aimAt(end);
      this.#onChange();
    } else {
      this.#choose(end, this.#quarters[Number(value)].at);
    }
  }

  #choose(end, at) {
    this[end] = at;
    this.#aimAt(end === 'to' && !this.from ? 'from' : 'to');
    this.#onChange();
  }

  #aimAt(end) {
    this.#aim = end;
    for (const each of ENDS) $(each).parentElement.classList.toggle('aim', each === end);
  }
}
