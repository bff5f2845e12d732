import { X509Certificate } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import { fakeWorld, recordingSink } from '../../api/testing.ts';
import { hour, minute } from '../../base/time.ts';
import type { AuthorityState, CreatedAuthority } from '../../domain/authority-state.ts';
import type { RotationPhase } from '../../domain/rotation.ts';
import { testAuthority } from '../testing.ts';
import { dialByAuthority } from './dial-by-authority.ts';

const began = '2026-01-01T00:00:00.000Z';
const authorities = { old: testAuthority('example', began), new: testAuthority('example', began) };
type Key = keyof typeof authorities;
const shownBy = (key: Key): X509Certificate =>
  new X509Certificate(authorities[key].issue({ hostId: 'a', role: 'Auth' }).tlsCertificatePem);
const certificates = { old: shownBy('old'), new: shownBy('new') };
const rotationId = 'aaaa1111-0000-4000-8000-000000000000';
const keyOf = (keyId: Key): CreatedAuthority['keys'][number] => ({
  ...{ keyId, activeFrom: began },
  ...{ sshPublicKey: authorities[keyId].sshKey, tlsCertificatePem: authorities[keyId].pem },
});
const inPhase = (phase: RotationPhase): AuthorityState => ({
  ...{ status: 'created', type: 'host', clusterName: 'example', retired: [] },
  ...{ announcement: undefined, announcements: 0 },
  keys: phase === 'standby' ? [keyOf('new')] : [keyOf('old'), keyOf('new')],
  rotation:
    phase === 'standby'
      ? { phase, lastRotatedAt: began, lastRotationId: rotationId }
      : {
          ...{ phase, rotationId, mode: 'manual', startedAt: began, gracePeriodMs: 1, phaseSince: began },
          ...{ phaseBy: 'admin', oldKeyId: 'old', newKeyId: 'new', lastRotatedAt: null },
        },
});

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});
const settle = async (): Promise<void> => {
  for (let n = 0; n < 3; n++) await new Promise((resolve) => setImmediate(resolve));
};

/** A machine with two connections. Whoever is dialled shows what `servers` says. */
async function rig({ spreadMs = 0 } = {}) {
  const world = { ...fakeWorld(began), randomBytes: () => Buffer.from([128]) };
  const sink = recordingSink();
  let state = inPhase('update_clients');
  let servers: Key = 'old';
  let open: Key[] = ['old', 'old'];
  let dialled = 0;
  let onChange: () => void = () => undefined;
  let wake: () => void = () => undefined;
  const pauses: number[] = [];
  const dialling = dialByAuthority({
    client: {
      shownByServers: () => open.map((key) => certificates[key]),
      dialAgain: () => {
        dialled++;
        open = [servers, servers];
      },
    },
    authority: {
      state: () => state,
      subscribe: (told) => {
        onChange = told;
        return { unsubscribe: () => undefined };
      },
    },
    spreadMs: () => spreadMs,
    ...{ world, sink },
    pause: (ms, signal) =>
      new Promise((resolve) => {
        pauses.push(ms);
        wake = resolve;
        signal.addEventListener('abort', () => {
          resolve();
        });
      }),
  });
  closers.push(() => {
    dialling.close();
  });
  await settle();
  return {
    ...{ sink, pauses },
    dialled: () => dialled,
    open: (keys: Key[]) => (open = keys),
    show: (key: Key) => (servers = key),
    step: async (phase: RotationPhase) => {
      state = inPhase(phase);
      onChange();
      await settle();
    },
    pass: async (ms: number) => {
      world.advance(ms);
      wake();
      await settle();
    },
  };
}

describe('connections to auth servers in a rotation', () => {
  it('are made again when servers show the newer key, before the older one leaves, once', async () => {
    const { step, pass, show, dialled, sink } = await rig();
    expect(dialled()).toBe(0);
    show('new');
    await step('update_servers');
    expect(dialled()).toBe(1);
    for (let n = 0; n < 5; n++) await pass(minute);
    await step('standby');
    expect(dialled()).toBe(1);
    expect(sink.lines.filter((line) => line.includes('made again'))).toHaveLength(1);
  });

  it('each at a moment of its own in the time over which the cluster spreads it', async () => {
    const { step, pass, show, dialled, pauses } = await rig({ spreadMs: hour });
    show('new');
    await step('update_servers');
    expect(pauses.at(-1)).toBe(minute);
    for (let n = 0; n < 29; n++) await pass(minute);
    expect(dialled()).toBe(0);
    for (let n = 0; n < 3; n++) await pass(minute);
    expect(dialled()).toBe(1);
  });

  it('at once when the key that they rest on has left already', async () => {
    const { step, show, dialled } = await rig({ spreadMs: hour });
    show('new');
    await step('update_servers');
    await step('standby');
    expect(dialled()).toBe(1);
  });

  it('again, with pauses, while the server that answers is late', async () => {
    const { step, pass, show, dialled, pauses } = await rig();
    await step('update_servers');
    expect(dialled()).toBe(1);
    expect(pauses.at(-1)).toBeGreaterThanOrEqual(500);
    await pass(20_000);
    expect(dialled()).toBe(2);
    show('new');
    await pass(20_000);
    for (let n = 0; n < 3; n++) await pass(minute);
    expect(dialled()).toBe(3);
  });

  it('back, after a rollback; and where one that was made later rests on the wrong key', async () => {
    const { step, pass, open, show, dialled } = await rig();
    show('new');
    await step('update_servers');
    show('old');
    await step('rollback');
    expect(dialled()).toBe(2);
    open(['old', 'new']);
    await pass(minute);
    expect(dialled()).toBe(3);
  });

  it('are left alone where nobody is connected', async () => {
    const { step, open, dialled } = await rig();
    open([]);
    await step('update_servers');
    expect(dialled()).toBe(0);
  });
});
