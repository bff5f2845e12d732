import { describe, expect, it } from 'vitest';
import type { FilePrograms } from './file-programs.ts';
import { planOf } from './session-plan.ts';

const programs: FilePrograms = { sftp: '/lib/sftp-server', scp: ({ rest }) => `/bin/scp ${rest}` };
const answers = { accept: () => undefined, reject: () => undefined };
const exec = (command: string) => planOf({ type: 'exec', command, ...answers }, undefined, programs);
const subsystem = (forced: string) =>
  planOf({ type: 'subsystem', name: 'sftp', ...answers }, forced, programs);

describe('what a session runs', () => {
  it.each([
    '/usr/lib/openssh/sftp-server',
    '/usr/libexec/sftp-server -e -l INFO',
    'sftp-server',
    '/usr/lib/ssh/sftp-server -P remove,rename -u 0022',
  ])('sees the transfers of an sftp server that is asked for by its path: %s', (command) => {
    expect(exec(command)).toMatchObject({ kind: 'sftp', command, program: { kind: 'command', command } });
    expect(subsystem(command)).toMatchObject({ kind: 'sftp', command, original: 'sftp' });
  });
  it('has a server of its own for internal-sftp', () => {
    expect(subsystem('internal-sftp')).toMatchObject({
      kind: 'sftp',
      program: { kind: 'command', command: '/lib/sftp-server' },
      original: 'sftp',
    });
  });
  it.each([
    ...['/lib/sftp-server; id', 'sftp-server $(id)', 'my-sftp-server', 'sftp-server-x', 'echo sftp-server'],
    ...['/lib/sftp-server | tee', 'sftp-server\nid', 'internal-sftp x', '/bin/x /lib/sftp-server'],
  ])('takes %j for a command like any other', (command) => {
    expect(exec(command)).toMatchObject({ kind: 'exec', program: { kind: 'command', command } });
  });
});
