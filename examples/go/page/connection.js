// The WebSocket to the game. It comes back by itself when it is lost.

const FIRST_WAIT = 300; // milliseconds
const LONGEST_WAIT = 5000;
const REFUSED = 1008; // the server does not want us: it is no use to try again

export class Connection {
  /**
   * `hear` is called with each message, `tell` with what the connection does: "connecting", "live" or "lost", and
   * `refuse` with a sentence if the server refuses the game or the name.
   */
  constructor(address, { hear, tell, refuse }) {
    this.address = address;
    this.on = { hear, tell, refuse };
    this.wait = FIRST_WAIT;
    this.timer = 0;
    // The network is there again, or you look at the page again: do not wait any longer.
    addEventListener("online", () => this.hurry());
    document.addEventListener("visibilitychange", () => document.hidden || this.hurry());
    addEventListener("offline", () => this.socket?.close());
    this.on.tell("connecting");
    this.open();
  }

  /** Send a message. Returns false if there is no connection. */
  send(message) {
    if (this.socket?.readyState !== WebSocket.OPEN) return false;
    this.socket.send(JSON.stringify(message));
    return true;
  }

  open() {
    this.timer = 0;
    const socket = (this.socket = new WebSocket(this.address));
    socket.addEventListener("message", () => {
      this.wait = FIRST_WAIT; // not when it is open: a game that can't start closes it again
      this.on.tell("live");
    }, { once: true });
    socket.addEventListener("message", (event) => this.on.hear(JSON.parse(event.data)));
    socket.addEventListener("close", (event) => {
      if (event.code === REFUSED) return this.on.refuse(event.reason);
      this.on.tell("lost");
      this.timer = setTimeout(() => this.open(), this.wait * (0.5 + Math.random() / 2));
      this.wait = Math.min(2 * this.wait, LONGEST_WAIT);
    });
  }

  hurry() {
    if (!this.timer) return; // it is open, or it is being opened
    clearTimeout(this.timer);
    this.wait = FIRST_WAIT;
    this.open();
  }
}
