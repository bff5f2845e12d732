/* A person behind NAT, at the other end of a long link, who reaches one port: that of the web. */
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, createCluster, linkIn } from '../harness/cluster.ts';
import { createFarNetwork, type FarNetwork } from '../harness/far-network.ts';
import { acceptLink, password } from '../harness/people.ts';
import { type Ran, run, until } from '../harness/run-program.ts';

const login = userInfo().username;
const digest = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');
let network: FarNetwork;
let cluster: Cluster;

/** On the person's machine. */
const far = (line: string, input = ''): Promise<Ran> => {
  const [ip = '', ...within] = network.within;
  return run(ip, [...within, '/bin/sh', '-c', line], {
    env: cluster.env('joe'),
    cwd: cluster.dir,
    input,
    timeoutMs: 120_000,
  });
};
const ok = async (line: string, input?: string): Promise<string> => {
  const ran = await far(line, input);
  expect(ran, line + ran.stderr).toMatchObject({ code: 0 });
  return ran.stdout;
};

beforeAll(async () => {
  network = await createFarNetwork({ delayMs: 40, lossPercent: 1 });
  const { here } = network;
  cluster = await createCluster({
    // The port of SSH listens where the person does not come, though it is announced.
    yaml: (text) =>
      text
        .replace(/web_listen_addr: 127\.0\.0\.1:/, `web_listen_addr: ${here}:`)
        .replace(/public_addr: localhost:/g, `public_addr: ${here}:`),
  });
  await cluster.start();
  const added = await cluster.tctl('users', 'add', 'joe', login);
  await acceptLink(cluster, linkIn(added.stdout), password, here);
}, 120_000);
afterAll(async () => {
  await cluster.close();
  await network.close();
});

describe('behind NAT, over a long link, by the web port alone', { timeout: 240_000 }, () => {
  it('a person logs in, sees nodes, and runs commands', async () => {
    const proxy = `${network.here}:${cluster.ports.web}`;
    await ok(`tsh login --proxy=${proxy} --user=joe`, `${password}\n`);
    expect(await ok('tsh ls')).toContain('node1');
    const ran = await far(`tsh ssh ${login}@node1 'cat; echo err >&2; exit 7'`, 'to and fro');
    expect(ran).toMatchObject({ code: 7, stdout: 'to and fro' });
    expect(ran.stderr).toMatch(/^err\n/);
    const [said = ''] = (await ok(`tsh ssh ${login}@node1 'echo $SSH_CLIENT'`)).split(' ');
    // The router's, behind which the person is.
    expect(said).toMatch(/^10\.214\.\d+\.2$/);
  });

  it('stock ssh, scp, sftp and rsync go by what tsh config writes', async () => {
    await ok('tsh config > far.conf');
    const host = `${login}@node1.example`;
    expect(await ok(`echo in | ssh -F far.conf ${host} cat`)).toBe('in\n');
    const { dir } = cluster;
    writeFileSync(join(dir, 'sent'), randomBytes(300_000));
    await ok(`scp -q -F far.conf sent ${host}:${dir}/by-scp`);
    await ok(`echo 'put sent ${dir}/by-sftp' | sftp -q -F far.conf -b - ${host}`);
    await ok(`rsync -e 'ssh -F far.conf' sent ${host}:${dir}/by-rsync`);
    await ok(`tsh scp sent ${login}@node1:${dir}/by-tsh`);
    for (const name of ['scp', 'sftp', 'rsync', 'tsh'])
      expect(digest(join(dir, `by-${name}`)), name).toBe(digest(join(dir, 'sent')));
  });

  it('a shell outlives a link that stalls for a few seconds', async () => {
    const begun = join(cluster.dir, 'begun');
    const open = far(`ssh -F far.conf ${login}@node1.example 'echo in; touch ${begun}; sleep 4; echo out'`);
    await until('the session', () => (existsSync(begun) ? true : undefined));
    network.stall('stall');
    await new Promise((over) => setTimeout(over, 4_000)); // the time of the stall is what is tried
    network.stall('go');
    expect(await open).toMatchObject({ code: 0, stdout: 'in\nout\n' });
  });
});
