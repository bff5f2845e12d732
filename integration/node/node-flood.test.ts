import { userInfo } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { second } from '../../src/base/time.ts';
import { until } from '../harness/run-program.ts';
import { type NodeBench, startNode } from './node-bench.ts';

const login = userInfo().username;

describe('refused logins of a node in a flood', () => {
  let node: NodeBench;
  beforeAll(async () => {
    node = await startNode({ logins: [login] });
  });
  afterAll(() => node.stop());

  it('are told one by one up to 60, and the number of the rest within a minute of silence', async () => {
    for (let n = 0; n < 64; n++)
      await expect(node.connect('nobody', login)).rejects.toMatchObject({ code: 'access_denied' });
    expect(node.told('auth')).toHaveLength(60);
    const gap = await until('the number in the audit', () => node.told('gap')[0], 75 * second);
    expect(gap).toMatchObject({ about: 'auth', count: 4, addresses: { '127.0.0.1': 4 } });
  }, 150_000);
});
