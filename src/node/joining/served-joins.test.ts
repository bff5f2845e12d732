import { expect, it } from 'vitest';
import type { SessionRequest, SshConnection } from '../../ssh/cert-server.ts';
import type { Grant } from '../access-request.ts';
import { ServedConnection } from '../served-connection.ts';
import type { NodeContext } from '../session-context.ts';
import { noLists, testAudit, testChannel, testSubject } from '../testing.ts';
import { SharedSessions, SharedTerminal } from './shared-terminal.ts';

const sid = '00000000-0000-4000-8000-000000000001';
const size = { columns: 20, rows: 4 };

/** Ann asks, on a connection of her own, for a session of `owner`. Returns what both were told. */
async function joins(owner: string, mode: string) {
  const test = testAudit();
  const shared = new SharedSessions();
  shared.add(
    new SharedTerminal({
      about: { sid, user: owner, login: 'joe', roleNames: () => ['dev'] },
      ...{ size, nextIndex: () => 1, onGuest: () => undefined, end: () => undefined },
    }),
  );
  const closed = Promise.withResolvers<undefined>();
  const options = { clientIdleTimeoutSeconds: 0, disconnectExpiredCert: false, maxSessions: 0 };
  const grant = { ...{ roles: [], traits: {}, username: 'ann', login: 'joe' }, options } as unknown as Grant;
  const served = new ServedConnection({
    grant,
    decide: () => grant,
    lastWords: { onConnection: () => undefined, onSession: () => undefined },
    connection: {
      ...{ peer: testSubject.peer, certificate: { validBefore: 0n }, permits: { pty: true } },
      ...{ closed: closed.promise, wentSilent: false },
    } as unknown as SshConnection,
    context: {
      ...{ world: test.world, sink: test.sink, audit: test.audit },
      ...{ shared, labels: () => ({}), liveSessions: noLists, acceptsVariable: () => true },
      libc: { status: 'loaded' },
      stop: new AbortController().signal,
    } as unknown as NodeContext,
  });
  const made = testChannel();
  let answer: (request: SessionRequest) => void = () => undefined;
  served.handlers.session?.({
    accept: (onRequest) => {
      answer = onRequest;
      return made.channel;
    },
    reject: () => undefined,
  });
  for (const request of [
    { type: 'env', name: 'TELEPORT_SESSION', value: sid },
    { type: 'env', name: 'TELEPORT_JOIN_MODE', value: mode },
    {
      type: 'pty',
      term: 'xterm',
      size: { ...size, widthPixels: 0, heightPixels: 0 },
      modes: Buffer.alloc(0),
    },
    { type: 'shell' },
  ])
    answer({ ...request, accept: () => undefined, reject: () => undefined } as unknown as SessionRequest);
  await new Promise((resolve) => setImmediate(resolve));
  made.leave();
  closed.resolve(undefined);
  await served.ended;
  return { told: made.seen.stderr, events: test.events };
}

it.each(['observer', 'peer'])('one may join own sessions as %s', async (mode) => {
  const { told, events } = await joins('ann', mode);
  expect(told).toBe('');
  expect(events).toMatchObject([{ event: 'session.join', code: 'T2001I' }, { event: 'session.leave' }]);
});

it.each(['observer', 'moderator'])('roles that name no sessions join none as %s', async (mode) => {
  const { told, events } = await joins('bob', mode);
  expect(told).toMatch(/is not found on this node, or you may not join it in this mode/);
  expect(events).toMatchObject([{ event: 'session.join', code: 'T2001W' }]);
});
