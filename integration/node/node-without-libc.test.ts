import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { startCluster } from '../harness/cluster.ts';
import { type NodeBench, startNode } from './node-bench.ts';
import { RawClient } from '../ssh/ssh-raw-client.ts';

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
    expect(node.running().condition()).toMatchObject({
      status: 'degraded',
      lacks: [expect.stringContaining('no terminals')],
    });
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

describe('a daemon that cannot call OpenSSL', () => {
  const folder = mkdtempSync(join(tmpdir(), 'no-koffi-'));
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });
  it('encrypts by node:crypto, and says so at start', async () => {
    const hook = join(folder, 'hook.cjs');
    writeFileSync(
      hook,
      `const m = require('module'); const load = m._load;
       const replacing = (all, name, by) => new Proxy(all, { get: (o, n) => n === name ? by(o) : o[n] });
       const func = (lib) => (definition, ...rest) => {
         if (/EVP_/.test(definition)) throw new Error('no such function');
         return lib.func(definition, ...rest);
       };
       const koffi = (all) => replacing(all, 'load', (o) => (file) => replacing(o.load(file), 'func', func));
       m._load = function (name) { const found = load.apply(this, arguments); return name === 'koffi' ? koffi(found) : found; };`,
    );
    const start = join(folder, 'start');
    // Takes the place of bin/teleport, its first argument.
    writeFileSync(
      start,
      `shift; exec '${process.execPath}' --require '${hook}' '${resolve('dist/teleport.js')}' "$@"`,
    );
    const cluster = await startCluster({ within: ['/bin/sh', start] });
    try {
      const said = cluster.output().match(/^.*SSH traffic is several times slower.*$/gm);
      expect(said).toEqual([expect.stringContaining('node:crypto serves: no such function')]);
      for (const port of [cluster.ports.proxySsh, cluster.ports.ssh]) {
        const client = new RawClient();
        // Refused in so many words: what was sealed at each side was opened at the other.
        expect(await client.login(port, 'root', { type: 'none' } as never)).toBe('refused');
        client.end();
        await client.closed;
      }
    } finally {
      await cluster.close();
    }
  });
});
