import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type koffiModule from 'koffi';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadLibc } from '../../src/machine/libc.ts';
import { bindProcessCalls, type ProgramCalls } from '../../src/machine/libc-spawn.ts';
import { type ProgramOrder, ProgramStarter, type StartedProgram } from '../../src/machine/program-starter.ts';
import { runProgram } from '../../src/machine/run-program.ts';
import { run, until } from '../harness/run-program.ts';

const folder = mkdtempSync(join(tmpdir(), 'starter-'));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

async function realCalls(): Promise<ProgramCalls> {
  const load = await loadLibc();
  if (load.status !== 'loaded') throw new Error(load.reason);
  return load.libc;
}
/** A C library of 2018, which cannot change the folder of a program. */
async function oldCalls(): Promise<ProgramCalls> {
  const lib = (createRequire(import.meta.url)('koffi') as typeof koffiModule).load(null);
  const func = (definition: string): unknown => {
    if (definition.includes('chdir')) throw new Error('no such symbol');
    return lib.func(definition);
  };
  return { ...(await realCalls()), processes: bindProcessCalls({ func } as unknown as typeof lib) };
}

const environment = [['PATH', '/usr/bin:/bin']] as const;
const order = (argv: readonly string[], wish: Partial<ProgramOrder> = {}): ProgramOrder => ({
  argv,
  environment,
  streams: ['none', 'output', 'output'],
  newSession: true,
  ...wish,
});
const sh = (script: string, wish: Partial<ProgramOrder> = {}): ProgramOrder =>
  order(['/bin/sh', '-c', script], wish);
const stateOf = (pid: number): string | undefined => {
  try {
    return /^State:\t(.)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  } catch {
    return undefined;
  }
};
const openDescriptors = (): number => readdirSync('/proc/self/fd').length;

