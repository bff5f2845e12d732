import { Duplex } from 'node:stream';
import { fakeWorld, type FakeWorld, recordingSink } from '../api/testing.ts';
import type { AuditEvent } from '../domain/audit-event.ts';
import type { ExitStatus, ServerSessionChannel } from '../ssh/channel-types.ts';
import type { LiveSessionList } from './live-sessions.ts';
import { type AuditSubject, NodeAudit } from './node-audit.ts';

const address = { host: '127.0.0.1', port: 1 };

/** The logged-in person in tests of what people do. */
export const testSubject: AuditSubject = {
  username: 'ann',
  login: 'joe',
  peer: { remoteAddress: address, localAddress: address, socketAddress: address, claimedAddress: undefined },
  requestId: 'r',
  mayEnterOnFullDisk: () => true,
  recordSession: () => 'usual',
};

/** The audit of a node, whose outbox keeps everything in `events`, or does what `emit` does first. */
export interface TestAudit {
  readonly audit: NodeAudit;
  readonly events: AuditEvent[];
  readonly claims: unknown[];
  readonly world: FakeWorld;
  readonly sink: ReturnType<typeof recordingSink>;
}

export function testAudit(emit: (event: AuditEvent) => Promise<void> = () => Promise.resolve()): TestAudit {
  const world = fakeWorld();
  const sink = recordingSink();
  const events: AuditEvent[] = [];
  const claims: unknown[] = [];
  const outbox = {
    emit: async (event: AuditEvent, claim: unknown) => {
      await emit(event);
      events.push(event);
      claims.push(claim);
    },
  };
  const audit = new NodeAudit({
    ...{ outbox, world, sink },
    ...{ hostId: 'h', nodename: 'n', address: () => '127.0.0.1:1' },
  });
  return { audit, events, claims, world, sink };
}

/** Lists that nobody reads. */
export const noLists: Pick<LiveSessionList, 'begin' | 'changed' | 'isElsewhere'> = {
  begin: () => () => undefined,
  changed: () => undefined,
  isElsewhere: () => false,
};

/** The server's end of a session channel; what was written to it is kept as text. */
export interface TestChannel {
  readonly channel: ServerSessionChannel;
  readonly seen: { stdout: string; stderr: string; exit: ExitStatus | undefined; outputDropped: boolean };
  /** The client closes it. */
  leave(): void;
}

export function testChannel(): TestChannel {
  const seen: TestChannel['seen'] = { stdout: '', stderr: '', exit: undefined, outputDropped: false };
  const keep = (stream: 'stdout' | 'stderr'): Duplex =>
    new Duplex({
      read: () => undefined,
      write: (chunk: Buffer, _encoding, done) => {
        seen[stream] += chunk.toString();
        done();
      },
    });
  const gone = Promise.withResolvers<undefined>();
  const channel = Object.assign(keep('stdout'), {
    stderr: keep('stderr'),
    gone: gone.promise,
    request: () => Promise.resolve(true),
    tellExit: (exit: ExitStatus) => {
      seen.exit ??= exit;
    },
    dropOutput: () => {
      seen.outputDropped = true;
    },
    finish: (exit: ExitStatus) => {
      seen.exit ??= exit;
      return Promise.resolve();
    },
  }) as unknown as ServerSessionChannel;
  return {
    channel,
    seen,
    leave: () => {
      gone.resolve(undefined);
    },
  };
}
