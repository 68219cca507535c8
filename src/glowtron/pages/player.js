"use strict";
// Plays one of several clips at a time. All of them run together from one moment on, and gains say which is heard: so
// changing from one to another leaves no gap and keeps the place.
class Player {
  constructor() {
    this.context = null;
    this.clips = [];
    this.active = -1;
    this.playing = false;
    this.loop = false;
    this.onchange = () => {};
    this._generation = 0;
    this._running = [];
    this._position = 0;
  }

  // Decodes sound files (ArrayBuffers) whole, before anything can be played.
  async load(files) {
    this.stop();
    if (!this.context) this.context = new AudioContext();
    this.clips = [];
    this.active = -1;
    this._position = 0;
    const buffers = await Promise.all(files.map((file) => this.context.decodeAudioData(file.slice(0))));
    this.clips = buffers.map((buffer) => ({ buffer, plays: 0, heard: new Uint8Array(Math.ceil(buffer.duration / Player.CELL)) }));
  }

  // Begins a clip, or changes to it at the same place if another one is playing.
  play(index) {
    const clip = this.clips[index];
    const position = this.position;
    this.context.resume();
    clip.plays += 1;
    if (this.playing && position < clip.buffer.duration - 0.01) {
      this._mark();
      this._fade(this.active, 0);
      this.active = index;
      this._fade(index, 1);
    } else {
      this.stop();
      this.active = index;
      this._start(position < clip.buffer.duration - 0.01 ? position : 0);
    }
    this.onchange();
  }

  // Stops, and stays at the place.
  pause() {
    const position = this.position;
    this.stop();
    this._position = position;
    this.onchange();
  }

  stop() {
    if (!this.playing) {
      this._position = 0;
      return;
    }
    this._mark();
    this._generation += 1;
    const now = this.context.currentTime;
    for (const run of this._running) {
      run.gain.gain.cancelScheduledValues(now);
      run.gain.gain.setTargetAtTime(0, now, Player.FADE / 3);
      run.source.stop(now + 2 * Player.FADE);
    }
    this._running = [];
    this.playing = false;
    this._position = 0;
    clearInterval(this._timer);
  }

  toggle(index) {
    if (this.playing && this.active === index) this.pause();
    else this.play(index);
  }

  // Goes to a place, in seconds.
  seek(seconds) {
    if (!this.playing) {
      this._position = seconds;
      this.onchange();
      return;
    }
    this.stop();
    this._start(Math.min(seconds, Math.max(0, this.clips[this.active].buffer.duration - 0.02)));
    this.onchange();
  }

  // Seconds from the clips' beginning.
  get position() {
    return this.playing ? Math.max(0, this.context.currentTime - this._origin) : this._position;
  }

  get duration() {
    return this.clips.reduce((longest, clip) => Math.max(longest, clip.buffer.duration), 0);
  }

  // Whether all of a clip was heard, be it in parts.
  heard(index) {
    const cells = this.clips[index].heard;
    return cells.reduce((sum, cell) => sum + cell, 0) >= 0.95 * cells.length;
  }

  _start(position) {
    const start = this.context.currentTime + 0.02;
    const generation = ++this._generation;
    this._origin = start - position;
    this._marked = position;
    this._running = this.clips.map((clip, index) => {
      const source = this.context.createBufferSource();
      const gain = this.context.createGain();
      source.buffer = clip.buffer;
      gain.gain.setValueAtTime(0, start);
      if (index === this.active) gain.gain.linearRampToValueAtTime(1, start + Player.FADE);
      source.connect(gain).connect(this.context.destination);
      source.onended = () => this._ended(generation, index);
      source.start(start, Math.min(position, clip.buffer.duration));
      return { source, gain };
    });
    this.playing = true;
    this._timer = setInterval(() => this._mark(), 100);
  }

  _fade(index, to) {
    const gain = this._running[index].gain.gain;
    const now = this.context.currentTime;
    gain.cancelScheduledValues(now);
    gain.setValueAtTime(gain.value, now);
    gain.linearRampToValueAtTime(to, now + Player.FADE);
  }

  _ended(generation, index) {
    if (generation !== this._generation || index !== this.active) return;
    this._mark();
    this.clips[index].heard[this.clips[index].heard.length - 1] = 1;
    this.stop();
    if (this.loop) this._start(0);
    this.onchange();
  }

  // Notes what was heard since this was last done.
  _mark() {
    if (this.active < 0) return;
    const cells = this.clips[this.active].heard;
    const now = this.position;
    const last = Math.min(cells.length, Math.floor(now / Player.CELL + 0.5));
    for (let cell = Math.floor(this._marked / Player.CELL + 0.5); cell < last; cell++) cells[cell] = 1;
    this._marked = now;
  }
}
Player.FADE = 0.01; // seconds
Player.CELL = 0.05; // seconds
