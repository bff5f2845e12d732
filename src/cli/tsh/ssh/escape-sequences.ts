/** The meaning of the typed keys. */
export interface Escaped {
  /** To be sent to the remote side. */
  readonly data: Buffer;
  readonly action: 'none' | 'help' | 'disconnect';
}

export const escapeHelp =
  'tsh escape characters:\r\n  ~? - display a list of escape characters\r\n  ~. - disconnect\r\n  ~~ - send the escape character by typing it twice\r\n';

const tilde = 0x7e;
const lineEnds: readonly number[] = [0x0d, 0x0a];

/**
 * Finds `~.` and `~?` at the beginning of a line in what a person types, as ssh(1) does. A `~` at the
 * beginning of a line is held back until the next key shows what it is.
 */
export class EscapeSequences {
  private state: 'line-start' | 'tilde' | 'text' = 'line-start';

  /** After `disconnect` the rest of the chunk is discarded. */
  feed(chunk: Buffer): Escaped {
    const out: number[] = [];
    let action: Escaped['action'] = 'none';
    for (const byte of chunk) {
      if (this.state === 'tilde') {
        const c = String.fromCharCode(byte);
        if (c === '.') return { data: Buffer.from(out), action: 'disconnect' };
        if (c === '?') {
          action = 'help';
          this.state = 'line-start';
          continue;
        }
        if (byte !== tilde) out.push(tilde);
      } else if (this.state === 'line-start' && byte === tilde) {
        this.state = 'tilde';
        continue;
      }
      out.push(byte);
      this.state = lineEnds.includes(byte) ? 'line-start' : 'text';
    }
    return { data: Buffer.from(out), action };
  }
}
