import { Duplex, PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { recordingMetrics, recordingSink } from '../../api/testing.ts';
import { CodedError } from '../../base/errors.ts';
import { generateEd25519 } from '../../pki/key-pair.ts';
import { fromAuthorizedKeyLine, publicKeyOf } from '../../pki/ssh-key.ts';
import { parseCertificate } from '../../pki/ssh-certificate.ts';
import { issueUserSshCertificate } from '../../pki/user-certificate.ts';
import type { SessionRequest, SshConnection } from '../../ssh/cert-server.ts';
import type { ServerSessionChannel } from '../../ssh/channel-types.ts';
import type { OpenTarget } from './open-target.ts';
import { SshRelay } from './ssh-relay.ts';

const address = { host: '192.0.2.1', port: 4711 };
const peer = {
  remoteAddress: address,
  socketAddress: address,
  localAddress: address,
  claimedAddress: undefined,
};
const certificate = parseCertificate(
  fromAuthorizedKeyLine(
    issueUserSshCertificate({
      publicKey: publicKeyOf(generateEd25519()),
      ca: generateEd25519(),
      username: 'alice',
      principals: ['root'],
      roles: ['admin'],
      traits: {},
      now: '2026-01-01T00:00:00.000Z',
      ttlSeconds: 60,
      format: 'standard',
      permit: { pty: true, portForwarding: true, agentForwarding: true },
      routeToCluster: '',
    }),
  ),
);
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A session channel whose client answers when the test says so. `trace` is what it was told, in order. */
class FakeChannel extends PassThrough implements ServerSessionChannel {
  readonly trace: string[] = [];
  readonly stderr = new PassThrough();
  readonly gone: Promise<void>;
  leave: () => void = () => undefined;
  answer: (ok: boolean) => void = () => undefined;
  constructor() {
    super();
    this.gone = new Promise((resolve) => (this.leave = resolve));
    this.stderr.on('data', (chunk: Buffer) => this.trace.push(`says ${chunk.toString()}`));
  }
  request(name: string): Promise<boolean> {
    this.trace.push(`asks ${name}`);
    return new Promise((resolve) => (this.answer = resolve));
  }
  tellExit(): void {
    this.trace.push('tells the exit');
  }
  dropOutput(): void {
    this.trace.push('drops the output');
  }
  finish(): Promise<void> {
    this.trace.push('ends');
    return Promise.resolve();
  }
}

type Asked =
  | { type: 'exec'; command: string }
  | { type: 'subsystem'; name: string }
  | { type: 'unknown'; name: string }
  | { type: 'end-of-write' };

interface Bench {
  readonly relay: SshRelay;
  /** What the audit was told of targets that do not answer. */
  readonly told: readonly string[];
  readonly channel: FakeChannel;
  readonly ask: (request: Asked) => void;
  /** The connection is gone. */
  readonly hangUp: () => void;
}
function bench(openTarget: OpenTarget): Bench {
  const told: string[] = [];
  const relay = new SshRelay({
    knownNodes: () => Promise.resolve({ hosts: [], ageMs: 1_500 }),
    openTarget,
    clusterName: 'example',
    metrics: recordingMetrics(),
    sink: recordingSink(),
    sites: () => [{ name: 'example', lastconnected: '2026-01-01T00:00:00.000Z', status: 'online' }],
    audit: {
      unreachable: (who, target, error) => {
        told.push(`${who.username} ${target} ${error}`);
      },
    },
  });
  const closed = Promise.withResolvers<undefined>();
  const connection = {
    certificate,
    username: 'root',
    peer,
    closed: closed.promise,
  } as unknown as SshConnection;
  const channel = new FakeChannel();
  let onRequest: (request: SessionRequest) => void = () => undefined;
  relay.handlersFor(connection).session?.({
    accept: (handler) => {
      onRequest = handler;
      return channel;
    },
    reject: () => undefined,
  });
  return {
    relay,
    told,
    channel,
    ask: (request) => {
      const accept = (): void => void channel.trace.push('accepted');
      const reject = (message?: string): void =>
        void channel.trace.push(`rejected${message === undefined ? '' : ` with text`}`);
      onRequest({ ...request, accept, reject });
    },
    hangUp: () => {
      closed.resolve(undefined);
    },
  };
}
const unknownNode: OpenTarget = () => Promise.reject(new CodedError('not_found', 'no such node'));

describe('refusing what a client asks of the proxy', () => {
  it('says why, waits until the client has taken it, refuses, ends', async () => {
    const { channel, ask } = bench(unknownNode);
    ask({ type: 'subsystem', name: 'proxy:elsewhere:0' });
    await turn();
    expect(channel.trace).toEqual(['says no such node\n', 'asks keepalive@openssh.com']);
    channel.answer(false);
    await turn();
    expect(channel.trace.slice(2)).toEqual(['rejected', 'ends']);
  });
  it('tells the audit, and not the client, why a target does not answer', async () => {
    const why = new CodedError('unavailable', 'nothing listens there');
    const open = (): Promise<never> =>
      Promise.reject(new CodedError('unavailable', 'cannot reach it', { cause: why }));
    const { channel, ask, told } = bench(open);
    ask({ type: 'subsystem', name: 'proxy:elsewhere:0' });
    await turn();
    expect(channel.trace).toEqual(['says cannot reach it\n', 'asks keepalive@openssh.com']);
    expect(told).toEqual(['root elsewhere:0 cannot reach it: nothing listens there']);
  });
  it('says it once, whatever is asked after that', async () => {
    const { channel, ask } = bench(unknownNode);
    ask({ type: 'exec', command: 'id' });
    ask({ type: 'exec', command: 'id' });
    ask({ type: 'subsystem', name: 'proxy:elsewhere:0' });
    await turn();
    channel.answer(true);
    await turn();
    expect(channel.trace.filter((what) => what.startsWith('says'))).toHaveLength(1);
    expect(channel.trace.filter((what) => what === 'rejected')).toHaveLength(3);
  });
  it('lets go on what runs when something it does not know is asked', async () => {
    const stream = new PassThrough();
    const { channel, ask } = bench(() => Promise.resolve(stream));
    ask({ type: 'subsystem', name: 'proxy:node1:0' });
    await turn();
    ask({ type: 'unknown', name: 'x@example.com' });
    await turn();
    expect(channel.trace).toEqual(['accepted', 'rejected']);
    expect(stream.destroyed).toBe(false);
  });
  it('drops what comes for a client that reads no more, who may still send', async () => {
    const stream = new PassThrough();
    const { channel, ask } = bench(() => Promise.resolve(stream));
    ask({ type: 'subsystem', name: 'proxy:node1:0' });
    await turn();
    ask({ type: 'end-of-write' });
    await turn();
    expect(channel.trace).toEqual(['accepted', 'drops the output', 'accepted']);
    expect(stream.destroyed).toBe(false);
  });
  it('tells nothing of a bug', async () => {
    const { channel, ask } = bench(() => Promise.reject(new TypeError('x is undefined')));
    ask({ type: 'subsystem', name: 'proxy:node1:0' });
    await turn();
    expect(channel.trace).toContain('says internal error\n');
  });
});

describe('a client that leaves while its target is being opened', () => {
  const opening = (): { open: OpenTarget; signals: AbortSignal[]; arrive: (stream: Duplex) => void } => {
    const arrived = Promise.withResolvers<Duplex>();
    const signals: AbortSignal[] = [];
    return {
      signals,
      arrive: arrived.resolve,
      open: (_target, _client, signal) => {
        signals.push(signal);
        return arrived.promise;
      },
    };
  };
  it.each(['channel', 'connection'] as const)('is noticed when its %s closes', async (what) => {
    const { open, signals } = opening();
    const { channel, ask, hangUp } = bench(open);
    ask({ type: 'subsystem', name: 'proxy:node1:0' });
    await turn();
    expect(signals[0]?.aborted).toBe(false);
    if (what === 'channel') channel.leave();
    else hangUp();
    await turn();
    expect(signals[0]?.aborted).toBe(true);
  });
  it('leaves no stream that came too late', async () => {
    const { open, arrive } = opening();
    const { channel, ask } = bench(open);
    ask({ type: 'subsystem', name: 'proxy:node1:0' });
    await turn();
    channel.leave();
    channel.destroy();
    const stream = new PassThrough();
    arrive(stream);
    await turn();
    expect(stream.destroyed).toBe(true);
  });
});

describe('stopping the relay', () => {
  it('closes streams that would not close by themselves', async () => {
    const stuck = new Duplex({ read: () => undefined, write: () => undefined });
    const { relay, channel, ask } = bench(() => Promise.resolve(stuck));
    ask({ type: 'subsystem', name: 'proxy:node1:0' });
    await turn();
    channel.end('never taken');
    await relay.close();
    expect(stuck.destroyed).toBe(true);
  });
  it('waits for what is being opened, and closes it', async () => {
    const stream = new PassThrough();
    const { relay, ask } = bench(
      (_target, _client, signal) =>
        new Promise((resolve) => {
          signal.addEventListener('abort', () => {
            resolve(stream);
          });
        }),
    );
    ask({ type: 'subsystem', name: 'proxy:node1:0' });
    await turn();
    await relay.close();
    expect(stream.destroyed).toBe(true);
  });
});

describe('listing the clusters', () => {
  it('says this one and ends, without a status', async () => {
    const { channel, ask } = bench(unknownNode);
    ask({ type: 'subsystem', name: 'proxysites' });
    expect(JSON.parse(await text(channel))).toEqual([
      { name: 'example', lastconnected: '2026-01-01T00:00:00.000Z', status: 'online' },
    ]);
    expect(channel.trace).toEqual(['accepted', 'ends']);
  });
});

describe('listing the nodes that this proxy knows', () => {
  it('says them and how old that is, and ends', async () => {
    const { channel, ask } = bench(unknownNode);
    ask({ type: 'subsystem', name: 'proxynodes' });
    expect(JSON.parse(await text(channel))).toEqual({ hosts: [], ageMs: 1_500 });
    expect(channel.trace).toEqual(['accepted', 'ends']);
  });
});
