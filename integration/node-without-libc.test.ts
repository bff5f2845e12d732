import { userInfo } from 'node:os';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type NodeBench, startNode } from './node-bench.ts';

vi.mock('koffi', () => {
  throw new Error('no such module');
});

describe('a node that cannot call the C library', () => {
  let node: NodeBench;
  let config: string;
  const host = `${userInfo().username}@node1`;
  beforeAll(async () => {
    node = await startNode({ logins: [userInfo().username] });
    config = node.person('alice');
  });
  afterAll(() => node.stop());

  it('warns at start and in /readyz', () => {
    expect(node.sink.lines.join('\n')).toMatch(/warn no terminals: the C library cannot be called/);
    expect(node.running().trouble()).toContain('no terminals');
  });
  it('refuses terminals and says why', async () => {
    const client = await node.connect('alice', userInfo().username);
    const size = { columns: 80, rows: 25, widthPixels: 0, heightPixels: 0 };
    await expect(client.shell({ pty: { term: 'xterm', size } })).rejects.toThrow(
      /no terminals: the C library/,
    );
    client.close();
  });
  it('runs everything else', async () => {
    const ran = await node.sh(config, `echo in | $SSH ${host} 'cat; echo err >&2; exit 3'`);
    expect(ran).toMatchObject({ code: 3, stdout: 'in\n', stderr: 'err\n' });
    const copied = await node.sh(config, `echo x > f && $SCP -q f ${host}:${node.directory}/g && cat ../g`);
    expect(copied).toMatchObject({ code: 0, stdout: 'x\n' });
  });
});
