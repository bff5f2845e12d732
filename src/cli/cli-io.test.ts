import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { realWorld } from '../base/world.ts';
import { cliIo } from './cli-io.ts';
import { openPrompter } from './prompt.ts';
import { formatNodesJson } from './tsh/cluster/node-list.ts';

const hostile = 'a\r\u009b2J\u001b[31m\u202etxet\u200b';

describe('printing', () => {
  const streams = () => ({ stdout: new PassThrough(), stderr: new PassThrough() });
  const shown = (stream: PassThrough): string => String(stream.read() as Buffer);
  const rest = { stdin: new PassThrough(), env: {}, world: realWorld };

  it('steers no terminal, on either stream', () => {
    const raw = streams();
    const io = cliIo(raw, rest);
    io.stdout.write(`${hostile}\n`);
    io.stderr.write(`two\r\nlines\tand ${hostile}\n`);
    const escaped = 'a\\u000d\\u009b2J\\u001b[31m\\u202etxet\\u200b';
    expect(shown(raw.stdout)).toBe(`${escaped}\n`);
    expect(shown(raw.stderr)).toBe(`two\r\nlines\tand ${escaped}\n`);
  });
  it('leaves JSON the same JSON', () => {
    const raw = streams();
    const node = { hostId: 'x', nodename: hostile, address: 'a:1', labels: { k: hostile } };
    cliIo(raw, rest).stdout.write(formatNodesJson([{ ...node, version: hostile, publicAddress: '' }]));
    const text = shown(raw.stdout);
    expect(text).not.toMatch(/[\u001b\u009b\u202e\u200b\r]/);
    expect(JSON.parse(text)).toMatchObject([{ spec: { hostname: hostile, version: hostile } }]);
  });
  it('asks no question that steers', async () => {
    const { stderr } = streams();
    const stdin = new PassThrough();
    stdin.end('y\n');
    expect(await openPrompter({ stdin, raw: { stderr } }).line(hostile)).toBe('y');
    expect(shown(stderr)).not.toMatch(/[\u001b\u009b\u202e]/);
  });
});
