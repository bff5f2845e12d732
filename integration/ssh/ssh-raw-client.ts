import net from 'node:net';
import type { AnyAuthMethod, Client, ParsedKey } from 'ssh2';
import type { SigAlg } from '../../src/pki/ssh-key.ts';
import { parsePublicKey } from '../../src/pki/ssh-key.ts';
import { defaultAlgorithms, forSsh2 } from '../../src/ssh/algorithms.ts';
import {
  disguisedKey,
  parseDonor,
  protoOf,
  sendPayload,
  sendSignedLogin,
  takeConnectionMessages,
} from '../../src/ssh/ssh2-internals.ts';
import { overSocket } from '../../src/ssh/packet-protocol.ts';
import { ssh2 } from '../../src/ssh/ssh2-library.ts';

/** What a client without scruples shows. */
export interface Shown {
  /** Named on the wire. */
  readonly algorithm: string;
  readonly blob: Buffer;
  /** Any plain key: ssh2 wants one to stand behind the blob. */
  readonly plainBlob: Buffer;
  /** Answers the signature blob. Absent: the login stays a probe. */
  readonly sign?: (data: Buffer) => Buffer;
}

class RawAgent extends ssh2.BaseAgent<ParsedKey> {
  readonly #client: Client;
  readonly #shown: Shown;
  /** Set when the server said that it would take the key. */
  probed = false;
  constructor(client: Client, shown: Shown) {
    super();
    this.#client = client;
    this.#shown = shown;
  }
  override getIdentities(done: (error?: Error | null, keys?: ParsedKey[]) => void): void {
    const { algorithm: type, blob: publicBlob, plainBlob } = this.#shown;
    done(null, [disguisedKey(parseDonor(parsePublicKey(plainBlob).blob), { type, publicBlob })]);
  }
  override sign(_key: unknown, data: Buffer): void {
    this.probed = true;
    const { sign } = this.#shown;
    if (sign !== undefined) sendSignedLogin(protoOf(this.#client), data, sign(data));
    else this.#client.emit('probed');
  }
}

/** How a login ended: `probed` is a key that the server would take, without a proof. */
export type Outcome = 'accepted' | 'refused' | 'probed' | 'disconnected';

/** A client that checks nothing and sends what it is told. The host is not verified. */
export class RawClient {
  readonly #ssh = new ssh2.Client();
  readonly #received: Buffer[] = [];
  /** Resolves when the server has closed the connection. */
  readonly closed: Promise<void>;

  constructor() {
    this.#ssh.on('error', () => undefined); // told by `closed` and by the outcome
    this.closed = this.#once('close');
  }

  #once(event: string): Promise<void> {
    return new Promise((resolve) => this.#ssh.once(event as 'close', resolve));
  }

  /** Messages of the connection protocol that came in. */
  get received(): readonly Buffer[] {
    return this.#received;
  }

  /**
   * Exchanges keys with exactly these algorithms and stops there: no login is tried. Rejects when the server
   * refuses.
   */
  async exchangeKeys(port: number, cipher: string, mac: string): Promise<void> {
    const socket = net.connect(port, '127.0.0.1');
    const done = this.#once('handshake');
    overSocket(socket, () => {
      this.#ssh.connect({
        sock: socket,
        username: 'root',
        algorithms: { kex: ['curve25519-sha256'], cipher: [cipher], hmac: [mac] } as never,
        authHandler: () => undefined,
      });
    });
    await Promise.race([
      done,
      this.closed.then(() => {
        throw new Error('the server closed the connection');
      }),
    ]);
  }

  /** Bytes as they are, past the packet layer. */
  sendRaw(bytes: Buffer): void {
    protoOf(this.#ssh).socket?.write(bytes);
  }

  async login(port: number, username: string, shown: Shown | AnyAuthMethod): Promise<Outcome> {
    const socket = net.connect(port, '127.0.0.1');
    const method =
      'blob' in shown
        ? { type: 'agent', username, agent: new RawAgent(this.#ssh, shown) }
        : { ...shown, username };
    let tries = 0;
    overSocket(socket, () => {
      this.#ssh.connect({
        sock: socket,
        username,
        algorithms: forSsh2({ ...defaultAlgorithms, keyExchanges: ['curve25519-sha256'] }) as never,
        authHandler: ((_methods: unknown, _partial: unknown, next: (m: unknown) => void) => {
          next(tries++ === 0 ? method : false);
        }) as never,
      });
    });
    this.#ssh.once('ready', () => {
      protoOf(this.#ssh).loggedIn();
    });
    takeConnectionMessages(protoOf(this.#ssh), (payload) => {
      this.#received.push(Buffer.from(payload));
      this.#ssh.emit('message');
      return true;
    });
    return Promise.race<Outcome>([
      this.#once('ready').then(() => 'accepted' as const),
      new Promise((resolve) => {
        this.#ssh.on('error', (e) => {
          const { level } = e as { level?: string };
          if (level === 'client-authentication') resolve('refused');
          else if (level !== 'agent') resolve('disconnected');
        });
        void this.#once('probed').then(() => {
          resolve('probed');
        });
      }),
      this.closed.then(() => 'disconnected' as const),
    ]);
  }

  /** Sends one raw message, whatever the state of the connection. */
  send(payload: Buffer): void {
    sendPayload(protoOf(this.#ssh), payload);
  }

  /** The next message that `wanted` accepts, among those that came and those to come. */
  async message(wanted: (payload: Buffer) => boolean): Promise<Buffer> {
    for (;;) {
      const found = this.#received.find(wanted);
      if (found !== undefined) return found;
      await this.#once('message');
    }
  }

  end(): void {
    this.#ssh.end();
  }
}

/** What an honest client shows for `blob`. */
export const shownWith = (
  algorithm: SigAlg,
  blob: Buffer,
  plainBlob: Buffer,
  sign: (data: Buffer) => Buffer,
): Shown => ({ algorithm: `${algorithm}-cert-v01@openssh.com`, blob, plainBlob, sign });
