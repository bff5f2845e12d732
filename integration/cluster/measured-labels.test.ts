import { userInfo } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startCluster, type Cluster } from '../harness/cluster.ts';
import { until } from '../harness/run-program.ts';
import { createFirstUser, password } from '../harness/people.ts';

describe('a label that a program prints anew each second', () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster({
      yaml: (text) =>
        text.replace(
          'labels: {env: test}',
          'labels: {env: test}\n  commands: [{name: clock, command: [/bin/date, +%s], period: 1s}, {name: rare, command: [/bin/date, +%N], period: 1000h}]',
        ),
    });
    await createFirstUser(cluster, 'joe', { logins: [userInfo().username] });
  });
  afterAll(() => cluster.close());

  const labels = async (): Promise<Record<string, string>> => {
    const { stdout } = await cluster.tctl('nodes', 'ls', '--format=json');
    const [node] = JSON.parse(stdout) as { labels: Record<string, string> }[];
    return node?.labels ?? {};
  };
  const heads = async (): Promise<Record<string, number>> => {
    const { stdout } = await cluster.tctl('log', 'info', '--format=json');
    const { partitions } = JSON.parse(stdout) as { partitions: { partition: string; streams: number }[] };
    return Object.fromEntries(partitions.map(({ partition, streams }) => [partition, streams]));
  };
  const hostFacts = async (): Promise<number> => {
    const { stdout } = await cluster.tctl('log', 'tail', '--format=json');
    return stdout.split('\n').filter((line) => /"host\.(joined|changed)"/.test(line)).length;
  };

  it('is shown as it is now, and leaves state and the audit as they were', async () => {
    const before = { facts: await hostFacts(), streams: await heads() };
    const seen = new Set<string>();
    const rare = new Set<string>();
    await until('four values to be told', async () => {
      const { clock = '', rare: once = '', env } = await labels();
      expect(env).toBe('test');
      seen.add(clock);
      rare.add(once);
      return seen.size >= 4 ? true : undefined;
    });
    expect([...rare]).toHaveLength(1);
    expect(await hostFacts()).toBe(before.facts);
    expect((await heads())['state']).toBe(before.streams['state']);
    expect((await cluster.tctl('events', 'ls', '--type=instance.update')).stdout).not.toContain(
      'instance.update',
    );
  });

  it('is known to people as well', async () => {
    const flags = [`--proxy=localhost:${cluster.ports.web}`, '--user=joe'];
    const login = await cluster.tsh('joe', ['login', ...flags], { input: `${password}\n` });
    expect(login.code).toBe(0);
    expect((await cluster.tsh('joe', ['ls'])).stdout).toMatch(/clock=\d{10}/);
  });
});
