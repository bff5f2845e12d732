import { afterEach, describe, expect, it } from 'vitest';
import { isAlive } from '../../base/process-ref.ts';
import { startSuccessor, type Successor, type SuccessorOptions } from './successor.ts';

const started: Successor[] = [];
afterEach(async () => {
  for (const one of started.splice(0)) {
    if (isAlive(one)) process.kill(one.pid, 'SIGKILL');
    await one.ended;
  }
});

/** A daemon that does what a shell is told. It speaks to its predecessor by `say`. */
async function start(script: string, wish: Partial<SuccessorOptions> = {}): Promise<Successor> {
  const say = `say() { printf '%s\\n' "$1" >&3; }; on() { say "{\\"type\\":\\"$1\\",\\"pid\\":$$}"; };`;
  const one = await startSuccessor({
    commandLine: ['/bin/sh', '-c', `${say} ${script}`],
    ...{ listeners: [], lockFd: undefined, limitMs: 20_000, env: process.env },
    cancelled: new AbortController().signal,
    ...wish,
  });
  started.push(one);
  return one;
}
const hang = 'exec sleep 60';

describe('a new process', () => {
  it('that says it is ready takes over, and its end is seen', async () => {
    const one = await start(`on serving; on ready; ${hang}`);
    expect(isAlive(one)).toBe(true);
    process.kill(one.pid, 'SIGKILL');
    await one.ended;
    expect(isAlive(one)).toBe(false);
  });

  it('need not say twice that it serves', async () => {
    expect(isAlive(await start(`on ready; ${hang}`))).toBe(true);
  });

  it('that ends before is a failure with its exit code and its last twenty lines', async () => {
    const lines = 'for n in $(seq 25); do say "{\\"type\\":\\"line\\",\\"text\\":\\"line $n\\"}"; done';
    await expect(start(`say nonsense; ${lines}; exit 7`)).rejects.toMatchObject({
      ...{ code: 'unavailable', message: 'ended before it was ready, exit code 7', exitCode: '7' },
      lastLines: Array.from({ length: 20 }, (_, n) => `line ${n + 6}`),
    });
  });

  it('that says why it cannot is a failure for that reason', async () => {
    await expect(
      start(`say '{"type":"failed","reason":"the port is in use"}'; exit 1`),
    ).rejects.toMatchObject({ message: 'the port is in use', exitCode: '1', lastLines: [] });
  });

  it('that ends when it had begun to serve is one, too', async () => {
    await expect(start('on serving; while kill -0 $PPID; do :; done 2>/dev/null; exit 1')).rejects.toThrow(
      'ended when it had begun to serve',
    );
  });

  it('that is not ready in time is ended, and its last line is told', async () => {
    await expect(start(`say '{"type":"line","text":"reading"}'; ${hang}`, { limitMs: 300 })).rejects.toThrow(
      /^was not ready within 0\.3 s and was ended(; its last line: reading)?$/,
    );
  });

  it('is ended when this process ends, before and after it serves', async () => {
    for (const script of [hang, `on serving; ${hang}`]) {
      const ending = new AbortController();
      const starting = start(script, { cancelled: ending.signal });
      setImmediate(() => {
        ending.abort();
      });
      await expect(starting).rejects.toThrow('was ended, since this process is ending');
    }
  });

  it('is told what it is given', async () => {
    const told = `say "{\\"type\\":\\"failed\\",\\"reason\\":\\"$(env | grep -c '^TELEPORT_')\\"}"; exit 1`;
    await expect(start(told, { env: { PATH: process.env['PATH'] } })).rejects.toThrow('2');
    await expect(start(told, { env: { PATH: process.env['PATH'] }, lockFd: 1 })).rejects.toThrow('3');
  });
});
