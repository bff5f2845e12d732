import type { Writable } from 'node:stream';
import { CodedError } from '../../base/errors.ts';
import type { ClientSession } from '../../ssh/cert-client.ts';
import { ByteReader } from './byte-reader.ts';

const maxLine = 8_192;

/** The other side of a copy: records, acknowledgements, bytes. Source: the rcp protocol, as scp -t and scp -f speak it. */
export class ScpPeer {
  readonly reader: ByteReader;
  /** What the other side complained about while it went on. */
  readonly warnings: string[] = [];
  private readonly channel: Writable;
  private failure: Error | undefined;

  constructor(session: ClientSession) {
    this.channel = session.channel;
    this.reader = new ByteReader(session.channel);
    session.channel.on('error', (e: Error) => {
      this.failure = e;
    });
  }

  /** Resolves when the stream has taken the bytes: it is never filled beyond its window. */
  write(bytes: Buffer | string): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.failure !== undefined) {
        reject(this.failure);
        return;
      }
      this.channel.write(bytes, (e) => {
        if (e) reject(e);
        else resolve();
      });
    });
  }

  /** Says "go on". */
  acknowledge(): Promise<void> {
    return this.write(Buffer.of(0));
  }

  /** Waits for "go on". False when the other side refused this one thing and goes on. @throws CodedError `unavailable` when it gave up. */
  async acknowledged(): Promise<boolean> {
    const byte = await this.reader.byte();
    if (byte === 0) return true;
    await this.complaint(byte);
    return false;
  }

  /** Reads a complaint whose first byte was `kind`: 1 goes on, anything else ends the copy. */
  async complaint(kind: number | undefined): Promise<void> {
    if (kind === undefined) throw new CodedError('unavailable', 'the other side ended the copy too early');
    const known = kind === 1 || kind === 2;
    const text = (known ? '' : String.fromCharCode(kind)) + (await this.reader.line(maxLine));
    if (kind !== 1) throw new CodedError('unavailable', text);
    this.warnings.push(text);
  }

  /** Tells the other side that one thing could not be done. */
  async complain(text: string): Promise<void> {
    this.warnings.push(text);
    await this.write(`\u0001scp: ${text.replaceAll('\n', ' ')}\n`);
  }

  end(): void {
    this.channel.end();
  }
}
