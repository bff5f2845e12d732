import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run, until } from '../harness/run-program.ts';
import { bootMachine, type Machine } from './machine.ts';

const project = resolve('.');

interface Block {
  readonly kind: 'sh' | 'yaml';
  readonly machine: string;
  /** The file a yaml block is. */
  readonly path: string;
  readonly text: string;
}

/** The fenced blocks that name a machine: ```sh auth1, ```yaml node1 /etc/teleport.yaml. */
function blocksOf(markdown: string): Block[] {
  return [...markdown.matchAll(/^```(sh|yaml) (\w+)(?: (\S+))?\n([\s\S]*?)^```$/gm)].map(
    ([, kind, machine = '', path = '', text = '']) => ({
      kind: kind === 'sh' ? 'sh' : 'yaml',
      machine,
      path,
      text,
    }),
  );
}

const machines = new Map<string, Machine>();
beforeAll(async () => {
  for (const name of ['auth1', 'node1']) machines.set(name, await bootMachine());
  const [auth, node] = [...machines.values()];
  if (auth === undefined || node === undefined) throw new Error('two machines');
  const link = async (...args: string[]): Promise<void> => {
    const ran = await run('ip', args);
    if (ran.code !== 0) throw new Error(`ip ${args.join(' ')}: ${ran.stderr}`);
  };
  const name = `tp${process.pid % 100_000}`;
  await link('link', 'add', `${name}a`, 'type', 'veth', 'peer', 'name', `${name}b`);
  for (const [machine, end, address] of [
    [auth, 'a', '10.77.0.1'],
    [node, 'b', '10.77.0.2'],
  ] as const) {
    await link('link', 'set', `${name}${end}`, 'netns', machine.pid);
    await machine.must(`ip address add ${address}/24 dev ${name}${end} && ip link set ${name}${end} up`);
    await machine.must(`${project}/.ci/install /usr/local && ${project}/.ci/install-systemd ''`);
  }
}, 120_000);
afterAll(async () => {
  for (const machine of machines.values()) await machine.close();
});

describe('docs/production.md', () => {
  it('says nothing that does not work', { timeout: 180_000 }, async () => {
    const blocks = blocksOf(readFileSync('docs/production.md', 'utf8'));
    expect(blocks.length).toBeGreaterThan(8);
    const known = new Map<string, string>();
    let ran = 0;
    for (const block of blocks) {
      const machine = machines.get(block.machine);
      if (machine === undefined) throw new Error(`docs/production.md: no machine ${block.machine}`);
      if (block.kind === 'yaml') {
        const text = block.text.replace(/<(\w+)>/g, (_, name: string) => known.get(name) ?? `<${name}>`);
        expect(text).not.toMatch(/<\w+>/);
        writeFileSync(join(machine.share, 'file'), text);
        await machine.must(`cp ${machine.share}/file ${block.path} && chmod 0600 ${block.path}`);
        continue;
      }
      for (const line of block.text.trim().split('\n')) {
        const printed =
          line === 'tctl nodes ls' ? await listed(machine, line, 'node1') : await machine.must(line);
        ran++;
        const token = /--token=([0-9a-f]{32})/.exec(printed)?.[1];
        const pin = /sha256:[0-9a-f]{64}/.exec(printed)?.[0];
        if (token !== undefined) known.set('token', token);
        if (pin !== undefined) known.set('pin', pin);
      }
    }
    expect(ran).toBeGreaterThan(15);
  });
});

/** A machine that joins is listed a moment after its service serves. */
const listed = (machine: Machine, line: string, name: string): Promise<string> =>
  until(`${name} to be listed`, async () => {
    const printed = await machine.must(line);
    return printed.includes(name) ? printed : undefined;
  });
