import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { run, type Ran } from '../harness/run-program.ts';

const script = resolve('.ci/install-what-tests-drive');
const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

interface Bare {
  /** What the script runs for its work, each with its arguments. */
  calls(): string[];
  /** At no terminal. */
  run(): Promise<Ran>;
  /** At a terminal, where `typed` is typed. Both streams are standard output. */
  runAtTerminal(typed: string): Promise<Ran>;
}

/**
 * A Debian machine that has all packages but `missing`; programs that would change it only note what they
 * were asked.
 */
function bareMachine(missing: readonly string[], user: 'root' | 'person'): Bare {
  const folder = mkdtempSync(join(tmpdir(), 'bare-'));
  folders.push(folder);
  const noted = join(folder, 'calls');
  const program = (name: string, lines: string): void => {
    writeFileSync(join(folder, name), `#!/bin/sh\n${lines}\n`);
    chmodSync(join(folder, name), 0o755);
  };
  const lacks = missing.map((name) => `*" ${name}") exit 1;;`).join(' ');
  program('dpkg-query', `case "$*" in ${lacks} esac; echo "install ok installed"`);
  program('apt-get', `echo "apt-get $*" >> ${noted}`);
  program('sudo', `echo "sudo $*" >> ${noted}`);
  program('npm', 'exit 0');
  program('id', `echo ${user === 'root' ? 0 : 1000}`);
  const env = { PATH: `${folder}:${process.env['PATH'] ?? ''}`, HOME: folder };
  return {
    calls: () => (existsSync(noted) ? readFileSync(noted, 'utf8').trim().split('\n') : []),
    run: () => run(script, [], { env }),
    runAtTerminal: (typed) => run('script', ['-qec', script, '/dev/null'], { env, input: typed }),
  };
}

describe('what the tests drive', () => {
  it('is not asked for, where all of it is there', async () => {
    const machine = bareMachine([], 'person');
    expect(await machine.run()).toMatchObject({ code: 0, stdout: '', stderr: '' });
    expect(machine.calls()).toEqual([]);
  });

  it('is installed by root at once: what is missing, by name, and no more', async () => {
    const machine = bareMachine(['etcd-server', 'tmux'], 'root');
    const ran = await machine.run();
    expect(ran).toMatchObject({ code: 0, stderr: '' });
    expect(ran.stdout).toBe('installing what the tests drive: etcd-server tmux\n');
    expect(machine.calls()).toEqual([
      'apt-get update -qq',
      'apt-get install -y -qq --no-install-recommends etcd-server tmux',
    ]);
  });

  it('is installed for a person who is asked and agrees, by sudo', async () => {
    const machine = bareMachine(['tmux'], 'person');
    const ran = await machine.runAtTerminal('y\n');
    expect(ran.code).toBe(0);
    expect(ran.stdout).toContain('The tests drive what this machine lacks: tmux');
    expect(machine.calls()).toEqual([
      'sudo apt-get update -qq',
      'sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends tmux',
    ]);
  });

  it('is not installed for a person who does not agree', async () => {
    const machine = bareMachine(['tmux'], 'person');
    const ran = await machine.runAtTerminal('n\n');
    expect(ran.code).toBe(1);
    expect(ran.stdout).toContain('Nothing is installed.');
    expect(machine.calls()).toEqual([]);
  });

  it('is named with the command that installs it, where nobody can be asked', async () => {
    const machine = bareMachine(['tmux', 'expect'], 'person');
    const ran = await machine.run();
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain('apt-get update && apt-get install --no-install-recommends expect tmux');
    expect(machine.calls()).toEqual([]);
  });
});
