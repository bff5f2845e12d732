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
  it('is a login shell, or the files of sftp, and no other subsystem', () => {
    expect(planOf({ type: 'shell', ...answers }, undefined, programs)).toEqual({
      ...{ kind: 'shell', program: { kind: 'login-shell' }, command: '', original: undefined },
    });
    const asked = (name: string) => planOf({ type: 'subsystem', name, ...answers }, undefined, programs);
    expect(asked('sftp')).toEqual({
      ...{ kind: 'sftp', program: { kind: 'command', command: '/lib/sftp-server' }, command: 'sftp' },
      original: undefined,
    });
    expect(asked('netconf')).toBeUndefined();
  });
  it('is a copy by the programs of this machine', () => {
    expect(exec('scp -t /tmp/x')).toMatchObject({
      ...{
        kind: 'scp',
        command: 'scp -t /tmp/x',
        program: { kind: 'command', command: '/bin/scp -t /tmp/x' },
      },
    });
  });
  it('is what a certificate forces, whatever was asked for', () => {
    const forced = (request: object) => planOf({ ...request, ...answers } as never, 'date', programs);
    expect(forced({ type: 'exec', command: 'id' })).toMatchObject({
      kind: 'exec',
      command: 'date',
      original: 'id',
    });
    expect(forced({ type: 'shell' })).toMatchObject({ command: 'date', original: undefined });
    expect(forced({ type: 'subsystem', name: 'x' })).toMatchObject({ command: 'date', original: 'x' });
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
