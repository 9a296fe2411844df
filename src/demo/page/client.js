// The official client, made from clients/typescript by its `npm run page`.
// Whoever edits this file edits the wrong one.


// src/time.ts
var LONGEST_MS = 2 ** 31 - 1;
var systemClock = {
  now: () => Date.now(),
  random: () => Math.random(),
  after(ms, fn) {
    const timer = setTimeout(fn, Math.min(Math.max(ms, 0), LONGEST_MS));
    return () => clearTimeout(timer);
  }
};
var Alarm = class {
  constructor(clock, ring) {
    this.clock = clock;
    this.ring = ring;
  }
  clock;
  ring;
  #cancel = null;
  get isSet() {
    return this.#cancel !== null;
  }
  /** Rings after `ms`, and not at the time that was set before. */
  set(ms) {
    this.clear();
    this.#cancel = this.clock.after(ms, () => {
      this.#cancel = null;
      this.ring();
    });
  }
  clear() {
    this.#cancel?.();
    this.#cancel = null;
  }
};

// src/acks.ts
var EVERY_MS = 5e3;
var Acks = class {
  constructor(clock, send) {
    this.send = send;
    this.#alarm = new Alarm(clock, () => this.send(this.#newest));
  }
  send;
  #newest = 0;
  #alarm;
  /** The event `seq`, and all before it, were taken. */
  taken(seq, urgent) {
    this.#newest = Math.max(this.#newest, seq);
    if (urgent) {
      this.#alarm.clear();
      this.send(this.#newest);
    } else if (!this.#alarm.isSet) {
      this.#alarm.set(EVERY_MS);
    }
  }
  /** Another connection: it says itself what was taken. */
  reset(seq) {
    this.#newest = seq;
    this.#alarm.clear();
  }
};

// src/backoff.ts
var CLOSE = {
  credentials: 4002,
  forbidden: 4003,
  tokenExpired: 4103,
  drain: 4200,
  gap: 4203,
  /** What WebSockets say of a connection that broke; also what never came to be. */
  broken: 1006
};
var NETWORK = { firstMs: 250, baseMs: 500, capMs: 3e4 };
var BACK_OFF = { firstMs: 1e3, baseMs: 1e3, capMs: 6e4 };
var AT_ONCE = { firstMs: 0, baseMs: 250, capMs: 1e4 };
function afterClose(code, failures, random) {
  if (code >= 4e3 && code < 4100) return { kind: "stop" };
  const range = rangeOf(code);
  const doubled = range.baseMs * 2 ** Math.min(failures, 20);
  const most = failures === 0 ? range.firstMs : Math.min(range.capMs, doubled);
  return { kind: "again", inMs: Math.floor(random() * most) };
}
function rangeOf(code) {
  if (code < 4e3 || code >= 5e3) return NETWORK;
  return code >= 4200 && code < 4300 ? AT_ONCE : BACK_OFF;
}

// src/errors.ts
var Refused = class extends Error {
  constructor(code, op, id, errors = []) {
    super(`${op} was refused: ${code}`);
    this.code = code;
    this.op = op;
    this.id = id;
    this.errors = errors;
  }
  code;
  op;
  id;
  errors;
  name = "Refused";
};
var QueueFull = class extends Error {
  constructor(limit) {
    super(`${limit} commands are waiting`);
    this.limit = limit;
  }
  limit;
  name = "QueueFull";
};
var Expired = class extends Error {
  constructor(op, id, sent) {
    super(`${op} got no answer in time`);
    this.op = op;
    this.id = id;
    this.sent = sent;
  }
  op;
  id;
  sent;
  name = "Expired";
};
var Stopped = class extends Error {
  constructor(op, id, sent, reason) {
    super(`the client has stopped (${reason.word}) before ${op} was answered`);
    this.op = op;
    this.id = id;
    this.sent = sent;
    this.reason = reason;
  }
  op;
  id;
  sent;
  reason;
  name = "Stopped";
};
var SignedOut = class extends Error {
  name = "SignedOut";
  constructor() {
    super("signed out");
  }
};

// src/poller.ts
var WAIT_S = 25;
var PATIENCE_MS = 1e4;
var SNAPSHOT_EVERY_MS = 2e3;
var Poller = class {
  constructor(clock, rest, position, host) {
    this.clock = clock;
    this.rest = rest;
    this.position = position;
    this.host = host;
    this.#pause = new Alarm(clock, () => void this.poll(WAIT_S));
    this.#patience = new Alarm(clock, () => this.#abort?.abort());
  }
  clock;
  rest;
  position;
  host;
  #pause;
  #patience;
  #abort = null;
  #failures = 0;
  get isRunning() {
    return this.#abort !== null || this.#pause.isSet;
  }
  start() {
    if (this.isRunning) return;
    this.#failures = 0;
    void this.poll(0);
  }
  stop() {
    this.#pause.clear();
    this.#patience.clear();
    const abort = this.#abort;
    this.#abort = null;
    abort?.abort();
  }
  async poll(waitS) {
    const abort = new AbortController();
    this.#abort = abort;
    this.#patience.set(waitS * 1e3 + PATIENCE_MS);
    let pauseMs;
    try {
      const answer = await this.rest.call("GET", this.path(waitS), { signal: abort.signal });
      if (this.#abort !== abort) return;
      pauseMs = this.heard(answer);
    } catch (error) {
      if (this.#abort !== abort) return;
      if (error instanceof SignedOut) return this.host.refused(CLOSE.credentials);
      pauseMs = this.failed();
    }
    if (this.#abort !== abort) return;
    this.#patience.clear();
    this.#pause.set(pauseMs);
    this.#abort = null;
  }
  path(waitS) {
    const { cursor } = this.position;
    const from = cursor ? `epoch=${encodeURIComponent(cursor.epoch)}&seq=${cursor.seq}&` : "";
    return `/v1/stream?${from}wait=${waitS}`;
  }
  /** Takes an answer; how long to wait before the next poll. */
  heard({ status, body, retryMs }) {
    if (status === 200) {
      this.#failures = 0;
      this.host.polled(body);
      return this.position.cursor ? 0 : SNAPSHOT_EVERY_MS;
    }
    if (status === 404) this.host.unsupported();
    else if (status === 401) this.host.refused(CLOSE.credentials);
    else if (status === 403) this.host.refused(CLOSE.forbidden);
    else return Math.max(retryMs ?? 0, this.failed());
    return 0;
  }
  failed() {
    this.host.lost();
    const verdict = afterClose(CLOSE.broken, this.#failures, () => this.clock.random());
    this.#failures += 1;
    return verdict.kind === "again" ? verdict.inMs : 0;
  }
};

// src/heartbeat.ts
var EARLY = 0.9;
var Heartbeat = class {
  constructor(clock, profile, host) {
    this.clock = clock;
    this.profile = profile;
    this.host = host;
    this.#alarm = new Alarm(clock, () => this.tick());
    this.#sentAt = this.#heardAt = clock.now();
    this.arm();
  }
  clock;
  profile;
  host;
  #alarm;
  #active = false;
  #sentAt;
  #heardAt;
  /** When the ping was sent that nothing was heard since. */
  #askedAt = null;
  /** Whether an offer or a ride is open. */
  set active(active) {
    if (active === this.#active) return;
    this.#active = active;
    this.arm();
  }
  sent() {
    this.#sentAt = this.clock.now();
  }
  heard() {
    this.#heardAt = this.clock.now();
    this.#askedAt = null;
  }
  /** Asks now whether the engine is there. */
  probe() {
    if (this.#askedAt !== null) return;
    this.#askedAt = this.clock.now();
    this.host.ping();
    this.arm();
  }
  stop() {
    this.#alarm.clear();
  }
  get silence() {
    return EARLY * (this.#active ? this.profile.active_ms : this.profile.idle_ms);
  }
  get grace() {
    return this.#active ? this.profile.active_grace_ms : this.profile.grace_ms;
  }
  get dueAt() {
    if (this.#askedAt !== null) return this.#askedAt + this.grace;
    return Math.min(this.#sentAt, this.#heardAt) + this.silence;
  }
  arm() {
    this.#alarm.set(Math.max(0, this.dueAt - this.clock.now()));
  }
  // Frames move only the times; the alarm is put off when it rings.
  tick() {
    if (this.clock.now() < this.dueAt) return this.arm();
    if (this.#askedAt !== null) return this.host.dead();
    return this.probe();
  }
};

// src/socket.ts
var PROTOCOL = "ibora.v1";
async function findWebSocket() {
  const own = globalThis.WebSocket;
  if (own) return own;
  const name = "ws";
  const found = await import(name);
  return found.WebSocket;
}
function abandon(socket, reason) {
  socket.onopen = socket.onmessage = socket.onclose = null;
  socket.onerror = () => {
  };
  socket.close(1e3, reason);
}

// src/session.ts
var OPENING_MS = 1e4;
var REFRESH_EARLY_MS = 6e4;
var REFRESH_EVERY_MS = 5e3;
var BUFFERED_MAX = 32768;
var Session = class {
  constructor(parts, host) {
    this.parts = parts;
    this.host = host;
    const { clock } = parts;
    this.#opening = new Alarm(clock, () => this.end(CLOSE.broken, "opening_timeout"));
    this.#refresh = new Alarm(clock, () => void this.refresh());
    this.#socket = new parts.WebSocket(parts.url, [PROTOCOL]);
    this.#opening.set(OPENING_MS);
    this.#socket.onopen = () => this.onOpen();
    this.#socket.onmessage = ({ data }) => this.onText(data);
    this.#socket.onerror = () => {
    };
    this.#socket.onclose = (event) => {
      this.over(event.code, event.reason || "closed");
    };
  }
  parts;
  host;
  #socket;
  #opening;
  #refresh;
  #heartbeat = null;
  #welcomedAt = null;
  #over = false;
  /** Sends a frame of an open session. */
  send(frame) {
    if (this.#over) return;
    this.#heartbeat?.sent();
    this.#socket.send(JSON.stringify(frame));
  }
  /** Whether so much waits in the socket that what can wait should. */
  get isCongested() {
    return this.#socket.bufferedAmount > BUFFERED_MAX;
  }
  /** Whether an offer or a ride is open. */
  set active(active) {
    if (this.#heartbeat) this.#heartbeat.active = active;
  }
  /** Asks whether the engine is there. */
  probe() {
    this.#heartbeat?.probe();
  }
  /** Ends the session from this side, without waiting for the other. */
  end(code, word) {
    if (this.#over) return;
    abandon(this.#socket, word);
    this.over(code, word);
  }
  /** The engine did not take the last token. */
  refreshRefused() {
    this.parts.credentials.outdated();
    this.#refresh.set(REFRESH_EVERY_MS);
  }
  onOpen() {
    this.#opening.set(OPENING_MS);
    this.#socket.send(JSON.stringify(this.parts.hello));
  }
  onText(text) {
    const frame = parsed(text);
    if (!frame || this.#over) return;
    this.#heartbeat?.heard();
    switch (frame.t) {
      case "welcome":
        return this.onWelcome(frame);
      case "ping":
        return this.send({ t: "pong", ...frame.ts !== void 0 && { ts: frame.ts } });
      case "pong":
        return void 0;
      case "auth":
        return this.refreshBefore(frame.auth_ttl_s, REFRESH_EVERY_MS);
      default:
        return this.#heartbeat ? this.host.received(frame) : void 0;
    }
  }
  onWelcome(welcome) {
    if (this.#heartbeat) return;
    this.#opening.clear();
    this.#welcomedAt = this.parts.clock.now();
    this.#heartbeat = new Heartbeat(this.parts.clock, welcome.hb, {
      ping: () => this.send({ t: "ping", ts: this.parts.clock.now() }),
      dead: () => this.end(CLOSE.broken, "silent")
    });
    this.refreshBefore(welcome.auth_ttl_s, 0);
    this.host.welcomed(welcome);
  }
  refreshBefore(ttlS, leastMs) {
    if (!this.parts.credentials.hasToken) return;
    const early = Math.min(REFRESH_EARLY_MS, ttlS * 200);
    this.#refresh.set(Math.max(leastMs, ttlS * 1e3 - early));
  }
  async refresh() {
    try {
      const bearer = await this.parts.credentials.bearer(true);
      this.send({ t: "auth", bearer });
    } catch (error) {
      if (!(error instanceof SignedOut) && !this.#over) this.#refresh.set(REFRESH_EVERY_MS);
    }
  }
  over(code, word) {
    if (this.#over) return;
    this.#over = true;
    this.#opening.clear();
    this.#refresh.clear();
    this.#heartbeat?.stop();
    this.host.ended({ code, word, welcomedAt: this.#welcomedAt });
  }
};
function parsed(text) {
  if (typeof text !== "string") return null;
  try {
    const frame = JSON.parse(text);
    return typeof frame?.t === "string" ? frame : null;
  } catch {
    return null;
  }
}

// src/connection.ts
var STABLE_MS = 1e4;
var Connection = class {
  constructor(parts, host) {
    this.parts = parts;
    this.host = host;
    this.#retry = new Alarm(parts.clock, () => void this.connect());
    this.#drain = new Alarm(parts.clock, () => this.end(CLOSE.drain, "drain"));
    this.#poller = new Poller(parts.clock, parts.rest, parts.position, this.pollerHost());
    this.#pollAfter = parts.credentials.hasToken ? parts.pollAfter : Infinity;
  }
  parts;
  host;
  #state = "idle";
  #session = null;
  /** Rises with each attempt: what belongs to an older one is passed over. */
  #attempt = 0;
  #failures = 0;
  #unopened = 0;
  #pollAfter;
  #retry;
  #drain;
  #poller;
  get state() {
    return this.#state;
  }
  get session() {
    return this.#state === "open" ? this.#session : null;
  }
  start() {
    if (this.#state !== "idle" && this.#state !== "stopped") return;
    this.#failures = this.#unopened = 0;
    void this.connect();
  }
  /** Ends the connection for good. */
  stop(reason) {
    if (this.#state === "stopped") return;
    this.#attempt += 1;
    this.#retry.clear();
    this.#drain.clear();
    this.#poller.stop();
    const session = this.#session;
    this.#session = null;
    this.turn("stopped");
    session?.end(1e3, reason.word);
    this.host.lost();
    this.host.stopped(reason);
  }
  /** Ends the session and goes on as after the close code `code`. */
  end(code, word) {
    this.#session?.end(code, word);
  }
  /** Reconnects after `inMs`, as the engine asks for before it stops. */
  drain(inMs) {
    this.#drain.set(inMs);
  }
  /** There may be a network again: tries now what would be tried later. */
  wake() {
    if (this.#state === "open") this.#session?.probe();
    else if (this.#retry.isSet) void this.connect();
  }
  async connect() {
    this.#retry.clear();
    this.#attempt += 1;
    const attempt = this.#attempt;
    if (this.#state !== "polling") this.turn("connecting");
    try {
      const { credentials, clock, url } = this.parts;
      const WebSocket = this.parts.WebSocket ?? await findWebSocket();
      const hello = await this.hello();
      if (attempt !== this.#attempt) return;
      const about = { clock, credentials, hello, url, WebSocket };
      const ifCurrent = (fn) => (...args) => {
        if (attempt === this.#attempt) fn(...args);
      };
      this.#session = new Session(about, {
        welcomed: ifCurrent((welcome) => this.onWelcome(welcome)),
        received: ifCurrent((frame) => this.host.received(frame)),
        ended: ifCurrent((end) => this.onEnd(end))
      });
    } catch (error) {
      if (attempt !== this.#attempt) return;
      const isOut = error instanceof SignedOut;
      if (!isOut) this.host.failed(error);
      const code = isOut ? CLOSE.credentials : CLOSE.broken;
      this.onEnd({ code, word: isOut ? "signed_out" : "failed", welcomedAt: null });
    }
  }
  async hello() {
    const { credentials, device, app, position } = this.parts;
    const auth = await credentials.proof();
    const { resume } = position;
    return { t: "hello", v: 1, auth, device, ...app && { app }, ...resume && { resume } };
  }
  onWelcome(welcome) {
    this.#unopened = 0;
    this.#poller.stop();
    this.turn("open");
    if (this.#session) this.host.opened(this.#session, welcome);
  }
  onEnd({ code, word, welcomedAt }) {
    const { clock, credentials, retryMs } = this.parts;
    this.#session = null;
    this.#drain.clear();
    if (welcomedAt !== null && clock.now() - welcomedAt >= STABLE_MS) this.#failures = 0;
    const useless = welcomedAt === null && code < 4e3;
    this.#unopened = useless ? this.#unopened + 1 : 0;
    if (code === CLOSE.tokenExpired) credentials.outdated();
    const verdict = afterClose(code, this.#failures, () => clock.random());
    if (verdict.kind === "stop") return this.stop({ code, word });
    this.#failures += 1;
    if (welcomedAt !== null) this.host.lost();
    if (this.#unopened >= this.#pollAfter) this.#poller.start();
    if (this.#state !== "polling") this.turn("waiting");
    const stoodIn = this.#state === "polling";
    this.#retry.set(stoodIn ? retryMs * (0.75 + 0.5 * clock.random()) : verdict.inMs);
    return void 0;
  }
  pollerHost() {
    return {
      polled: (answer) => {
        if (this.#state !== "polling" && this.#retry.isSet) this.#retry.set(0);
        this.turn("polling");
        this.host.polled(answer);
      },
      lost: () => {
        if (this.#state !== "polling") return;
        this.turn("waiting");
        if (this.#retry.isSet) this.#retry.set(0);
        this.host.lost();
      },
      unsupported: () => {
        this.#pollAfter = Infinity;
        this.#poller.stop();
        this.#retry.set(0);
      },
      refused: (code) => this.stop({ code, word: "refused" })
    };
  }
  turn(state) {
    if (state === this.#state) return;
    this.#state = state;
    this.host.changed(state);
  }
};

// src/credentials.ts
var Credentials = class {
  constructor(token, ticket) {
    this.token = token;
    this.ticket = ticket;
  }
  token;
  ticket;
  #stale = false;
  /** Whether there can be a bearer: for refreshing, long polls and REST. */
  get hasToken() {
    return this.token !== void 0;
  }
  /** The engine refused the last token. */
  outdated() {
    this.#stale = true;
  }
  /**
   * The access token.
   *
   * @throws SignedOut where there is none.
   */
  async bearer(renew = false) {
    const bearer = await this.token?.(renew || this.#stale);
    if (!bearer) throw new SignedOut();
    this.#stale = false;
    return bearer;
  }
  /**
   * What a `hello` says.
   *
   * @throws SignedOut where there is neither token nor ticket.
   */
  async proof() {
    if (!this.ticket) return { bearer: await this.bearer() };
    const ticket = await this.ticket();
    if (!ticket) throw new SignedOut();
    return { ticket };
  }
};

// src/emitter.ts
var Emitter = class {
  #handlers = /* @__PURE__ */ new Map();
  /** Calls `handler` each time until the answer is called. */
  on(name, handler) {
    let handlers = this.#handlers.get(name);
    if (!handlers) this.#handlers.set(name, handlers = /* @__PURE__ */ new Set());
    handlers.add(handler);
    return () => handlers.delete(handler);
  }
  /** What handlers threw. */
  emit(name, value) {
    const thrown = [];
    for (const handler of [...this.#handlers.get(name) ?? []]) {
      try {
        handler(value);
      } catch (error) {
        thrown.push(error);
      }
    }
    return thrown;
  }
};

// src/id.ts
var lastMs = 0;
var counter = 0;
function uuidv7(clock) {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const now = Math.max(clock.now(), lastMs);
  counter = now === lastMs ? counter + 1 : (bytes[6] << 8 | bytes[7]) & 2047;
  lastMs = counter > 4095 ? now + 1 : now;
  counter &= 4095;
  for (let i = 0; i < 6; i += 1) bytes[i] = Math.floor(lastMs / 2 ** (8 * (5 - i))) & 255;
  bytes[6] = 112 | counter >> 8;
  bytes[7] = counter & 255;
  bytes[8] = 128 | bytes[8] & 63;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

// src/activity.ts
var ENDED = ["completed", "canceled", "no_driver"];
var WITH_DRIVER = ["accepted", "arriving", "arrived", "started"];
var Activity = class {
  #role = null;
  #offers = /* @__PURE__ */ new Set();
  // A driver may have a second one, chained to the first.
  #rides = /* @__PURE__ */ new Set();
  /** Known from the first snapshot on. */
  get role() {
    return this.#role;
  }
  get isActive() {
    return this.#rides.size > 0 || this.#offers.size > 0;
  }
  /** Begins anew. */
  snapshot(snapshot) {
    this.#offers.clear();
    this.#rides.clear();
    this.#role = "driver" in snapshot ? "driver" : "passenger";
    if ("offers" in snapshot) for (const offer of snapshot.offers) this.#offers.add(offer.ride_id);
    if (snapshot.ride) this.ride(snapshot.ride);
    if ("next_ride" in snapshot && snapshot.next_ride) this.ride(snapshot.next_ride);
  }
  event(event) {
    if (event.op === "offer.made") this.#offers.add(event.key);
    else if (event.op === "offer.withdrawn") this.#offers.delete(event.key);
    else if (event.op === "ride.updated") this.ride(event.d.ride);
  }
  /** The final answer to a command; `d` where it went well. */
  answered(op, key, d) {
    const ofOffer = op === "ride.accept" || op === "ride.decline";
    if (key !== void 0 && ofOffer) this.#offers.delete(key);
    if (isRide(d)) this.ride(d);
  }
  ride(ride) {
    this.#offers.delete(ride.id);
    const open = this.#role === "driver" ? WITH_DRIVER.includes(ride.status) : !ENDED.includes(ride.status);
    if (open) this.#rides.add(ride.id);
    else this.#rides.delete(ride.id);
  }
};
function isRide(d) {
  return typeof d === "object" && d !== null && "pickup" in d && "status" in d && "id" in d;
}

// src/position.ts
var Position = class {
  #stream = null;
  #epoch = null;
  /** `null`: whatever comes next is taken, for a snapshot of unknown place was just taken. */
  #seq = null;
  /** What a `hello` says of it; `undefined` where nothing can be resumed. */
  get resume() {
    if (this.#stream === null || this.#epoch === null || this.#seq === null) return void 0;
    return { stream: this.#stream, epoch: this.#epoch, seq: this.#seq };
  }
  /** What a long poll says of it. */
  get cursor() {
    if (this.#epoch === null || this.#seq === null) return void 0;
    return { epoch: this.#epoch, seq: this.#seq };
  }
  get seq() {
    return this.#seq;
  }
  /** Takes note of the stream's name, which long polls do not tell. */
  name(stream) {
    this.#stream = stream;
  }
  /** Begins at `seq`; `null`: at whatever comes next. */
  begin(epoch, seq) {
    this.#epoch = epoch;
    this.#seq = seq;
  }
  /** Forgets the place: the next connection begins with a snapshot. */
  forget() {
    this.#epoch = null;
    this.#seq = null;
  }
  /** Takes the event `seq` if it is the next one. */
  take(seq) {
    if (this.#seq !== null && seq <= this.#seq) return "duplicate";
    if (this.#seq !== null && seq > this.#seq + 1) return "gap";
    this.#seq = seq;
    return "new";
  }
};

// src/inbox.ts
var Inbox = class {
  constructor(host) {
    this.host = host;
  }
  host;
  position = new Position();
  activity = new Activity();
  /** Gaps since an event was last taken. */
  #gaps = 0;
  /** A session begins. */
  welcome({ stream, snapshot }) {
    const { cursor } = this.position;
    this.position.name(stream.id);
    this.activity.snapshot(snapshot);
    if (stream.recovered && cursor?.epoch === stream.epoch) return;
    this.position.begin(stream.epoch, stream.seq);
    this.host.snapshot(snapshot);
  }
  /** An event, which is told if it is the next one. After a gap the connection must begin anew. */
  take(event) {
    const taken = this.position.take(event.seq);
    if (taken === "new") {
      this.#gaps = 0;
      this.activity.event(event);
      this.host.event(event);
    } else if (taken === "gap") {
      this.#gaps += 1;
      if (this.#gaps > 1) this.position.forget();
    }
    return taken;
  }
  /** The engine found a gap: what comes next follows this snapshot. */
  sync({ stream, snapshot }) {
    const { cursor } = this.position;
    if (stream) this.position.begin(stream.epoch, stream.seq);
    else if (cursor) this.position.begin(cursor.epoch, null);
    this.activity.snapshot(snapshot);
    this.host.snapshot(snapshot);
  }
  /** A long poll was answered. */
  polled({ epoch, seq, recovered, events, snapshot }) {
    if (!recovered || this.position.cursor?.epoch !== epoch) {
      const first = events[0]?.seq;
      this.position.begin(epoch, first === void 0 ? seq ?? null : first - 1);
      if (snapshot) {
        this.activity.snapshot(snapshot);
        this.host.snapshot(snapshot);
      }
    }
    for (const event of events) {
      if (this.take(event) === "gap") return;
    }
  }
};

// src/options.ts
function defaults(options) {
  const { token, ticket, clock = systemClock } = options;
  if (!token && typeof ticket !== "function") throw new TypeError("a token or a source of tickets");
  const base = new URL(options.url).href.replace(/\/+$/, "");
  return {
    clock,
    base,
    url: `${base.replace(/^http/, "ws")}/v1/session`,
    device: options.device ?? uuidv7(clock),
    app: options.app,
    WebSocket: options.WebSocket,
    fetch: options.fetch ?? ((input, init) => globalThis.fetch(input, init)),
    storage: options.storage,
    queueMax: options.queueMax ?? 100,
    commandTtlMs: options.commandTtlMs ?? 12 * 36e5,
    estimateTtlMs: Math.min(options.commandTtlMs ?? Infinity, 3e4),
    pollAfter: options.longPollAfter ?? 3,
    retryMs: options.webSocketEveryMs ?? 6e4,
    positionsEveryMs: options.positionsEveryMs ?? 2e3
  };
}

// src/queue.ts
var ANSWER_MS = 15e3;
var REFILL_MS = 50;
var RETRY_MS = 1e3;
var RETRY_MS_MAX = 3e4;
var AGAIN = [
  "overloaded",
  "unavailable",
  "rate_limited",
  "not_owner",
  "idempotency_in_progress",
  "internal",
  "request_timeout"
];
var CommandQueue = class {
  constructor(options) {
    this.options = options;
    this.#alarm = new Alarm(options.clock, () => this.flush());
  }
  options;
  #entries = [];
  #carrier = null;
  #pace = null;
  #tokens = 0;
  #filledAt = 0;
  #saved = Promise.resolve();
  #stopped = null;
  #alarm;
  get pending() {
    return this.#entries.map((entry2) => entry2.command);
  }
  /** Takes up what an earlier life of the program left behind, in front of everything newer. */
  async restore() {
    const { storage, failed } = this.options;
    this.#stopped = null;
    if (!storage) return;
    try {
      const kept = await storage.load();
      const known = new Set(this.#entries.map((entry2) => entry2.command.id));
      const ignore = () => {
      };
      const entries = kept.filter((command) => !known.has(command.id)).map((command) => entry(command, ignore, ignore));
      this.#entries = [...entries, ...this.#entries];
    } catch (error) {
      failed(error);
    }
    this.flush();
  }
  /** Puts a command in. Its promise resolves with `res.d`. */
  add(command) {
    if (this.#stopped) {
      return Promise.reject(new Stopped(command.op, command.id, false, this.#stopped));
    }
    if (this.#entries.length >= this.options.limit) {
      return Promise.reject(new QueueFull(this.options.limit));
    }
    return new Promise((resolve, reject) => {
      const added = entry(command, resolve, reject);
      this.#entries.push(added);
      added.held = this.save();
      if (!added.held) return this.flush();
      return void this.#saved.then(() => {
        added.held = false;
        this.flush();
      });
    });
  }
  /** There is a way to the engine. `pace`: what it admits; `null` where the carrier sees to it. */
  attach(carrier, pace) {
    this.detach();
    this.#carrier = carrier;
    this.#pace = pace;
    this.#tokens = pace?.burst ?? 0;
    this.#filledAt = this.options.clock.now();
    this.flush();
  }
  /** The way is gone: what was out goes out again on the next one. */
  detach() {
    this.#carrier = null;
    for (const entry2 of this.#entries) {
      entry2.out = false;
      entry2.notBefore = 0;
    }
    this.arm();
  }
  /** The answer to `id`, from wherever. */
  settle(id, outcome2) {
    const found = this.#entries.find((entry2) => entry2.command.id === id);
    if (!found) return;
    if (!outcome2.ok && (outcome2.retry || AGAIN.includes(outcome2.code))) {
      this.again(found, outcome2.retryMs ?? RETRY_MS);
    } else {
      this.remove(found);
      const { op } = found.command;
      if (outcome2.ok) found.resolve(outcome2.d);
      else found.reject(new Refused(outcome2.code, op, id, outcome2.errors));
      this.options.settled(found.command, outcome2);
    }
    this.flush();
  }
  /** An answer that names no command refuses one as malformed: if only one is out, it is that. */
  settleTheOnlyOne(code) {
    const out = this.#entries.filter((entry2) => entry2.out);
    if (out.length !== 1) return false;
    this.settle(out[0].command.id, { ok: false, code, retry: false });
    return true;
  }
  /** The client stops: nothing is sent any more, and what is rejected is forgotten. */
  stop(reason) {
    this.#carrier = null;
    this.#stopped = reason;
    this.#alarm.clear();
    const left = this.#entries;
    this.#entries = [];
    if (left.length > 0) this.save();
    for (const { command, reject } of left) {
      reject(new Stopped(command.op, command.id, command.sent, reason));
    }
  }
  again(entry2, retryMs) {
    const { clock } = this.options;
    const pause = Math.max(retryMs, Math.min(RETRY_MS_MAX, 100 * 2 ** entry2.tries));
    entry2.out = false;
    entry2.tries += 1;
    entry2.notBefore = clock.now() + pause * (1 + 0.25 * clock.random());
  }
  flush() {
    const now = this.options.clock.now();
    for (const entry2 of [...this.#entries]) this.expire(entry2, now);
    const busy = /* @__PURE__ */ new Set();
    let first = false;
    for (const entry2 of this.#entries) {
      const lane = laneOf(entry2.command);
      if (busy.has(lane)) continue;
      busy.add(lane);
      if (entry2.out && now >= entry2.answerBy) entry2.out = false;
      if (!this.#carrier || entry2.held || entry2.out || now < entry2.notBefore) continue;
      if (!this.admit(now)) continue;
      entry2.out = true;
      entry2.answerBy = now + ANSWER_MS;
      first ||= !entry2.command.sent;
      entry2.command = { ...entry2.command, sent: true };
      this.#carrier.carry(entry2.command);
    }
    if (first) this.save();
    this.arm();
  }
  expire(entry2, now) {
    const { op, id, at, ttlMs, sent } = entry2.command;
    if (now < at + ttlMs) return;
    this.remove(entry2);
    entry2.reject(new Expired(op, id, sent));
    this.options.settled(entry2.command, { ok: false, code: "expired", retry: false });
  }
  /** Takes a token of the engine's bucket, if there is one. */
  admit(now) {
    if (!this.#pace) return true;
    const { rate, burst } = this.#pace;
    this.#tokens = Math.min(burst, this.#tokens + (now - this.#filledAt) * rate / 1e3);
    this.#filledAt = now;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
  /** Rings when the next thing is due. */
  arm() {
    const now = this.options.clock.now();
    let due = Infinity;
    const busy = /* @__PURE__ */ new Set();
    for (const { command, held, out, notBefore, answerBy } of this.#entries) {
      due = Math.min(due, command.at + command.ttlMs);
      const lane = laneOf(command);
      if (this.#carrier && !held && !busy.has(lane)) {
        due = Math.min(due, out ? answerBy : Math.max(notBefore, now + REFILL_MS));
      }
      busy.add(lane);
    }
    if (due === Infinity) this.#alarm.clear();
    else this.#alarm.set(Math.max(0, due - now));
  }
  remove(entry2) {
    this.#entries = this.#entries.filter((other) => other !== entry2);
    this.save();
  }
  /** False where nothing is kept. */
  save() {
    const { storage, failed } = this.options;
    if (!storage) return false;
    const lasting = this.pending.filter((command) => command.op !== "ride.estimate");
    this.#saved = this.#saved.then(() => storage.save(lasting)).catch(failed);
    return true;
  }
};
function entry(command, resolve, reject) {
  return { command, resolve, reject, held: false, out: false, tries: 0, notBefore: 0, answerBy: 0 };
}
function laneOf({ op, key }) {
  if (op.startsWith("driver.")) return "driver";
  return key ?? op;
}

// src/rest.ts
function route({ op, key, d }) {
  const ride = `/v1/rides/${encodeURIComponent(key ?? "")}`;
  switch (op) {
    case "driver.online":
      return ["PUT", "/v1/me/availability", { status: "online", ...d }];
    case "driver.offline":
      return ["PUT", "/v1/me/availability", { status: "offline" }];
    case "ride.estimate":
      return ["POST", "/v1/rides/estimate", d ?? {}];
    case "ride.request":
      return ["POST", "/v1/rides", d ?? {}];
    case "ride.rate":
      return ["POST", `${ride}/rating`, d ?? {}];
    default:
      return ["POST", `${ride}/${op.slice("ride.".length)}`, d ?? {}];
  }
}
var Rest = class {
  constructor(base, credentials, fetch) {
    this.base = base;
    this.credentials = credentials;
    this.fetch = fetch;
  }
  base;
  credentials;
  fetch;
  /**
   * One call; a token that is no good is renewed once.
   *
   * @throws SignedOut, or whatever `fetch` throws where the network does not get through.
   */
  async call(method, path, call = {}) {
    const first = await this.once(method, path, call, false);
    return first.status === 401 ? this.once(method, path, call, true) : first;
  }
  /** A ticket for one session. */
  async ticket() {
    const answer = await this.call("POST", "/v1/session-tickets");
    if (answer.status === 401 || answer.status === 403) return null;
    const { ticket } = answer.body ?? {};
    if (typeof ticket !== "string") throw new Error(`no ticket: status ${answer.status}`);
    return ticket;
  }
  /** Carries a command out. Never throws: what did not get through is to be asked again. */
  async carry(command) {
    const [method, path, body] = route(command);
    const headers = { "Idempotency-Key": command.id };
    if (command.if !== void 0) headers["If-Match"] = `"${command.if}"`;
    try {
      return outcome(await this.call(method, path, { body, headers }));
    } catch {
      return { ok: false, code: "unavailable", retry: true };
    }
  }
  /** Reports positions; whether they were taken, or when to come again. */
  async report(pts) {
    const known = (value) => value == null || value < 0 ? void 0 : value;
    const points = pts.map(([ms, lat, lng, accuracy, speed, bearing]) => ({
      at: new Date(ms ?? 0).toISOString(),
      lat,
      lng,
      accuracy_m: known(accuracy),
      speed_mps: known(speed),
      bearing_deg: known(bearing)
    }));
    try {
      const { status, retryMs } = await this.call("POST", "/v1/me/locations", { body: { points } });
      return { taken: status < 300, retryMs: retryMs ?? 5e3 };
    } catch {
      return { taken: false, retryMs: 5e3 };
    }
  }
  async once(method, path, call, renew) {
    const headers = {
      ...call.headers,
      Authorization: `Bearer ${await this.credentials.bearer(renew)}`
    };
    const request = { method, headers };
    if (call.signal) request.signal = call.signal;
    if (call.body !== void 0) {
      headers["Content-Type"] = "application/json";
      request.body = JSON.stringify(call.body);
    }
    const response = await this.fetch(this.base + path, request);
    const text = await response.text();
    const seconds = Number(response.headers.get("Retry-After") ?? NaN);
    return {
      status: response.status,
      body: json(text),
      retryMs: Number.isFinite(seconds) ? seconds * 1e3 : void 0,
      version: Number(/\d+/.exec(response.headers.get("ETag") ?? "")?.[0] ?? 0)
    };
  }
};
function outcome({ status, body, retryMs, version }) {
  if (status >= 200 && status < 300) return { ok: true, ver: version, d: body };
  const problem = body ?? {};
  const retry = status === 429 || status === 408 || status >= 500 || !problem.code;
  const code = problem.code ?? "unavailable";
  return {
    ok: false,
    code,
    retry,
    ...retryMs !== void 0 && { retryMs },
    ...problem.errors && { errors: problem.errors }
  };
}
function json(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

// src/telemetry.ts
var POINTS_MAX = 100;
var OLD_MS = 11e4;
var EVERY_MS_MIN = 1e3;
var Telemetry = class {
  constructor(clock, everyMs) {
    this.clock = clock;
    this.#everyMs = Math.max(EVERY_MS_MIN, everyMs);
    this.#alarm = new Alarm(clock, () => this.flush());
  }
  clock;
  #waiting = [];
  #out = [];
  #n = 0;
  #carrier = null;
  #notBefore = 0;
  #everyMs;
  #alarm;
  /** Positions that were not acknowledged yet. */
  get unacknowledged() {
    return this.#waiting.length + this.#out.reduce((sum, batch) => sum + batch.pts.length, 0);
  }
  /** Takes a position; one that is none is passed over. */
  add(fix) {
    const point = pointOf(fix, this.clock.now());
    if (!point) return;
    this.#waiting = thinned([...this.#waiting, point]);
    this.arm();
  }
  attach(carrier) {
    this.detach();
    this.#carrier = carrier;
    this.arm();
  }
  /** The way is gone: what was out waits again. */
  detach() {
    this.#carrier = null;
    this.#alarm.clear();
    this.takeBack();
  }
  /** The engine has this batch and all before it. */
  acknowledged(n) {
    this.#out = this.#out.filter((batch) => batch.n > n);
  }
  /** The engine wants fewer. */
  slowDown(forMs) {
    this.#notBefore = this.clock.now() + forMs;
    this.takeBack();
    this.#alarm.clear();
    this.arm();
  }
  takeBack() {
    this.#waiting = thinned([...this.#out.flatMap((batch) => batch.pts), ...this.#waiting]);
    this.#out = [];
  }
  arm() {
    if (!this.#carrier || this.#alarm.isSet || this.#waiting.length === 0) return;
    this.#alarm.set(Math.max(0, this.#notBefore - this.clock.now()));
  }
  flush() {
    const now = this.clock.now();
    const newest = this.#waiting.at(-1);
    const fresh = (point) => point === newest || now - (point[0] ?? 0) < OLD_MS;
    const pts = this.#waiting.filter(fresh);
    if (!this.#carrier || pts.length === 0) return;
    this.#notBefore = now + this.#everyMs;
    if (this.#carrier(this.#n + 1, pts)) {
      this.#n += 1;
      this.#waiting = [];
      this.#out.push({ n: this.#n, pts });
      while (this.#out.length > 1 && this.unacknowledged > POINTS_MAX) this.#out.shift();
    }
    this.arm();
  }
};
function thinned(points) {
  if (points.length <= POINTS_MAX) return points;
  const last = points.length - 1;
  return points.filter((_, at) => (last - at) % 2 === 0);
}
function pointOf(fix, now) {
  const within = (value, most) => Math.abs(value) <= most;
  if (!within(fix.lat, 90) || !within(fix.lng, 180)) return null;
  const at = Math.round(fix.at ?? now);
  if (!(at >= 0 && at <= 253402300799999)) return null;
  const known = (value, most) => typeof value === "number" && value >= 0 && value <= most ? round(value, 10) : -1;
  return [
    at,
    round(fix.lat, 1e6),
    round(fix.lng, 1e6),
    known(fix.accuracy_m, 1e6),
    known(fix.speed_mps, 1e3),
    known(fix.bearing_deg, 360)
  ];
}
var round = (value, parts) => Math.round(value * parts) / parts;

// src/client.ts
var TTL_MS_MAX = 23 * 36e5;
var Client = class extends Emitter {
  #settings;
  #inbox = new Inbox({
    snapshot: (snapshot) => this.tell("snapshot", snapshot),
    event: (event) => {
      this.tell("event", event);
      this.tell(event.op, event);
    }
  });
  #acks;
  #queue;
  #telemetry;
  #rest;
  #connection;
  #wake = () => this.wake();
  #frameMax = 16384;
  #carriesOverRest = false;
  /** Rises with each `start` and `stop`. */
  #runs = 0;
  constructor(options) {
    super();
    this.#settings = defaults(options);
    const { clock, base, storage, queueMax } = this.#settings;
    const ticket = options.ticket === true ? () => this.#rest.ticket() : options.ticket;
    const credentials = new Credentials(options.token, ticket);
    this.#rest = new Rest(base, credentials, this.#settings.fetch);
    this.#acks = new Acks(clock, (seq) => this.#connection.session?.send({ t: "ack", seq }));
    this.#queue = new CommandQueue({
      clock,
      storage,
      limit: queueMax,
      settled: (command, outcome2) => this.onSettled(command, outcome2),
      failed: (cause) => this.tell("fault", { code: "storage", cause })
    });
    this.#telemetry = new Telemetry(clock, this.#settings.positionsEveryMs);
    const { url, WebSocket, device, app, pollAfter, retryMs } = this.#settings;
    const way = { url, WebSocket, device, app, pollAfter, retryMs };
    const about = { clock, credentials, position: this.#inbox.position, rest: this.#rest, ...way };
    this.#connection = new Connection(about, {
      changed: (state) => this.tell("state", state),
      opened: (session, welcome) => this.onOpen(session, welcome),
      received: (frame) => this.onFrame(frame),
      polled: (answer) => this.onPolled(answer),
      lost: () => this.onLost(),
      stopped: (reason) => this.onStopped(reason),
      failed: (cause) => this.tell("fault", { code: "connect", cause })
    });
  }
  get state() {
    return this.#connection.state;
  }
  /** Commands that have no answer yet. */
  get pending() {
    return this.#queue.pending;
  }
  /** Connects, and stays connected. Resolves when what was stored is taken up. */
  async start() {
    this.#runs += 1;
    const run = this.#runs;
    globalThis.addEventListener?.("online", this.#wake);
    await this.#queue.restore();
    if (run === this.#runs) this.#connection.start();
  }
  /** Disconnects. Commands without an answer are rejected with `Stopped` and forgotten. */
  stop() {
    this.#runs += 1;
    this.#connection.stop({ code: 1e3, word: "stopped" });
  }
  /** Call it when the app comes to the front or the network is back. */
  wake() {
    this.#connection.wake();
  }
  /**
   * Asks for a change (or a price). Waits through losses of the connection, under one id, so that
   * it takes effect once.
   *
   * @throws Refused, Expired, QueueFull, Stopped; RangeError for a command over the frame limit.
   */
  request(op, command, options = {}) {
    const { clock, commandTtlMs, estimateTtlMs } = this.#settings;
    const usual = op === "ride.estimate" ? estimateTtlMs : commandTtlMs;
    const ttlMs = Math.min(options.ttlMs ?? usual, TTL_MS_MAX);
    const id = options.id ?? uuidv7(clock);
    const stored = { ...command, id, op, at: clock.now(), ttlMs, sent: false };
    const bytes = new TextEncoder().encode(JSON.stringify(frameOf(stored))).length;
    if (bytes > this.#frameMax) {
      return Promise.reject(new RangeError(`${op} takes ${bytes} bytes, over ${this.#frameMax}`));
    }
    return this.#queue.add(stored);
  }
  /** Reports where the driver is. Cheap: call it for every fix. */
  report(fix) {
    if (this.#inbox.activity.role === "passenger") throw new Error("only drivers report positions");
    this.#telemetry.add(fix);
  }
  onOpen(session, welcome) {
    const { stream, limits } = welcome;
    this.#frameMax = limits.frame;
    this.#inbox.welcome(welcome);
    this.freshen();
    this.#acks.reset(this.#inbox.position.seq ?? 0);
    const driver = stream.id.startsWith("drv:") ? stream.id.slice(4) : void 0;
    const carry = (command) => session.send(frameOf(command, driver));
    this.#queue.attach({ carry }, limits);
    this.#telemetry.attach((n, pts) => {
      if (session.isCongested) return false;
      session.send({ t: "tel", n, pts });
      return true;
    });
  }
  onFrame(frame) {
    switch (frame.t) {
      case "evt":
        return this.onEvent(frame);
      case "eph":
        return this.onEphemeral(frame);
      case "res":
        return this.#queue.settle(frame.id, { ok: true, ver: frame.ver, d: frame.d });
      case "err":
        return this.onErr(frame);
      case "tack":
        return this.#telemetry.acknowledged(frame.n);
      case "drain":
        return this.#connection.drain(frame.in_ms);
      case "sync":
        this.#inbox.sync(frame);
        return this.freshen();
      default:
        return void 0;
    }
  }
  onEvent(event) {
    const taken = this.#inbox.take(event);
    if (taken === "gap") return this.#connection.end(CLOSE.gap, "gap");
    this.freshen();
    const urgent = event.prio === 1;
    const { seq } = this.#inbox.position;
    if (taken === "new" || urgent) this.#acks.taken(seq ?? event.seq, urgent);
  }
  onEphemeral(frame) {
    this.tell("ephemeral", frame);
    this.tell(frame.op, frame);
  }
  onErr({ id, code, retry, retry_ms: retryMs, d }) {
    if (id !== void 0) {
      const errors = d?.errors;
      const more = { ...retryMs !== void 0 && { retryMs }, ...errors && { errors } };
      return this.#queue.settle(id, { ok: false, code, retry, ...more });
    }
    if (code === "rate_limited") return this.#telemetry.slowDown(retryMs ?? 1e3);
    if (code === "unauthenticated") return this.#connection.session?.refreshRefused();
    if (code === "malformed") this.#queue.settleTheOnlyOne(code);
    return this.tell("fault", { code, cause: d });
  }
  onPolled(answer) {
    this.#inbox.polled(answer);
    this.carryOverRest();
  }
  /** While long polls stand in, REST takes what the session would. */
  carryOverRest() {
    if (this.#carriesOverRest) return;
    this.#carriesOverRest = true;
    const carry = (command) => void this.#rest.carry(command).then((outcome2) => this.#queue.settle(command.id, outcome2));
    this.#queue.attach({ carry }, null);
    this.#telemetry.attach((n, pts) => {
      void this.#rest.report(pts).then(({ taken, retryMs }) => {
        if (taken) this.#telemetry.acknowledged(n);
        else if (this.state === "polling") this.#telemetry.slowDown(retryMs);
      });
      return true;
    });
  }
  onLost() {
    this.#carriesOverRest = false;
    this.#acks.reset(this.#inbox.position.seq ?? 0);
    this.#queue.detach();
    this.#telemetry.detach();
  }
  onStopped(reason) {
    globalThis.removeEventListener?.("online", this.#wake);
    this.#queue.stop(reason);
    this.tell("stopped", reason);
  }
  onSettled(command, outcome2) {
    this.#inbox.activity.answered(command.op, command.key, outcome2.ok ? outcome2.d : null);
    this.freshen();
    this.tell("settled", { ...command, outcome: outcome2 });
  }
  freshen() {
    const { session } = this.#connection;
    if (session) session.active = this.#inbox.activity.isActive;
  }
  tell(name, value) {
    for (const cause of this.emit(name, value)) {
      if (name !== "fault") this.emit("fault", { code: "handler", cause });
    }
  }
};
function frameOf({ id, op, key, if: version, d }, driver) {
  const about = key ?? (op.startsWith("driver.") ? driver : void 0);
  const has = (name, value) => value === void 0 ? {} : { [name]: value };
  return { t: "cmd", id, op, ...has("key", about), ...has("if", version), ...has("d", d) };
}

// src/storage.ts
function webStorage(storage, name) {
  return {
    load() {
      const kept = JSON.parse(storage.getItem(name) ?? "[]");
      return Array.isArray(kept) ? kept : [];
    },
    save(commands) {
      storage.setItem(name, JSON.stringify(commands));
    }
  };
}
export {
  Client,
  Expired,
  QueueFull,
  Refused,
  Stopped,
  systemClock,
  uuidv7,
  webStorage
};
