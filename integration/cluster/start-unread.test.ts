import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, it } from 'vitest';
import { run } from '../harness/run-program.ts';

it('a start that fails ends with 1 although nobody reads what it says', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'unread-'));
  const pipe = join(folder, 'pipe');
  // Descriptor 9 is a reader that never reads; the pipe is filled to the last byte.
  const script = `mkfifo ${pipe}; exec 9<>${pipe}
    dd if=/dev/zero of=${pipe} bs=1 count=1048576 oflag=nonblock 2>/dev/null
    exec timeout 40 "$@" 2>${pipe}`;
  const program = [
    process.execPath,
    '--disable-warning=ExperimentalWarning',
    resolve('src/cli/teleport/run.ts'),
  ];
  try {
    const argv = ['-c', script, 'sh', ...program, 'start', `--config=${join(folder, 'none.yaml')}`];
    expect(await run('/bin/sh', argv)).toMatchObject({ code: 1 });
  } finally {
    rmSync(folder, { recursive: true });
  }
});
