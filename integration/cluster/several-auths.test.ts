import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { seldom, times } from '../../backends/conformance/trial.ts';
import { openDirectoryReader } from '../../backends/dir/open.ts';
import type { AuthClient } from '../../src/api/client.ts';
import { acceptInvite } from '../../src/api/operations/invite.ts';
import { createUser, deleteUser, listUsers, logIn } from '../../src/api/operations/user.ts';
import { silentLog } from '../../src/base/log-sink.ts';
import { realWorld } from '../../src/base/world.ts';
import type { HostPort } from '../../src/base/service.ts';
import type { Recorded } from '../../src/log/event.ts';
import { noKeyring } from '../../src/log/keyring.ts';
import { openLog } from '../../src/log/open-log.ts';
import { toAuthorizedKeyLine } from '../../src/pki/ssh-key.ts';
import { clientOf, type Material, newKey } from '../harness/auth-bench.ts';
import { type AuthPair, authPair, keyIdsIn } from '../harness/auth-pair.ts';
import { until } from '../harness/run-program.ts';
import { type EveryStore, startEveryStore, storeKinds } from '../harness/every-store.ts';
import { faketime, SkewedWriter } from './skewed-writer.ts';

const program = (name: string): string => fileURLToPath(new URL(`./${name}.ts`, import.meta.url));

let pair: AuthPair;
afterEach(() => pair.close());

const startBoth = async (): Promise<void> => {
  pair.a.spawn();
  pair.b.spawn();
  await Promise.all([pair.a.ready(), pair.b.ready()]);
};
const pinIn = (status: string): string | undefined => /sha256:[0-9a-f]{64}/.exec(status)?.[0];

let stores: EveryStore;
beforeAll(async () => {
  stores = await startEveryStore();
});
afterAll(() => stores.close());

describe.each(storeKinds)('two auth servers on one %s', (kind) => {
  beforeEach(async () => {
    pair = await authPair(stores.emptyLog(kind));
  });

  it(`that start at once make one set of authorities, ${seldom(1, 2)} times`, async () => {
    for (let n = 0; n < seldom(1, 2); n++) {
      await startBoth();
      const pins = await Promise.all([pair.a, pair.b].map(async (one) => pinIn(await one.must('status'))));
      expect(pins[0]).toBeDefined();
      expect(pins[0]).toBe(pins[1]);
      const events = (await pair.a.must('log', 'tail', '--format=json')).trim().split('\n');
      for (const type of ['authority.created', 'cluster.created'])
        expect(events.filter((line) => line.includes(`"${type}"`))).toHaveLength(
          type === 'authority.created' ? 2 : 1,
        );
      await pair.close();
      pair = await authPair(stores.emptyLog(kind));
    }
  });

  it('serve the same users, hosts and audit, and tctl goes to whichever lives', async () => {
    await startBoth();
    await pair.a.must('users', 'add', 'joe');
    expect(await pair.b.must('users', 'ls')).toContain('joe');
    await pair.b.must('users', 'add', 'amy');
    const window = ['--from=1h', `--to=${new Date(Date.now() + 60_000).toISOString()}`, '--format=json'];
    const [ofA, ofB] = await Promise.all(
      [pair.a, pair.b].map((one) => one.must('events', 'ls', '--type=user.create', ...window)),
    );
    expect(ofA?.trim().split('\n')).toHaveLength(2);
    expect(ofB).toBe(ofA);
    pair.a.configure({ teleport: `  auth_servers: ["${pair.a.address}", "${pair.b.address}"]` });
    await pair.a.stop('SIGKILL');
    expect(await pair.a.must('users', 'ls')).toContain('amy');
  });

  it('whose files differ say so by name, and the older value stands until both files say the new one', async () => {
    const key = 'auth_service.authentication.second_factor';
    await pair.a.start();
    pair.b.configure({ secondFactor: 'otp' });
    await pair.b.start();
    for (const one of [pair.a, pair.b]) {
      await until(`${one.name} to tell`, () => one.output().includes(`${key}: "off" stands`) || undefined);
      expect(await one.must('status')).toContain(`${key}: "off" stands; auth-b says "otp"`);
    }
    await pair.a.stop();
    pair.a.configure({ secondFactor: 'otp' });
    await pair.a.start();
    for (const one of [pair.a, pair.b]) expect(await one.must('status')).not.toContain('Differs');
    await until('auth-b to tell', () => pair.b.output().includes(`agree on ${key} again`) || undefined);
  });
});

describe('an auth server that does not belong to the store', () => {
  beforeEach(async () => {
    pair = await authPair();
    await pair.a.start();
  });

  it('is refused by the name of its cluster', async () => {
    pair.b.configure({ clusterName: 'other' });
    pair.b.spawn();
    await until('auth-b to end', () => pair.b.exited());
    expect(pair.b.output()).toContain('the store belongs to cluster "example", but cluster_name is "other"');
  });

  it('is refused without the keys of its secrets, which are named, and makes none', async () => {
    const [id = ''] = keyIdsIn(join(pair.dir, 'keyring'));
    pair.b.configure({ storage: '' });
    pair.b.spawn();
    await until('auth-b to end', () => pair.b.exited());
    expect(pair.b.output()).toContain(id);
    expect(pair.b.output()).toContain('storage.key_file');
    expect(existsSync(join(pair.b.dataDir, 'keyring'))).toBe(false);
  });
});

