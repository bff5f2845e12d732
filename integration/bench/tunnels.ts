/* A node that hangs on a proxy, at that proxy and by way of another one, beside a node that is dialled. */
import { userInfo } from 'node:os';
import { tokens } from '../harness/auth-fleet.ts';
import { createFirstUser, logIn, sshConfigFor } from '../harness/people.ts';
import { until } from '../harness/run-program.ts';
import { hangingOn, startTunnelFleet, type TunnelFleet } from '../tunnel/tunnel-fleet.ts';
import { inTurn, row } from './measure.ts';

const user = userInfo().username;

/** @param runs of each, in turn with the others. */
export async function printTunnelFigures(runs: number, bulkMiB: number): Promise<void> {
  const fleet = await startTunnelFleet(2);
  try {
    await figures(fleet, runs, bulkMiB);
  } finally {
    await fleet.close();
  }
}

async function figures(fleet: TunnelFleet, runs: number, bulkMiB: number): Promise<void> {
  const { cluster } = fleet;
  const [one, two] = fleet.fronts;
  if (one === undefined || two === undefined) throw new Error('two proxies');
  await cluster.auth.stop();
  cluster.auth.configure(
    cluster
      .authYaml()
      .replace('auth_service:\n', 'auth_service:\n  tunnel_strategy: {agent_connection_count: 1}\n'),
  );
  await cluster.auth.start();
  await createFirstUser(one.people, user, { logins: [user] });
  const far = await fleet.addNode('far1', { place: `proxy_server: 127.0.0.1:${one.ports.web}` });
  await hangingOn(fleet, far, [one]);
  const near = await cluster.fleet.add('near1');
  near.configure(cluster.nodeYaml(near, `auth_token: ${tokens.node}`, `ca_pin: "${await cluster.pin()}"`));
  await near.start();
  await logIn(two.people, user);
  const config = await sshConfigFor(two.people, user);
  const jump = (port: number): string =>
    `ssh -F ${config} -c aes128-gcm@openssh.com -o ProxyCommand="ssh -F ${config} -c aes128-gcm@openssh.com -p ${port} -s ${user}@localhost proxy:%n:0"`;
  const ways = {
    'by a tunnel': `${jump(one.ports.proxySsh)} ${user}@far1.example`,
    'by a peer': `${jump(two.ports.proxySsh)} ${user}@far1.example`,
    dialled: `${jump(one.ports.proxySsh)} ${user}@near1.example`,
  };
  const env = two.people.env(user);
  const each = (command: (way: string) => string): Record<string, string> =>
    Object.fromEntries(Object.entries(ways).map(([name, way]) => [name, command(way)]));
  for (const [name, command] of Object.entries(each((way) => `${way} true`)))
    await until(`a node to be reached ${name}`, async () => {
      try {
        await inTurn({ [name]: command }, 1, env);
        return true;
      } catch {
        return undefined; // it has joined, and the proxies do not know it yet
      }
    });
  row(
    'one command',
    await inTurn(
      each((way) => `${way} true`),
      runs,
      env,
    ),
    's',
  );
  const speeds = async (command: (way: string) => string): Promise<Record<string, number>> =>
    Object.fromEntries(
      Object.entries(await inTurn(each(command), runs, env)).map(([name, s]) => [name, bulkMiB / s]),
    );
  row(
    `download of ${bulkMiB} MiB`,
    await speeds((way) => `${way} head -c ${bulkMiB}M /dev/zero > /dev/null`),
    'MiB/s',
  );
  row(
    `upload of ${bulkMiB} MiB`,
    await speeds((way) => `head -c ${bulkMiB}M /dev/zero | ${way} 'cat > /dev/null'`),
    'MiB/s',
  );
}
