// The way to the engine as the official client sees it, with two switches: a tunnel, where nothing
// gets through, and a network that lets no WebSocket through. The client is not told of either; it
// has to notice, and to come back by itself.

/** How long a try takes to fail where there is no network. */
const FAILS_AFTER_MS = 60;

export function makeLine() {
  const sockets = new Set();
  const line = { inTunnel: false, withoutSockets: false };
  let cut = null;
  let isCut = null;

  /** A new promise that the next cut breaks. */
  function lay() {
    isCut = new Promise((_, reject) => (cut = () => reject(new TypeError('no network'))));
    isCut.catch(() => {});
  }
  lay();

  class Socket {
    onopen = null;
    onmessage = null;
    onclose = null;
    onerror = null;
    #real = null;

    constructor(url, protocols) {
      if (line.inTunnel || line.withoutSockets) {
        setTimeout(() => this.onclose?.({ code: 1006, reason: '' }), FAILS_AFTER_MS);
        return;
      }
      this.#real = new WebSocket(url, protocols);
      this.#real.onopen = (event) => this.onopen?.(event);
      this.#real.onmessage = (event) => this.onmessage?.(event);
      this.#real.onerror = (event) => this.onerror?.(event);
      this.#real.onclose = (event) => {
        sockets.delete(this);
        this.onclose?.(event);
      };
      sockets.add(this);
    }

    get bufferedAmount() {
      return this.#real?.bufferedAmount ?? 0;
    }

    send(frame) {
      this.#real?.send(frame);
    }

    close(code, reason) {
      sockets.delete(this);
      this.#real?.close(code, reason);
    }

    /** As when the network goes: no word to either side. */
    lose() {
      const real = this.#real;
      real.onopen = real.onmessage = real.onerror = real.onclose = null;
      sockets.delete(this);
      real.close();
      this.onclose?.({ code: 1006, reason: '' });
    }
  }

  const loseSockets = () => [...sockets].forEach((socket) => socket.lose());

  return Object.assign(line, {
    Socket,
    fetch(input, init) {
      if (line.inTunnel) return Promise.reject(new TypeError('no network'));
      return Promise.race([fetch(input, init), isCut]);
    },
    enterTunnel() {
      line.inTunnel = true;
      loseSockets();
      cut();
      lay();
    },
    leaveTunnel() {
      line.inTunnel = false;
    },
    blockSockets(blocked) {
      line.withoutSockets = blocked;
      if (blocked) loseSockets();
    },
  });
}
