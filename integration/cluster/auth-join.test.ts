import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { joinCluster, type Joining } from '../../src/api/join-client.ts';
import { searchAudit } from '../../src/api/operations/audit.ts';
import { readClusterStatus } from '../../src/api/operations/cluster.ts';
import { heartbeat, listHosts } from '../../src/api/operations/host.ts';
import { createToken, deleteToken, listTokens } from '../../src/api/operations/token.ts';
import type { HostPort } from '../../src/base/service.ts';
import { realWorld } from '../../src/base/world.ts';
import type { HostIdentity } from '../../src/pki/host-identity.ts';
import { generateEd25519 } from '../../src/pki/key-pair.ts';
import { type AuthBench, badLinkTo, clientOf, identityOf, startAuth } from '../harness/auth-bench.ts';
import { until } from '../harness/run-program.ts';

const staticToken = 'static-token-of-the-file';
let auth: AuthBench;
let second: AuthBench;
const closers: (() => unknown)[] = [];
beforeEach(async () => {
  const staticTokens = [{ roles: ['Node'] as const, token: staticToken }];
  auth = await startAuth({ staticTokens });
  second = await startAuth({ log: auth.log, staticTokens });
});
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  await auth.stop();
  await second.stop();
  await auth.log.close();
});

const later = <T extends { close(): unknown }>(one: T): T => {
  closers.push(() => one.close());
  return one;
};
const admin = async (at = auth) => later(clientOf([at.address()], await identityOf(at, 'Admin')));
const pinsAt = async (at = auth): Promise<readonly string[]> =>
  (await (await admin(at)).call(readClusterStatus, {})).caPins;
const machine = (token: string, extra: Partial<Joining> = {}): Joining => ({
  hostId: randomUUID(),
  nodename: 'n1',
  role: 'Node',
  additionalPrincipals: ['n1', '127.0.0.1'],
  key: generateEd25519(),
  token: () => token,
  ...extra,
});
const join = async (
  joining: Joining,
  servers: readonly HostPort[] = [auth.address()],
): Promise<HostIdentity> => joinCluster({ servers, pins: await pinsAt() }, joining, realWorld);
const newToken = async (extra: object = {}): Promise<string> => {
  const made = await (await admin()).call(createToken, { roles: ['Node'], ttlSeconds: 1800, ...extra });
  return made.token;
};
const refusals = async (): Promise<string[]> => {
  const { events } = await (
    await admin()
  ).call(searchAudit, {
    from: '2000-01-01T00:00:00.000Z',
    to: '2100-01-01T00:00:00.000Z',
    types: ['join_token.use'],
  });
  return events.filter(({ code }) => code === 'TJT02W').map((event) => String(event['error']));
};

describe('a machine with a token and a pin', () => {
  it('gets an identity by which it speaks for itself, and for nobody else', async () => {
    const identity = await join(machine(await newToken()));
    const node = later(clientOf([auth.address()], identity));
    const { hostId } = identity;
    const host = {
      hostId,
      role: 'Node' as const,
      nodename: 'n1',
      address: '127.0.0.1:3022',
      publicAddress: '',
      sshPublicAddress: '',
      labels: {},
      version: '4.5.0',
    };
    await node.call(heartbeat, { host, ttlSeconds: 600 });
    const { hosts } = await (await admin()).call(listHosts, { role: 'Node' });
    expect(hosts.map((one) => one.hostId)).toEqual([hostId]);
    const others = [
      { ...host, hostId: randomUUID() },
      { ...host, role: 'Proxy' as const },
    ];
    for (const other of others)
      await expect(node.call(heartbeat, { host: other, ttlSeconds: 600 })).rejects.toMatchObject({
        code: 'access_denied',
      });
    await expect(node.call(listTokens, {})).rejects.toMatchObject({ code: 'access_denied' });
    // Alive: another key for its id is refused.
    await expect(join(machine(staticToken, { hostId }))).rejects.toMatchObject({
      code: 'access_denied',
      message: expect.stringContaining('its host id belongs to "n1" at 127.0.0.1:3022') as string,
    });
  });

  it('is admitted by an auth server that did not make the token, at once', async () => {
    const identity = await join(machine(await newToken({ uses: 1 })), [second.address()]);
    expect(identity.role).toBe('Node');
  });

  it('joins with a token for one use, of which one of many wins, at whichever auth server', async () => {
    for (let round = 0; round < 5; round++) {
      const token = await newToken({ uses: 1 });
      const all = await Promise.allSettled(
        Array.from({ length: 6 }, (_, n) => join(machine(token), [(n % 2 === 0 ? auth : second).address()])),
      );
      const reasons = all.flatMap((one) => (one.status === 'rejected' ? [one.reason as Error] : []));
      expect(reasons).toHaveLength(5);
      for (const reason of reasons)
        expect(reason.message).toContain('the token is used up: it was made for 1 use');
      auth.advance(1_000);
      second.advance(1_000);
    }
  });

  it('whose answer was lost asks again and has used its token once', async () => {
    const link = later(await badLinkTo(auth.address()));
    const joining = machine(await newToken({ uses: 1 }));
    const used = async () =>
      (await (await admin()).call(listTokens, {})).tokens.filter(({ joined }) => joined > 0);
    // The use is on the log, and the answer has not left: the certificate is still to be told to the audit.
    const watching = auth.log.state.follow(await auth.log.state.head()).subscribe(({ fact }) => {
      if (fact?.type === 'token.used') link.swallowAnswers();
    });
    const first = join(joining, [link.address]);
    const lost = expect(first).rejects.toMatchObject({ code: 'unavailable' });
    await until('the use of the token', async () => ((await used()).length === 1 ? true : undefined));
    link.cut();
    await lost;
    watching.unsubscribe();
    await join(joining, [link.address]);
    expect(await used()).toMatchObject([{ joined: 1, usesLeft: 0 }]);
  });
});

describe('a machine that is refused', () => {
  it('is told why, as the audit is', async () => {
    const deleted = await newToken();
    await (await admin()).call(deleteToken, { token: deleted });
    const expired = await newToken({ ttlSeconds: 60 });
    const tries: [string, Partial<Joining>, RegExp][] = [
      ['never-a-token', {}, /can not join the cluster with role Node, the token is not valid/],
      [deleted, {}, /the token was deleted/],
      [staticToken, { role: 'Proxy' }, /the token does not allow "Proxy" role/],
      [staticToken, { additionalPrincipals: ['teleport.cluster.local'] }, /a machine cannot be called/],
    ];
    for (const [token, extra, reason] of tries) {
      await expect(join(machine(token, extra))).rejects.toThrow(reason);
      auth.advance(1_000);
    }
    auth.advance(60_000);
    await expect(join(machine(expired))).rejects.toThrow(/the token expired at /);
    auth.advance(1_000);
    await expect(join(machine(staticToken))).rejects.toThrow(
      /the clocks differ: its clock is 6\d s behind, it says .*, the auth server says /,
    );
    const told = await refusals();
    const reasons = [...tries.map(([, , reason]) => reason), /the token expired at /, /the clocks differ/];
    for (const reason of reasons) expect(told.filter((one) => reason.test(one))).toHaveLength(1);
    const said = JSON.stringify([auth.sink.lines, second.sink.lines, told]);
    for (const secret of [staticToken, deleted, expired, 'never-a-token']) expect(said).not.toContain(secret);
  });
});
