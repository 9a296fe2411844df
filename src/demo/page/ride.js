// The visitor's own ride: a passenger's app, small, over one session of the official client. All it
// shows of the ride, the client told it; so it works on through a tunnel and through a reload.

import { Expired, Refused } from './client.js';
import { $, put } from './dom.js';
import { Car, paintMarks } from './marks.js';
import { Plan, apart } from './plan.js';
import { Session, post } from './session.js';
import { length, money, text, time } from './texts.js';

/** A ride requested in a tunnel should not come a quarter of an hour later. */
const TTL_MS = 60_000;
const STARS = [1, 2, 3, 4, 5];
const ENDED = ['completed', 'canceled', 'no_driver'];
const WITH_DRIVER = ['accepted', 'arriving', 'arrived', 'started'];
const CANCELABLE = ['searching', 'accepted', 'arriving', 'arrived'];

const reais = (amount) => money.format(Number(amount));
const minutes = (s) => text.minutes(Math.max(1, Math.round(s / 60)));

export class RidePanel {
  #map;
  #session = new Session(() => this.#lineChanged());
  #plan = new Plan(() => void this.#estimate());
  #quote = null;
  #ride = null;
  #car = null;
  /** Seconds until the driver is where he is going, as the engine said last. */
  #eta = null;
  /** The ride whose PIN was told. */
  #told = null;
  /** The op of the command that waits for its answer. */
  #waits = '';
  #problem = '';

