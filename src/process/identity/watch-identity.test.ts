import { NEVER } from 'rxjs';
import { describe, expect, it } from 'vitest';
import type { AuthClient } from '../../api/client.ts';
import type { Verdict } from '../../api/join-client.ts';
import { fakeWorld, recordingSink } from '../../api/testing.ts';
import { testAuthority } from '../testing.ts';
import type { Refusal } from './join-again.ts';
import { explainAbsence } from './watch-identity.ts';

const now = '2026-01-01T00:00:00.000Z';
const identity = testAuthority('example', now).issue({
  hostId: '11111111-2222-4333-8444-555555555555',
  role: 'Node',
});
const server = { host: '10.0.0.1', port: 3025 };
const refused: Verdict = { status: 'refused', by: 'own-cluster', server, reason: 'key left' };
const admitted: Verdict = { status: 'admitted' };
const away: Verdict = { status: 'away', server, reason: 'ECONNREFUSED' };

/** A client whose link, clock and auth server the test moves. */
function rig() {
  let link: ReturnType<AuthClient['state']['connection']> = { status: 'connected' };
  let verdict: Verdict = away;
  let tries = 0;
  let wake: () => void = () => undefined;
  let closes = 0;
  let left: string | undefined = 'set auth_token';
  const asked: (Refusal | 'admitted')[] = [];
  const partition: AuthClient['state'] = {
    follow: () => NEVER,
    snapshot: () => Promise.resolve(undefined),
    connection: () => link,
    ageMs: () => 0,
    headSeen: () => 7,
  };
  const sink = recordingSink();
  const client = explainAbsence(
    {
      call: () => Promise.reject(new Error('not asked')),
      state: partition,
      presence: partition,
      servers: () => [],
      close: () => closes++,
    },
    {
      identity: () => identity,
      authServers: [server],
      tryIdentity: () => {
        tries++;
        return Promise.resolve(verdict);
      },
      world: fakeWorld(now),
      sink,
      joining: {
        admitted: () => void asked.push('admitted'),
        refused: (refusal) => {
          asked.push(refusal);
          return Promise.resolve(left);
        },
      },
      pause: (_ms, signal) =>
        new Promise((resolve) => {
          wake = resolve;
          signal.addEventListener('abort', () => {
            resolve();
          });
        }),
    },
  );
  return {
    client,
    sink,
    tries: () => tries,
    closes: () => closes,
    asked,
    leave: (text: string | undefined) => (left = text),
    /** The next look at the link. */
    look: async (to: typeof link, answer: Verdict) => {
      link = to;
      verdict = answer;
      wake();
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}
const gone = { status: 'away', since: 0, reason: 'no auth server answers' } as const;

describe('explaining why auth is away', () => {
  it('asks nobody while it is there', async () => {
    const { client, look, tries } = rig();
    await look({ status: 'connected' }, refused);
    expect(client.state.connection()).toEqual({ status: 'connected' });
    expect(client.state.headSeen()).toBe(7);
    expect(tries()).toBe(0);
  });

  it('tells a refusal from an absence, once in the log, and forgets it when auth is back', async () => {
    const { client, look, sink } = rig();
    await look(gone, away);
    expect(client.state.connection()).toEqual(gone);
    for (let n = 0; n < 3; n++) await look(gone, refused);
    const link = client.state.connection();
    expect(link.status === 'away' && link.reason).toBe(
      'the identity of this machine in the cluster "example" is refused (10.0.0.1:3025: key left); set auth_token',
    );
    expect(sink.lines.filter((line) => line.startsWith('error'))).toHaveLength(1);
    await look({ status: 'connected' }, refused);
    expect(client.state.connection()).toEqual({ status: 'connected' });
    await look(gone, away);
    expect(client.state.connection()).toEqual(gone);
  });

  it('has it join again when two looks in a row were refused, and says nothing when that helped', async () => {
    const { client, look, asked, leave, sink } = rig();
    leave(undefined);
    await look(gone, refused);
    await look(gone, away);
    await look(gone, refused);
    expect(asked).toEqual([]);
    await look(gone, refused);
    expect(asked).toEqual([{ by: 'own-cluster', servers: [server], why: '10.0.0.1:3025: key left' }]);
    expect(client.state.connection()).toEqual(gone);
    expect(sink.lines).toEqual([]);
    await look(gone, admitted);
    await look(gone, refused);
    expect(asked.slice(1)).toEqual(['admitted']);
  });

  it('stops asking when it is closed', async () => {
    const { client, look, tries, closes } = rig();
    client.close();
    await look(gone, refused);
    expect(tries()).toBe(0);
    expect(closes()).toBe(1);
  });
});
