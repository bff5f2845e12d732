import type { Duplex, Writable } from 'node:stream';
import type { JoinMode } from '../../domain/role-joining.ts';
import type { Screen } from '../../recording/screen/screen.ts';
import type { ExitStatus } from '../../ssh/channel-types.ts';
import { GuestTerminal } from './guest-terminal.ts';
import { RecentOutput, type Size } from './recent-output.ts';

/** Whose session it is. */
export interface SharedAbout {
  readonly sid: string;
  readonly user: string;
  readonly login: string;
  /** Of the owner, now. */
  readonly roleNames: () => readonly string[];
}

export interface Guest {
  readonly user: string;
  readonly mode: JoinMode;
}

/** Somebody who takes part. */
export interface Joined {
  readonly terminal: Duplex;
  /** When the session is over. */
  readonly ended: Promise<ExitStatus>;
  resize(size: Size): void;
  /** Calling it again does nothing. */
  leave(): void;
}

export interface SharedTerminalOptions {
  readonly about: SharedAbout;
  readonly size: Size;
  /** Somebody came or went. */
  readonly onGuest: (what: 'joined' | 'left', guest: Guest) => void;
  /** Ends the session. */
  readonly end: (reason: string) => void;
  /** Number of the next event of the session. */
  readonly nextIndex: () => number;
}

/** A terminal of a session, in which other people may take part. Its size is that of the owner's. */
export class SharedTerminal {
  readonly about: SharedAbout;
  readonly nextIndex: () => number;
  readonly #options: SharedTerminalOptions;
  readonly #recent: RecentOutput;
  /** While somebody takes part. */
  #screen: Screen | undefined;
  #input: Writable | undefined;
  readonly #guests = new Map<GuestTerminal, Guest>();
  readonly #everyone: Set<string>;
  readonly #over = Promise.withResolvers<ExitStatus>();

  constructor(options: SharedTerminalOptions) {
    this.#options = options;
    this.about = options.about;
    this.nextIndex = options.nextIndex;
    this.#recent = new RecentOutput(options.size);
    this.#everyone = new Set([options.about.user]);
  }

  /** Who takes part now, besides the owner. */
  get guests(): readonly Guest[] {
    return [...this.#guests.values()];
  }

  /** All who ever took part, the owner first. */
  get participants(): readonly string[] {
    return [...this.#everyone];
  }

  /** @param input what the program reads. */
  connect(input: Writable): void {
    this.#input = input;
  }

  output(bytes: Uint8Array): void {
    this.#recent.add(bytes);
    if (this.#screen === undefined) return;
    this.#screen.feed(bytes);
    for (const guest of this.#guests.keys()) guest.output(bytes);
  }

  resized(size: Size): void {
    this.#recent.resized(size);
    this.#screen?.resize(size.columns, size.rows);
    for (const guest of this.#guests.keys()) guest.refit();
  }

  join(who: Guest, size: Size): Joined {
    this.#screen ??= this.#recent.screen();
    const terminal = new GuestTerminal({
      screen: this.#screen,
      size,
      type: (bytes, done) => {
        this.#type(who, bytes, done);
      },
    });
    this.#guests.set(terminal, who);
    this.#everyone.add(who.user);
    this.#options.onGuest('joined', who);
    const leave = (): void => {
      if (!this.#guests.delete(terminal)) return;
      terminal.finish();
      if (this.#guests.size === 0) this.#screen = undefined;
      this.#options.onGuest('left', who);
    };
    terminal.once('close', leave);
    return {
      ...{ terminal, ended: this.#over.promise, leave },
      resize: (to) => {
        terminal.refit(to);
      },
    };
  }

  /** By a moderator. */
  endBy({ user }: Guest): void {
    this.#options.end(`${user}, who moderates this session, has ended it`);
  }

  /** The program has ended. */
  over(exit: ExitStatus): void {
    for (const guest of this.#guests.keys()) guest.finish();
    this.#over.resolve(exit);
  }

  #type({ mode }: Guest, bytes: Buffer, done: () => void): void {
    if (mode !== 'peer' || this.#input === undefined || !this.#input.writable) done();
    else
      this.#input.write(bytes, () => {
        done();
      });
  }
}

/** The sessions with a terminal of this process, by their id. */
export class SharedSessions {
  readonly #all = new Map<string, SharedTerminal>();

  /** @returns to be called when it is over. */
  add(session: SharedTerminal): () => void {
    const { sid } = session.about;
    this.#all.set(sid, session);
    return () => {
      this.#all.delete(sid);
    };
  }

  find(sid: string): SharedTerminal | undefined {
    return this.#all.get(sid);
  }
}
