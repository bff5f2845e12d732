/** To another time of the session. */
export type Travel =
  | { readonly kind: 'move'; readonly byMs: number }
  /** To the end of what there is now. */
  | { readonly kind: 'end' };

/** For something that is read or typed. */
export type Look =
  | { readonly kind: 'help' }
  /** What was typed of a search so far; undefined: it was given up. */
  | { readonly kind: 'typing'; readonly text: string | undefined }
  /** Undefined: for the same as before. */
  | { readonly kind: 'search'; readonly text: string | undefined };

/** What a person wants of the player. */
export type Wish =
  | Travel
  | Look
  | { readonly kind: 'pause' | 'quit' }
  /** So many steps faster. */
  | { readonly kind: 'speed'; readonly by: number }
  /** The terminal has another size. */
  | { readonly kind: 'redraw' };

const [step, leap] = [10_000, 60_000];
const longestSearch = 200;

const keys: Readonly<Record<string, Wish>> = {
  ' ': { kind: 'pause' },
  q: { kind: 'quit' },
  '\x03': { kind: 'quit' },
  '\x04': { kind: 'quit' },
  '+': { kind: 'speed', by: 1 },
  '=': { kind: 'speed', by: 1 },
  '-': { kind: 'speed', by: -1 },
  g: { kind: 'move', byMs: -Infinity },
  G: { kind: 'end' },
  n: { kind: 'search', text: undefined },
  '?': { kind: 'help' },
  h: { kind: 'help' },
  '/': { kind: 'typing', text: '' },
};

/** By what follows `ESC [` or `ESC O`. */
const special: Readonly<Record<string, Wish>> = {
  C: { kind: 'move', byMs: step },
  D: { kind: 'move', byMs: -step },
  A: { kind: 'speed', by: 1 },
  B: { kind: 'speed', by: -1 },
  H: { kind: 'move', byMs: -Infinity },
  F: { kind: 'end' },
  '1~': { kind: 'move', byMs: -Infinity },
  '4~': { kind: 'end' },
  '5~': { kind: 'move', byMs: -leap },
  '6~': { kind: 'move', byMs: leap },
};

const oneKey = /\x1b[[O]([0-9;]*[A-Za-z~])|[\s\S]/gu;

/** Reads keys of a terminal in raw mode. */
export class KeyReader {
  /** What is typed of a search. */
  #typed: string | undefined;

  /** @param input what was read at once: a key is never cut. */
  feed(input: string): Wish[] {
    return Array.from(input.matchAll(oneKey)).flatMap(([key, final]) =>
      this.#typed === undefined ? this.#command(key, final) : this.#type(this.#typed, key),
    );
  }

  #command(key: string, final: string | undefined): Wish[] {
    const wish = final === undefined ? keys[key] : special[final];
    if (wish === undefined) return [];
    if (wish.kind === 'typing') this.#typed = '';
    return [wish];
  }

  #type(typed: string, key: string): Wish[] {
    switch (key) {
      case '\r':
      case '\n':
        this.#typed = undefined;
        return [typed === '' ? { kind: 'typing', text: undefined } : { kind: 'search', text: typed }];
      case '\x1b':
      case '\x03':
        this.#typed = undefined;
        return [{ kind: 'typing', text: undefined }];
      case '\x7f':
      case '\b':
        this.#typed = Array.from(typed).slice(0, -1).join('');
        break;
      default:
        if (key < ' ' || key.length > 2 || typed.length >= longestSearch) return [];
        this.#typed = typed + key;
    }
    return [{ kind: 'typing', text: this.#typed }];
  }
}
