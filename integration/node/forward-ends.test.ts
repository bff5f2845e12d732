import { spawn, type ChildProcess } from 'node:child_process';
import { userInfo } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startOpenssh, type OpensshPair } from '../bench/openssh.ts';
import { startCluster, type Cluster } from '../harness/cluster.ts';
import { run, until } from '../harness/run-program.ts';
import { type Deed, type Found, Parties, type Traffic } from './forward-party.ts';
import { freePorts } from '../harness/own-ports.ts';
import { createFirstUser, sshConfigFor } from '../harness/people.ts';

const login = userInfo().username;
const rows = (['local', 'target'] as const).flatMap((side) =>
  (['half-closes', 'closes whole', 'resets'] as const).flatMap((deed) =>
    (['idle', 'sending', 'full'] as const).map((traffic): [typeof side, Deed, Traffic] => [
      side,
      deed,
      traffic,
    ]),
  ),
);

/**
 * What is seen at one end of a forwarded connection of what is done at the other: with us as with a stock
 * sshd.
 */
describe('the ends of forwarded connections', () => {
  const parties = new Parties();
  const clients: ChildProcess[] = [];
  const ports = new Map<string, number>();
  let cluster: Cluster;
  let openssh: OpensshPair;
  let target: number;
  let ofSshd: Record<string, Found>;

  /** Forwards a port by a shell command, after whose first words the options go; answers the port. */
  const forward = async (command: string, env: NodeJS.ProcessEnv): Promise<number> => {
    const [port = 0] = await freePorts(1);
    const line = command.replace('LISTEN', `-N -L 127.0.0.1:${port}:127.0.0.1:${target}`);
    const client = spawn('/bin/sh', ['-c', `exec ${line}`], { env, stdio: ['ignore', 'ignore', 'pipe'] });
    clients.push(client);
    let said = '';
    client.stderr.on('data', (text: Buffer) => (said += text.toString()));
    await until('the forward', () => listens(port)).catch((e: unknown) => {
      throw new Error(`${line}: ${said}`, { cause: e });
    });
    return port;
  };
  const tableOf = async (port: number): Promise<Record<string, Found>> => {
    const table: Record<string, Found> = {};
    for (const row of rows) table[row.join(' ')] = await parties.trial(port, ...row);
    return table;
  };

  beforeAll(async () => {
    target = await parties.listen();
    openssh = await startOpenssh();
    cluster = await startCluster();
    await createFirstUser(cluster, 'joe', { logins: [login] });
    const config = await sshConfigFor(cluster, 'joe');
    const env = cluster.env('joe');
    ports.set('ssh', await forward(`ssh LISTEN -F ${config} ${login}@node1.example`, env));
    const tsh = `tsh ssh LISTEN --proxy=localhost:${cluster.ports.web} --user=joe ${login}@node1`;
    ports.set('tsh', await forward(tsh, env));
    ofSshd = await tableOf(await forward(openssh.direct.replace('ssh', 'ssh LISTEN'), env));
  }, 180_000);
  afterAll(async () => {
    for (const client of clients) client.kill('SIGKILL');
    parties.close();
    openssh.close();
    await cluster.close();
  });

  it.each(['ssh', 'tsh'])(
    'are with the node and %s what they are with sshd',
    async (client) => {
      expect(await tableOf(ports.get(client) ?? 0)).toEqual(ofSshd);
    },
    180_000,
  );
  it.each(['ssh', 'tsh'])('give %s what a target says that closes while it is sent to', async (client) => {
    // A reset that overtakes the words loses them with any server: it is so now and then with sshd, too.
    let heard = 0;
    for (let n = 0; n < 10; n++) if (await parties.refusal(ports.get(client) ?? 0)) heard++;
    expect(heard).toBeGreaterThan(6);
  });
});

const listens = async (port: number): Promise<true | undefined> =>
  (await run('ss', ['-Hltn', `sport = :${port}`])).stdout === '' ? undefined : true;
