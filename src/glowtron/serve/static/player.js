// Sound that is played while it comes: pieces are laid one after the other in time, sample by sample.

const AHEAD_S = 0.06; // Between now and the first sample, so that it is not missed.

export class Player {
  constructor(onEnd) {
    this.onEnd = onEnd;
    this.context = null;
    this.clear();
  }

  clear() {
    this.silence();
    this.pieces = []; // {from, samples}: from counts samples from the beginning.
    this.length = 0;
    this.rate = 0;
    this.complete = false;
    this.from = 0;
  }

  begin(rate) {
    this.clear();
    this.rate = rate;
    // At the sound's own rate the pieces need no resampling, and no join can be heard.
    if (!this.context || this.context.sampleRate !== rate) {
      this.context?.close();
      this.context = new AudioContext({ sampleRate: rate });
    }
    this.play(0);
  }

  add(samples) {
    const piece = { from: this.length, samples };
    this.pieces.push(piece);
    this.length += samples.length;
    if (this.playing) this.schedule(piece);
  }

  end() {
    this.complete = true;
    if (this.playing && this.laid.length === 0) this.finish();
  }

  get duration() { return this.rate ? this.length / this.rate : 0; }

  get paused() { return this.playing && this.context.state === "suspended"; }

  play(seconds) {
    this.silence();
    this.playing = true;
    this.from = Math.round(seconds * this.rate);
    this.next = null;
    this.context.resume();
    for (const piece of this.pieces) this.schedule(piece);
    if (this.complete && this.laid.length === 0) this.finish();
  }

  schedule(piece) {
    const skip = Math.max(this.from - piece.from, 0);
    if (skip >= piece.samples.length) return;
    const samples = skip ? piece.samples.subarray(skip) : piece.samples;
    const buffer = this.context.createBuffer(1, samples.length, this.rate);
    buffer.copyToChannel(samples, 0);
    const source = this.context.createBufferSource();
    source.buffer = buffer;
    source.connect(this.context.destination);
    const now = this.context.currentTime;
    if (this.next === null || this.next < now) this.next = now + AHEAD_S;
    const laid = { source, at: this.next, from: piece.from + skip, length: samples.length };
    source.onended = () => {
      this.laid.splice(this.laid.indexOf(laid), 1);
      this.reached = laid.from + laid.length;
      if (this.complete && this.laid.length === 0) this.finish();
    };
    this.laid.push(laid);
    source.start(this.next);
    this.next += samples.length / this.rate;
  }

  // Seconds of the sound that are heard now.
  get position() {
    if (!this.playing) return (this.reached ?? 0) / (this.rate || 1);
    const latency = this.context.outputLatency || this.context.baseLatency || 0;
    const now = this.context.currentTime - latency;
    let place = this.reached ?? this.from;
    for (const laid of this.laid) {
      if (now >= laid.at) place = laid.from + Math.min((now - laid.at) * this.rate, laid.length);
    }
    return Math.max(place, this.from) / this.rate;
  }

  toggle() {
    if (this.context.state === "suspended") this.context.resume();
    else this.context.suspend();
  }

  silence() {
    for (const { source } of this.laid ?? []) {
      source.onended = null;
      source.stop();
    }
    this.laid = [];
    this.playing = false;
    this.reached = null;
  }

  finish() {
    this.playing = false;
    this.reached = this.length;
    this.onEnd();
  }

  stop() {
    const reached = Math.round(this.position * this.rate);
    this.silence();
    this.reached = reached;
  }
}
