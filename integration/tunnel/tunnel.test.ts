import { userInfo } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AuthFleet, startAuthFleet, tokens } from '../harness/auth-fleet.ts';
import type { Machine } from '../harness/machines.ts';
import { createFirstUser, type PeopleCluster } from '../harness/people.ts';
import { tunnelYaml } from './tunnel-fleet.ts';

const login = userInfo().username;
let cluster: AuthFleet;
let people: PeopleCluster;
let node: Machine;

beforeAll(async () => {
  cluster = await startAuthFleet();
  ({ people } = await cluster.addFront('front1'));
  node = await cluster.fleet.add('far1');
  node.configure(
    tunnelYaml(
      node,
      `auth_servers: [127.0.0.1:${people.ports.web}]`,
      `auth_token: ${tokens.node}`,
      `ca_pin: "${await cluster.pin()}"`,
    ),
  );
  await node.start();
  await createFirstUser(people, 'alice', { logins: [login] });
});
afterAll(async () => {
  await cluster.fleet.close();
});

describe('a node that hangs on a proxy', () => {
  it('is listed with its tunnel, and runs commands', async () => {
    const listed = await people.tsh('alice', ['ls']);
    expect(listed.stdout).toMatch(/^far1 +⟵ Tunnel +place=far *$/m);
    const ran = await people.tsh('alice', ['ssh', `${login}@far1`, 'echo', 'through', 'the', 'tunnel']);
    expect(ran).toMatchObject({ code: 0, stdout: 'through the tunnel\n' });
  });
});
