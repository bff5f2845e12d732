import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type EchoSession,
  login,
  openEchoSession,
  type RotatingCluster,
  startRotatingCluster,
} from '../cluster/rotating-cluster.ts';
import type { Machine } from '../harness/machines.ts';
import { createFirstUser, logIn, type PeopleCluster } from '../harness/people.ts';

let cluster: RotatingCluster;
let session: EchoSession;
beforeAll(async () => {
  cluster = await startRotatingCluster({ nodes: 2 });
  await createFirstUser(person(), 'joe', { logins: [login] });
  session = openEchoSession(person(), 'joe', 'node1');
  await session.echo('begin');
}, 120_000);
afterAll(async () => {
  session.close();
  await cluster.close();
});

const [acknowledgedMs, phaseLimit] = [10_000, 60_000];
const rotate = async (phase: string): Promise<number> => {
  const began = performance.now();
  const ran = await cluster.tctl('auth', 'rotate', `--phase=${phase}`, '--manual', '--wait=30s');
  if (ran.code !== 0) throw new Error(`tctl auth rotate --phase=${phase}: ${ran.stdout}${ran.stderr}`);
  return performance.now() - began;
};
const person = (): PeopleCluster => cluster.people[0] ?? expect.unreachable();
const there = async (node: string): Promise<string> => {
  const { stdout, stderr } = await person().tsh('joe', ['ssh', `${login}@${node}`, 'echo there']);
  return stdout + stderr;
};
const machine = (one: Machine | undefined): Machine => one ?? expect.unreachable();
/** Whether it keeps an older certificate for those who call it. */
const showsTwo = (one: Machine): boolean =>
  existsSync(join(one.dataDir, 'proc', 'node.server.identity.json'));

describe('machines of a cluster whose authorities rotate', () => {
  it.each([
    ['init', false],
    ['update_clients', true],
    ['update_servers', false],
    ['standby', false],
  ] as const)(
    'adopt %s by themselves, soon, and as well after kill -9 in that phase',
    { timeout: phaseLimit },
    async (phase, two) => {
      expect(await rotate(phase)).toBeLessThan(acknowledgedMs);
      const node = machine(cluster.nodes[1]);
      expect(showsTwo(node)).toBe(two);
      // It began under the first key of the user authority, and goes on when that is gone.
      await session.echo(phase);
      await person().tsh('joe', ['logout']);
      await logIn(person(), 'joe');
      expect(await there('node1')).toContain('there');
      await node.stop('SIGKILL');
      await node.start();
      expect(showsTwo(node)).toBe(two);
      expect(await there('node2')).toContain('there');
    },
  );
});
