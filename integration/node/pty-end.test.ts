import { tmpdir, userInfo } from 'node:os';
import { expect, it } from 'vitest';
import { loadLibc } from '../../src/machine/libc.ts';
import { lineVariables } from '../../src/machine/program-line.ts';
import { ProgramStarter } from '../../src/machine/program-starter.ts';
import { Pty } from '../../src/machine/pty.ts';
import { startProgram } from '../../src/machine/user-process.ts';

/** More than our end of the terminal takes unread (64 KiB), by less than the terminal itself does. */
const bytes = 70_000;

it('what a program wrote to its terminal is there for a reader that comes when it has ended', async () => {
  const load = await loadLibc();
  if (load.status !== 'loaded') throw new Error(load.reason);
  const { uid, gid, username } = userInfo();
  const size = { columns: 80, rows: 25, widthPixels: 0, heightPixels: 0 };
  const pty = new Pty({ libc: load.libc, owner: { uid, gid }, size, modes: new Map() });
  try {
    const program = await startProgram({
      user: { name: username, uid, gid, home: tmpdir(), shell: '/bin/sh', groups: [gid] },
      starter: new ProgramStarter(load.libc),
      of: pty,
      umask: '022',
      program: { kind: 'command', command: `stty raw; head -c ${bytes} /dev/zero | tr '\\0' x` },
      environment: lineVariables([['PATH', '/usr/bin:/bin']]).variables,
      pty,
    });
    expect(await program.ended).toEqual({ status: 'exited', code: 0 });
    let read = 0;
    for await (const chunk of pty.stream) read += (chunk as Buffer).length;
    expect(read).toBe(bytes);
  } finally {
    pty.close();
  }
});