describe.each([
  ['posix_spawn', realCalls],
  ['posix_spawn of an old C library', oldCalls],
  ['Node', () => Promise.resolve(undefined)],
] as const)('programs started by %s', (how, callsOf) => {
  let starter: ProgramStarter;
  const me = {};
  const start = (one: ProgramOrder): Promise<StartedProgram> => starter.start(one, me);
  const said = async (one: ProgramOrder): Promise<string> => {
    const { streams } = await start(one);
    return streams[1] === undefined ? '' : text(streams[1]);
  };
  beforeAll(async () => {
    // What those who started this process left open is none of it.
    const load = await loadLibc();
    if (load.status === 'loaded') load.libc.keepDescriptorsFromChildren();
    starter = new ProgramStarter(await callsOf());
  });

  it.each([
    ['exit 0', { status: 'exited', code: 0 }],
    ['exit 77', { status: 'exited', code: 77 }],
    ['kill -KILL $$', { status: 'killed', signal: 9, coreDumped: false }],
    // Node has no name for these, and says 0.
    ...(how === 'Node'
      ? []
      : ([['kill -35 $$', { status: 'killed', signal: 35, coreDumped: false }]] as const)),
  ] as const)('tells how it ended: %s', async (script, end) => {
    expect(await (await start(sh(script))).ended).toEqual(end);
  });
  it('passes on streams, arguments, variables and folder', async () => {
    const one = await start(
      order(['/bin/sh', '-c', 'cat; echo "$0|$1|$V|$(pwd)"; echo err >&2; cat <&3', 'a \'b"', 'ü'], {
        environment: [...environment, ['V', 'x y\n=z']],
        folder,
        streams: ['input', 'output', 'output', 'input'],
      }),
    );
    one.streams[0]?.end('in\n');
    one.streams[3]?.end('three\n');
    const all = await Promise.all([1, 2].map((i) => text(one.streams[i] as never)));
    expect(all).toEqual([`in\na 'b"|ü|x y\n=z|${folder}\nthree\n`, 'err\n']);
  });
  it('gives no descriptor but its own, and signals as they are for every program', async () => {
    const stray = spawn('/bin/sleep', ['60'], { stdio: ['pipe', 'pipe', 'pipe', 'pipe'] });
    process.once('SIGPIPE', () => undefined);
    const lines = await said(
      sh('ls /proc/self/fd | tr "\\n" " "; grep -E "^Sig(Ign|Blk)" /proc/self/status'),
    );
    stray.kill();
    // Node resets the signals 1 to 31 only: make, for one, leaves 32 and 33 ignored.
    const ignored = how === 'Node' ? /^[0-9a-f]{8}[08]0{7}$/ : /^0{16}$/;
    const [descriptors, signals] = lines.split(' SigBlk:\t0000000000000000\nSigIgn:\t');
    expect(descriptors).toBe('0 1 2 3'); // 3 is that of the folder that ls reads
    expect(signals?.trim()).toMatch(ignored);
  });
  it('leads a session of its own, or stays in ours', async () => {
    const script = 'echo $$; ps -o sid= -p $$';
    const [own, ours] = await Promise.all([said(sh(script)), said(sh(script, { newSession: false }))]);
    const [pid, sid] = own.trim().split(/\s+/);
    expect(sid).toBe(pid);
    const [pidOfOurs, sidOfOurs] = ours.trim().split(/\s+/);
    expect(sidOfOurs).not.toBe(pidOfOurs);
  });
  it('runs a script that names no interpreter', async () => {
    const script = join(folder, 'script');
    writeFileSync(script, 'echo "script $1"\n');
    chmodSync(script, 0o755);
    expect(await said(order([script, 'x']))).toBe('script x\n');
  });
  it.each([
    ['no such file', ['/no/such/program'], /ENOENT/],
    ['no program', [folder], /EACCES/],
    ['more than an argument may be', ['/bin/true', 'x'.repeat(140_000)], /E2BIG/],
    ['a NUL byte', ['/bin/true', 'a\0b'], /NUL byte/],
  ] as const)('says why it cannot be started, and leaves nothing open: %s', async (_what, argv, reason) => {
    const before = openDescriptors();
    for (let i = 0; i < 5; i++) await expect(start(order(argv))).rejects.toThrow(reason);
    await expect(start(order(argv))).rejects.toMatchObject({ code: 'unavailable' });
    await until('all to be closed', () => (openDescriptors() <= before ? true : undefined));
  });
  it('leaves no zombie of a hundred, beside those that Node waits for', async () => {
    const nodes = Array.from({ length: 20 }, (_, i) => {
      const child = spawn('/bin/sh', ['-c', `exit ${i}`], { stdio: 'ignore' });
      return once(child, 'exit') as Promise<[number]>;
    });
    const ours = await Promise.all(
      Array.from({ length: 100 }, (_, i) => start(sh(`exit ${i}`, { streams: ['none', 'none', 'none'] }))),
    );
    const ends = await Promise.all(ours.map(({ ended }) => ended));
    expect(ends).toEqual(Array.from({ length: 100 }, (_, code) => ({ status: 'exited', code })));
    expect((await Promise.all(nodes)).map(([code]) => code)).toEqual(Array.from({ length: 20 }, (_, i) => i));
    expect(ours.map(({ pid }) => stateOf(pid)).filter((state) => state === 'Z')).toEqual([]);
  });
  it('ends a small program that takes too long, or says too much, with all that it started', async () => {
    const limits = { environment, limitMs: 300, maxBytes: 1000, of: me };
    expect(await runProgram(starter, ['sh', '-c', 'echo x; sleep 600 & wait'], limits)).toEqual({
      status: 'too long',
    });
    const loud = runProgram(starter, ['sh', '-c', 'yes'], { ...limits, limitMs: 60_000 });
    expect(await loud).toEqual({ status: 'too much' });
    const ran = await runProgram(starter, ['sh', '-c', 'cat; echo e >&2; exit 3'], {
      ...limits,
      limitMs: 60_000,
      input: 'i',
    });
    expect(ran).toEqual({ status: 'ended', end: { status: 'exited', code: 3 }, stdout: 'i', stderr: 'e\n' });
  });
});

describe('a process that has hardly a descriptor left', () => {
  const cases = ['libc', 'node'].flatMap((how) => [0, 3, 6, 9, 12].map((free) => [how, free] as const));
  it.each(cases)(
    'leaves none open by trying, and starts programs again later (%s, %i)',
    async (how, free) => {
      // A process of its own: the limit is for all of it.
      const { stdout, code, stderr } = await run('prlimit', [
        '--nofile=80:80',
        process.execPath,
        '--disable-warning=ExperimentalWarning',
        join(import.meta.dirname, 'no-descriptors.ts'),
        how,
        String(free),
      ]);
      expect({ code, stderr, stdout }).toEqual({
        code: 0,
        stderr: '',
        stdout: expect.stringMatching(/^refused \d+, left open 0, then exited 5\n$/) as string,
      });
    },
  );
});
