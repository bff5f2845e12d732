import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, duplexPair } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { receiveFiles } from './scp-receive.ts';
import { sendFiles } from './scp-send.ts';
import { parseScpArguments, serveScp } from './scp-server.ts';
import { ScpStream } from './scp-stream.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'scp-server-'));
  mkdirSync(join(folder, 'from'));
  mkdirSync(join(folder, 'to'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});
const at = (...names: string[]): string => join(folder, ...names);

/**
 * Runs the server of one copy beside `client`. Resolves to its exit status, and what the client has to
 * complain of.
 */
async function serve(
  argv: readonly string[],
  client: (stream: ScpStream) => Promise<void>,
): Promise<{ status: number; complaints: readonly string[] }> {
  const [near, far] = duplexPair();
  const stream = new ScpStream(near, near);
  const status = serveScp(argv, { input: far, output: far, home: folder }).finally(() => far.end());
  await client(stream);
  stream.end();
  return { status: await status, complaints: stream.complaints };
}

describe('the server of a copy', () => {
  it('sends a folder with modes and times, and takes it back', async () => {
    mkdirSync(at('from', 'd'));
    writeFileSync(at('from', 'd', 'f'), 'x'.repeat(300_000));
    chmodSync(at('from', 'd', 'f'), 0o2640);
    utimesSync(at('from', 'd', 'f'), 1000, 2000);
    utimesSync(at('from', 'd'), 3000, 4000);
    const place = (): Promise<string> => Promise.resolve(at('to', 'down'));
    const down = await serve(['-r', '-p', '-f', 'from/d'], (stream) =>
      receiveFiles(stream, { place, recursive: true, preserve: true }),
    );
    const up = await serve(['-r', '-p', '-d', '-t', '--', 'to'], (stream) =>
      sendFiles(stream, [at('from', 'd')], { recursive: true, preserve: true }),
    );
    expect([down, up]).toEqual([
      { status: 0, complaints: [] },
      { status: 0, complaints: [] },
    ]);
    for (const copy of ['down', 'd']) {
      const file = statSync(at('to', copy, 'f'));
      expect([file.mode & 0o7777, file.mtimeMs, file.size]).toEqual([0o2640, 2_000_000, 300_000]);
      expect(statSync(at('to', copy)).mtimeMs).toBe(4_000_000);
    }
  });

  it('reports what it cannot send, and ends with 1', async () => {
    execFileSync('mkfifo', [at('from', 'pipe')]);
    writeFileSync(at('from', 'file'), 'f');
    const place = ({ name }: { name: string }): Promise<string> => Promise.resolve(at('to', name));
    const { status, complaints } = await serve(
      ['-f', 'from/none', 'from/pipe', 'from', 'from/file'],
      (stream) => receiveFiles(stream, { place, recursive: false, preserve: false }),
    );
    expect(status).toBe(1);
    expect(complaints).toEqual([
      `scp: ${at('from', 'none')}: No such file or directory`,
      `scp: ${at('from', 'pipe')}: not a regular file`,
      `scp: ${at('from')}: not a regular file (a directory: use -r)`,
    ]);
    expect(readdirSync(at('to'))).toEqual(['file']);
  });

  it('fills up a file that becomes shorter while it is sent, and reports it', async () => {
    writeFileSync(at('from', 'log'), 'a'.repeat(600_000));
    const place = (): Promise<string> => {
      writeFileSync(at('from', 'log'), 'b');
      return Promise.resolve(at('to', 'log'));
    };
    const { status, complaints } = await serve(['-f', 'from/log'], (stream) =>
      receiveFiles(stream, { place, recursive: false, preserve: false }),
    );
    expect(status).toBe(1);
    expect(complaints).toEqual([`scp: ${at('from', 'log')}: the file became shorter while it was sent`]);
    expect(readFileSync(at('to', 'log')).length).toBe(600_000);
  });

  it('gives up, and says why, on what is not a copy', async () => {
    const refused = async (argv: string[], sent = ''): Promise<string> => {
      const input = new PassThrough().end(sent);
      const output = new PassThrough();
      expect(await serveScp(argv, { input, output, home: folder })).toBe(1);
      return text(output.end());
    };
    expect(await refused(['-t', '-d', 'none'])).toBe(`\x02scp: ${at('none')}: Not a directory\n`);
    expect(await refused(['-x'])).toBe('\x02scp: unknown option -x\n');
    expect(await refused(['-t', 'to'], 'D0755 0 d\n')).toMatch(/^\0\x02scp: .*not asked for \(use -r\)\n$/);
    expect(await refused(['-t', 'to'], 'C0644 1 ../x\n')).toMatch(/^\0\x02scp: .*write to "\.\.\/x"\n$/);
    expect(await refused(['-t', '-r', 'to'], 'D0755 0 d\n')).toMatch(/ended the copy inside a folder\n$/);
  });
});

describe('the arguments of the far side of scp', () => {
  it.each([
    [['-t'], /missing an argument/],
    [['x'], /needs either -t or -f/],
    [['-t', '-f', 'x'], /needs either -t or -f/],
    [['-t', 'a', 'b'], /ambiguous target/],
  ])('%j', (argv, reason) => {
    expect(() => parseScpArguments(argv)).toThrow(reason);
  });
});
