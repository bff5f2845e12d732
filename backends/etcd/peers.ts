import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Stream } from 'node:stream';
import { Etcd3, type IOptions } from 'etcd3';
import { CodedError, messageOf } from '../../src/base/errors.ts';
import { asCoded, faultOf } from './answers.ts';
import { callTimeoutMs, defaultMessageBytes, type EtcdOptions } from './options.ts';

/** Runs what it is given at once, and nothing again: etcd3's own retries report false conflicts. */
const once: never = {
  execute: (act: () => unknown) =>
    new Promise((resolve) => {
      const made = act();
      // A stream may fail before whoever asked for it has it: it finds it destroyed then.
      if (made instanceof Stream) made.on('error', () => undefined);
      resolve(made);
    }),
  onSuccess: () => ({ dispose: () => undefined }),
  onFailure: () => ({ dispose: () => undefined }),
} as never;

export interface PeerCounters {
  calls: number;
  failovers: number;
}

/** The peers of the cluster: each call goes to the one that answered last, to the others when it is away. */
export class Peers {
  readonly counters: PeerCounters = { calls: 0, failovers: 0 };
  readonly #place: string;
  readonly #clients: readonly { readonly name: string; readonly client: Etcd3 }[];
  #preferred = 0;

  constructor(options: EtcdOptions) {
    this.#place = options.peers.join(', ');
    const shared = connectionOptions(options);
    this.#clients = options.peers.map((peer) => {
      const client = new Etcd3({ ...shared, hosts: peer });
      if (options.insecure && peer.startsWith('https:')) trustAnyCertificate(client, shared);
      return { name: peer, client };
    });
  }

  /**
   * Asks peers until one answers. A write that may have been carried out is not sent to a second one.
   * @throws CodedError: see `asCoded`.
   */
  async call<T>(
    act: (client: Etcd3, options: { readonly deadline: number }) => Promise<T>,
    { writing = false, timeoutMs = callTimeoutMs }: { writing?: boolean; timeoutMs?: number } = {},
  ): Promise<T> {
    this.counters.calls++;
    const failures: string[] = [];
    let last: unknown;
    for (const [index, { name, client }] of this.#inOrder()) {
      try {
        const answer = await act(client, { deadline: Date.now() + timeoutMs });
        this.#preferred = index;
        return answer;
      } catch (e) {
        last = e;
        const fault = faultOf(e);
        if (fault === 'refused') throw asCoded(e, { writing, place: name });
        this.counters.failovers++;
        failures.push(`${name}: ${messageOf(e)}`);
        if (writing && fault === 'unknown') {
          // The next call begins with another peer: this one may be cut off.
          this.#preferred = (index + 1) % this.#clients.length;
          throw asCoded(e, { writing, place: name });
        }
      }
    }
    if (failures.length < 2) throw asCoded(last, { writing: false, place: this.#place });
    throw new CodedError('unavailable', `no peer of etcd answers: ${failures.join('; ')}`, { cause: last });
  }

  /** Each with its index, the one that answered last first. */
  #inOrder(): [number, { readonly name: string; readonly client: Etcd3 }][] {
    const all = [...this.#clients.entries()];
    return [...all.slice(this.#preferred), ...all.slice(0, this.#preferred)];
  }

  /** The client that answered last, for a stream. */
  preferred(): Etcd3 {
    const one = this.#clients[this.#preferred];
    if (one === undefined) throw new CodedError('misconfigured', 'etcd: no peers');
    return one.client;
  }

  close(): void {
    for (const { client } of this.#clients) client.close();
  }
}

/** @throws CodedError `misconfigured` naming a file that cannot be read. */
function connectionOptions(options: EtcdOptions): Omit<IOptions, 'hosts'> {
  const { tlsCaFile, tlsKeyFile, tlsCertFile, username, passwordFile, maxClientMessageBytes } = options;
  const ca = tlsCaFile === undefined ? undefined : read(tlsCaFile, 'tls_ca_file');
  const key = tlsKeyFile === undefined ? undefined : read(tlsKeyFile, 'tls_key_file');
  const cert = tlsCertFile === undefined ? undefined : read(tlsCertFile, 'tls_cert_file');
  return {
    // Without a CA file: the authorities of the system.
    ...((ca ?? key) && {
      credentials: {
        rootCertificate: ca,
        ...(key && cert && { privateKey: key, certChain: cert }),
      } as NonNullable<IOptions['credentials']>,
    }),
    ...(username !== undefined &&
      passwordFile !== undefined && {
        auth: { username, password: read(passwordFile, 'password_file').toString('utf8').trim() },
      }),
    grpcOptions: {
      'grpc.max_receive_message_length': maxClientMessageBytes ?? defaultMessageBytes,
      'grpc.keepalive_time_ms': 10_000,
      'grpc.keepalive_timeout_ms': 5_000,
      // A peer that comes back is used soon.
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': 2_000,
    },
    faultHandling: { host: () => once, global: once },
  };
}

function read(path: string, key: string): Buffer {
  try {
    return readFileSync(path);
  } catch (e) {
    throw new CodedError('misconfigured', `etcd: ${key}: cannot read ${path}: ${messageOf(e)}`, { cause: e });
  }
}

/** The part of grpc-js that etcd3 gives no way to: a TLS connection to a server whose certificate nobody looks at. */
interface Grpc {
  readonly credentials: {
    createSsl(
      root: Buffer | null,
      key: Buffer | null,
      cert: Buffer | null,
      verify: { readonly rejectUnauthorized: boolean; readonly checkServerIdentity: () => undefined },
    ): unknown;
  };
}

function trustAnyCertificate(client: Etcd3, { credentials }: Omit<IOptions, 'hosts'>): void {
  const require = createRequire(createRequire(import.meta.url).resolve('etcd3'));
  const grpc = require('@grpc/grpc-js') as Grpc;
  const open = grpc.credentials.createSsl(
    null,
    credentials?.privateKey ?? null,
    credentials?.certChain ?? null,
    {
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
    },
  );
  const { pool } = client as unknown as {
    readonly pool: {
      readonly hosts: { channelCredentials: unknown }[];
      readonly authenticator: { credentials: unknown };
    };
  };
  for (const host of pool.hosts) host.channelCredentials = open;
  pool.authenticator.credentials = open;
}
