/*
 * Nodes that do not hear of a rotation: stopped, cut off, switched off. They come back while their
 * certificates are still of a key that is trusted, or when that key is gone.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type BadLink, badLinkTo } from '../harness/auth-bench.ts';
import { identityIn } from '../harness/auth-fleet.ts';
import type { Machine } from '../harness/machines.ts';
import { createFirstUser, logIn, type PeopleCluster } from '../harness/people.ts';
import { until } from '../harness/run-program.ts';
import { type EchoSession, openEchoSession } from './echo-session.ts';
import { login, type RotatingCluster, startRotatingCluster } from './rotating-cluster.ts';
import { resume } from './three-auths.ts';

const limit = 300_000;
let cluster: RotatingCluster;
/** The wires of two nodes to both auth servers. */
let links: readonly BadLink[] = [];
let lostLinks: readonly BadLink[] = [];
/** `cutOff` and `stopped` come back in time; `switchedOff` and `lost` too late. */
let stopped: Machine;
let cutOff: Machine;
let switchedOff: Machine;
let lost: Machine;
/** Begun under the key of people that the rotation withdraws. */
let session: EchoSession;

const person = (): PeopleCluster => cluster.people[0] ?? expect.unreachable();
const start = (machine: Machine): Promise<void> => machine.start({ args: cluster.reloadable(machine).args });
const wires = (): Promise<readonly BadLink[]> =>
  Promise.all(cluster.servers.map((server) => badLinkTo(server)));
const newNode = async (name: string, by?: readonly BadLink[]): Promise<Machine> => {
  const machine = await cluster.addNode(name, by && { servers: by.map(({ address }) => address) });
  await start(machine);
  return machine;
};
const each = (all: readonly BadLink[], act: 'stall' | 'cut'): void => {
  for (const link of all) link[act]();
};

beforeAll(async () => {
  cluster = await startRotatingCluster({ nodes: 2, proxies: 1 });
  [links, lostLinks] = [await wires(), await wires()];
  stopped = cluster.nodes[1] ?? expect.unreachable();
  [cutOff, lost, switchedOff] = await Promise.all([
    newNode('cut-off', links),
    newNode('lost', lostLinks),
    newNode('switched-off'),
  ]);
  await createFirstUser(person(), 'joe', { logins: [login] });
  session = openEchoSession(person(), 'joe', 'node1');
  await session.echo('begun');
}, limit);
afterAll(async () => {
  session.close();
  resume(stopped);
  await cluster.close();
  await Promise.all([...links, ...lostLinks].map((link) => link.close()));
});

const there = async (node: string): Promise<string> => {
  const { stdout, stderr } = await person().tsh('joe', ['ssh', `${login}@${node}`, 'echo there']);
  return stdout + stderr;
};
const keptAside = (machine: Machine): readonly string[] =>
  readdirSync(join(machine.dataDir, 'proc')).filter((name) => name.includes('.refused-'));

describe('a node that hears nothing for two phases', () => {
  it('is left behind only by force, and catches up by itself', { timeout: limit }, async () => {
    await switchedOff.stop();
    stopped.signal('SIGSTOP');
    each(links, 'stall');
    each(lostLinks, 'stall');
    await cluster.rotate('init', '--wait=0');
    await cluster.onlyLack('cut-off', 'lost', 'node2');
    await expect(cluster.rotate('update_clients', '--wait=0')).rejects.toThrow(
      '3 hosts still lack phase init: nothing was changed',
    );
    await cluster.rotate('update_clients', '--wait=0', '--force');
    await cluster.onlyLack('cut-off', 'lost', 'node2');
    expect(await there('node1')).toBe('there\n');

    stopped.signal('SIGCONT');
    each(links, 'cut');
    const began = performance.now();
    await cluster.onlyLack('lost');
    console.log(`two nodes caught up after ${Math.round(performance.now() - began)} ms`);
    for (const node of ['node2', 'cut-off']) expect(await there(node)).toBe('there\n');
    for (const node of [stopped, cutOff])
      expect(existsSync(join(node.dataDir, 'proc', 'node.server.identity.json'))).toBe(true);
  });
});

describe('sessions, where the rotation is to end those of the key that it withdraws', () => {
  let newer: EchoSession;
  afterAll(() => {
    newer.close();
  });

  it('end with that key, those of the newer one go on', { timeout: limit }, async () => {
    await cluster.rotate('update_servers', '--wait=0', '--force');
    await cluster.onlyLack('lost');
    await logIn(person(), 'joe');
    newer = openEchoSession(person(), 'joe', 'node1');
    await newer.echo('newer');
    await session.echo('still');
    await cluster.rotate('standby', '--wait=0', '--force', '--end-sessions');
    expect(await until('the older session to end', () => session.ended(), 60_000)).toMatch(
      /^exit 1: .*the connection to the node was lost/s,
    );
    await cluster.onlyLack('lost');
    await newer.echo('after');
    expect(newer.ended()).toBeUndefined();
  });
});

describe('a node that is away until the rotation has ended', () => {
  let identities: readonly (readonly [Machine, string])[];
  const identityOf = (machine: Machine): string => readFileSync(identityIn(machine, 'node'), 'utf8');
  beforeAll(() => {
    identities = [switchedOff, lost].map((machine) => [machine, identityOf(machine)] as const);
  });

  it('is refused with the reason when it starts, and changes nothing', { timeout: limit }, async () => {
    switchedOff.spawn({ args: cluster.reloadable(switchedOff).args });
    expect(await switchedOff.says('the identity of this machine was refused')).toContain(
      'its certificate is not signed by an authority this machine knows',
    );
    expect(await switchedOff.says('provided certificate pin does not match cluster pin')).toMatch(
      /claims that sha256:[0-9a-f]{64} was rotated at 20\S+Z by \S+\. .*Nothing secret was sent/,
    );
    const ready = await switchedOff.readyz();
    expect(ready?.code).toBe(400);
    expect(ready?.body).toContain('provided certificate pin does not match');
    await switchedOff.stop();
    expect(keptAside(switchedOff)).toEqual([]);
    expect(identityOf(switchedOff)).toBe(identities[0]?.[1]);
  });

  it(
    'joins again with the pin of now, by its token once, and its old identity is kept',
    { timeout: limit },
    async () => {
      const made = await cluster.tctl('tokens', 'add', '--type=node', '--uses=1', '--format=json');
      const [token = ''] = JSON.parse(made.stdout) as string[];
      const yaml = readFileSync(switchedOff.config, 'utf8')
        .replace(/^( *auth_token:).*$/m, `$1 ${token}`)
        .replace(/^( *ca_pin:).*$/m, `$1 "${await cluster.pin()}"`);
      switchedOff.configure(yaml);
      await start(switchedOff);
      expect(switchedOff.output()).toContain('this machine joined again as Node');
      const [aside = '', ...more] = keptAside(switchedOff);
      expect(more).toEqual([]);
      expect(readFileSync(join(switchedOff.dataDir, 'proc', aside), 'utf8')).toBe(identities[0]?.[1]);
      expect(await there('switched-off')).toBe('there\n');

      // Its token has no use left: it starts with what it has.
      await switchedOff.stop();
      await start(switchedOff);
      expect(await there('switched-off')).toBe('there\n');
      expect(keptAside(switchedOff)).toEqual([aside]);
      const { hostId } = JSON.parse(identityOf(switchedOff)) as { hostId: string };
      expect(JSON.parse(identities[0]?.[1] ?? '')).toMatchObject({ hostId });
    },
  );
});
