/** The result of the keys that were fed. */
export type Edited =
  | { readonly kind: 'more' }
  | { readonly kind: 'line'; readonly line: string }
  | { readonly kind: 'end' }
  | { readonly kind: 'interrupt' };

type Key = 'interrupt' | 'end' | 'erase' | 'clear' | 'enter' | 'text';
const keys: Readonly<Record<string, Key>> = {
  '\u0003': 'interrupt',
  '\u0004': 'end',
  '\u007f': 'erase',
  '\b': 'erase',
  '\u0015': 'clear',
  '\r': 'enter',
  '\n': 'enter',
};
const more: Edited = { kind: 'more' };

/**
 * One line from keys (a terminal in raw mode: editing keys count) or from the bytes of a pipe (only line ends
 * count). Input beyond the line is kept for the next one.
 */
export class LineEditor {
  private readonly keyboard: boolean;
  private readonly echo: (text: string) => void;
  private typed: string[] = [];
  private ahead: string[] = [];
  private skipNewline = false;

  /** `echo` shows what is typed; for a password it does nothing. */
  constructor(keyboard: boolean, echo: (text: string) => void) {
    this.keyboard = keyboard;
    this.echo = echo;
  }

  feed(text: string): Edited {
    this.ahead.push(...Array.from(text));
    for (let c = this.ahead.shift(); c !== undefined; c = this.ahead.shift()) {
      const edited = this.key(c);
      if (edited.kind !== 'more') return edited;
    }
    return more;
  }

  /** The input ended: the text so far counts as a line. */
  end(): Edited {
    return this.typed.length > 0 ? this.line() : { kind: 'end' };
  }

  /** The input that does not belong to a line yet. */
  rest(): string {
    return [...this.typed.splice(0), ...this.ahead.splice(0)].join('');
  }

  private key(c: string): Edited {
    const second = this.skipNewline && c === '\n';
    this.skipNewline = c === '\r';
    if (second) return more;
    switch (this.meaning(c)) {
      case 'enter':
        return this.line();
      case 'interrupt':
        return { kind: 'interrupt' };
      case 'end':
        return this.typed.length > 0 ? more : { kind: 'end' };
      case 'erase':
        if (this.typed.pop() !== undefined) this.echo('\b \b');
        return more;
      case 'clear':
        this.echo('\b \b'.repeat(this.typed.length));
        this.typed = [];
        return more;
      case 'text':
        this.typed.push(c);
        this.echo(c);
        return more;
    }
  }

  private meaning(c: string): Key {
    const key = keys[c] ?? 'text';
    return this.keyboard || key === 'enter' ? key : 'text';
  }

  private line(): Edited {
    return { kind: 'line', line: this.typed.splice(0).join('') };
  }
}
