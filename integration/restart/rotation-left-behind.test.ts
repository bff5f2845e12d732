import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type EchoSession, openEchoSession } from '../cluster/echo-session.ts';
import { login, type RotatingCluster, startRotatingCluster } from '../cluster/rotating-cluster.ts';
import type { Machine } from '../harness/machines.ts';
import { createFirstUser, type PeopleCluster } from '../harness/people.ts';
import { until } from '../harness/run-program.ts';

let cluster: RotatingCluster;
let session: EchoSession;
const person = (): PeopleCluster => cluster.people[0] ?? expect.unreachable();
const node = (n: number): Machine => cluster.nodes[n] ?? expect.unreachable();

beforeAll(async () => {
  cluster = await startRotatingCluster({ nodes: 2 });
  // The second one has no token any more, as where it was taken out once the machine had joined.
  const withoutToken = node(1);
  await withoutToken.stop();
  const yaml = readFileSync(withoutToken.config, 'utf8');
  withoutToken.configure(yaml.replace(/^ *auth_token:.*\n/m, ''));
  await withoutToken.start();
  await createFirstUser(person(), 'joe', { logins: [login] });
  session = openEchoSession(person(), 'joe', 'node1');
  await session.echo('begin');
}, 300_000);
afterAll(async () => {
  for (const one of cluster.nodes) one.signal('SIGCONT');
  session.close();
  await cluster.close();
});

const rotate = async (phase: string, ...more: string[]): Promise<void> => {
  const ran = await cluster.tctl('auth', 'rotate', '--type=host', `--phase=${phase}`, ...more);
  if (ran.code !== 0) throw new Error(`tctl auth rotate --phase=${phase}: ${ran.stdout}${ran.stderr}`);
};
const keptAside = (machine: Machine): string[] =>
  readdirSync(join(machine.dataDir, 'proc')).filter((name) => name.includes('.identity.json.refused-'));
const reasonsOf = async (machine: Machine): Promise<string> => (await machine.readyz())?.body ?? '';

describe('machines that a rotation of the host authority left behind', () => {
  it(
    'join again by themselves under their ids where they have a token, and say what to do where they have none',
    { timeout: 300_000 },
    async () => {
      await rotate('init', '--manual', '--wait=30s');
      await until('every machine to know the new key', async () => {
        const { stdout } = await cluster.tctl('auth', 'rotate', '--status', '--format=json');
        return /"lagging": ?\[\]/.test(stdout.replaceAll(/\s/g, '')) ? true : undefined;
      });
      for (const one of cluster.nodes) one.signal('SIGSTOP');
      for (const phase of ['update_clients', 'update_servers']) await rotate(phase, '--force', '--wait=0s');
      // Those that follow leave connections that rest on the old key before it goes.
      for (const proxy of cluster.proxies)
        await proxy.says('the connections to auth servers are made again', 60_000);
      expect((await person().tsh('joe', ['config', '--refresh'])).code).toBe(0);
      await rotate('standby', '--force', '--wait=0s');
      for (const one of cluster.nodes) one.signal('SIGCONT');

      const line = await node(0).says('this machine joined again as Node', 60_000);
      expect(line).toContain('that was rotated at');
      expect(keptAside(node(0))).toHaveLength(1);
      await node(0).ready();
      await session.echo('after');
      const there = await person().tsh('joe', ['ssh', `${login}@node1`, 'echo there']);
      expect(there.stdout, there.stderr).toBe('there\n');

      const told = await until(
        'the machine without a token to say what to do',
        async () => {
          const reasons = await reasonsOf(node(1));
          return reasons.includes('no token') ? reasons : undefined;
        },
        60_000,
      );
      expect(told).toMatch(
        /is refused .*that was rotated at .*tctl tokens add --type=node.*auth_token.*SIGHUP/,
      );
      expect(keptAside(node(1))).toEqual([]);
      expect(node(1).output()).toContain('this machine has no token to join again with');
    },
  );
});
