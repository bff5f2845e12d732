/** One value in one stream, as an operation writes it. */
export interface Written {
  readonly stream: string;
  readonly value: string;
}

/** What a client asks an auth server for. */
export type Asked =
  /** Appends a value to each of some registers, all or none. */
  | { readonly kind: 'append'; readonly registers: readonly string[]; readonly value: string }
  | { readonly kind: 'read'; readonly register: string }
  | { readonly kind: 'mint'; readonly token: string }
  /** Uses a token that admits one machine. */
  | { readonly kind: 'redeem'; readonly token: string; readonly by: string }
  | { readonly kind: 'seal'; readonly secret: string; readonly value: string }
  /** Says on the log that the secret is deleted. */
  | { readonly kind: 'delete'; readonly secret: string; readonly by: string }
  /** Destroys the data key of a secret. */
  | { readonly kind: 'erase'; readonly secret: string }
  | { readonly kind: 'unseal'; readonly secret: string }
  /** Appends to a stream of presence, which is trimmed. */
  | { readonly kind: 'beat'; readonly stream: string }
  | { readonly kind: 'compact' };

/** Answers hold what the kind of question needs. */
export interface Answer {
  /** Revision in each stream that was written, in the order in which they were asked for. */
  readonly revisions?: readonly number[];
  /** Of `read`: all values, the oldest first. */
  readonly values?: readonly string[];
  /** Of `unseal`. */
  readonly secret?: {
    readonly stored: boolean;
    readonly deleted: boolean;
    /** Undefined when its key is gone. */
    readonly opened?: string;
  };
}

export interface Operation {
  /** The process that was asked: one that is started again is another. */
  readonly worker: string;
  /** Milliseconds of the one clock of the trial. */
  readonly invoked: number;
  /** Infinite when no answer came. */
  readonly ended: number;
  readonly asked: Asked;
  /**
   * `failed`: it was said that nothing was done. `unknown`: it was said that this is not known, or nothing at
   * all.
   */
  readonly outcome: 'ok' | 'failed' | 'unknown';
  readonly answer?: Answer;
  readonly code?: string;
  readonly message?: string;
}

/** An event of the log of state, as it is stored at the end. */
export interface Stored extends Written {
  readonly position: number;
  readonly id: string;
  readonly revision: number;
}

/** The store was put back to an earlier state, and the log recovered. */
export interface Restore {
  /** When the saving of what was restored began. */
  readonly savedAt: number;
  readonly began: number;
  /** When each auth server that is alive had been recovered. */
  readonly ended: number;
  /** Processes that were alive at the end: what they knew must be there. */
  readonly survivors: readonly string[];
  /** What each survivor said that it knew and that did not come back, by stream and revision. */
  readonly silent: readonly string[];
}

export interface Heard extends Stored {
  readonly at: number;
}

/** What one follower heard, from its beginning to its end. */
export interface Session {
  readonly worker: string;
  readonly began: number;
  readonly events: readonly Heard[];
}

export interface History {
  readonly operations: readonly Operation[];
  readonly stored: readonly Stored[];
  /** Revisions of the streams of presence at the end. */
  readonly beats: Readonly<Record<string, number>>;
  readonly restores: readonly Restore[];
  readonly sessions: readonly Session[];
}

/** What an operation writes when it is carried out. */
export function writesOf(asked: Asked): readonly Written[] {
  switch (asked.kind) {
    case 'append':
      return asked.registers.map((stream) => ({ stream, value: asked.value }));
    case 'mint':
      return [{ stream: asked.token, value: 'created' }];
    case 'redeem':
      return [{ stream: asked.token, value: asked.by }];
    case 'seal':
      return [{ stream: asked.secret, value: 'sealed' }];
    case 'delete':
      return [{ stream: asked.secret, value: asked.by }];
    case 'read':
    case 'erase':
    case 'unseal':
    case 'beat':
    case 'compact':
      return [];
  }
}