interface QuietAuth {
  readonly child: ChildProcessWithoutNullStreams;
  readonly address: HostPort;
  readonly admin: Material;
  readonly proxy: Material;
}
async function quietAuth(name: string): Promise<QuietAuth> {
  const child = spawn(process.execPath, [
    program('quiet-auth'),
    join(pair.dir, 'store'),
    join(pair.dir, 'keyring'),
    name,
  ]);
  child.stderr.pipe(process.stderr);
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
  return { child, ...(JSON.parse(line) as Omit<QuietAuth, 'child'>) };
}

describe('what was written through one auth server', () => {
  beforeEach(async () => {
    pair = await authPair();
  });

  it('is known to the other at once, though nothing tells it', async () => {
    const one = await quietAuth('one');
    const other = await quietAuth('other');
    const clients: AuthClient[] = [];
    const client = (at: QuietAuth, identity: Material): AuthClient => {
      const made = clientOf([at.address], identity);
      clients.push(made);
      return made;
    };
    const [admin, proxy] = [client(one, one.admin), client(other, one.proxy)];
    const otherAdmin = client(other, one.admin);
    const oneProxy = client(one, one.proxy);
    const login = (via: AuthClient, username: string, password: string): Promise<unknown> =>
      via.call(logIn, {
        username,
        password,
        otp: '',
        publicKey: toAuthorizedKeyLine(newKey().publicKey.blob),
        ttlSeconds: 3600,
        clientAddress: '192.0.2.1:1',
      });
    for (let n = 0; n < times(5); n++) {
      const username = `user${n}`;
      const { inviteToken } = await admin.call(createUser, {
        username,
        roles: ['admin'],
        traits: { logins: ['root'] },
        inviteTtlSeconds: 3600,
      });
      const accepted = {
        token: inviteToken,
        password: 'correct horse',
        otp: '',
        clientAddress: '192.0.2.1:1',
      };
      await proxy.call(acceptInvite, accepted);
      await login(oneProxy, username, 'correct horse');
      await login(proxy, username, 'correct horse');
      await admin.call(deleteUser, { username });
      await expect(login(proxy, username, 'correct horse')).rejects.toMatchObject({ code: 'access_denied' });
      expect((await otherAdmin.call(listUsers, {})).users).toEqual([]);
    }
    for (const made of clients) made.close();
    for (const { child } of [one, other]) {
      const ended = once(child, 'exit');
      child.stdin.end();
      await ended;
    }
  });
});

interface Counted {
  readonly n: number;
  readonly id: string;
}

describe('two that append to the same streams, with clocks 30 s apart', () => {
  const kills = seldom(4, 10);
  const atLeastMs = seldom(6, 20) * 1000;
  let path: string;
  beforeEach(() => {
    path = mkdtempSync(join(tmpdir(), 'shared-'));
  });
  afterEach(() => {
    rmSync(path, { recursive: true, force: true });
  });

  it(
    `lose and double nothing, though one is killed ${kills} times`,
    { timeout: 240_000 + 60 * atLeastMs },
    async () => {
      const acknowledged: string[] = [];
      const began = performance.now();
      const survivor = new SkewedWriter(path, 'survivor', 15);
      await survivor.until(1);
      for (let n = 1; n <= kills; n++) {
        const victim = new SkewedWriter(path, `victim${n}`, -15, survivor.generation());
        await victim.until(10 + ((37 * n) % 50));
        await victim.kill();
        acknowledged.push(...victim.acknowledged);
      }
      const companion = new SkewedWriter(path, 'companion', -15, survivor.generation());
      await until(
        'the time to be over',
        () => performance.now() - began > atLeastMs || undefined,
        atLeastMs + 60_000,
      );
      await companion.until(50);
      for (const one of [companion, survivor]) {
        await one.kill();
        acknowledged.push(...one.acknowledged);
      }

      const endedAt = realWorld.now();

      const log = await openLog({
        driver: await openDirectoryReader({ path }),
        keyring: noKeyring,
        world: realWorld,
        writer: 'test',
        sink: silentLog,
      });
      const stored: Recorded[] = [];
      for await (const event of log.state.history(0)) stored.push(event);
      await log.close();
      const ids = stored.map(({ fact }) => (fact.data as Counted).id);
      const known = new Set(ids);
      expect({
        doubled: ids.length - known.size,
        lost: acknowledged.filter((id) => !known.has(id)).length,
        backwards: stored.filter((event, i) => event.cause.at < (stored[i - 1]?.cause.at ?? '')).length,
      }).toEqual({ doubled: 0, lost: 0, backwards: 0 });
      const last = new Map<string, number>();
      for (const { stream, fact } of stored) {
        const { n } = fact.data as Counted;
        expect(n).toBe((last.get(stream) ?? 0) + 1);
        last.set(stream, n);
      }
      // The survivor's clock: ahead of ours, and 30 s ahead of the others'.
      expect(stored.at(-1)?.cause.at).toSatisfy((at: string) => at > endedAt);
      const writers = new Set(ids.map((id) => id.split(':')[0]));
      expect(writers.size).toBe(kills + 2);
      console.log(
        `${acknowledged.length} acknowledged, ${stored.length} stored, ${kills} kills in ${Math.round((performance.now() - began) / 1000)} s, ` +
          `clocks 30 s apart ${faketime === '' ? 'by the programs themselves: no faketime here' : 'by faketime'}: 0 lost, 0 doubled`,
      );
    },
  );
});