  /**
   * `map`: `planeOf` and `placeAt` between places and the plane, `show` for points that must be
   * seen, `now` by the city's clock, `onRide` when there is something new to see of the ride.
   */
  constructor(map) {
    this.#map = map;
    $('plan').addEventListener('submit', (event) => event.preventDefault());
    $('main').addEventListener('click', () => this.#main());
    $('quiet').addEventListener('click', () => {
      if (this.#ride) void this.#cancel();
      else this.#plan.anywhere();
    });
    $('stars').append(...STARS.map((n) => this.#star(n)));
    this.#render();
  }

  /** The city is drawn. */
  draw(city) {
    this.#plan.draw(city);
    this.#render();
  }

  /** The demo runs: opens the session. */
  async begin(run) {
    await this.#session.begin(run, (client) => {
      client.on('snapshot', ({ ride }) => this.#hear(ride));
      client.on('ride.updated', ({ d }) => this.#hear(d.ride));
      client.on('driver.position', ({ d }) => {
        if (d.ride_id === this.#ride?.id) this.#hearCar(d.location);
        this.#render();
      });
      client.on('ride.eta', ({ d }) => {
        if (d.ride_id === this.#ride?.id) this.#eta = d.eta_s;
        this.#render();
      });
      // Also of commands that an earlier life of the page had sent.
      client.on('settled', ({ op, outcome }) => {
        if (outcome.ok && op !== 'ride.estimate') this.#hear(outcome.d);
      });
      client.on('stopped', ({ code, word }) => {
        this.#problem = code === 4004 ? text.superseded : text.refusedOther(word);
      });
    });
  }

  /** The id of the ride that is under way. */
  get id() {
    return this.#ride && !ENDED.includes(this.#ride.status) ? this.#ride.id : null;
  }

  /** A tap on the map, at a point of the plane. */
  tap(point) {
    if (this.#plan.isReady && !this.#ride && this.#waits !== 'ride.request') this.#plan.tap(point);
  }

  paint(tools) {
    if (this.#ride && this.id === null) return;
    const { from, to } = this.#plan;
    const seen = {
      from, to, car: this.#car, plate: this.#ride?.driver?.vehicle?.plate,
      isSearching: this.#ride?.status === 'searching', isLive: this.#session.isLive,
    };
    paintMarks(seen, tools);
  }

  // --- What the visitor wants -------------------------------------------------------------------

  /** Sends a command; `null` where it was refused, which is then said. */
  async #command(op, more) {
    this.#problem = '';
    this.#waits = op;
    this.#render();
    try {
      const options = op === 'ride.estimate' ? {} : { ttlMs: TTL_MS };
      return await this.#session.client.request(op, more, options);
    } catch (error) {
      this.#problem = problemOf(error);
      return null;
    } finally {
      if (this.#waits === op) this.#waits = '';
      this.#render();
    }
  }

  async #estimate() {
    this.#quote = null;
    const { from, to } = this.#plan;
    this.#render();
    if (!this.#session.client || !this.#plan.isWhole || this.#ride) return;
    this.#map.show([from, to]);
    const d = { ...this.#trip(), category: 'economy' };
    const answer = await this.#command('ride.estimate', { d });
    const isWanted = from === this.#plan.from && to === this.#plan.to;
    if (isWanted && answer) this.#quote = answer.quotes[0];
    this.#render();
  }

  #trip() {
    const { placeAt } = this.#map;
    return { pickup: placeAt(this.#plan.from), dropoff: placeAt(this.#plan.to) };
  }

  async #request() {
    const { fare, expires_at } = this.#quote;
    // Quotes end by the city's clock, which runs fast.
    if (this.#map.now() >= Date.parse(expires_at)) {
      await this.#estimate();
      if (!this.#quote) return;
      if (this.#quote.fare !== fare) {
        this.#problem = text.changed;
        this.#render();
        return;
      }
    }
    const { quote_id, category } = this.#quote;
    await this.#command('ride.request', {
      d: { ...this.#trip(), quote_id, category, payment_method: 'pix' },
    });
  }

  #star(n) {
    const star = document.createElement('button');
    star.type = 'button';
    star.textContent = '★';
    star.setAttribute('aria-label', text.stars(n));
    star.addEventListener('click', () => {
      void this.#command('ride.rate', { key: this.#ride.id, d: { stars: n } });
    });
    return star;
  }

  #cancel() {
    return this.#command('ride.cancel', { key: this.#ride.id, d: { reason: 'changed_mind' } });
  }

  /** Said aloud in the car: it takes no line. */
  #tellPin() {
    const { id, pin } = this.#ride;
    this.#told = id;
    this.#render();
    return post('/demo/pins', { ride: id, pin });
  }

  #again() {
    this.#ride = this.#quote = null;
    this.#problem = '';
    this.#plan.clear();
    this.#render();
  }

  #main() {
    if (this.#session.isStopped) {
      this.#problem = '';
      void this.#session.client.start();
    } else if (!this.#ride) {
      void this.#request();
    } else if (this.#ride.status === 'arrived') {
      void this.#tellPin();
    } else {
      this.#again();
    }
  }

  // --- What the engine says ---------------------------------------------------------------------

  #lineChanged() {
    // A price that was asked for in vain is asked for again.
    const isOwed = this.#plan.isWhole && !this.#quote && !this.#ride && this.#waits === '';
    if (isOwed && this.#session.isUp) void this.#estimate();
    else this.#render();
  }

  /** A ride, or the word that there is none. */
  #hear(ride) {
    const before = this.#ride;
    if (!ride) {
      if (this.id !== null) this.#again();
      return;
    }
    const isSame = before?.id === ride.id;
    if (isSame && ride.version < before.version) return;
    this.#ride = ride;
    if (!isSame) this.#car = null;
    this.#plan.adopt(this.#map.planeOf(ride.pickup), this.#map.planeOf(ride.dropoff));
    if (!isSame || ride.status !== before.status) this.#turned(ride.status);
    if (ride.driver?.location && WITH_DRIVER.includes(ride.status)) {
      this.#hearCar(ride.driver.location);
    }
    this.#render();
  }

  #turned(status) {
    this.#problem = '';
    this.#eta = null;
    this.#map.onRide();
    if (status === 'searching' || status === 'started') {
      this.#map.show([this.#plan.from, this.#plan.to]);
    }
    if (ENDED.includes(status)) this.#car = null;
  }

  #hearCar(location) {
    const point = this.#map.planeOf(location);
    if (!this.#car) this.#map.show([this.#plan.from, point]);
    this.#car ??= new Car();
    this.#car.hear(point);
  }

  // --- What is shown ----------------------------------------------------------------------------

  #render() {
    const ride = this.#ride;
    const step = ride?.status ?? 'plan';
    const focused = document.activeElement;
    $('ride').dataset.step = step;
    put('ride-status', this.#problem || this.#statusOf(step));
    $('ride-status').classList.toggle('problem', this.#problem !== '');
    $('plan').hidden = ride !== null;
    $('trip').hidden = ride === null;
    if (!ride) $('stars').hidden = true;
    $('driver').hidden = !WITH_DRIVER.includes(step);
    $('pin-part').hidden = !WITH_DRIVER.includes(step) || step === 'started';
    if (ride) this.#renderRide(ride);
    else this.#renderPlan();
    this.#renderMain(step);
    this.#renderQuiet(step);
    // What had the focus is gone: what is there now is to be heard next.
    const isGone = $('ride').contains(focused) && focused.offsetParent === null;
    if (isGone) $('ride-status').focus({ preventScroll: true });
  }

  #statusOf(step) {
    if (step !== 'plan') return text.steps[step];
    if (!this.#plan.from) return text.planFrom;
    if (!this.#plan.to) return text.planTo;
    return this.#quote ? text.planReady : text.planPrice;
  }

  #renderPlan() {
    const quote = this.#quote;
    put('fare', quote ? reais(quote.fare) : '–');
    if (!quote) return put('about', '');
    const about = `${length(quote.distance_m)}, ${minutes(quote.duration_s)}`;
    const eta = quote.pickup_eta_s;
    const isFree = eta !== null;
    return put('about', isFree ? text.planAway(about, minutes(eta)) : text.planNoCar(about));
  }

  #renderRide(ride) {
    const { status, driver, fare, pin } = ride;
    const { from, to } = this.#plan;
    put('route', `${this.#plan.nameOf(from)} → ${this.#plan.nameOf(to)}`);
    put('trip-fare', reais(fare.final ?? fare.estimated));
    put('hint', hintOf(ride));
    $('hint').hidden = this.id !== null;
    if (driver) renderDriver(driver);
    put('pin', pin ?? '');
    this.#renderStars(ride);
    put('away', this.#away(status));
    $('done').hidden = status !== 'started';
    $('done').value = this.#car ? 1 - Math.min(1, apart(this.#car.last, to) / apart(from, to)) : 0;
  }

  #renderStars({ status, rating }) {
    $('stars').hidden = status !== 'completed';
    for (const [at, star] of [...$('stars').children].entries()) {
      star.disabled = this.#isBusy || rating !== undefined;
      star.classList.toggle('given', at < (rating?.stars ?? 0));
    }
  }

  #away(status) {
    if (status === 'arrived') return text.waitsForPin;
    if (!this.#car) return '';
    const rides = status === 'started';
    const left = length(apart(this.#car.last, rides ? this.#plan.to : this.#plan.from));
    const away = rides ? text.toGo(left) : text.carAway(left);
    return this.#eta === null ? away : `${away}, ${minutes(this.#eta)}`;
  }

  /** The word for a command that waits. */
  get #busy() {
    return this.#session.isUp ? text.sending : text.queued;
  }

  get #isBusy() {
    return this.#waits !== '' && this.#waits !== 'ride.estimate';
  }

  #renderMain(step) {
    const isTold = this.#ride !== null && this.#told === this.#ride.id;
    const labels = {
      plan: this.#quote ? text.request(reais(this.#quote.fare)) : text.requestBare,
      arrived: isTold ? text.told : text.tellPin,
      completed: text.again, canceled: text.again, no_driver: text.again,
    };
    const { isStopped } = this.#session;
    const isUsed = this.#waits === 'ride.request';
    $('main').hidden = !isStopped && !labels[step];
    put('main', isStopped ? text.here : isUsed ? this.#busy : (labels[step] ?? ''));
    const isEarly = (step === 'plan' && !this.#quote) || (step === 'arrived' && isTold);
    $('main').disabled = !isStopped && (isUsed || isEarly);
  }

  #renderQuiet(step) {
    const isPlan = step === 'plan';
    const isUsed = this.#waits === 'ride.cancel';
    $('quiet').hidden = !isPlan && !CANCELABLE.includes(step);
    put('quiet', isPlan ? text.anywhere : isUsed ? this.#busy : text.cancel);
    $('quiet').disabled = this.#isBusy || !this.#session.client || !this.#plan.isReady;
  }
}

/** What to say of a command that came to nothing. */
function problemOf(error) {
  if (error instanceof Expired) return text.refused.expired;
  if (!(error instanceof Refused)) return '';
  const { code } = error;
  // What happened meanwhile says so itself.
  if (code === 'ride_closed' || code === 'illegal_transition') return '';
  return text.refused[code] ?? text.refusedOther(code);
}

/** What there is to say of a ride that has ended. */
function hintOf(ride) {
  const { status, cancellation } = ride;
  if (status === 'no_driver') return text.noDriverHint;
  if (cancellation) {
    const { by, fee } = cancellation;
    return text.by[by] + (Number(fee) > 0 ? `, ${text.fee(reais(fee))}` : '');
  }
  if (status !== 'completed') return '';
  const moments = ['requested_at', 'accepted_at', 'arrived_at', 'started_at', 'completed_at'];
  const [asked, found, came, began, ended] = moments.map((name) => Date.parse(ride[name]) / 1000);
  return text.summary(time(found - asked), time(came - found), time(ended - began));
}

function renderDriver({ name, rating, vehicle }) {
  put('initial', name.slice(0, 1));
  put('driver-name', name);
  put('driver-rating', `★ ${rating.toFixed(1)}`);
  put('vehicle', vehicle ? `${vehicle.make} ${vehicle.model}, ${vehicle.color}` : '');
  put('plate', vehicle?.plate ?? '');
}
